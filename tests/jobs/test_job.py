"""A job: what tells its store from every other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ecm_agent import wiring
from ecm_agent.config.loading import load
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from workplace import Workplace


def test_a_store_is_known_by_its_machine_and_its_path(at: Workplace, tmp_path: Path) -> None:
    """Two machines of one name may keep memories at one path: archives of the one never stand in for the other's."""
    job = at.job()
    others = [
        replace(job, machine="0123"),
        replace(job, machine="4567"),
        replace(job, store=SqliteStore(tmp_path / "other.db")),
    ]
    assert len({one.source for one in (job, *others)}) == 4
    assert replace(job).source == job.source
    assert str(tmp_path) not in job.source


def test_the_machine_is_what_the_system_calls_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it has no id, or one that cannot be read, nothing is made up."""
    settings = load(None, environ={"HOME": str(tmp_path)}, cwd=tmp_path).settings
    told = tmp_path / "machine-id"
    monkeypatch.setattr(wiring, "_MACHINE_ID", told)
    assert wiring.job(settings, "default").machine == ""
    told.write_text("b08dfa6083e7567a1921a715000001fb\n")
    assert wiring.job(settings, "default").machine == "b08dfa6083e7567a1921a715000001fb"
