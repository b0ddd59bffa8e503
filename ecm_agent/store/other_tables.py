"""The tables of a store beyond ECM's own: which of their rows belong to an export, and how they are read.

Nothing is known of what most of them hold. They are kept as they are, value by value.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from msgspec.structs import replace

from ecm_agent.model.records import Exact, TableRow
from ecm_agent.model.schema import MEMORY_TABLES, FullText, Schema, Table
from ecm_agent.store.base import Oddity
from ecm_agent.store.cells import lenient_text, to_cell
from ecm_agent.store.describing import describe
from ecm_agent.store.reading import row_name
from ecm_agent.store.row_numbers import name_of_numbers, say_numbers
from ecm_agent.store.schema import CHUNKS
from ecm_agent.store.tokens import folded, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ecm_agent.model.manifest import Selection
    from ecm_agent.model.records import Cell
    from ecm_agent.store.cells import SqlValue

_BATCH_ROWS, _BATCH_BYTES = 512, 1 << 22
_PROJECT = ("session_slug", "project_slug")
_EMBEDDED = frozenset(("embedding", "model_blob"))
NAMELESS = "one without a key"
"""What a row is called that has no key."""

_UNDECLARED = {
    "index_entry_chunks": (("index_entry_id", "index_entries"), ("chunk_id", "chunks")),
    "index_vectors": (("id", "index_entries"),),
}
"""References that the memory program relies on without declaring them: column, and the table whose `id` it is."""


Reference: TypeAlias = tuple[list[str], str, list[str]]
"""Columns of a table, the table they refer to, and that one's columns."""


class _Part(NamedTuple):
    """The rows of a table that belong to an export; `number` is a name for their numbers, as in `row_numbers`."""

    table: Table | FullText
    where: str
    rows: int
    number: str


class OtherTables:
    """The tables beyond ECM's own, within a read transaction of the store.

    `chunk` gives the condition that an expression is the id of a selected chunk; `asked` that one is a project asked
    for. Where only some projects are, a table has rows in the export when it names projects, or refers to what does.
    """

    def __init__(
        self, connection: sqlite3.Connection, selection: Selection, chunk: Callable[[str], str], asked: str
    ) -> None:
        self._connection = connection
        self._selection = selection
        self._chunk, self._asked = chunk, asked
        self._schema = describe(connection)
        self._projects = {table.name: column for table in self._schema.tables if (column := _project_column(table))}
        self.left_out: dict[str, int] = {}
        """Tables of which no rows are in the export, and how many they have; those without rows are not listed."""
        self._parts = list(self._selected())

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self._parts)

    @property
    def schema(self) -> Schema | None:
        """The store's schema, with the number of rows that are in the export; none of it goes into a redacted one."""
        if self._selection.redact:
            return None
        rows = {part.table.name: part.rows for part in self._parts}
        return replace(
            self._schema,
            tables=[replace(table, rows=rows.get(table.name)) for table in self._schema.tables],
            full_texts=[replace(table, rows=rows.get(table.name)) for table in self._schema.full_texts],
            foreign=self._schema.foreign if self._selection.projects is None else [],
        )

    def batches(self, note: Callable[[list[Oddity], int], object]) -> Iterator[list[TableRow]]:
        """Give the rows, table by table, in the order they are stored in; `note` is told of odd ones."""
        for part in self._parts:
            following = 1
            for rows in self._pages(part):
                oddities: list[Oddity] = []
                batch = [_record(part.table, row, oddities) for row in rows]
                if part.number:
                    following = say_numbers(batch, rows, following)
                yield batch
                note(oddities, len(oddities))

    def _pages(self, part: _Part) -> Iterator[list[tuple[SqlValue, ...]]]:
        cursor = self._connection.execute(_select(part))
        while True:
            page: list[tuple[SqlValue, ...]] = []
            size = 0
            self._connection.text_factory = lenient_text
            while len(page) < _BATCH_ROWS and size < _BATCH_BYTES and (row := cursor.fetchone()):
                page.append(row)
                size += sum(len(value) for value in row if isinstance(value, str | bytes))
            self._connection.text_factory = str
            if not page:
                return
            yield page

    def _selected(self) -> Iterator[_Part]:
        for table in self._schema.writable:
            if table.name in MEMORY_TABLES:
                continue
            where = self._condition(table)
            rows = self._count(table.name, where or "1")
            if where is not None:
                yield _Part(table, where, rows, name_of_numbers(self._connection, table.name))
            elif rows:
                self.left_out[table.name] = rows
        for one in self._schema.foreign:
            if one.kind == "virtual table" and (rows := self._count_foreign(one.name)):
                self.left_out[one.name] = rows

    def _condition(self, table: Table | FullText) -> str | None:
        """Give the condition that a row `t` belongs to the export; `None` where the whole table is left out."""
        selection = self._selection
        if table.name in selection.exclude or selection.redact:
            return None
        if not selection.vectors and isinstance(table, Table) and not _EMBEDDED.isdisjoint(table.written):
            return None
        if selection.projects is None:
            return "1"
        return " AND ".join(self._in_projects(table)) or None if isinstance(table, Table) else None

    def _in_projects(self, table: Table) -> Iterator[str]:
        """Give the conditions that a row `t` belongs to the projects: it says so, or refers to what does."""
        unset = []
        for (column, *_), parent, (to, *_) in references(table, self._schema):
            if parent == CHUNKS.name:
                belongs = self._chunk(f"t.{quoted(column)}")
            elif parent in self._projects:
                project = quoted(self._projects[parent])
                belongs = (
                    f"EXISTS (SELECT 1 FROM main.{quoted(parent)} p WHERE p.{quoted(to)} = t.{quoted(column)} "  # noqa: S608 (quoted)
                    f"AND p.{project} {self._asked})"
                )
            else:
                continue
            unset.append(f"t.{quoted(column)} IS NULL")
            yield f"({unset[-1]} OR {belongs})"
        if project := self._projects.get(table.name, ""):
            yield f"t.{quoted(project)} {self._asked}"
        elif unset:
            yield f"NOT ({' AND '.join(unset)})"

    def _count(self, name: str, where: str) -> int:
        sql = f"SELECT count(*) FROM main.{quoted(name)} t WHERE {where}"  # noqa: S608 (quoted)
        return int(self._connection.execute(sql).fetchone()[0])

    def _count_foreign(self, name: str) -> int:
        """Count the rows of a virtual table; one whose module is not there cannot be read, and holds none for us."""
        try:
            return self._count(name, "1")
        except sqlite3.DatabaseError:
            return 0


