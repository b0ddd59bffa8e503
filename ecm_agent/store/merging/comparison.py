"""What a replacement would change: the archive's records against the store's, read only."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ecm_agent.model.records import TableRow
from ecm_agent.store.base import Oddity
from ecm_agent.store.dangling import NOT_THERE, REFERENCES
from ecm_agent.store.merging.loose_ends import LooseEnds
from ecm_agent.store.merging.matching import Matcher, count_by_project
from ecm_agent.store.merging.others import Others
from ecm_agent.store.merging.settling import same
from ecm_agent.store.merging.tally import Count
from ecm_agent.store.reading import row_name
from ecm_agent.store.schema import CHUNKS, TABLES, VECTOR_CLOCKS, VECTORS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from ecm_agent.model.manifest import Manifest
    from ecm_agent.model.records import Batch
    from ecm_agent.store.base import Changes, Fate
    from ecm_agent.store.merging.matching import Match
    from ecm_agent.store.writing import Rows

_PROJECTS = {CHUNKS: "session_slug", VECTOR_CLOCKS: "project_slug"}
"""The tables whose rows name their project; which project a new edge will belong to is known only once it is there."""


class Comparison:
    """A comparison under way, within one read transaction."""

    def __init__(self, connection: sqlite3.Connection, manifest: Manifest) -> None:
        self._connection = connection
        self._matchers = {table.record: Matcher(connection, table, manifest) for table in TABLES}
        self._loose = LooseEnds(connection) if manifest.original else None
        self._count = Count()
        self._no_place: Counter[str] = Counter()
        self._others = Others(connection, manifest, self._count)

    def run(self, batches: Iterable[Batch]) -> Changes:
        """Compare everything. Raises `ArchiveInvalid` for records that cannot stand together."""
        for batch in batches:
            if type(batch[0]) is TableRow:
                self._others.compare(batch)
                continue
            matcher = self._matchers[type(batch[0])]
            if matcher.columns:
                for rows in matcher.writer.rows(batch):
                    self._take(matcher, rows)
            else:
                self._take_whole(matcher, len(batch))
        self._count_dropped()
        for matcher in self._matchers.values():
            self._no_place += matcher.writer.no_place
            if matcher.columns:
                self._count_removed(matcher)
        self._others.count_removed()
        self._no_place += self._others.no_place
        changed = self._count.met("added", "updated", "removed")
        return self._count.changes(self._no_place, none=not changed)

    def _take(self, matcher: Matcher, rows: Rows) -> None:
        said = matcher.said(rows)
        project = _PROJECTS.get(matcher.table)
        for match in matcher.match(rows):
            slug, fate = match.project, _fate(matcher, match, said)
            if fate == "added":
                slug = match.row[rows.columns.index(project)] if project in rows.columns else None
            self._count.add(matcher.table, slug, fate)
            if self._loose:
                self._loose.note(matcher.table, rows, match.row, slug, fate)

    def _take_whole(self, matcher: Matcher, records: int) -> None:
        """Count records whose table the store lacks: that of the vectors is made, any other is not."""
        if matcher.table is VECTORS:
            self._count.add(matcher.table, None, "added", records)
        else:
            self._count.add(matcher.table, None, "dropped", records)
            self._no_place[matcher.table.name] += records

    def _count_dropped(self) -> None:
        """Count what a replacement leaves out, and what the store has of it as removed."""
        for table in REFERENCES:
            for loose in self._loose.found(table) if self._loose else ():
                self._count.change(table, loose.project, "dropped", was=loose.fate)
                self._count.name_dropped(Oddity(table.name, row_name(loose.name), NOT_THERE))
                if loose.fate != "added":
                    self._count.add(table, loose.project, "removed")

    def _count_removed(self, matcher: Matcher) -> None:
        self._connection.create_function("ecm_agent_matched", 1, matcher.matched.__contains__)
        gone = count_by_project(self._connection, matcher.table, "NOT ecm_agent_matched(t.rowid)")
        for project, rows in gone.items():
            self._count.add(matcher.table, project, "removed", rows)


def _fate(matcher: Matcher, match: Match, said: tuple[str, ...]) -> Fate:
    if match.rowid is None:
        return "added"
    ours, theirs = (dict(zip(said, values, strict=True)) for values in (match.ours, match.theirs))
    if match.number not in {None, match.rowid}:
        return "updated"
    return "skipped" if match.ours == match.theirs or same(matcher.rule, ours, theirs) else "updated"
