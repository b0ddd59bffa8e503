"""Rows → a table: insert them, and name the one that cannot be."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, NoReturn, Protocol

from ecm_agent.errors import ArchiveInvalid
from ecm_agent.store.cells import BrokenText, SqlValue
from ecm_agent.store.writing import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ecm_agent.store.writing import Rows


class Place(Protocol):
    """A table, of whatever kind; `key` chooses, of the columns there are, the one that names a row in messages."""

    @property
    def name(self) -> str: ...

    def key(self, columns: Sequence[str]) -> str: ...


def insert(connection: sqlite3.Connection, table: Place, groups: Sequence[Rows]) -> None:
    """Insert rows, all or none. Raises `ArchiveInvalid` that names the first one that cannot be."""
    connection.execute("SAVEPOINT batch")
    try:
        for rows in groups:
            connection.executemany(insertion(table, rows.columns, rows.values[0]), rows.values)
    except (sqlite3.IntegrityError, OverflowError):
        connection.execute("ROLLBACK TO batch")
        _name_the_culprit(connection, table, groups)
    connection.execute("RELEASE batch")


def place_for(value: SqlValue) -> str:
    """Give the place of a value in a statement: sqlite3 binds only valid UTF-8 as TEXT; bytes cast to it stay."""
    return "CAST(? AS TEXT)" if isinstance(value, BrokenText) else "?"


def insertion(table: Place, columns: Sequence[str], first: Sequence[SqlValue]) -> str:
    """Give the INSERT for rows like the first one; a row with a value that is not UTF-8 is alone in its group."""
    names = ", ".join(quoted(column) for column in columns)
    return f"INSERT INTO main.{quoted(table.name)} ({names}) VALUES ({', '.join(map(place_for, first))})"  # noqa: S608 (quoted)


def _name_the_culprit(connection: sqlite3.Connection, table: Place, groups: Sequence[Rows]) -> NoReturn:
    """Insert one by one, up to the row that cannot be, and name it."""
    for rows in groups:
        for number, row in enumerate(rows.values):
            try:
                connection.execute(insertion(table, rows.columns, row), row)
            except (sqlite3.IntegrityError, OverflowError) as error:
                where = f"row {number + 1} of a batch"
                if (key := table.key(rows.columns)) in rows.columns:
                    where = f"{key} {row[rows.columns.index(key)]!r}"
                raise ArchiveInvalid(
                    f"The archive holds a record that cannot be stored: {table.name}, {where}: {error}."
                ) from error
    raise ArchiveInvalid(f"The archive holds records of {table.name} that cannot be stored together.")
