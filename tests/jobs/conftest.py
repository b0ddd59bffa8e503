"""What the tests of jobs share."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from web import Web, served
from workplace import Workplace

from ecm_agent.archive import container

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Hasty(sqlite3.Connection):
    """A connection that does not wait for the disk: what a test writes need not outlive a power cut."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 (passed on as they come)
        super().__init__(*arguments, **options)
        self.execute("PRAGMA synchronous = OFF")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make keys cheap and disks fast; that the real cost of a key is paid is proved by the format's vectors."""
    monkeypatch.setattr(container, "SCRYPT_N", 2)
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=_Hasty))


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    with served(monkeypatch) as seen:
        yield seen


@pytest.fixture
def at(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)
