"""Rows → a table: insert them, and name the one that cannot be."""

from __future__ import annotations

import sqlite3
from operator import length_hint
from typing import TYPE_CHECKING, Protocol

from ecm_agent.errors import ArchiveInvalid
from ecm_agent.store.cells import BrokenText, SqlValue
from ecm_agent.store.tokens import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ecm_agent.store.writing import Rows


class Place(Protocol):
    """A table, of whatever kind; `key` chooses, of the columns there are, the one that names a row in messages.

    `row_number` is the name by which SQLite's own number of a row can be had.
    """

    @property
    def name(self) -> str: ...

    @property
    def row_number(self) -> str: ...

    def key(self, columns: Sequence[str]) -> str: ...


def insert(connection: sqlite3.Connection, table: Place, groups: Iterable[Rows]) -> None:
    """Insert rows, one after the other, under their numbers where they have some.

    Raises `ArchiveInvalid` that names the first one that cannot be.
    """
    for rows in (group.numbered(table.row_number) for group in groups):
        waiting = iter(rows.values)
        try:
            connection.executemany(insertion(table, rows.columns, rows.values[0]), waiting)
        except (sqlite3.IntegrityError, OverflowError) as error:
            row = _named(table, rows, len(rows.values) - length_hint(waiting))
            raise ArchiveInvalid(
                f"The archive holds a record that cannot be stored: {table.name}, {row}: {error}."
            ) from error


def place_for(value: SqlValue) -> str:
    """Give the place of a value in a statement: sqlite3 binds only valid UTF-8 as TEXT; bytes cast to it stay."""
    return "CAST(? AS TEXT)" if isinstance(value, BrokenText) else "?"


def insertion(table: Place, columns: Sequence[str], first: Sequence[SqlValue]) -> str:
    """Give the INSERT for rows like the first one; a row with a value that is not UTF-8 is alone in its group."""
    names = ", ".join(quoted(column) for column in columns)
    return f"INSERT INTO main.{quoted(table.name)} ({names}) VALUES ({', '.join(map(place_for, first))})"  # noqa: S608 (quoted)


def _named(table: Place, rows: Rows, number: int) -> str:
    """Name a row by its key, or else by its number, the first being 1."""
    if (key := table.key(rows.columns)) in rows.columns:
        return f"{key} {rows.values[number - 1][rows.columns.index(key)]!r}"
    return f"row {number} of a batch"
