"""Rows of tables beyond ECM's own: which of the store's rows they stand for, and what becomes of them.

A table with a primary key is matched by it and settled as other records are; where nothing tells which of two rows is
later, they are a conflict. In a table without one, a row is nothing but its values: what the store has as often stays.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from ecm_agent.errors import ArchiveInvalid
from ecm_agent.store.base import Conflict, Oddity
from ecm_agent.store.inserting import insertion, place_for
from ecm_agent.store.merging.settling import rule_for, same, settle
from ecm_agent.store.other_rows import OtherRows, stays
from ecm_agent.store.reading import row_name
from ecm_agent.store.tokens import quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ecm_agent.model.manifest import Manifest
    from ecm_agent.model.records import Batch
    from ecm_agent.store.base import Fate, OnConflict
    from ecm_agent.store.cells import SqlValue
    from ecm_agent.store.merging.tally import Count
    from ecm_agent.store.other_rows import OtherTable
    from ecm_agent.store.writing import Rows

_KNOWN = "temp.ecm_agent_known"
_NOWHERE = "refers to a record that is neither in the archive nor in the store; dropped"


class _Found(NamedTuple):
    """A row of the archive, and what the store says in the same columns; `None` when it has no such row."""

    row: tuple[SqlValue, ...]
    ours: tuple[SqlValue, ...] | None


class Others:
    """The other tables of a store and of an archive. The connection reads TEXT of any bytes."""

    def __init__(self, connection: sqlite3.Connection, manifest: Manifest, count: Count) -> None:
        self._connection = connection
        self._rows = OtherRows(connection, manifest)
        self._count = count
        self._before = {name: _last_rowid(connection, table) for name, table in self._rows.tables.items()}
        self._matched: Counter[str] = Counter()
        self._listed: set[str] = set()
        self._manifest = manifest
        self.changed = False

    @property
    def no_place(self) -> Counter[str]:
        return self._rows.no_place

    def merge(self, batch: Batch, on_conflict: OnConflict) -> None:
        """Join rows with the store's. Raises `ArchiveInvalid` for one that the table cannot take."""
        for table, rows in self._rows.placed(batch):
            for found in self._find(table, rows):
                if found.ours is None:
                    added = self._add(table, rows, found.row)
                    self._count.add(table, None, "added" if added else "conflicts")
                    if not added:
                        self._name_conflict(table, rows, found.row, ["a value that must be unique"])
                elif found.ours == found.row:
                    self._count.add(table, None, "skipped")
                else:
                    self._settle(table, rows, found.row, found.ours, on_conflict)

    def compare(self, batch: Batch) -> None:
        """Count what a replacement would make of rows."""
        for table, rows in self._rows.placed(batch):
            for found in self._find(table, rows):
                self._count.add(table, None, _fate(table, rows, found))

    def count_removed(self) -> None:
        """Count the rows of the store that the archive has none for, once `compare` has seen all of it."""
        for name, table in self._rows.tables.items():
            if not stays(self._manifest, name):
                rows = self._connection.execute(f"SELECT count(*) FROM main.{quoted(name)}").fetchone()[0]  # noqa: S608 (quoted)
                if rows > self._matched[name]:
                    self._count.add(table, None, "removed", rows - self._matched[name])

    def drop_dangling(self) -> None:
        """Drop the new rows that refer to what is neither in the store nor in the archive."""
        for name, table in self._rows.tables.items():
            if (before := self._before[name]) is None:
                continue
            sql = "SELECT DISTINCT rowid FROM pragma_foreign_key_check(?) WHERE rowid > ?"
            delete = f"DELETE FROM main.{quoted(name)} WHERE rowid = ? RETURNING {quoted(table.key(table.columns))}"  # noqa: S608 (quoted)
            for (rowid,) in self._connection.execute(sql, (name, before)).fetchall():
                [(key,)] = self._connection.execute(delete, (rowid,)).fetchall()
                self._count.change(table, None, "dropped", was="added")
                self._count.name_dropped(Oddity(name, row_name(key), _NOWHERE))

    def _find(self, table: OtherTable, rows: Rows) -> Iterator[_Found]:
        find = self._by_key if table.keyed and set(table.keyed) <= set(rows.columns) else self._by_values
        for found in find(table, rows):
            self._matched[table.name] += found.ours is not None
            yield found

    def _by_key(self, table: OtherTable, rows: Rows) -> Iterator[_Found]:
        places = [rows.columns.index(column) for column in table.keyed]
        select = ", ".join(map(quoted, rows.columns))
        for row in rows.values:
            key = [row[place] for place in places]
            where = _where(table.keyed, key)
            sql = f"SELECT {select} FROM main.{quoted(table.name)} WHERE {where}"  # noqa: S608 (quoted)
            yield _Found(row, self._connection.execute(sql, key).fetchone())

    def _by_values(self, table: OtherTable, rows: Rows) -> Iterator[_Found]:
        self._list_values(table, rows.columns)
        taken = f"UPDATE {_KNOWN} SET rows = rows - 1 WHERE name = ? AND digest = ? AND rows > 0"  # noqa: S608 (ours)
        for row in rows.values:
            known = self._connection.execute(taken, (table.name, _digest(row))).rowcount
            yield _Found(row, row if known else None)

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

    def _add(self, table: OtherTable, rows: Rows, row: tuple[SqlValue, ...]) -> bool:
        """Insert a row; say whether that was possible: a value may have to be unique, and the store have it."""
        sql = insertion(table, rows.columns, row) + ("" if table.virtual else " ON CONFLICT DO NOTHING")
        try:
            added = self._connection.execute(sql, row).rowcount > 0 or table.virtual
        except (sqlite3.IntegrityError, OverflowError) as error:
            raise ArchiveInvalid(
                f"The archive holds a row that cannot be stored: {table.name}, {_name(table, rows, row)}: {error}."
            ) from error
        self.changed |= added
        return added

    def _settle(
        self,
        table: OtherTable,
        rows: Rows,
        theirs: tuple[SqlValue, ...],
        ours: tuple[SqlValue, ...],
        on_conflict: OnConflict,
    ) -> None:
        said = dict(zip(rows.columns, theirs, strict=True))
        had = dict(zip(rows.columns, ours, strict=True))
        settled = settle(rule_for(table.name), had, said, on_conflict)
        if settled.changes:
            key = [said[column] for column in table.keyed]
            sets = ", ".join(f"{quoted(column)} = {place_for(value)}" for column, value in settled.changes.items())
            sql = f"UPDATE main.{quoted(table.name)} SET {sets} WHERE {_where(table.keyed, key)}"  # noqa: S608 (quoted)
            self._connection.execute(sql, (*settled.changes.values(), *key))
            self.changed = True
        self._count.add(table, None, settled.fate)
        if settled.fate == "conflicts":
            self._name_conflict(table, rows, theirs, settled.differing)

    def _name_conflict(self, table: OtherTable, rows: Rows, row: tuple[SqlValue, ...], differing: list[str]) -> None:
        self._count.name_conflict(Conflict(table.section, _name(table, rows, row), differing))


