"""The agent's own journal: what has been proved, what is still to be sent, how runs ended. Losing it loses no backup.

It lies in the state directory as a small SQLite database. Archives are known by the label of their destination and
their name, so that a destination moved to another place does not inherit what was proved of the old one.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct, convert
from msgspec.structs import astuple

from ecm_agent.atomic import private_directory, set_aside
from ecm_agent.errors import EcmError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ecm_agent.model.names import ArchiveName

_SCHEMA = """
CREATE TABLE IF NOT EXISTS proofs (
  destination TEXT NOT NULL, name TEXT NOT NULL, checked_at TEXT NOT NULL, fault TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (destination, name)
);
CREATE TABLE IF NOT EXISTS runs (
  id INTEGER PRIMARY KEY, job TEXT NOT NULL, verb TEXT NOT NULL,
  started_at TEXT NOT NULL, finished_at TEXT NOT NULL, exit_code INTEGER NOT NULL, message TEXT NOT NULL,
  archive TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_by_job ON runs (job, verb, id);
CREATE TABLE IF NOT EXISTS pending (
  job TEXT NOT NULL, archive TEXT NOT NULL, destination TEXT NOT NULL,
  since TEXT NOT NULL, attempts INTEGER NOT NULL, last_attempt TEXT NOT NULL, error TEXT NOT NULL,
  PRIMARY KEY (job, archive, destination)
);
PRAGMA user_version = 1;
"""


class Proof(Struct, frozen=True):
    """What the last test decrypt of an archive found; `fault` is empty when the archive was good, of so many bytes."""

    checked_at: datetime
    fault: str
    bytes: int = 0

    @property
    def good(self) -> bool:
        return not self.fault


class Run(Struct, frozen=True):
    """How one execution of a job ended; `archive` names what it made, if it made one."""

    job: str
    verb: str
    started_at: datetime
    finished_at: datetime
    exit_code: int
    message: str
    archive: str = ""


class Pending(Struct, frozen=True):
    """A staged archive that a destination (by its name in the configuration) still waits for."""

    job: str
    archive: str
    destination: str
    since: datetime
    attempts: int
    last_attempt: datetime
    error: str


_RUN = ", ".join(Run.__struct_fields__)


class History:
    """The journal in a directory. Every method opens it, does one thing durably, and closes it."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "history.db"

    def record_proof(self, destination: str, name: ArchiveName, proof: Proof) -> None:
        """Remember what a test decrypt found; the latest word on an archive counts."""
        row = (destination, str(name), proof.checked_at.isoformat(), proof.fault, proof.bytes)
        with self._journal() as journal:
            journal.execute("INSERT OR REPLACE INTO proofs VALUES (?, ?, ?, ?, ?)", row)

    def proofs(self, destination: str) -> dict[str, Proof]:
        """Give the last word on every archive of a destination that has been checked, by archive name."""
        sql = "SELECT name, checked_at, fault, bytes FROM proofs WHERE destination = ?"
        with self._journal() as journal:
            rows = journal.execute(sql, (destination,)).fetchall()
        return {name: Proof(datetime.fromisoformat(at), fault, size) for name, at, fault, size in rows}

    def forget(self, destination: str, name: ArchiveName) -> None:
        """Drop what is known of an archive that is gone."""
        with self._journal() as journal:
            journal.execute("DELETE FROM proofs WHERE destination = ? AND name = ?", (destination, str(name)))

    def record_run(self, run: Run) -> None:
        """Remember how a run ended."""
        with self._journal() as journal:
            journal.execute(
                f"INSERT INTO runs ({_RUN}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 (ours)
                [_plain(value) for value in astuple(run)],
            )

    def last_run(self, job: str, verb: str) -> Run | None:
        """Give the latest run of a job."""
        return self._latest(job, verb, "1")

    def last_success(self, job: str, verb: str) -> Run | None:
        """Give the latest run that ended with exit code 0."""
        return self._latest(job, verb, "exit_code = 0")

    def last_attempt(self, job: str, verb: str) -> Run | None:
        """Give the latest run that was not skipped."""
        return self._latest(job, verb, "exit_code <> 75")

    def first_archive(self, job: str) -> Run | None:
        """Give the oldest run on record that made an archive."""
        return self._latest(job, "backup", "archive <> ''", order="ASC")

    def last_archive(self, job: str) -> Run | None:
        """Give the latest run that made an archive, whether or not it has arrived everywhere."""
        return self._latest(job, "backup", "archive <> ''")

    def failures_since_success(self, job: str, verb: str) -> int:
        """Count the runs since the last one that did what it should: made an archive, or ended with exit code 0."""
        sql = (
            "SELECT count(*) FROM runs WHERE job = ?1 AND verb = ?2 AND exit_code <> 75 AND id > "
            "(SELECT coalesce(max(id), 0) FROM runs WHERE job = ?1 AND verb = ?2 AND (exit_code = 0 OR archive <> ''))"
        )
        with self._journal() as journal:
            return int(journal.execute(sql, (job, verb)).fetchone()[0])

    def expect(self, pending: Iterable[Pending]) -> None:
        """Remember that destinations wait for a staged archive, before the first attempt to send it."""
        rows = [[_plain(value) for value in astuple(one)] for one in pending]
        with self._journal() as journal:
            journal.executemany("INSERT OR REPLACE INTO pending VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def settle(self, job: str, archive: str, destination: str) -> None:
        """Remember that a destination no longer waits for an archive."""
        with self._journal() as journal:
            journal.execute(
                "DELETE FROM pending WHERE job = ? AND archive = ? AND destination = ?", (job, archive, destination)
            )

    def pending(self, job: str) -> list[Pending]:
        """Give what is still to be sent for a job, oldest archive first."""
        with self._journal() as journal:
            rows = journal.execute("SELECT * FROM pending WHERE job = ? ORDER BY archive, destination", (job,))
            return [convert(dict(zip(Pending.__struct_fields__, row, strict=True)), Pending) for row in rows]

    def _latest(self, job: str, verb: str, condition: str, *, order: str = "DESC") -> Run | None:
        sql = f"SELECT {_RUN} FROM runs WHERE job = ? AND verb = ? AND {condition} ORDER BY id {order} LIMIT 1"  # noqa: S608 (ours)
        with self._journal() as journal:
            row = journal.execute(sql, (job, verb)).fetchone()
        return convert(dict(zip(Run.__struct_fields__, row, strict=True)), Run) if row else None

    @contextmanager
    def _journal(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(self._open()) as journal, journal:
                yield journal
        except (sqlite3.Error, OSError) as error:
            raise EcmError(
                f"The agent's journal {self._path} cannot be used: {error}.",
                hint="Check the state directory's permissions and free space.",
            ) from error

    def _open(self) -> sqlite3.Connection:
        """Open the journal, beginning a new one beside a damaged one: a backup must not fail for want of notes."""
        private_directory(self._path.parent)
        self._path.touch(mode=0o600)
        try:
            return self._prepared()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
                raise
            set_aside(self._path)
            return self._prepared()

    def _prepared(self) -> sqlite3.Connection:
        journal = sqlite3.connect(self._path, timeout=30)
        try:
            if journal.execute("PRAGMA user_version").fetchone() == (0,):
                journal.executescript(_SCHEMA)
        except BaseException:
            journal.close()
            raise
        return journal


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
