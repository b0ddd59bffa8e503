"""Finding, for a row of the archive, the row of the store that is the same record."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from ecm_agent.errors import ArchiveInvalid, StoreUnreadable
from ecm_agent.store.cells import SqlValue, lenient_text
from ecm_agent.store.connection import columns_of
from ecm_agent.store.inserting import place_for
from ecm_agent.store.merging.rowset import RowSet
from ecm_agent.store.merging.settling import RULES, Row
from ecm_agent.store.reading import row_name
from ecm_agent.store.row_numbers import FIRST_ROW_NUMBER, LAST_ROW_NUMBER, name_of_numbers
from ecm_agent.store.schema import CHUNKS, EDGES, MEMBERSHIPS, VECTOR_CLOCKS, VECTORS
from ecm_agent.store.tokens import quoted
from ecm_agent.store.writing import Rows, RowWriter

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from ecm_agent.model.manifest import Manifest
    from ecm_agent.store.schema import Table

_NONE: tuple[SqlValue, ...] = ()
_CHUNK_OF = {EDGES: "source_chunk_id", MEMBERSHIPS: "chunk_id", VECTORS: "id"}


class Match(NamedTuple):
    """A row of the archive (`row`, all of it) and the store's row of the same record; `rowid=None` when it has none.

    `theirs` and `ours` are what the two say of the same columns: those that the archive speaks of. `project` is the
    one the store's row belongs to. `number` is the row number that the archive has for it, if any.
    """

    row: tuple[SqlValue, ...]
    number: int | None
    rowid: int | None
    project: SqlValue = None
    theirs: tuple[SqlValue, ...] = _NONE
    ours: tuple[SqlValue, ...] = _NONE


class Matcher:
    """Matches the records of one table. The connection reads TEXT of any bytes from now on."""

    def __init__(self, connection: sqlite3.Connection, table: Table, manifest: Manifest) -> None:
        connection.text_factory = lenient_text
        self._connection = connection
        self.table = table
        self.rule = RULES[table]
        self.columns = columns_of(connection, table.name)
        numbered = name_of_numbers(connection, table.name) == table.row_number
        self.writer = RowWriter(table, self.columns, manifest, numbered=numbered)
        self.matched = RowSet()
        """The store's rows that the archive has a record for."""
        self.first_new = self.last_rowid() + 1
        """The rowid after the last there was, or the least there can be: what has it, or is beyond it, is new.

        It may be one beyond what SQLite has room for: it stands in statements as it is, and is never bound.
        """

    @property
    def was_empty(self) -> bool:
        """Whether the table had no rows."""
        return self.first_new == FIRST_ROW_NUMBER

    def check_room(self) -> None:
        """Raise `StoreUnreadable` when there can be no row beyond those there are."""
        if self.first_new > LAST_ROW_NUMBER:
            raise StoreUnreadable(f"The store's table {self.table.name} has used up its row numbers.")

    def said(self, rows: Rows) -> tuple[str, ...]:
        """Name the columns that the archive itself speaks of."""
        return tuple(column for column in rows.columns if column not in rows.made_up)

    def match(self, rows: Rows) -> Iterator[Match]:
        """Match rows of the archive. Raises `ArchiveInvalid` for the second record of one id.

        A row without an id is known by what it says, and each row of the store is taken once.
        """
        said = self.said(rows)
        keys = [rows.columns.index(column) for column in self.rule.key]
        speaks = [rows.columns.index(column) for column in said]
        everything = len(speaks) == len(rows.columns)
        sql = self._lookup(said, [rows.values[0][place] for place in keys])
        for row, number in rows.each():
            key = [row[place] for place in keys]
            theirs = row if everything else tuple(row[place] for place in speaks)
            found = self._nameless(said, theirs) if None in key else self._connection.execute(sql, key).fetchone()
            if found is None:
                yield Match(row, number, None)
                continue
            if found[0] >= self.first_new or not self.matched.add(found[0]):
                name = ", ".join(map(row_name, key))
                raise ArchiveInvalid(f"The archive holds two records for one: {self.table.name}, {name!r}.")
            yield Match(row, number, found[0], found[1], theirs, found[2:])

    def last_rowid(self) -> int:
        """Give the highest rowid; without rows, what is below the least there can be."""
        sql = f"SELECT max(rowid) FROM main.{quoted(self.table.name)}"  # noqa: S608 (quoted)
        last = self._connection.execute(sql).fetchone()[0] if self.columns else None
        return FIRST_ROW_NUMBER - 1 if last is None else int(last)

    def row_at(self, rowid: int) -> Row:
        """Read a row."""
        sql = f"SELECT {', '.join(map(quoted, self.columns))} FROM main.{quoted(self.table.name)} WHERE rowid = ?"  # noqa: S608 (quoted)
        return dict(zip(self.columns, self._connection.execute(sql, (rowid,)).fetchone(), strict=True))

    def change(self, rowid: int, changes: Row) -> None:
        """Change some columns of a row; those of others stay as they are, and so does what refers to it."""
        sets = ", ".join(f"{quoted(column)} = {place_for(value)}" for column, value in changes.items())
        sql = f"UPDATE main.{quoted(self.table.name)} SET {sets} WHERE rowid = ?"  # noqa: S608 (quoted)
        self._connection.execute(sql, (*changes.values(), rowid))

    def _lookup(self, said: tuple[str, ...], key: list[SqlValue]) -> str:
        """Give the query for a row by its key. A key that is not UTF-8 is the only one of its group of rows."""
        return self._select(said, dict(zip(self.rule.key, key, strict=True)))

    def _nameless(self, said: tuple[str, ...], theirs: tuple[SqlValue, ...]) -> tuple[Any, ...] | None:
        """Find a row of the store that says the same and has not been taken yet."""
        sql = f"{self._select(said, dict(zip(said, theirs, strict=True)))} AND t.rowid < {self.first_new}"
        rows = self._connection.execute(sql, theirs)
        return next((row for row in rows if row[0] not in self.matched), None)

    def _select(self, said: tuple[str, ...], known: Row) -> str:
        """Give the query for rows by what is known of them."""
        select = ", ".join(["t.rowid", project_of(self.table), *(f"t.{quoted(column)}" for column in said)])
        where = " AND ".join(f"t.{quoted(column)} IS {place_for(value)}" for column, value in known.items())
        return f"SELECT {select} FROM main.{quoted(self.table.name)} t WHERE {where}"  # noqa: S608 (quoted)


def count_by_project(connection: sqlite3.Connection, table: Table, condition: str) -> Counter[SqlValue]:
    """Count the rows `t` of a table for which a condition holds, by project.

    They are counted here: for a GROUP BY, SQLite would sort all of them, in memory.
    """
    sql = f"SELECT {project_of(table)} FROM main.{table.name} t WHERE {condition}"  # noqa: S608 (ours)
    return Counter(project for (project,) in connection.execute(sql))


def project_of(table: Table) -> str:
    """Give the SQL that says which project a row `t` of a table belongs to; NULL when to none."""
    if table in _CHUNK_OF:
        return f"(SELECT c.session_slug FROM main.chunks c WHERE c.id = t.{_CHUNK_OF[table]})"  # noqa: S608 (ours)
    return {CHUNKS: "t.session_slug", VECTOR_CLOCKS: "t.project_slug"}.get(table, "NULL")
