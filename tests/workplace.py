"""A place for jobs to work in: a small store, destinations in memory, a journal, a clock that stands still."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import builders
from fakes import ManualClock, MemoryDestination
from msgspec import convert, structs

from ecm_agent.archive import fingerprint
from ecm_agent.history import History
from ecm_agent.jobs.attend import perform
from ecm_agent.jobs.due import record_missed, tasks
from ecm_agent.jobs.job import Context, Job
from ecm_agent.jobs.progress import Silent
from ecm_agent.model.journal import Proof, Run
from ecm_agent.model.manifest import Selection
from ecm_agent.model.names import ArchiveName
from ecm_agent.retention import Policy
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta
    from pathlib import Path

    from ecm_agent.destination.base import Destination
    from ecm_agent.errors import EcmError
    from ecm_agent.jobs.attend import Result
    from ecm_agent.jobs.progress import Progress
    from ecm_agent.model.outcome import Outcome

PASSWORD = Secret("correct horse battery staple")

_HOLD = """
import pathlib, sys
from ecm_agent.lock import held
with held(pathlib.Path(sys.argv[1]), "the job"):
    print("held", flush=True)
    sys.stdin.read()
"""


class AudienceFake:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.errors: list[EcmError] = []
        self.problems: list[str] = []

    def done(self, outcome: Outcome, result: Result | None) -> None:
        del result
        self.outcomes.append(outcome)

    def failed(self, job: str, error: EcmError) -> None:
        del job
        self.errors.append(error)

    def noticed(self, job: str, problem: str) -> None:
        del job
        self.problems.append(problem)


@dataclass
class Workplace:
    """What the tests of jobs share. `home` is an empty directory; the store in it holds `builders.memory()`."""

    home: Path
    clock: ManualClock = field(default_factory=ManualClock)
    memory: MemoryDestination = field(default_factory=MemoryDestination)
    progress: Progress = field(default_factory=Silent)
    audience: AudienceFake = field(default_factory=AudienceFake)

    def __post_init__(self) -> None:
        self._kin: tuple[str, str] | None = None
        self.store = builders.sqlite_store(self.home / "memory.db")
        self.state_dir = self.home / "state"
        self.history = History(self.state_dir)

    def job(self, *destinations: Destination, policy: Policy | None = None) -> Job:
        """Give the job "nightly" of the host "laptop"; its destinations are called "d0", "d1" and so on."""
        places = destinations or (self.memory,)
        return Job(
            name="nightly",
            host="laptop",
            store=self.store,
            selection=Selection(),
            compression="none",
            policy=policy or Policy(keep_last=1),
            timezone=ZoneInfo("UTC"),
            destinations={f"d{number}": place for number, place in enumerate(places)},
            state_dir=self.state_dir,
        )

    def context(self, password: Secret | None = PASSWORD) -> Context:
        return Context(self.history, self.clock, self.progress, password)

    def plant(
        self, name: ArchiveName, *, proved: bool = True, fault: str = "", destination: MemoryDestination | None = None
    ) -> ArchiveName:
        """Put something under an archive's name, with a proof on record, a fault, or nothing."""
        place = destination or self.memory
        place.archives[name] = b"an archive, for all that the journal knows"
        if proved or fault:
            self.history.record_proof(place.label, name, self.proof(name.created, fault))
        return name

    def proof(self, at: datetime, fault: str = "", size: int = 0) -> Proof:
        """Give the proof of an archive of this store, sealed with the password of these tests."""
        if fault:
            return Proof(at, fault)
        self._kin = self._kin or self._own_kin()
        return Proof(at, "", size, *self._kin)

    def _own_kin(self) -> tuple[str, str]:
        with self.store.snapshot(Selection(), "") as snapshot:
            manifest = structs.replace(snapshot.manifest, source=self.job().source)
        return manifest.kin, fingerprint(PASSWORD, self.history.salt())

    def runs(self, verb: str) -> list[Run]:
        """Give every run of "nightly" on record, in the order of their ends."""
        with closing(sqlite3.connect(self.state_dir / "history.db")) as journal:
            rows = journal.execute(
                f"SELECT {', '.join(Run.__struct_fields__)} FROM runs WHERE job = 'nightly' AND verb = ? ORDER BY id",
                (verb,),
            ).fetchall()
        return [convert(dict(zip(Run.__struct_fields__, row, strict=True)), Run) for row in rows]

    def look(self, job: Job) -> list[Outcome]:
        """Do what is due, as the agent does at each of its ticks."""
        context, outcomes = self.context(), []
        for task in tasks([job], context):
            record_missed(task, context)
            outcomes.append(perform(task, job, context, self.audience))
        return outcomes

    def pass_time(self, job: Job, until: datetime, tick: timedelta) -> list[Outcome]:
        """Have an agent look at every tick until a time, that included."""
        outcomes = []
        while self.clock.now() + tick <= until:
            self.clock.advance(tick)
            outcomes += self.look(job)
        return outcomes

    def files(self) -> dict[Path, bytes]:
        """Give every file below the state directory."""
        return {path: path.read_bytes() for path in self.state_dir.rglob("*") if path.is_file()}


def archive(created: datetime, *, job: str = "nightly", host: str = "laptop") -> ArchiveName:
    return ArchiveName(job, host, created.replace(microsecond=0))


@contextmanager
def held_elsewhere(lock: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Let another process hold a lock during the block."""
    arguments = [sys.executable, "-c", _HOLD, str(lock)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        try:
            yield holder
        finally:
            holder.kill()
