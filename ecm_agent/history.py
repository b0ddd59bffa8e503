"""The agent's own journal: which archives have been read back, and how runs ended. Losing it loses no backup.

It lies in the state directory as a small SQLite database. Archives are known by the label of their destination and
their name, so that a destination moved to another place does not inherit what was proved of the old one.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ecm_agent.atomic import private_directory, set_aside
from ecm_agent.errors import EcmError

if TYPE_CHECKING:
    from pathlib import Path

    from ecm_agent.model.names import ArchiveName

_SCHEMA = """
CREATE TABLE IF NOT EXISTS proofs (
  destination TEXT NOT NULL, name TEXT NOT NULL, checked_at TEXT NOT NULL, fault TEXT NOT NULL,
  PRIMARY KEY (destination, name)
);
CREATE TABLE IF NOT EXISTS runs (
  id INTEGER PRIMARY KEY, job TEXT NOT NULL, verb TEXT NOT NULL,
  started_at TEXT NOT NULL, finished_at TEXT NOT NULL, exit_code INTEGER NOT NULL, message TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_by_job ON runs (job, verb, id);
PRAGMA user_version = 1;
"""
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Proof(Struct, frozen=True):
    """What the last test decrypt of an archive found; `fault` is empty when the archive was good."""

    checked_at: datetime
    fault: str

    @property
    def good(self) -> bool:
        return not self.fault


class Run(Struct, frozen=True):
    """How one execution of a job ended."""

    job: str
    verb: str
    started_at: datetime
    finished_at: datetime
    exit_code: int
    message: str


class History:
    """The journal in a directory. Every method opens it, does one thing durably, and closes it."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "history.db"

    def record_proof(self, destination: str, name: ArchiveName, proof: Proof) -> None:
        """Remember what a test decrypt found; the latest word on an archive counts."""
        sql = "INSERT OR REPLACE INTO proofs VALUES (?, ?, ?, ?)"
        self._run(sql, destination, str(name), proof.checked_at.isoformat(), proof.fault)

    def proofs(self, destination: str) -> dict[str, Proof]:
        """Give the last word on every archive of a destination that has been checked, by archive name."""
        rows = self._run("SELECT name, checked_at, fault FROM proofs WHERE destination = ?", destination)
        return {name: Proof(datetime.fromisoformat(checked_at), fault) for name, checked_at, fault in rows}

    def forget(self, destination: str, name: ArchiveName) -> None:
        """Drop what is known of an archive that is gone."""
        self._run("DELETE FROM proofs WHERE destination = ? AND name = ?", destination, str(name))

    def record_run(self, run: Run) -> None:
        """Remember how a run ended."""
        sql = "INSERT INTO runs (job, verb, started_at, finished_at, exit_code, message) VALUES (?, ?, ?, ?, ?, ?)"
        started_at, finished_at = run.started_at.isoformat(), run.finished_at.isoformat()
        self._run(sql, run.job, run.verb, started_at, finished_at, run.exit_code, run.message)

    def last_run(self, job: str, verb: str, *, successful: bool = False) -> Run | None:
        """Give the latest run of a job, or the latest that ended with exit code 0."""
        sql = (
            "SELECT job, verb, started_at, finished_at, exit_code, message FROM runs "
            "WHERE job = ? AND verb = ? AND (exit_code = 0 OR NOT ?) ORDER BY id DESC LIMIT 1"
        )
        for row in self._run(sql, job, verb, successful):
            return Run(row[0], row[1], datetime.fromisoformat(row[2]), datetime.fromisoformat(row[3]), row[4], row[5])
        return None

    def _run(self, sql: str, *values: str | int) -> list[Any]:
        """Run one statement, beginning a new journal beside a damaged one: a backup must not fail for want of notes."""
        storable = [_storable(value) for value in values]
        try:
            try:
                return self._attempt(sql, storable)
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                    raise
                set_aside(self._path)
                return self._attempt(sql, storable)
        except (sqlite3.Error, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise EcmError(
                f"The agent's journal {self._path} cannot be used: {reason}.",
                hint="Check the state directory's permissions and free space.",
            ) from error

    def _attempt(self, sql: str, values: list[str | int]) -> list[Any]:
        private_directory(self._path.parent)
        self._path.touch(mode=0o600)
        with closing(sqlite3.connect(self._path, timeout=30)) as journal, journal:
            if journal.execute("PRAGMA user_version").fetchone() == (0,):
                journal.executescript(_SCHEMA)
            return journal.execute(sql, values).fetchall()


def _storable(value: str | int) -> str | int:
    """Write out what is no text to SQLite: a path may hold bytes that are not UTF-8."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
