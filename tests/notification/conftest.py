"""A web server for those who have to be told of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from web import Web, served

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    with served(monkeypatch) as seen:
        yield seen