def _fate(table: OtherTable, rows: Rows, found: _Found) -> Fate:
    if found.ours is None:
        return "added"
    ours, theirs = (dict(zip(rows.columns, values, strict=True)) for values in (found.ours, found.row))
    return "skipped" if found.ours == found.row or same(rule_for(table.name), ours, theirs) else "updated"


def _where(columns: Collection[str], values: Collection[SqlValue]) -> str:
    pairs = zip(columns, values, strict=True)
    return " AND ".join(f"{quoted(column)} IS {place_for(value)}" for column, value in pairs)


def _name(table: OtherTable, rows: Rows, row: tuple[SqlValue, ...]) -> str:
    keyed = [column for column in table.keyed if column in rows.columns] or list(rows.columns[:1])
    return ", ".join(row_name(row[rows.columns.index(column)]) for column in keyed)


def _digest(row: tuple[SqlValue, ...]) -> bytes:
    """Tell rows apart by their values and the types of these."""
    return blake2b(repr([(type(value).__name__, value) for value in row]).encode(), digest_size=16).digest()


def _last_rowid(connection: sqlite3.Connection, table: OtherTable) -> int | None:
    """Give the highest row number of a table; `None` where rows have none."""
    if table.without_rowid:
        return None
    return int(connection.execute(f"SELECT coalesce(max(rowid), 0) FROM main.{quoted(table.name)}").fetchone()[0])  # noqa: S608 (quoted)
