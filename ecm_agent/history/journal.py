"""The journal in its SQLite database: what is put on record, and what is asked of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import convert
from msgspec.structs import astuple

from ecm_agent.atomic import private_directory, set_aside
from ecm_agent.clock import SystemClock
from ecm_agent.errors import EcmError, LockHeld, Skipped
from ecm_agent.history.versions import VERSIONS
from ecm_agent.lock import held
from ecm_agent.model.journal import BY_SIGNAL, Pending, Proof, Restore, Run, Staged
from ecm_agent.model.names import ArchiveName

if TYPE_CHECKING:
    from pathlib import Path

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PATIENCE = 30.0
"""Seconds to wait for another process that is at the journal."""

_RUN = ", ".join(Run.__struct_fields__)
_NO_ATTEMPT = (Skipped.exit_code, *BY_SIGNAL)
"""Exit codes of runs that were skipped or ended by a signal; as SQL has a list."""


class History:
    """The journal in a directory. Every method opens it, does one thing durably, and closes it."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "history.db"

    def exists(self) -> bool:
        """Whether anything was ever noted here."""
        return self._path.exists()

    def record_proof(self, destination: str, name: ArchiveName, proof: Proof) -> None:
        """Remember what a test decrypt found; the latest word on an archive counts."""
        sql = "INSERT OR REPLACE INTO proofs VALUES (?, ?, ?, ?, ?, ?, ?)"
        self._run(sql, destination, str(name), *astuple(proof))

    def proofs(self, destination: str) -> dict[str, Proof]:
        """Give the last word on every archive of a destination that has been checked, by archive name."""
        rows = self._run(
            "SELECT name, checked_at, fault, bytes, kin, key FROM proofs WHERE destination = ?", destination
        )
        return {name: Proof(datetime.fromisoformat(checked_at), *rest) for name, checked_at, *rest in rows}

    def forget(self, destination: str, name: ArchiveName) -> None:
        """Drop what is known of an archive that is gone."""
        self._run("DELETE FROM proofs WHERE destination = ? AND name = ?", destination, str(name))
        self._run("DELETE FROM tries WHERE destination = ? AND name = ?", destination, str(name))

    def record_try(self, destination: str, name: ArchiveName, at: datetime) -> None:
        """Remember that an archive had its turn to be checked, whether or not that said anything about it."""
        self._run("INSERT OR REPLACE INTO tries VALUES (?, ?, ?)", destination, str(name), at)

    def tries(self, destination: str) -> dict[str, datetime]:
        """Give when every archive of a destination had its last turn, by archive name."""
        rows = self._run("SELECT name, tried_at FROM tries WHERE destination = ?", destination)
        return {name: datetime.fromisoformat(tried_at) for name, tried_at in rows}

    def salt(self) -> bytes:
        """Give the random bytes that make this journal's fingerprints of passwords its own."""
        return bytes(self._run("SELECT salt FROM salt")[0][0])

    def begin_run(self, job: str, verb: str, at: datetime) -> None:
        """Remember that a run has begun, so that one that is killed does not go unnoticed."""
        self._run("INSERT OR REPLACE INTO begun VALUES (?, ?, ?)", job, verb, at)

    def end_run(self, job: str, verb: str) -> None:
        """Remember that the run has ended, in whatever way."""
        self._run("DELETE FROM begun WHERE job = ? AND verb = ?", job, verb)

    def begun(self, job: str) -> dict[str, datetime]:
        """Give when runs of a job began that have not ended, by verb: they are under way, or were killed."""
        rows = self._run("SELECT verb, started_at FROM begun WHERE job = ?", job)
        return {verb: datetime.fromisoformat(started_at) for verb, started_at in rows}

    def record_run(self, run: Run) -> None:
        """Remember how a run ended."""
        self._run(f"INSERT INTO runs ({_RUN}) VALUES (?, ?, ?, ?, ?, ?, ?)", *astuple(run))  # noqa: S608 (ours)

    def last_run(self, job: str, verb: str) -> Run | None:
        """Give the latest run of a job."""
        return self._latest(job, verb, "1")

    def last_success(self, job: str, verb: str) -> Run | None:
        """Give the latest run that ended with exit code 0."""
        return self._latest(job, verb, "exit_code = 0")

    def last_attempt(self, job: str, verb: str) -> Run | None:
        """Give the latest run that was neither skipped nor ended by a signal."""
        return self._latest(job, verb, f"exit_code NOT IN {_NO_ATTEMPT}")

    def first_archive(self, job: str) -> Run | None:
        """Give the oldest run on record that made an archive."""
        return self._latest(job, "backup", "archive <> ''", order="ASC")

    def last_archive(self, job: str) -> Run | None:
        """Give the latest run that made an archive, whether or not it has arrived everywhere."""
        return self._latest(job, "backup", "archive <> ''")

    def last_drill(self, job: str, destination: str) -> Run | None:
        """Give the latest drill of an archive in a destination, by its label."""
        begin = "archive || ' in ' || ?3 || ':'"
        return self._latest(job, "drill", f"substr(message || ':', 1, length({begin})) = {begin}", destination)

    def failures_since_success(self, job: str, verb: str) -> int:
        """Count the runs since the last one that did what it should: made an archive, or ended with exit code 0.

        What was skipped or ended by a signal says nothing of whether it would have gone well.
        """
        sql = (
            f"SELECT count(*) FROM runs WHERE job = ?1 AND verb = ?2 AND exit_code NOT IN {_NO_ATTEMPT} AND id > "  # noqa: S608 (ours)
            "(SELECT coalesce(max(id), 0) FROM runs WHERE job = ?1 AND verb = ?2 AND (exit_code = 0 OR archive <> ''))"
        )
        return int(self._run(sql, job, verb)[0][0])

    def expect(self, pending: Pending) -> None:
        """Remember that a destination waits for a staged archive, and how often it has been tried."""
        self._run("INSERT OR REPLACE INTO pending VALUES (?, ?, ?, ?, ?, ?, ?)", *astuple(pending))

    def settle(self, job: str, archive: str, destination: str) -> None:
        """Remember that a destination no longer waits for an archive; with the last one goes what it was staged as."""
        sql = "DELETE FROM pending WHERE job = ? AND archive = ? AND destination = ?"
        self._run(sql, job, archive, destination)
        self._run("DELETE FROM staged WHERE archive NOT IN (SELECT archive FROM pending)")

    def pending(self, job: str) -> list[Pending]:
        """Give what is still to be sent for a job, oldest archive first, of whatever host."""
        rows = self._run("SELECT * FROM pending WHERE job = ?", job)
        waiting = [convert(dict(zip(Pending.__struct_fields__, row, strict=True)), Pending) for row in rows]
        return sorted(waiting, key=lambda one: (_made(one.archive), one.archive, one.destination))

    def record_staged(self, staged: Staged) -> None:
        """Remember what a staged archive that waits was proved to be."""
        self._run("INSERT OR REPLACE INTO staged VALUES (?, ?, ?, ?, ?)", *astuple(staged))

    def staged(self, archive: str) -> Staged | None:
        """Give what a staged archive was proved to be, if that was noted."""
        for row in self._run("SELECT * FROM staged WHERE archive = ?", archive):
            return Staged(*row)
        return None

    def begin_restore(self, store: Path, what: str, safety_archive: str, at: datetime) -> int:
        """Remember that a store is about to be changed; give the number to finish or cancel it by."""
        sql = "INSERT INTO restores (store, what, safety_archive, started_at, finished_at) VALUES (?, ?, ?, ?, '')"
        return int(self._run(f"{sql} RETURNING id", _store(store), what, safety_archive, at)[0][0])

    def finish_restore(self, number: int, at: datetime) -> None:
        """Remember that a store was changed."""
        self._run("UPDATE restores SET finished_at = ? WHERE id = ?", at, number)

    def cancel_restore(self, number: int) -> None:
        """Remember that a store was not changed."""
        self._run("DELETE FROM restores WHERE id = ?", number)

    def older_safety_archives(self, store: Path, keep: int) -> list[str]:
        """Name the safety archives of a store but for the latest `keep` of changes that took effect."""
        sql = (
            "SELECT safety_archive FROM restores WHERE store = ?1 AND safety_archive <> '' AND id < (SELECT id "
            "FROM restores WHERE store = ?1 AND safety_archive <> '' AND finished_at <> '' ORDER BY id DESC LIMIT 1 "
            "OFFSET ?2 - 1)"
        )
        return [path for (path,) in self._run(sql, _store(store), keep)]

    def forget_safety_archive(self, path: str) -> None:
        """Remember that a safety archive is gone."""
        self._run("UPDATE restores SET safety_archive = '' WHERE safety_archive = ?", path)

    def last_restore(self, store: Path) -> Restore | None:
        """Give the latest change of a store. One that was killed before it was finished never took effect."""
        sql = (
            f"SELECT {', '.join(Restore.__struct_fields__)} FROM restores "  # noqa: S608 (ours)
            "WHERE store = ? AND finished_at <> '' ORDER BY id DESC LIMIT 1"
        )
        for row in self._run(sql, _store(store)):
            return convert(dict(zip(Restore.__struct_fields__, row, strict=True)), Restore)
        return None

    def _latest(self, job: str, verb: str, condition: str, *values: str, order: str = "DESC") -> Run | None:
        sql = f"SELECT {_RUN} FROM runs WHERE job = ?1 AND verb = ?2 AND {condition} ORDER BY id {order} LIMIT 1"  # noqa: S608 (ours)
        for row in self._run(sql, job, verb, *values):
            return convert(dict(zip(Run.__struct_fields__, row, strict=True)), Run)
        return None

    def _run(self, sql: str, *values: str | int | datetime) -> list[Any]:
        """Run one statement, beginning a new journal beside a damaged one: a backup must not fail for want of notes."""
        storable = [_storable(value) for value in values]
        try:
            try:
                return self._attempt(sql, storable)
            except sqlite3.DatabaseError as error:
                if not _damaged(error):
                    raise
                return self._attempt_anew(sql, storable)
        except (sqlite3.Error, OSError, LockHeld) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
            raise EcmError(
                f"The agent's journal {self._path} cannot be used: {reason}.",
                hint="Check the state directory's permissions and free space.",
            ) from error

    def _attempt_anew(self, sql: str, values: list[str | int]) -> list[Any]:
        """Set a damaged journal aside and begin a new one, unless another process has done so in the meantime."""
        lock = self._path.parent / "locks" / ".journal.lock"  # no job can be called so
        with held(lock, "the agent's journal", clock=SystemClock(), wait=_PATIENCE):
            try:
                return self._attempt(sql, values)
            except sqlite3.DatabaseError as error:
                if not _damaged(error):
                    raise
                set_aside(self._path)
                return self._attempt(sql, values)

    def _attempt(self, sql: str, values: list[str | int]) -> list[Any]:
        private_directory(self._path.parent)
        self._path.touch(mode=0o600)
        with closing(sqlite3.connect(self._path, timeout=_PATIENCE)) as journal, journal:
            (version,) = journal.execute("PRAGMA user_version").fetchone()
            for script in VERSIONS[version:]:
                journal.executescript(script)
            return journal.execute(sql, values).fetchall()


class ForgivingHistory(History):
    """The journal for what must not fail for want of it: while it cannot be used, nothing is known, nothing noted."""

    problem: EcmError | None = None
    """The last reason why it could not be used."""

    def salt(self) -> bytes:
        return bytes(next((salt for (salt,) in self._run("SELECT salt FROM salt")), b""))

    def _run(self, sql: str, *values: str | int | datetime) -> list[Any]:
        try:
            return super()._run(sql, *values)
        except EcmError as error:
            self.problem = error
            return []


def _damaged(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _made(archive: str) -> datetime:
    """Say when an archive was made; what has no name of ours counts as the oldest."""
    name = ArchiveName.parse(archive)
    return name.created if name else datetime.min.replace(tzinfo=UTC)


def _store(path: Path) -> str:
    return str(path.resolve())


def _storable(value: str | int | datetime) -> str | int:
    """Write a time out, and what is no text to SQLite: a path may hold bytes that are not UTF-8."""
    text = value.isoformat() if isinstance(value, datetime) else value
    return text.encode(errors="backslashreplace").decode() if isinstance(text, str) else text
