"""Archives that a destination keeps under lock: no failure of a rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from contracts.destination_contract import archive_name
from fakes import ManualClock, MemoryDestination

from ecm_agent.cli.render import rotated
from ecm_agent.errors import DestinationRefused, Retained
from ecm_agent.history import History
from ecm_agent.jobs.job import Context, Job
from ecm_agent.jobs.progress import Silent
from ecm_agent.jobs.rotate import rotate
from ecm_agent.model.journal import Proof
from ecm_agent.model.manifest import Selection
from ecm_agent.retention import Policy
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from ecm_agent.model.names import ArchiveName


class Locking(MemoryDestination):
    """Keeps its first archive under lock, and the second for no good reason."""

    def delete(self, name: ArchiveName) -> None:
        if name == archive_name(1):
            raise Retained(f"memory: keeps {name}: Object Lock (GOVERNANCE) until then.")
        if name == archive_name(2):
            raise DestinationRefused("memory: refused.")
        super().delete(name)


def test_a_locked_archive_is_retained_not_failed(tmp_path: Path) -> None:
    """What is locked is told apart from what could not be removed, and stays on record; the rest is removed."""
    place = Locking()
    place.archives = {archive_name(day): b"content" for day in (1, 2, 3, 4)}
    job = Job(
        name="nightly",
        host="laptop",
        store=SqliteStore(tmp_path / "memory.db"),
        selection=Selection(None, vectors=True),
        compression="none",
        policy=Policy(keep_last=1),
        timezone=ZoneInfo("UTC"),
        destinations={"memory": place},
        state_dir=tmp_path,
    )
    history = History(tmp_path)
    for name in place.archives:
        history.record_proof(place.label, name, Proof(ManualClock().now(), ""))
    result = rotate(job, "memory", Context(history, ManualClock(), Silent(), None))
    assert list(result.retained) == [str(archive_name(1))]
    assert list(result.failures) == [str(archive_name(2))]
    assert result.removed == [str(archive_name(3))]
    assert any(line.startswith("retained: memory: keeps nightly") for line in rotated(result, dry_run=False))
    assert str(archive_name(1)) in history.proofs(place.label)
