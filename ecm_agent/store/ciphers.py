"""Encrypted databases (SQLite3MultipleCiphers), spoken to as the standard library speaks to plain ones.

The one module that knows the library of the extra `encrypted-store`, which is loaded when an encrypted store is opened.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import apsw

    from ecm_agent.secret import Secret

Cipher: TypeAlias = Literal["chacha20", "sqlcipher"]
"""The ciphers that the memory programs offer."""

CIPHERS: tuple[Cipher, ...] = get_args(Cipher)

_NOT_UTF8 = "Could not decode to UTF-8 column"  # as the standard library says it
_ERRORS: dict[int, type[sqlite3.DatabaseError]] = {
    sqlite3.SQLITE_CONSTRAINT: sqlite3.IntegrityError,
    sqlite3.SQLITE_MISMATCH: sqlite3.IntegrityError,
    sqlite3.SQLITE_CORRUPT: sqlite3.DatabaseError,
    sqlite3.SQLITE_NOTADB: sqlite3.DatabaseError,
    sqlite3.SQLITE_TOOBIG: sqlite3.DataError,
}

Row: TypeAlias = tuple[Any, ...]


def open_encrypted(
    uri: str, cipher: Cipher, key: Secret, busy_seconds: float, closed: Callable[[], object] | None = None
) -> sqlite3.Connection:
    """Open an encrypted database, or begin one in an empty file; whether the key fits shows when it is first read.

    What is given has those methods of `sqlite3.Connection` that a store needs, no others. It begins no transaction of
    its own accord; `closed` is called when it has been closed. Raises `sqlite3.DatabaseError`, and `ImportError`
    without the extra.
    """
    opened = EncryptedConnection(uri, busy_seconds)
    try:
        opened.unlock(cipher, key)
    except BaseException:
        opened.close()
        raise
    opened.closed = closed
    return cast("sqlite3.Connection", opened)


class EncryptedConnection:
    """A connection with the interface, the values and the errors of `sqlite3.Connection`, as far as stores need it.

    `text_factory` is asked only about TEXT that is not UTF-8; without one such text is an error.
    """

    def __init__(self, uri: str, busy_seconds: float) -> None:
        import apsw

        self.text_factory: Callable[[bytes], Any] = str
        self.closed: Callable[[], object] | None = None
        """Called once, when the file has been closed."""
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI  # the URI takes some back
        with _translated():
            self._connection = apsw.Connection(uri, flags=flags)
        self._connection.set_busy_timeout(int(busy_seconds * 1000))

    def unlock(self, cipher: Cipher, key: Secret) -> None:
        """Give the key. As hexadecimal digits of its bytes it needs no quoting, whatever is in it."""
        with _translated():
            self._connection.pragma("cipher", cipher)
            accepted = self._connection.pragma("hexkey", key.utf8().hex())
        if accepted != "ok":
            raise sqlite3.OperationalError("the database takes no key")

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> EncryptedCursor:
        return EncryptedCursor(self, self._connection, sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with _translated():
            self._connection.executemany(sql, rows)

    def executescript(self, script: str) -> None:
        with _translated():
            self._connection.execute(script)

    def create_function(self, name: str, narg: int, func: Callable[..., Any], *, deterministic: bool = False) -> None:
        with _translated():
            self._connection.create_scalar_function(name, func, narg, deterministic=deterministic)

    def set_authorizer(self, callback: Callable[..., int] | None) -> None:
        self._connection.set_authorizer(callback)

    def close(self) -> None:
        self._connection.close()
        if self.closed:
            self.closed()
            self.closed = None


class EncryptedCursor:
    """The rows of one statement; `rowcount` is what it changed, where it changed anything."""

    def __init__(
        self, owner: EncryptedConnection, connection: apsw.Connection, sql: str, parameters: Sequence[Any]
    ) -> None:
        self._owner = owner
        self._connection = connection
        self._statement = sql, parameters
        self._given = 0
        with _translated():
            self._rows: Iterator[Row] = connection.execute(sql, parameters)
        self.rowcount: int = connection.changes()

    def __iter__(self) -> EncryptedCursor:
        return self

    def __next__(self) -> Row:
        try:
            row = next(self._rows)
        except StopIteration:
            raise
        except UnicodeDecodeError:
            row = next(self._lenient())
        except Exception as error:  # noqa: BLE001 (only those of the library are changed)
            raise _translation(error) from None
        self._given += 1
        return row

    def fetchone(self) -> Row | None:
        return next(self, None)

    def fetchall(self) -> list[Row]:
        try:
            return list(self._rows)
        except UnicodeDecodeError:
            return list(self._lenient())
        except Exception as error:  # noqa: BLE001 (as above)
            raise _translation(error) from None

    def _lenient(self) -> Iterator[Row]:
        """Go on from the row that holds text of any bytes.

        The library decodes every text itself, so the statement is run again, now with its texts given as blobs.
        Within a transaction it gives the same rows again; those that were given already are passed over.
        """
        if self._owner.text_factory is str:
            raise sqlite3.OperationalError(_NOT_UTF8)
        sql, parameters = self._statement
        columns = len(cast("apsw.Cursor", self._rows).get_description())
        again = self._connection.execute(_as_blobs(sql, columns), parameters)
        # With no way from the rows to this cursor, the statement ends when nobody holds the cursor any more.
        self._rows = map(partial(_read, self._owner.text_factory), islice(again, self._given, None))
        return self._rows


def _read(factory: Callable[[bytes], Any], row: Row) -> Row:
    pairs = zip(row[::2], row[1::2], strict=True)
    return tuple(_text(factory, value) if kind == "text" else value for kind, value in pairs)


def _text(factory: Callable[[bytes], Any], raw: bytes) -> Any:  # noqa: ANN401 (whatever the factory makes)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return factory(raw)


def _as_blobs(sql: str, columns: int) -> str:
    """Write a query that gives, for each column of another one, its type, and its value with text as a blob.

    A statement that is none ends in an error of SQLite's.
    """
    names = [f"c{number}" for number in range(columns)]
    values = ", ".join(f"typeof({c}), CASE typeof({c}) WHEN 'text' THEN CAST({c} AS BLOB) ELSE {c} END" for c in names)
    return f"WITH q({', '.join(names)}) AS ({sql}) SELECT {values} FROM q"  # noqa: S608 (our own query, within another)


@contextmanager
def _translated() -> Iterator[None]:
    """Raise what the standard library raises for the same error of SQLite's.

    Without the original: its traceback has a look of its own at what was bound to the statement.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 (only those of the library are changed)
        raise _translation(error) from None


def _translation(error: Exception) -> Exception:
    import apsw

    if not isinstance(error, apsw.Error):
        return error
    code: int = getattr(error, "extendedresult", 0)
    kind = _ERRORS.get(code & 0xFF, sqlite3.OperationalError) if code else sqlite3.ProgrammingError
    translated = kind(str(error))
    translated.sqlite_errorcode = code
    return translated
