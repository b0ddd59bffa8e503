"""The store at one instant: counted, listed and read within one transaction, without writing a byte."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from ecm_agent import __version__
from ecm_agent.errors import UsageError
from ecm_agent.model.manifest import VERSION, Manifest, Selection
from ecm_agent.model.records import RECORD_TYPES, TableRow
from ecm_agent.model.schema import VERSION_TABLE
from ecm_agent.store.base import Oddity
from ecm_agent.store.cells import lenient_text
from ecm_agent.store.connection import columns_of, explained
from ecm_agent.store.dangling import all_found
from ecm_agent.store.other_tables import OtherTables
from ecm_agent.store.pages import pages
from ecm_agent.store.reading import RowReader, row_name
from ecm_agent.store.row_numbers import name_of_numbers, say_numbers
from ecm_agent.store.schema import CHUNKS, CLUSTERS, EDGES, MEMBERSHIPS, TABLES, VECTOR_CLOCKS, VECTORS
from ecm_agent.store.tokens import quoted

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from ecm_agent.model.records import Batch, RecordType
    from ecm_agent.store.schema import Table

MAX_ODDITIES = 20
"""How many odd rows are named; all are counted."""

MAX_ORPHANS = 5
"""How many vectors without a chunk are named."""

# The project slugs asked for; empty and unused when all are.
_PROJECTS = "temp.ecm_agent_projects"
_ASKED = f"IN (SELECT slug FROM {_PROJECTS})"  # noqa: S608 (ours)
_REFERENCES: dict[Table, tuple[str, ...]] = {
    EDGES: ("source_chunk_id", "target_chunk_id"),
    MEMBERSHIPS: ("chunk_id",),
}


class SqliteSnapshot:
    """See `store.base.Snapshot`. The connection has an open read transaction and outlives the snapshot."""

    def __init__(self, path: Path, connection: sqlite3.Connection, selection: Selection, created: str) -> None:
        self._path = path
        self._connection = connection
        self._selection = selection
        self._columns = {table: columns_of(connection, table.name) for table in TABLES}
        no_orphans = selection.vectors and not selection.orphans and self._columns[VECTORS]
        self._references = _REFERENCES | ({VECTORS: ("id",)} if no_orphans else {})
        self.oddities: list[Oddity] = []
        self.odd_rows = 0
        self._projects = self._all_projects()
        self._ask_for(self._projects)
        self._sound = {table for table in self._references if selection.projects is None and self._is_sound(table)}
        """Tables of a whole export of which every row belongs to it; looked up once, not at every row."""
        self._with_dangling = selection.dangling and self._sound != set(self._references)
        if selection.dangling:
            self._sound = set(self._references)
        self._others = OtherTables(connection, selection, self._chunk, _ASKED)
        self.manifest = self._manifest(created)

    def batches(self, kinds: Collection[RecordType] = RECORD_TYPES) -> Iterator[Batch]:
        with explained(self._path):  # whoever reads may be busy with another store, and take the blame for this one
            for table in TABLES:
                if table.record in kinds and self.manifest.count(table.record) is not None:
                    yield from self._batches_of(table)
            if TableRow in kinds:
                yield from self._others.batches(self._note)

    def chunk_ids(self) -> Iterator[str]:
        sql = f"SELECT CAST(t.id AS BLOB) FROM main.chunks t WHERE typeof(t.id) = 'text' AND {self._wanted(CHUNKS)}"  # noqa: S608 (names are ours)
        with explained(self._path):
            names = (lenient_text(raw) for (raw,) in self._connection.execute(sql))
            yield from (name for name in names if isinstance(name, str))

    def vectors_without_chunk(self) -> tuple[int, list[str]]:
        if self.manifest.vector_count is None or self._selection.projects is not None:
            return 0, []
        missing = "NOT EXISTS (SELECT 1 FROM main.chunks c WHERE c.id = t.id)"
        with explained(self._path):
            names = self._connection.execute(
                f"SELECT CAST(t.id AS BLOB) FROM main.vectors t WHERE {missing} LIMIT ?",  # noqa: S608 (ours)
                (MAX_ORPHANS,),
            ).fetchall()
            count = self._count(VECTORS, missing) if names else 0
        return count, [row_name(None if name is None else lenient_text(name)) for (name,) in names]

    def _batches_of(self, table: Table) -> Iterator[Batch]:
        reader = RowReader(table, self._columns[table])
        values = ", ".join(self._expression(table, column) for column in reader.selected)
        numbered = name_of_numbers(self._connection, table.name) == table.row_number
        following = 1
        for rows in pages(self._connection, f"{values}, t.rowid FROM main.{table.name} t", self._wanted(table)):
            batch, oddities = reader.read(rows)
            self._note(oddities, len(oddities))
            if numbered:
                following = say_numbers(batch, rows, following)
            yield batch

    def _note(self, oddities: list[Oddity], odd_rows: int) -> None:
        self.odd_rows += odd_rows
        self.oddities += oddities[: MAX_ODDITIES - len(self.oddities)]

    def _expression(self, table: Table, column: str) -> str:
        if table is CLUSTERS and column == "member_chunk_ids":
            return (
                "(SELECT json_group_array(chunk_id) FROM (SELECT m.chunk_id FROM main.chunk_clusters m "  # noqa: S608 (names are ours)
                f"WHERE m.cluster_id = t.id AND typeof(m.chunk_id) = 'text' AND {self._member_chunk()} "
                "ORDER BY m.rowid))"
            )
        if table is CLUSTERS and column == "exemplar_ids" and self._selection.projects is not None:
            return (
                "CASE WHEN json_valid(t.exemplar_ids) THEN (SELECT json_group_array(e.value) "  # noqa: S608 (as above)
                f"FROM json_each(t.exemplar_ids) e WHERE {self._chunk('e.value')}) END"
            )
        return f"t.{quoted(column)}"

    def _member_chunk(self) -> str:
        return "1" if MEMBERSHIPS in self._sound else self._chunk("m.chunk_id")

    def _chunk(self, key: str) -> str:
        """Give the condition that a key is the id of a selected chunk."""
        asked = "" if self._selection.projects is None else f" AND c.session_slug {_ASKED}"
        return f"EXISTS (SELECT 1 FROM main.chunks c WHERE c.id = {key}{asked})"  # noqa: S608 (names are ours)

    def _wanted(self, table: Table) -> str:
        """Give the condition that a row of a table belongs to the export."""
        if table in self._sound:
            return "1"
        conditions = [self._chunk(f"t.{column}") for column in self._references.get(table, ())]
        if table is MEMBERSHIPS:
            conditions.append("EXISTS (SELECT 1 FROM main.clusters k WHERE k.id = t.cluster_id)")
        elif self._selection.projects is not None:
            conditions += {
                CHUNKS: [f"+t.session_slug {_ASKED}"],
                VECTOR_CLOCKS: [f"+t.project_slug {_ASKED}"],
                VECTORS: [self._chunk("t.id")],
                CLUSTERS: [self._has_member()],
            }.get(table, [])
        return " AND ".join(conditions) or "1"

    def _is_sound(self, table: Table) -> bool:
        """Whether every row of a table refers to rows that are there."""
        parents = dict.fromkeys(self._references[table], CHUNKS)
        parents |= {"cluster_id": CLUSTERS} if table is MEMBERSHIPS else {}
        return all(all_found(self._connection, table, column, parent) for column, parent in parents.items())

    def _has_member(self) -> str:
        """Give the condition that a cluster has a selected member."""
        member = self._chunk("m.chunk_id")
        return f"EXISTS (SELECT 1 FROM main.chunk_clusters m WHERE m.cluster_id = t.id AND {member})"  # noqa: S608 (ours)

    def _manifest(self, created: str) -> Manifest:
        counts = {table: self._count(table) for table in TABLES if self._columns[table]}
        selected = None if self._selection.projects is None else sorted(set(self._selection.projects))
        left_out = dict(self._others.left_out)
        if not self._selection.vectors and (vectors := counts.pop(VECTORS, 0)):
            left_out[VECTORS.name] = vectors
        return Manifest(
            version=VERSION,
            created=created,
            chunk_count=counts[CHUNKS],
            edge_count=counts[EDGES],
            cluster_count=counts[CLUSTERS],
            projects=self._projects if selected is None else selected,
            membership_count=counts[MEMBERSHIPS],
            vector_clock_count=counts.get(VECTOR_CLOCKS),
            vector_count=counts.get(VECTORS),
            row_count=None if self._selection.redact else self._others.rows,
            schema=self._others.schema,
            schema_version=schema_version(self._connection),
            generator=f"ecm-agent {__version__}",
            selected_projects=selected,
            left_out=left_out,
            excluded=sorted(left_out.keys() & set(self._selection.exclude)),
            dangling=self._dangling(),
            with_dangling=self._with_dangling,
        )

    def _count(self, table: Table, condition: str = "") -> int:
        sql = f"SELECT count(*) FROM main.{table.name} t WHERE {condition or self._wanted(table)}"  # noqa: S608 (names are ours)
        return int(self._connection.execute(sql).fetchone()[0])

    def _dangling(self) -> dict[str, int]:
        """Count, and name some of, the rows that refer to nothing; only a whole export can tell."""
        if self._selection.projects is not None:
            return {}
        loose = [table for table in self._references if table not in self._sound]
        counts = {table: self._count(table, f"NOT ({self._wanted(table)})") for table in loose}
        for table, count in counts.items():
            self._note(self._name_dangling(table), count)
        return {table.name: count for table, count in counts.items()}

    def _name_dangling(self, table: Table) -> list[Oddity]:
        key = table.key(self._columns[table])
        sql = f"SELECT CAST(t.{key} AS BLOB) FROM main.{table.name} t WHERE NOT ({self._wanted(table)}) LIMIT ?"  # noqa: S608 (names are ours)
        found = "refers to a row that does not exist; left out"
        rows = self._connection.execute(sql, (MAX_ODDITIES,))
        return [Oddity(table.name, row_name(None if name is None else lenient_text(name)), found) for (name,) in rows]

    def _all_projects(self) -> list[str]:
        sql = "SELECT DISTINCT CAST(session_slug AS BLOB) FROM main.chunks WHERE typeof(session_slug) = 'text'"
        slugs = (lenient_text(raw) for (raw,) in self._connection.execute(sql))
        return sorted(slug for slug in slugs if isinstance(slug, str))

    def _ask_for(self, known: list[str]) -> None:
        asked = self._selection.projects or ()
        for slug in asked:
            if slug not in known:
                near = difflib.get_close_matches(slug, known, n=5, cutoff=0.4) or known[:20]
                raise UsageError(
                    f"There is no project {slug!r} in the store.",
                    hint="It has: " + ", ".join(repr(name) for name in near) + ("" if near == known else ", …"),
                )
        self._connection.execute(f"CREATE TEMP TABLE {_PROJECTS.removeprefix('temp.')} (slug TEXT PRIMARY KEY)")
        self._connection.executemany(f"INSERT INTO {_PROJECTS} VALUES (?)", [(slug,) for slug in set(asked)])  # noqa: S608 (ours)


def schema_version(connection: sqlite3.Connection) -> int | None:
    """Read the schema's generation; `None` when the store does not say."""
    if "version" not in columns_of(connection, VERSION_TABLE):
        return None
    version = connection.execute("SELECT max(version) FROM schema_version").fetchone()[0]
    return version if isinstance(version, int) else None
