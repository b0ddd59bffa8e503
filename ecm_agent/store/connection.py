"""Opening a SQLite file, and saying in plain words why it cannot be used."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from ecm_agent.errors import StoreUnreadable
from ecm_agent.store.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_SECONDS = 10.0
"""How long to wait for the memory program to let go of its store."""

_MAGIC = b"SQLite format 3\0"
_PAGE = 512  # the smallest page SQLite has: an encrypted database is a multiple of it, too


@contextmanager
def connect(path: Path, *, write: bool) -> Iterator[sqlite3.Connection]:
    """Open a store, check that it is one, and close it in the end. Every SQLite error becomes `StoreUnreadable`."""
    _check_file(path)
    with explained(path), closing(_open(path, write=write)) as connection:
        missing = [table.name for table in TABLES if table.required and not columns_of(connection, table.name)]
        if missing:
            raise StoreUnreadable(
                f"{path} is a SQLite database, but no ECM memory: it has no table {', '.join(missing)}.",
                hint="Name the memory store with --store, or make an empty one with: ecm-agent init",
            )
        yield connection


def columns_of(connection: sqlite3.Connection, table: str) -> list[str]:
    """Name the columns of a table that can be written (not the generated ones); none when there is no such table."""
    rows = connection.execute("SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid", (table,))
    return [name for (name,) in rows]


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite says into a sentence about this store."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        message, hint = _explanation(error)
        raise StoreUnreadable(f"{path} {message}.", hint=hint) from error


def _explanation(error: sqlite3.DatabaseError) -> tuple[str, str]:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return f"is locked by another program (waited {BUSY_SECONDS:g} s)", "Stop the program that is writing, or wait."
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return f"is damaged ({error})", "Restore it from a backup: ecm-agent restore latest"
    if code == sqlite3.SQLITE_FULL:
        return "could not be written: the disk is full", "Make room and try again; nothing was changed."
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH}:
        return f"cannot be opened ({error})", "Check the permissions of the file and of its directory."
    return f"cannot be used: {error}", ""


def _open(path: Path, *, write: bool) -> sqlite3.Connection:
    mode = "rw" if write else "ro"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None
    )
    connection.execute("PRAGMA temp_store = MEMORY")  # nothing of the memory goes to a temporary file
    return connection


def _check_file(path: Path) -> None:
    try:
        begin = _first_bytes(path)
    except FileNotFoundError:
        raise StoreUnreadable(
            f"There is no memory store at {path}.", hint="Name it with --store, or make an empty one: ecm-agent init"
        ) from None
    except OSError as error:
        raise StoreUnreadable(f"{path} cannot be read: {error.strerror}.", hint="Is it the right file?") from None
    if begin and not begin.startswith(_MAGIC):
        raise _not_sqlite(path, begin)


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(2 * _PAGE)


def _not_sqlite(path: Path, begin: bytes) -> StoreUnreadable:
    # Encrypted pages look random: among 1024 random bytes about 250 of the 256 values occur, in text about 70.
    if len(begin) == 2 * _PAGE and len(set(begin)) > 3 * 64 and path.stat().st_size % _PAGE == 0:
        return StoreUnreadable(
            f"{path} looks like an encrypted database; this version of ecm-agent reads only unencrypted stores.",
            hint="Decrypt the store with the memory program first.",
        )
    return StoreUnreadable(f"{path} is not a SQLite database.", hint="Name the memory store with --store.")
