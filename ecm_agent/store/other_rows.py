"""Rows of an archive's other tables → the tables of a store that have their names."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from ecm_agent.model.records import TableRow
from ecm_agent.model.schema import MEMORY_TABLES, FullText
from ecm_agent.store.cells import BrokenText, from_cell
from ecm_agent.store.connection import columns_of
from ecm_agent.store.describing import describe
from ecm_agent.store.making import Making
from ecm_agent.store.other_tables import declared_references, leads_nowhere
from ecm_agent.store.row_numbers import NAMES, RowNumbers, name_of_numbers
from ecm_agent.store.schema import VECTORS
from ecm_agent.store.tokens import folded, quoted
from ecm_agent.store.writing import Rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from ecm_agent.model.manifest import Manifest
    from ecm_agent.model.records import Batch
    from ecm_agent.model.schema import Schema, Table


class OtherTable(NamedTuple):
    """A table of the store that is not one of ECM's own.

    `keyed` are the columns of its primary key, if it has one; `row_number` is the name by which SQLite's own number of
    a row can be had, empty where there is none. `foreign_keys` are conditions, each that a row `t` refers to one that
    is not there; `referring` are the columns that do.
    """

    name: str
    columns: tuple[str, ...]
    keyed: tuple[str, ...]
    row_number: str = "rowid"
    foreign_keys: tuple[str, ...] = ()
    referring: frozenset[str] = frozenset()
    virtual: bool = False

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that tell one row from all others, however often the store has its values."""
        return (self.row_number,) if self.row_number else self.keyed

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
        self.tables = {
            table.name: _other(table, schema) for table in schema.writable if table.name not in MEMORY_TABLES
        }
        self._numbers = {name: RowNumbers(name) for name in self.tables if name_of_numbers(connection, name)}
        self.no_place: Counter[str] = Counter()
        """Rows, and values that are not NULL, that the store has no place for, by `table` or `table.column`."""

    def placed(self, batch: Batch) -> Iterator[tuple[OtherTable, Rows]]:
        """Give rows with the table they belong in."""
        rows = [record for record in batch if isinstance(record, TableRow)]
        for name, group in groupby(rows, key=lambda row: row.table):
            records = list(group)
            values = [tuple(map(from_cell, record.values)) for record in records]
            if name not in self.tables:
                self.no_place[name] += len(values)
                continue
            table = self.tables[name]
            numbers = self._numbers[name].of(records) if name in self._numbers else None
            for given in _alike(Rows(self._given[name], values, frozenset(), numbers)):
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
        return rows._replace(columns=tuple(rows.columns[place] for place in places), values=values)


def make_missing(connection: sqlite3.Connection, manifest: Manifest, version: int | None) -> None:
    """Make the tables that the archive has rows for and a store of the same generation lacks.

    The memory program makes some tables only when it needs them.
    """
    if not manifest.schema or version is None or manifest.schema_version != version:
        return
    needed = {name for name, rows in manifest.rows().items() if rows} | (
        {VECTORS.name} if manifest.vector_count else set()
    )
    making = Making(manifest.schema)
    for table in manifest.schema.tables:
        if table.name in needed and not columns_of(connection, table.name):
            making.make_table(connection, table.name)


def stays(manifest: Manifest, table: str) -> bool:
    """Whether another table of the store stays as it is when the archive takes its place.

    That is so where the archive never held it, by choice or because whoever wrote it knew of no other tables.
    """
    return table in manifest.left_out or manifest.original or manifest.schema is None


def empty(connection: sqlite3.Connection, manifest: Manifest) -> None:
    """Empty the store's other tables, save those that stay."""
    for table in describe(connection).writable:
        if table.name not in MEMORY_TABLES and not stays(manifest, table.name):
            connection.execute(f"DELETE FROM main.{quoted(table.name)}")  # noqa: S608 (quoted)


def restore_sequences(connection: sqlite3.Connection, manifest: Manifest) -> None:
    """Let tables that never give out a row number twice go on where they were when the archive was made."""
    for table, sequence in _sequences(connection, manifest):
        if not stays(manifest, table.name):
            _set_sequence(connection, table, sequence)


def raise_sequences(connection: sqlite3.Connection, manifest: Manifest) -> None:
    """Let such tables give out no row number that either the store or the archive's store has given out."""
    for table, sequence in _sequences(connection, manifest):
        if sequence > (table.sequence or 0):
            _set_sequence(connection, table, sequence)


def _sequences(connection: sqlite3.Connection, manifest: Manifest) -> Iterator[tuple[Table, int]]:
    """Give the store's tables that count their row numbers, and how far the archive's had counted."""
    given = {table.name: table.sequence for table in (manifest.schema.tables if manifest.schema else ())}
    for table in describe(connection).tables:
        if table.sequence is not None and (sequence := given.get(table.name)):
            from_cell(sequence)
            yield table, sequence


def _set_sequence(connection: sqlite3.Connection, table: Table, sequence: int) -> None:
    connection.execute("DELETE FROM main.sqlite_sequence WHERE name = ?", (table.name,))
    connection.execute("INSERT INTO main.sqlite_sequence (name, seq) VALUES (?, ?)", (table.name, sequence))


def _other(table: Table | FullText, schema: Schema) -> OtherTable:
    columns = tuple(table.valued)
    if isinstance(table, FullText):
        return OtherTable(table.name, columns, ("rowid",), virtual=True)
    # Under a name that a column has, SQLite's own row numbers cannot be had.
    taken = {folded(column.name) for column in table.columns}
    free = (name for name in NAMES if name not in taken and not table.without_rowid)
    key = tuple(part.column for part in table.primary_key if part.column)
    declared = list(declared_references(table, schema))
    referring = frozenset(column for mine, _, _ in declared for column in mine)
    return OtherTable(table.name, columns, key, next(free, ""), tuple(leads_nowhere(declared)), referring)


def _alike(rows: Rows) -> Iterator[Rows]:
    """Part rows so that one with a value that is not UTF-8 is alone (see `inserting.place_for`)."""
    start = 0
    for broken, group in groupby(rows.values, key=lambda row: any(isinstance(value, BrokenText) for value in row)):
        for part in ([row] for row in group) if broken else (list(group),):
            end = start + len(part)
            yield rows._replace(values=part, numbers=rows.numbers and rows.numbers[start:end])
            start = end
