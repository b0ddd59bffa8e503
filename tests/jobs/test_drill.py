"""drill: an archive is restored for real, compared record by record, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import builders
import pytest
from fakes import FaultyDestination, MemoryDestination
from workplace import Workplace, held_elsewhere

from ecm_agent.destination.local import LocalDestination
from ecm_agent.errors import ArchiveInvalid, DecryptionFailed, DestinationUnavailable, EcmError
from ecm_agent.jobs.backup import backup
from ecm_agent.jobs.drill import drill
from ecm_agent.jobs.locate import Located, found
from ecm_agent.secret import Secret
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from ecm_agent.destination.base import Destination


def latest(at: Workplace, *destinations: Destination) -> Located:
    job = at.job(*destinations)
    assert backup(job, at.context()).exit_code == 0
    return found("latest", job, job.destinations, at.history, now=at.clock.now())


def scratches(at: Workplace) -> list[Path]:
    return list((at.state_dir / "staging").glob("drill-*"))


class Watching:
    """Looks at the scratch directories at every stage, and may do something at one of them."""

    def __init__(self, at: Workplace) -> None:
        self._at = at
        self.modes: dict[str, list[int]] = {}

    def stage(self, title: str, records: int) -> None:
        del records
        self.modes[title] = [path.stat().st_mode & 0o777 for path in scratches(self._at)]

    def advance(self, records: int) -> None:
        """Say nothing."""


def test_a_good_archive_passes(at: Workplace) -> None:
    """A drill gives what was restored, proves the archive anew, and is on record with its time."""
    located = latest(at)
    at.history.forget("memory:", located.name)
    drilled = drill(at.job(), located, at.context())
    assert (drilled.archive, drilled.label) == (str(located.name), "memory:")
    assert drilled.manifest.chunk_count == 5
    proof = at.proof(at.clock.now(), size=len(at.memory.archives[located.name]))
    assert at.history.proofs("memory:")[str(located.name)] == proof
    assert [run.exit_code for run in at.runs("drill")] == [0]


def test_the_scratch_store_is_private_and_gone_afterwards(at: Workplace) -> None:
    """Whatever the umask, nobody else can look into a drill, and nothing is left of it."""
    located = latest(at)
    at.progress = watching = Watching(at)
    before = os.umask(0)
    try:
        drill(at.job(), located, at.context())
    finally:
        os.umask(before)
    stages = ["fetching from memory:", "restoring", "checking integrity", "comparing"]
    assert watching.modes == {f"Drill: {stage}": [0o700] for stage in stages}
    assert scratches(at) == []


def test_a_failed_drill_leaves_nothing_either(at: Workplace) -> None:
    """A wrong password or a lost connection ends a drill, is on record, and leaves no scratch store."""
    located = latest(at)
    with pytest.raises(DecryptionFailed):
        drill(at.job(), located, at.context(Secret("not this one")))
    gone = FaultyDestination(at.memory, {"open": [DestinationUnavailable("No route.")]})
    with pytest.raises(DestinationUnavailable):
        drill(at.job(), replace(located, destination=gone), at.context())
    assert [run.exit_code for run in at.runs("drill")] == [12, 15]
    assert scratches(at) == []


def test_a_lost_connection_says_nothing_about_the_archive(at: Workplace) -> None:
    """The proof of an archive stands when it could not be drilled for want of a route."""
    located = latest(at)
    before = at.history.proofs("memory:")
    gone = FaultyDestination(at.memory, {"open": [DestinationUnavailable("No route.")]})
    with pytest.raises(DestinationUnavailable):
        drill(at.job(), replace(located, destination=gone), at.context())
    assert at.history.proofs("memory:") == before


def test_a_store_that_gives_back_something_else_fails_the_drill(at: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restore that runs without an error and loses a value is found by the comparison."""
    located = latest(at)
    restore = SqliteStore.replace

    def lossy(self: SqliteStore, *arguments: object) -> object:
        replaced = restore(self, *arguments)  # type: ignore[arg-type] # passed on as they came
        builders.execute(self.path, "UPDATE chunks SET content = 'another' WHERE id = 'c4'")
        return replaced

    monkeypatch.setattr(SqliteStore, "replace", lossy)
    with pytest.raises(ArchiveInvalid, match="chunks"):
        drill(at.job(), located, at.context())
    assert "chunks" in at.history.proofs("memory:")[str(located.name)].fault


