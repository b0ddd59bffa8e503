"""Rows of tables beyond ECM's own: which of the store's rows they stand for, and what becomes of them.

A table with a primary key is matched by it and settled as other records are; where nothing tells which of two rows is
later, they are a conflict. In a table without one, a row is nothing but its values: what the store has as often stays.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from ecm_agent.errors import ArchiveInvalid
from ecm_agent.store.base import Conflict, Oddity
from ecm_agent.store.inserting import insertion, place_for
from ecm_agent.store.merging.finding import Finder, Found, where_is
from ecm_agent.store.merging.settling import rule_for, same, settle
from ecm_agent.store.other_rows import OtherRows, stays
from ecm_agent.store.other_tables import NAMELESS
from ecm_agent.store.reading import row_name
from ecm_agent.store.tokens import quoted

if TYPE_CHECKING:
    from collections import Counter

    from ecm_agent.model.manifest import Manifest
    from ecm_agent.model.records import Batch
    from ecm_agent.store.base import Fate, OnConflict
    from ecm_agent.store.cells import SqlValue
    from ecm_agent.store.merging.settling import Row
    from ecm_agent.store.merging.tally import Count
    from ecm_agent.store.other_rows import OtherTable
    from ecm_agent.store.writing import Rows

_NOT_UNIQUE = frozenset(
    (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID)
)
_UNIQUE = ["a value that must be unique"]
_NOWHERE = "refers to a record that is neither in the archive nor in the store; dropped"


class _Moved(NamedTuple):
    """A row of the store that was made to refer to another: its key, what it was, and what it was counted as."""

    table: OtherTable
    key: list[SqlValue]
    was: Row
    fate: Fate


class Others:
    """The other tables of a store and of an archive. The connection reads TEXT of any bytes."""

    def __init__(self, connection: sqlite3.Connection, manifest: Manifest, count: Count) -> None:
        self._connection = connection
        self._rows = OtherRows(connection, manifest)
        self._count = count
        self._added: dict[str, str] = {}
        """For each table that refers to others, the temporary table that names its new rows."""
        self._moved: list[_Moved] = []
        self._changes = 0
        self._finder = Finder(connection)
        self._empty: dict[str, bool] = {}
        """Tables that rows were merged into: whether they had none."""
        self._manifest = manifest

    @property
    def changed(self) -> bool:
        return self._changes > 0

    @property
    def no_place(self) -> Counter[str]:
        return self._rows.no_place

    def merge(self, batch: Batch, on_conflict: OnConflict) -> None:
        """Join rows with the store's. Raises `ArchiveInvalid` for one that the table cannot take."""
        for table, rows in self._rows.placed(batch):
            was_empty = self._was_empty(table)
            for found in self._finder.find(table, rows):
                if found.ours is None:
                    added = self._add(table, rows, found.row, found.number if was_empty else None)
                    self._count.add(table, None, "added" if added else "conflicts")
                    if not added:
                        self._name_conflict(table, rows, found.row, _UNIQUE)
                elif found.ours == found.row:
                    self._count.add(table, None, "skipped")
                else:
                    self._settle(table, rows, found.row, found.ours, on_conflict)

    def compare(self, batch: Batch) -> None:
        """Count what a replacement would make of rows."""
        for table, rows in self._rows.placed(batch):
            for found in self._finder.find(table, rows):
                fate = _fate(table, rows, found)
                moves = fate == "skipped" and found.number is not None and not self._finder.is_there(table, rows, found)
                self._count.add(table, None, "updated" if moves else fate)

    def count_removed(self) -> None:
        """Count the rows of the store that the archive has none for, once `compare` has seen all of it."""
        for name, table in self._rows.tables.items():
            if not stays(self._manifest, name):
                rows = self._connection.execute(f"SELECT count(*) FROM main.{quoted(name)}").fetchone()[0]  # noqa: S608 (quoted)
                if rows > self._finder.matched[name]:
                    self._count.add(table, None, "removed", rows - self._finder.matched[name])

    def drop_dangling(self) -> None:
        """Drop the new rows that refer to what is neither in the store nor in the archive, and undo such changes."""
        dropped = -1
        while dropped:  # what is dropped may have been referred to in turn
            dropped = sum(self._drop_new(self._rows.tables[name], new) for name, new in self._added.items())
        for moved in self._moved:
            where = where_is(moved.table, moved.table.keyed, moved.key)
            sql = f"SELECT 1 FROM main.{quoted(moved.table.name)} t WHERE {where} AND ({_nowhere(moved.table)})"  # noqa: S608 (quoted)
            if self._connection.execute(sql, moved.key).fetchone():
                self._update(moved.table, moved.key, moved.was)
                self._changes -= 2
                self._count.change(moved.table, None, "dropped", was=moved.fate)
                self._count.name_dropped(Oddity(moved.table.name, ", ".join(map(row_name, moved.key)), _NOWHERE))

    def _drop_new(self, table: OtherTable, new: str) -> int:
        name, number = f"main.{quoted(table.name)}", ", ".join(map(quoted, table.identity))
        same_row = " AND ".join(f"t.{quoted(column)} = n.c{place}" for place, column in enumerate(table.identity))
        keys = ", ".join(f"t.{quoted(column)}" for column in table.keyed or table.identity)
        sql = f"SELECT n.rowid, {keys} FROM {new} n JOIN {name} t ON {same_row} WHERE {_nowhere(table)}"  # noqa: S608 (quoted)
        found = self._connection.execute(sql).fetchall()
        noted_as = ", ".join(f"c{place}" for place in range(len(table.identity)))
        for noted, *key in found:
            sql = f"DELETE FROM {name} WHERE ({number}) = (SELECT {noted_as} FROM {new} WHERE rowid = ?)"  # noqa: S608 (quoted)
            self._connection.execute(sql, (noted,))
            self._changes -= 1
            self._count.change(table, None, "dropped", was="added")
            self._count.name_dropped(Oddity(table.name, ", ".join(map(row_name, key)), _NOWHERE))
        return len(found)

    def _was_empty(self, table: OtherTable) -> bool:
        if table.name not in self._empty:
            row = self._connection.execute(f"SELECT 1 FROM main.{quoted(table.name)} LIMIT 1").fetchone()  # noqa: S608 (quoted)
            self._empty[table.name] = row is None
        return self._empty[table.name]

    def _add(self, table: OtherTable, rows: Rows, row: tuple[SqlValue, ...], number: int | None) -> bool:
        """Insert a row, under a number if it is to have one; say whether that was possible.

        It is not where a value has to be unique, and the store has it.
        """
        given = (rows.columns, row) if number is None else ((*rows.columns, table.row_number), (*row, number))
        sql = insertion(table, *given) + ("" if table.virtual else " ON CONFLICT DO NOTHING")
        try:
            added = self._connection.execute(sql, given[1]).rowcount > 0 or table.virtual
        except (sqlite3.IntegrityError, OverflowError) as error:
            raise ArchiveInvalid(
                f"The archive holds a row that cannot be stored: {table.name}, {_name(table, rows, row)}: {error}."
            ) from error
        self._changes += added
        if added and table.foreign_keys:
            self._note_new(table, rows, row)
        return added

    def _note_new(self, table: OtherTable, rows: Rows, row: tuple[SqlValue, ...]) -> None:
        """Remember a new row of a table that refers to others."""
        identity = table.identity
        if table.name not in self._added:
            self._added[table.name] = f"temp.ecm_agent_added_{len(self._added)}"
            columns = ", ".join(f"c{place}" for place in range(len(identity)))
            self._connection.execute(f"CREATE TABLE {self._added[table.name]} ({columns})")
        new = self._added[table.name]
        if table.row_number:
            self._connection.execute(f"INSERT INTO {new} VALUES (last_insert_rowid())")  # noqa: S608 (ours)
        elif set(identity) <= set(rows.columns):
            key = [row[rows.columns.index(column)] for column in identity]
            self._connection.execute(f"INSERT INTO {new} VALUES ({', '.join(map(place_for, key))})", key)  # noqa: S608 (ours)

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
        fate, differing = settled.fate, settled.differing
        if settled.changes:
            key = [said[column] for column in table.keyed]
            if not self._update(table, key, settled.changes):
                fate, differing = "conflicts", _UNIQUE
            elif not table.referring.isdisjoint(settled.changes):
                self._moved.append(_Moved(table, key, {column: had[column] for column in settled.changes}, fate))
        self._count.add(table, None, fate)
        if fate == "conflicts":
            self._name_conflict(table, rows, theirs, differing)

    def _update(self, table: OtherTable, key: list[SqlValue], changes: Row) -> bool:
        """Change a row; say whether that was possible, as for `_add`."""
        sets = ", ".join(f"{quoted(column)} = {place_for(value)}" for column, value in changes.items())
        # Whatever the table says is to be done on conflict, no other row gives way.
        sql = f"UPDATE OR ABORT main.{quoted(table.name)} AS t SET {sets} WHERE {where_is(table, table.keyed, key)}"  # noqa: S608 (quoted)
        try:
            self._connection.execute(sql, (*changes.values(), *key))
        except sqlite3.IntegrityError as error:
            if getattr(error, "sqlite_errorcode", 0) in _NOT_UNIQUE:
                return False
            name = ", ".join(map(row_name, key))
            raise ArchiveInvalid(
                f"The archive holds a row that cannot be stored: {table.name}, {name}: {error}."
            ) from error
        self._changes += 1
        return True

    def _name_conflict(self, table: OtherTable, rows: Rows, row: tuple[SqlValue, ...], differing: list[str]) -> None:
        self._count.name_conflict(Conflict(table.section, _name(table, rows, row), differing))


def _fate(table: OtherTable, rows: Rows, found: Found) -> Fate:
    if found.ours is None:
        return "added"
    ours, theirs = (dict(zip(rows.columns, values, strict=True)) for values in (found.ours, found.row))
    return "skipped" if found.ours == found.row or same(rule_for(table.name), ours, theirs) else "updated"


def _nowhere(table: OtherTable) -> str:
    return " OR ".join(table.foreign_keys)


def _name(table: OtherTable, rows: Rows, row: tuple[SqlValue, ...]) -> str:
    keyed = [column for column in table.keyed if column in rows.columns]
    if not keyed:
        return NAMELESS
    return ", ".join(row_name(row[rows.columns.index(column)]) for column in keyed)
