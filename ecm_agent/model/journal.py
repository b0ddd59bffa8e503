"""What the agent notes of what it did: proofs, runs, what still waits, changes of a store."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

INTERRUPTED = 130
"""The exit code of a run that Ctrl-C ended."""

BY_SIGNAL = (129, INTERRUPTED, 143)
"""Exit codes of runs that a signal ended which asked for it: a closed terminal, Ctrl-C, SIGTERM."""


class Proof(Struct, frozen=True):
    """What the last test decrypt of an archive found; `fault` is empty when the archive was good.

    Then the rest is known as well: its size, what it is an archive of (`Manifest.kin`), and the fingerprint of the
    password that opened it. Of a faulty one that was good once, the size it had then.
    """

    checked_at: datetime
    fault: str
    bytes: int = 0
    kin: str = ""
    key: str = ""

    @property
    def good(self) -> bool:
        return not self.fault


class Staged(Struct, frozen=True):
    """What the bytes of a staged archive are, by their SHA-256 (hex), and what they were proved to be.

    `bytes`, `kin` and `key` are as in a `Proof`.
    """

    archive: str
    sha256: str
    bytes: int
    kin: str
    key: str


class Run(Struct, frozen=True):
    """How one execution of a job ended; `archive` names what it made, or drilled, if there is such a thing."""

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


class Restore(Struct, frozen=True):
    """A change of a store, and the safety archive of what was there ('' when none was made).

    `what` says which change it was, as in "restore of memory.ecm".
    """

    id: int
    store: str
    what: str
    safety_archive: str
    started_at: datetime
    finished_at: datetime
