"""Finding, for a row of one of the archive's other tables, the row of the store that it stands for."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from ecm_agent.store.inserting import place_for
from ecm_agent.store.tokens import quoted

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator

    from ecm_agent.store.cells import SqlValue
    from ecm_agent.store.other_rows import OtherTable
    from ecm_agent.store.writing import Rows

_KNOWN = "temp.ecm_agent_known"


class Found(NamedTuple):
    """A row of the archive, and what the store says in the same columns; `None` when it has no such row.

    `number` is the row number that the archive has for it, if any.
    """

    row: tuple[SqlValue, ...]
    number: int | None
    ours: tuple[SqlValue, ...] | None


class Finder:
    """Knows the rows that the store had before anything was added to them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._listed: set[str] = set()
        self.matched: Counter[str] = Counter()
        """How many rows of each table were found."""

    def find(self, table: OtherTable, rows: Rows) -> Iterator[Found]:
        """Find rows by their key, and those that have none by all they say: each row of the store is taken once."""
        told_apart = set(table.keyed) <= set(rows.columns)
        places = [rows.columns.index(column) for column in table.keyed if told_apart]
        for row, number in rows.each():
            key = [row[place] for place in places]
            by_key = key and None not in key  # NULL tells no two rows apart
            ours = self._by_key(table, rows.columns, key) if by_key else self._by_values(table, rows.columns, row)
            self.matched[table.name] += ours is not None
            yield Found(row, number, ours)

    def _by_key(self, table: OtherTable, columns: Collection[str], key: list[SqlValue]) -> tuple[SqlValue, ...] | None:
        where = where_is(table, table.keyed, key)
        sql = f"SELECT {', '.join(map(quoted, columns))} FROM main.{quoted(table.name)} WHERE {where}"  # noqa: S608 (quoted)
        found: tuple[SqlValue, ...] | None = self._connection.execute(sql, key).fetchone()
        return found

    def _by_values(
        self, table: OtherTable, columns: Collection[str], row: tuple[SqlValue, ...]
    ) -> tuple[SqlValue, ...] | None:
        self._list_values(table, columns)
        taken = f"UPDATE {_KNOWN} SET rows = rows - 1 WHERE name = ? AND digest = ? AND rows > 0"  # noqa: S608 (ours)
        return row if self._connection.execute(taken, (table.name, _digest(row))).rowcount else None

    def _list_values(self, table: OtherTable, columns: Collection[str]) -> None:
        """Remember, as digests, the rows that the store had of a table before anything was added to it."""
        if table.name in self._listed:
            return
        self._listed.add(table.name)
        self._connection.execute(
            f"CREATE TABLE IF NOT EXISTS {_KNOWN} (name, digest, rows, PRIMARY KEY (name, digest)) WITHOUT ROWID"
        )
        noted = f"INSERT INTO {_KNOWN} VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET rows = rows + 1"  # noqa: S608 (ours)
        select = f"SELECT {', '.join(map(quoted, columns))} FROM main.{quoted(table.name)}"  # noqa: S608 (quoted)
        self._connection.executemany(noted, ((table.name, _digest(row)) for row in self._connection.execute(select)))

    def is_there(self, table: OtherTable, rows: Rows, found: Found) -> bool:
        """Whether the row that the store has is under the number that the archive has for it."""
        columns = ", ".join(map(quoted, rows.columns))
        sql = f"SELECT {columns} FROM main.{quoted(table.name)} WHERE {table.row_number} = ?"  # noqa: S608 (quoted)
        return bool(self._connection.execute(sql, (found.number,)).fetchone() == found.ours)


def where_is(table: OtherTable, columns: Collection[str], values: Collection[SqlValue]) -> str:
    """Give the condition that some columns have these values, as SQLite finds it fastest."""
    same = "=" if table.virtual else "IS"
    pairs = zip(columns, values, strict=True)
    return " AND ".join(f"{quoted(column)} {same} {place_for(value)}" for column, value in pairs)


def _digest(row: tuple[SqlValue, ...]) -> bytes:
    """Tell rows apart by their values and the types of these."""
    return blake2b(repr([(type(value).__name__, value) for value in row]).encode(), digest_size=16).digest()
