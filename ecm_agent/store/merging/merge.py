"""The causal merge: record by record, what the store and an archive know together. docs/merge.md has the rules.

It runs within one transaction of the store and holds a batch at a time. What it must remember of a row (was it matched?
who had the last word?) takes a bit; new rows are those beyond the last rowid there was. They are numbered on from
there: the row numbers that an archive says are for tables without rows.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from ecm_agent.model.records import TableRow
from ecm_agent.store.base import Conflict, Fate, Oddity
from ecm_agent.store.dangling import REFERENCES, dangles
from ecm_agent.store.generations import generation_of
from ecm_agent.store.inserting import insert
from ecm_agent.store.merging.folding import fold
from ecm_agent.store.merging.matching import Matcher, count_by_project, project_of
from ecm_agent.store.merging.others import Others
from ecm_agent.store.merging.rowset import RowSet
from ecm_agent.store.merging.settling import settle
from ecm_agent.store.merging.tally import Count, project_name
from ecm_agent.store.reading import row_name
from ecm_agent.store.schema import EDGES, TABLES, VECTORS
from ecm_agent.store.snapshot import schema_version

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from ecm_agent.model.manifest import Manifest
    from ecm_agent.model.records import Batch
    from ecm_agent.store.base import Changes, OnConflict
    from ecm_agent.store.cells import SqlValue
    from ecm_agent.store.merging.matching import Match
    from ecm_agent.store.merging.settling import Row, Side
    from ecm_agent.store.schema import Table
    from ecm_agent.store.writing import Rows

_NOWHERE = "refers to a record that is neither in the archive nor in the store; dropped"


class _Moved(NamedTuple):
    """An edge of the store that was given other ends: what it was, and what it was counted as."""

    rowid: int
    was: Row
    fate: Fate
    project: SqlValue
    name: SqlValue


class Merge:
    """A merge under way. The connection is in a transaction that can write."""

    def __init__(self, connection: sqlite3.Connection, manifest: Manifest, on_conflict: OnConflict) -> None:
        self._connection = connection
        self._manifest = manifest
        self._on_conflict = on_conflict
        matchers = {table: Matcher(connection, table, manifest) for table in TABLES}
        self._matchers = {table: matcher for table, matcher in matchers.items() if matcher.columns}
        self._won: dict[tuple[Table, Side], RowSet] = {}
        self._made_up = RowSet()
        """New edges that the archive has no id for."""
        self._moved: list[_Moved] = []
        self._count = Count()
        self._changed = False
        self._no_place: Counter[str] = Counter()
        self._others = Others(connection, manifest, self._count)

    def run(self, batches: Iterable[Batch]) -> Changes:
        """Merge everything. Raises `ArchiveInvalid` for records that cannot stand together."""
        for batch in batches:
            if type(batch[0]) is TableRow:
                self._others.merge(batch, self._on_conflict)
            else:
                self._take(batch)
        for table in REFERENCES:
            self._drop_dangling(table)
        self._bring_back_astray()
        edges = self._matchers[EDGES]
        for project, changed in fold(self._connection, edges, self._made_up):
            self._changed |= changed
            self._count.add(EDGES, project, "folded")
        for table, matcher in self._matchers.items():
            self._count_new(table)
            self._no_place += matcher.writer.no_place
        self._others.drop_dangling()
        changed = self._changed or self._others.changed
        return self._count.changes(self._no_place + self._others.no_place, none=not changed)

    def _take(self, batch: Batch) -> None:
        table = next(table for table in TABLES if table.record is type(batch[0]))
        if table is VECTORS and table not in self._matchers:
            self._connection.execute(generation_of(schema_version(self._connection)).vectors)
            self._matchers[table] = Matcher(self._connection, table, self._manifest)
        if table not in self._matchers:
            self._no_place[table.name] += len(batch)
            self._count.add(table, None, "dropped", len(batch))
            return
        matcher = self._matchers[table]
        for rows in matcher.writer.rows(batch):
            self._take_rows(matcher, rows)

    def _take_rows(self, matcher: Matcher, rows: Rows) -> None:
        new = []
        for match in matcher.match(rows):
            if match.rowid is None:
                new.append(match.row)
            elif match.ours == match.theirs:
                self._count.add(matcher.table, match.project, "skipped")
            else:
                self._settle(matcher, rows, match)
        if new and matcher.was_empty:  # all of them are
            insert(self._connection, matcher.table, [rows])
        elif new:
            matcher.check_room()
            insert(self._connection, matcher.table, [rows._replace(values=new, numbers=None)])
            if matcher.table is EDGES and "id" in rows.made_up:
                last = matcher.last_rowid()
                for rowid in range(last - len(new) + 1, last + 1):
                    self._made_up.add(rowid)

    def _settle(self, matcher: Matcher, rows: Rows, match: Match) -> None:
        said = matcher.said(rows)
        ours: Row = dict(zip(said, match.ours, strict=True))
        theirs: Row = dict(zip(said, match.theirs, strict=True))
        rowid: Any = match.rowid
        found = settle(matcher.rule, ours, theirs, self._on_conflict, self._leaning(matcher, theirs))
        if found.changes:
            self._changed = True
            matcher.change(rowid, found.changes)
        if found.winner:
            self._won.setdefault((matcher.table, found.winner), RowSet()).add(rowid)
        if matcher.table is EDGES and not found.changes.keys().isdisjoint(("source_chunk_id", "target_chunk_id")):
            was = {column: ours[column] for column in found.changes}
            self._moved.append(_Moved(rowid, was, found.fate, match.project, theirs["id"]))
        self._count.add(matcher.table, match.project, found.fate)
        if found.fate == "conflicts":
            name = ", ".join(row_name(theirs[column]) for column in matcher.rule.key)
            project = project_name(match.project)
            self._count.name_conflict(Conflict(matcher.table.record.section, name, found.differing, project))

    def _leaning(self, matcher: Matcher, theirs: Row) -> Side | None:
        """Say who had the last word on the record that this one follows."""
        if not matcher.rule.follows or not self._won:
            return None
        table, column = matcher.rule.follows
        sql = f"SELECT rowid FROM main.{table.name} WHERE id = ?"  # noqa: S608 (ours)
        for (rowid,) in self._connection.execute(sql, (theirs[column],)):
            for (won, side), rowids in self._won.items():
                if won is table and rowid in rowids:
                    return side
        return None

    def _drop_dangling(self, table: Table) -> None:
        """Drop the new rows that refer to what is neither in the store nor in the archive."""
        key = table.key(self._matchers[table].columns)
        where = f"t.rowid >= {self._matchers[table].first_new} AND ({dangles(table)})"
        sql = f"SELECT {project_of(table)}, t.{key} FROM main.{table.name} t WHERE {where}"  # noqa: S608 (ours)
        for project, name in self._connection.execute(sql):
            self._count.add(table, project, "dropped")
            self._count.name_dropped(Oddity(table.name, row_name(name), _NOWHERE))
        self._connection.execute(f"DELETE FROM main.{table.name} AS t WHERE {where}")  # noqa: S608 (ours)

    def _bring_back_astray(self) -> None:
        """Undo what would tie an edge of the store to a chunk that is nowhere."""
        sql = f"SELECT 1 FROM main.edges t WHERE t.rowid = ? AND ({dangles(EDGES)})"  # noqa: S608 (ours)
        for moved in self._moved:
            if self._connection.execute(sql, (moved.rowid,)).fetchone():
                self._matchers[EDGES].change(moved.rowid, moved.was)
                self._count.change(EDGES, moved.project, "dropped", was=moved.fate)
                self._count.name_dropped(Oddity(EDGES.name, row_name(moved.name), _NOWHERE))

    def _count_new(self, table: Table) -> None:
        new = count_by_project(self._connection, table, f"t.rowid >= {self._matchers[table].first_new}")
        for project, rows in new.items():
            self._changed = True
            self._count.add(table, project, "added", rows)