def declared_references(table: Table, schema: Schema) -> Iterator[Reference]:
    """Give the foreign keys of a table, save those that SQLite itself takes for a mistake."""
    tables = {folded(parent.name): parent for parent in schema.tables}
    for key in table.foreign_keys:
        if parent := tables.get(folded(key.table)):
            to = key.to or [part.column for part in parent.primary_key if part.column]
            if len(to) == len(key.columns) and _has(parent, to):
                yield key.columns, parent.name, to


def references(table: Table, schema: Schema, undeclared: Iterable[tuple[str, str]] = ()) -> Iterator[Reference]:
    """Give what a table refers to in a store, declared or not.

    `undeclared` names further columns, each with the table whose `id` it is.
    """
    yield from declared_references(table, schema)
    tables = {parent.name: parent for parent in schema.tables}
    for column, name in (*_UNDECLARED.get(table.name, ()), *undeclared):
        if name in tables and _has(table, [column]) and _has(tables[name], ["id"]):
            yield [column], name, ["id"]


def leads_nowhere(found: Iterable[Reference]) -> Iterator[str]:
    """Give the conditions under which a row `t` refers to one that is not there."""
    for columns, parent, to in found:
        pairs = [(f"t.{quoted(mine)}", f"p.{quoted(theirs)}") for mine, theirs in zip(columns, to, strict=True)]
        refers = " AND ".join(f"{mine} IS NOT NULL" for mine, _ in pairs)
        met = " AND ".join(f"{theirs} = {mine}" for mine, theirs in pairs)
        yield f"({refers} AND NOT EXISTS (SELECT 1 FROM main.{quoted(parent)} p WHERE {met}))"  # noqa: S608 (quoted)


def _has(table: Table, columns: list[str]) -> bool:
    return {folded(column.name) for column in table.columns} >= set(map(folded, columns))


def _project_column(table: Table) -> str | None:
    return next((column for column in _PROJECT if column in table.written), None)


def _select(part: _Part) -> str:
    """Give the query for the rows of a table; what follows the values of a row is its number, or NULL."""
    columns = ", ".join(f"t.{quoted(column)}" for column in part.table.valued)
    number, order = (f"t.{part.number}", f" ORDER BY t.{part.number}") if part.number else ("NULL", "")
    # An index that covers all columns would give another order than that of the table.
    scan = "NOT INDEXED " if isinstance(part.table, Table) else ""
    return f"SELECT {columns}, {number} FROM main.{quoted(part.table.name)} t {scan}WHERE {part.where}{order}"  # noqa: S608 (quoted)


def name_of(table: Table | FullText, row: Sequence[SqlValue]) -> str:
    """Name a row by its key; without one, by none: any other value is somebody's memory."""
    key = ["rowid"] if isinstance(table, FullText) else [part.column for part in table.primary_key]
    places = [place for place, column in enumerate(table.valued) if column in key]
    return ", ".join(row_name(row[place]) for place in places) or NAMELESS


def _record(table: Table | FullText, row: tuple[SqlValue, ...], oddities: list[Oddity]) -> TableRow:
    values: list[Cell] = list(map(to_cell, row))
    values.pop()  # the row number
    odd = [
        column
        for column, cell in zip(table.valued, values, strict=True)
        if isinstance(cell, Exact) and not isinstance(cell.blob, bytes)
    ]
    if odd:
        found = f"{', '.join(odd)} cannot be said in plain JSON; kept exactly"
        oddities.append(Oddity(table.name, name_of(table, row), found))
    return TableRow(table=table.name, values=values)
