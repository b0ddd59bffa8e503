"""Opening a SQLite file, and saying in plain words why it cannot be used."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ecm_agent.errors import StoreUnreadable
from ecm_agent.store.encryption import UNENCRYPTED, Encryption, begin_encrypted, is_encrypted, open_if_encrypted
from ecm_agent.store.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

BUSY_SECONDS = 10.0
"""How long to wait for the memory program to let go of its store."""

_MAGIC = b"SQLite format 3\0"
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_NO_WAL_CAN_BE_MADE = {sqlite3.SQLITE_READONLY_DIRECTORY, sqlite3.SQLITE_CANTOPEN}


@contextmanager
def connect(path: Path, *, write: bool, encryption: Encryption = UNENCRYPTED) -> Iterator[sqlite3.Connection]:
    """Open a store, check that it is one, and close it in the end. Every SQLite error becomes `StoreUnreadable`."""
    with explained(path), _open(path, write=write, encryption=encryption) as connection:
        if missing := _missing(connection):
            if not is_encrypted(path):
                _check_file(path)
            raise StoreUnreadable(
                f"{path} is a SQLite database, but no ECM memory: it has no {', '.join(missing)}.",
                hint="Name the memory store with --store, or make an empty one with: ecm-agent init",
            )
        yield connection


def _missing(connection: sqlite3.Connection) -> list[str]:
    """Name what no ECM memory lacks and this one does: tables first, then columns."""
    columns = {table: columns_of(connection, table.name) for table in TABLES}
    tables = [f"table {table.name}" for table in TABLES if table.required and not columns[table]]
    present = [table for table in TABLES if columns[table]]
    return tables + [
        f"column {table.name}.{column}"
        for table in present
        for column in table.essential
        if column not in columns[table]
    ]


@contextmanager
def transaction(connection: sqlite3.Connection, *, keep: bool = True) -> Iterator[None]:
    """Let nobody else write during the block; in the end keep what it did, or undo it as after any error.

    A block may undo everything itself.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        if connection.in_transaction:
            connection.execute("COMMIT" if keep else "ROLLBACK")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def undo_the_unfinished(path: Path, encryption: Encryption = UNENCRYPTED) -> None:
    """Bring a store back to before a change that SQLite itself could not undo, as where the disk is full.

    The next one to open it would do the same; until then whoever copies the file alone would copy half a change.
    """
    if Path(f"{path.resolve()}-journal").exists():
        with suppress(sqlite3.DatabaseError, StoreUnreadable):
            _connection(path, "mode=rw", encryption).close()


def columns_of(connection: sqlite3.Connection, table: str) -> list[str]:
    """Name the columns of a table that can be written (not the generated ones); none when there is no such table."""
    rows = connection.execute("SELECT name FROM pragma_table_xinfo(?, 'main') WHERE hidden = 0 ORDER BY cid", (table,))
    return [name for (name,) in rows]


def has_index(connection: sqlite3.Connection, table: str, column: str) -> bool:
    """Whether every row of a table can be found by a column."""
    sql = (
        "SELECT 1 FROM pragma_index_list(?, 'main') l, pragma_index_info(l.name, 'main') c "
        "WHERE NOT l.partial AND c.seqno = 0 AND c.name = ?"
    )
    return connection.execute(sql, (table, column)).fetchone() is not None


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
    if code in _LOCKED:
        return f"is locked by another program (waited {BUSY_SECONDS:g} s)", "Stop the program that is writing, or wait."
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return f"is damaged ({error})", "Move it away, then: ecm-agent restore latest"
    if code == sqlite3.SQLITE_FULL:
        return "could not be written: the disk is full", "Make room and try again; nothing was changed."
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH}:
        return f"cannot be opened ({error})", "Check the permissions of the file and of its directory."
    return f"cannot be used: {error}", ""


def _open(path: Path, *, write: bool, encryption: Encryption) -> AbstractContextManager[sqlite3.Connection]:
    if path.is_fifo():  # SQLite would wait for its other end, deaf to signals
        raise StoreUnreadable(f"{path} is not a regular file.", hint="Name the memory store with --store.")
    try:
        return closing(_connection(path, "mode=rw" if write else "mode=ro", encryption))
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF in _LOCKED:
            raise
        if code == sqlite3.SQLITE_READONLY_ROLLBACK:
            # A writer was killed in the middle of a change; like every reader of SQLite, we undo it first.
            return closing(_connection(path, "mode=rw", encryption))
        if not is_encrypted(path):
            # Only now: closing a file gives up the locks that other connections of this process have on it.
            _check_file(path)
        if write or code not in _NO_WAL_CAN_BE_MADE or _wal(path).exists():
            raise
        return _unguarded(path, encryption)


def new_connection(path: Path, encryption: Encryption) -> sqlite3.Connection:
    """Open an empty file that is to become a store, encrypted where new ones are to be."""
    return begin_encrypted(path, encryption, BUSY_SECONDS) if encryption.new else sqlite3.connect(path)


def _connection(path: Path, how: str, encryption: Encryption) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{how}"
    connection = open_if_encrypted(path, uri, encryption, BUSY_SECONDS)
    if connection is None:  # opened as ever, key or no key, as the memory programs do
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA temp_store = MEMORY")  # nothing of the memory goes to a temporary file
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # SQLite looks into the file only now
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _unguarded(path: Path, encryption: Encryption) -> Iterator[sqlite3.Connection]:
    """Open a store beside which no file can be made: without locks, so nobody may have written to it in the end."""
    before = path.stat()
    with closing(_connection(path, "mode=ro&immutable=1", encryption)) as connection:
        yield connection
    if path.stat().st_mtime_ns != before.st_mtime_ns or _wal(path).exists():
        raise StoreUnreadable(
            f"{path} was changed while it was read, and its directory is read-only.",
            hint="Try again, or let ecm-agent write in that directory: only there can it make a writer wait.",
        )


def _wal(path: Path) -> Path:
    return Path(f"{path.resolve()}-wal")


def _check_file(path: Path) -> None:
    try:
        begin = _first_bytes(path)
    except FileNotFoundError:
        raise StoreUnreadable(
            f"There is no memory store at {path}.", hint="Name it with --store, or make an empty one: ecm-agent init"
        ) from None
    except OSError as error:
        raise StoreUnreadable(f"{path} cannot be read: {error.strerror}.", hint="Is it the right file?") from None
    if not begin:
        raise StoreUnreadable(f"{path} is an empty file.", hint="Remove it, and try again; a new store is made there.")
    if not begin.startswith(_MAGIC):
        raise StoreUnreadable(f"{path} is not a SQLite database.", hint="Name the memory store with --store.")


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_MAGIC))
