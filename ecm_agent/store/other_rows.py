"""Rows of an archive's other tables → the tables of a store that have their names."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from ecm_agent.model.records import Exact, TableRow
from ecm_agent.model.schema import MEMORY_TABLES, FullText
from ecm_agent.store.cells import BrokenText, SqlValue, from_cell
from ecm_agent.store.connection import columns_of
from ecm_agent.store.describing import describe
from ecm_agent.store.making import Making
from ecm_agent.store.schema import VECTORS
from ecm_agent.store.tokens import quoted
from ecm_agent.store.writing import Rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from ecm_agent.model.manifest import Manifest
    from ecm_agent.model.records import Batch
    from ecm_agent.model.schema import Table


class OtherTable(NamedTuple):
    """A table of the store that is not one of ECM's own. `keyed` are the columns of its primary key, if it has one."""

    name: str
    columns: tuple[str, ...]
    keyed: tuple[str, ...]
    without_rowid: bool = False
    virtual: bool = False

    @property
    def section(self) -> str:
        """What reports call it: its rows have one section of an archive with those of all others."""
        return self.name

    def key(self, columns: Sequence[str]) -> str:
        """Choose the column that names a row in messages."""
        return next((column for column in self.keyed if column in columns), columns[0])


class OtherRows:
    """Finds, for rows of an archive, the store's table they belong in. Nothing is written here.

    Only ordinary tables of the store take rows, and full-text tables that hold their own: never one of SQLite's, one
    that is derived, or one that has a section of its own, whatever an archive says.
    """

    def __init__(self, connection: sqlite3.Connection, manifest: Manifest) -> None:
        schema = describe(connection)
        described = manifest.schema.with_rows if manifest.schema else []
        self._given = {table.name: tuple(table.valued) for table in described}
        self.tables = {table.name: _other(table) for table in schema.writable if table.name not in MEMORY_TABLES}
        self.no_place: Counter[str] = Counter()
        """Rows, and values that are not NULL, that the store has no place for, by `table` or `table.column`."""

    def placed(self, batch: Batch) -> Iterator[tuple[OtherTable, Rows]]:
        """Give rows with the table they belong in."""
        rows = [record for record in batch if isinstance(record, TableRow)]
        for name, records in groupby(rows, key=lambda row: row.table):
            values = [_values(record) for record in records]
            if name not in self.tables:
                self.no_place[name] += len(values)
                continue
            table = self.tables[name]
            for given in _alike(self._given[name], values):
                if placed := self._placed(table, given):
                    yield table, placed

    def _placed(self, table: OtherTable, rows: Rows) -> Rows | None:
        """Keep the columns that the store has; `None` when it has none of them."""
        places = [place for place, column in enumerate(rows.columns) if column in table.columns]
        if len(places) == len(rows.columns):
            return rows
        for place, column in enumerate(rows.columns):
            if column not in table.columns and (lost := sum(row[place] is not None for row in rows.values)):
                self.no_place[f"{table.name}.{column}"] += lost
        if not places:
            return None
        values = [tuple(row[place] for place in places) for row in rows.values]
        return Rows(tuple(rows.columns[place] for place in places), values, frozenset())


def make_missing(connection: sqlite3.Connection, manifest: Manifest, version: int | None) -> None:
    """Make the tables that the archive has rows for and a store of the same generation lacks.

    The memory program makes some tables only when it needs them.
    """
    if not manifest.schema or version is None or manifest.schema_version != version:
        return
    needed = {name for name, rows in manifest.rows().items() if rows} | (
        {VECTORS.name} if manifest.vector_count else set()
    )
    for name, statements in Making(manifest.schema).tables.items():
        if name in needed and not columns_of(connection, name):
            for sql in statements:
                connection.execute(sql)


def stays(manifest: Manifest, table: str) -> bool:
    """Whether another table of the store stays as it is when the archive takes its place.

    That is so where the archive never held it, by choice or because a memory program wrote it.
    """
    return table in manifest.left_out or manifest.original


def empty(connection: sqlite3.Connection, manifest: Manifest) -> None:
    """Empty the store's other tables, save those that stay."""
    for table in describe(connection).writable:
        if table.name not in MEMORY_TABLES and not stays(manifest, table.name):
            connection.execute(f"DELETE FROM main.{quoted(table.name)}")  # noqa: S608 (quoted)


def restore_sequences(connection: sqlite3.Connection, manifest: Manifest) -> None:
    """Let tables that never give out a row number twice go on where they were."""
    given = {table.name: table.sequence for table in (manifest.schema.tables if manifest.schema else ())}
    for table in describe(connection).tables:
        if table.sequence is not None and (sequence := given.get(table.name)) is not None:
            connection.execute("DELETE FROM main.sqlite_sequence WHERE name = ?", (table.name,))
            connection.execute("INSERT INTO main.sqlite_sequence (name, seq) VALUES (?, ?)", (table.name, sequence))


def _other(table: Table | FullText) -> OtherTable:
    columns = tuple(table.valued)
    if isinstance(table, FullText):
        return OtherTable(table.name, columns, ("rowid",), virtual=True)
    # Under a column that is called so, SQLite's own row numbers cannot be had.
    without_rowid = table.without_rowid or "rowid" in map(str.lower, columns)
    key = tuple(part.column for part in table.primary_key if part.column)
    return OtherTable(table.name, columns, key, without_rowid)


def _values(record: TableRow) -> tuple[SqlValue, ...]:
    return tuple(from_cell(cell) if isinstance(cell, Exact) else cell for cell in record.values)


def _alike(columns: tuple[str, ...], values: list[tuple[SqlValue, ...]]) -> Iterator[Rows]:
    """Part rows so that one with a value that is not UTF-8 is alone (see `inserting.place_for`)."""
    for broken, group in groupby(values, key=lambda row: any(isinstance(value, BrokenText) for value in row)):
        rows = list(group)
        for part in ([row] for row in rows) if broken else (rows,):
            yield Rows(columns, part, frozenset())