def test_the_store_itself_is_not_touched(at: Workplace) -> None:
    """A drill restores into a store of its own: the one in use stays as it is, to the byte."""
    located = latest(at)
    builders.execute(at.store.path, "DELETE FROM edges")
    before = at.store.path.read_bytes()
    drill(at.job(), located, at.context())
    assert at.store.path.read_bytes() == before


def test_where_there_is_no_room_for_a_drill_the_error_says_so(at: Workplace) -> None:
    """A staging directory that cannot be is named, with what to set instead; the proof of the archive stands."""
    located = latest(at)
    staging = at.state_dir / "staging"
    staging.rmdir()
    staging.write_bytes(b"a file in its place")
    with pytest.raises(EcmError, match=str(staging)) as caught:
        drill(at.job(), located, at.context())
    assert "state_dir" in caught.value.hint
    assert at.history.proofs("memory:")[str(located.name)].good


DRILL_AND_DIE = """
import os, sys
from pathlib import Path
from workplace import Workplace
from ecm_agent.archive import container
from ecm_agent.destination.local import LocalDestination
from ecm_agent.jobs.drill import drill
from ecm_agent.jobs.locate import found
from ecm_agent.lock import held

class Deadly:
    def stage(self, title, records):
        if title == sys.argv[2]:
            os.kill(os.getpid(), 9)
    def advance(self, records):
        pass

container.SCRYPT_N = 2
home = Path(sys.argv[1])
at = Workplace(home, progress=Deadly())
job = at.job(LocalDestination(home / "backups"))
with held(job.lock, "the job"):
    drill(job, found("latest", job, job.destinations, at.history, now=at.clock.now()), at.context())
"""


@pytest.mark.parametrize("stage", ["Drill: restoring", "Drill: comparing"])
def test_a_killed_drill_is_swept_by_the_next(at: Workplace, stage: str) -> None:
    """What a drill leaves behind that was killed half-way stays private, and the next drill of the job removes it."""
    place = LocalDestination(at.home / "backups")
    located = latest(at, place)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", DRILL_AND_DIE, str(at.home), stage], env=environ, check=False)
    assert ended.returncode == -9
    (leftover,) = scratches(at)
    assert leftover.stat().st_mode & 0o777 == 0o700
    drill(at.job(place), located, at.context())
    assert scratches(at) == []


def test_another_jobs_drill_is_left_alone(at: Workplace) -> None:
    """Two jobs may drill at the same moment: neither sweeps away what the other is at."""
    located = latest(at)
    other = at.state_dir / "staging" / "drill-weekly-at-work"
    other.mkdir()
    (other / "memory.db").write_bytes(b"somebody is at this")
    with held_elsewhere(replace(at.job(), name="weekly").lock):
        drill(at.job(), located, at.context())
    assert [path.name for path in other.iterdir()] == ["memory.db"]


def test_a_staged_archive_of_a_job_called_drill_is_no_leftover(at: Workplace) -> None:
    """What waits to be sent is not swept, whatever its job is called."""
    job = replace(at.job(MemoryDestination("m:")), name="drill")
    assert backup(job, at.context()).exit_code == 0
    waiting = at.state_dir / "staging" / "drill-drill-20250301T120000Z.ecm"
    waiting.write_bytes(b"an archive that waits")
    drill(job, found("latest", job, job.destinations, at.history, now=at.clock.now()), at.context())
    assert waiting.exists()
