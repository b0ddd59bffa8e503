"""A small memory, record by record, and ways to look into a store without the program's own reading."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ecm_agent.archive import open_archive, write_archive
from ecm_agent.model.manifest import VERSION, Manifest, Selection
from ecm_agent.model.records import RECORD_TYPES, AnyRecord, Chunk, Cluster, Edge, Membership, Vector, VectorClock
from ecm_agent.store.schema import TABLES
from ecm_agent.store.sqlite import SqliteStore
from ecm_agent.store.tokens import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ecm_agent.model.records import Batch
    from ecm_agent.store.base import MemoryStore, Oddity, Replaced, Snapshot

CREATED = "2025-03-01T12:00:00.000Z"
LATER = "2025-03-02T12:00:00.000Z"


def chunk(name: str, project: str = "tide-tables", content: str = "high water at 04:12") -> Chunk:
    """Make a chunk with a value in every column of schema version 2."""
    return Chunk(
        id=name,
        session_slug=project,
        content=content,
        start_time="2025-01-01T08:00:00.000Z",
        end_time="2025-01-01T08:05:00.000Z",
        turn_indices=[0, 1],
        vector_clock={"ui": 3, "human": 1},
        session_id=f"session of {name}",
        agent_id="ui",
        spawn_depth=0,
        code_block_count=1,
        tool_use_count=2,
        approx_tokens=5,
        created_at="2025-01-01 08:05:01",
    )


def edge(name: str, source: str, target: str) -> Edge:
    return Edge(
        source=source,
        target=target,
        type="forward",
        reference_type="file-path",
        weight=0.7,
        vector_clock={"ui": 3},
        id=name,
        link_count=1,
        created_at="2025-01-01T08:06:00.000Z",
    )


def cluster(name: str, members: Sequence[str] = (), exemplars: Sequence[str] = ()) -> Cluster:
    return Cluster(
        id=name,
        name=f"Topic {name}",
        description=None,
        member_chunk_ids=list(members),
        centroid=struct.pack("<2f", 0.6, 0.8),
        exemplar_ids=list(exemplars),
        membership_hash="5eed",
        created_at="2025-01-02T00:00:00.000Z",
        refreshed_at=None,
    )


def membership(member: str, of: str, distance: float = 0.25) -> Membership:
    return Membership(chunk_id=member, cluster_id=of, distance=distance)


def vector_clock(name: str, project: str) -> VectorClock:
    return VectorClock(id=name, project_slug=project, clock={"ui": 7}, updated_at="2025-01-03 00:00:00")


def vector(name: str, *numbers: float) -> Vector:
    return Vector(chunk_id=name, embedding=struct.pack(f"<{len(numbers)}f", *numbers))


def memory() -> list[Batch]:
    """Make a memory of three projects (one called ''), not sorted by id, with links within and across them.

    Chunk c5 stands alone; cluster k3 has no members; vector "gone" has no chunk.
    """
    return [
        [chunk("c3"), chunk("c1")],
        [chunk("c2", ""), chunk("c4", "café-kiosk"), chunk("c5", "café-kiosk")],
        [edge("e2", "c3", "c1"), edge("e1", "c1", "c2"), edge("e3", "c2", "c2"), edge("e4", "c4", "c3")],
        [cluster("k2", ["c3", "c2"], ["c2", "c3"]), cluster("k1", ["c1"], ["c1"]), cluster("k3")],
        [membership("c3", "k2"), membership("c2", "k2", 0.5), membership("c1", "k1", 0.0)],
        [vector_clock("project:tide-tables", "tide-tables"), vector_clock("agent::ui", "")],
        [vector("c3", 1.0, 0.0), vector("c2", 0.0, 1.0), vector("gone", -1.0, 0.5), vector("c1", 0.5, -0.5)],
    ]


def manifest_of(batches: Iterable[Batch], created: str = CREATED) -> Manifest:
    """Announce exactly these records."""
    records = list(flat(batches))
    count = {kind: sum(type(record) is kind for record in records) for kind in RECORD_TYPES}
    return Manifest(
        version=VERSION,
        created=created,
        chunk_count=count[Chunk],
        edge_count=count[Edge],
        cluster_count=count[Cluster],
        projects=sorted({record.session_slug for record in records if isinstance(record, Chunk)}),
        membership_count=count[Membership],
        vector_clock_count=count[VectorClock],
        vector_count=count[Vector],
    )


def flat(batches: Iterable[Batch]) -> Iterable[AnyRecord]:
    for batch in batches:
        yield from batch


def fill(store: MemoryStore, batches: Sequence[Batch]) -> Replaced:
    """Make a store hold these records."""
    return store.replace(manifest_of(batches), batches)


@cache
def _database() -> bytes:
    with TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder, "memory.db"))
        fill(store, memory())
        return store.path.read_bytes()


def sqlite_store(path: Path) -> SqliteStore:
    """Put a store that holds `memory()` at a place, without waiting for the disk: it is made once, and copied."""
    path.write_bytes(_database())
    return SqliteStore(path)


def contents(store: MemoryStore, selection: Selection | None = None) -> list[AnyRecord]:
    """Read every record, in order."""
    with store.snapshot(selection or Selection(), CREATED) as snapshot:
        return list(flat(snapshot.batches()))


class Trip(NamedTuple):
    """What came of a round trip."""

    manifest: Manifest
    oddities: list[Oddity]
    odd_rows: int
    replaced: Replaced


def through_archive(source: MemoryStore, target: MemoryStore, file: Path) -> Trip:
    """Export one store into a real archive file and restore the other from it."""
    with source.snapshot(Selection(), CREATED) as snapshot, file.open("wb+") as archive_file:
        write_archive(archive_file, snapshot.manifest, snapshot.batches(), seal=None, compression="none")
        archive = open_archive(archive_file, None)
        replaced = target.replace(archive.manifest, archive.batches())
        return Trip(snapshot.manifest, snapshot.oddities, snapshot.odd_rows, replaced)


Value: TypeAlias = tuple[str, bytes | int | str | None]
"""What SQLite calls the type, and the value bit for bit: a real number in hexadecimal, text as its bytes."""

Rows: TypeAlias = dict[str, list[tuple[Value, ...]]]


def rows_of(path: Path) -> Rows:
    """Read every ordinary table as it is in the file, in the order of its rows, each value with its type.

    The memory's own are given even where they are not there, without rows.
    """
    listed = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT GLOB 'sqlite_*'"
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        names = {table.name for table in TABLES} | {name.decode() for (name,) in connection.execute(listed)}
        return {name: _rows(connection, name) for name in sorted(names)}


def _rows(connection: sqlite3.Connection, table: str) -> list[tuple[Value, ...]]:
    info = connection.execute("SELECT name FROM pragma_table_xinfo(?)", (table,))
    columns = [quoted(name.decode()) for (name,) in info]
    if not columns:
        return []
    pairs = ", ".join(f"typeof({column}), {column}" for column in columns)
    rows = connection.execute(f"SELECT {pairs} FROM {quoted(table)} NOT INDEXED").fetchall()
    return [tuple(_value(kind, value) for kind, value in zip(row[::2], row[1::2], strict=True)) for row in rows]


def _value(kind: bytes, value: bytes | float | None) -> Value:
    return kind.decode(), value.hex() if isinstance(value, float) else value


def row_numbers(path: Path) -> dict[str, list[int]]:
    """Read SQLite's own numbers of the rows of every ordinary table that has such, under whatever name, in order."""
    listed = (
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT wr AND name NOT GLOB ?"
    )
    found = {}
    with closing(sqlite3.connect(path)) as connection:
        for (table,) in connection.execute(listed, ("sqlite_*",)).fetchall():
            columns = connection.execute("SELECT lower(name) FROM pragma_table_xinfo(?)", (table,))
            free = {"rowid", "oid", "_rowid_"}.difference(name for (name,) in columns)
            if free:
                number = min(free)
                numbers = connection.execute(f"SELECT {number} FROM {quoted(table)} NOT INDEXED ORDER BY {number}")
                found[table] = [row[0] for row in numbers]
    return found


def execute(path: Path, *statements: str) -> None:
    """Run SQL in a database file (made when it is not there), behind the program's back, and commit."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for sql in statements:
            connection.executescript(sql)


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    """Ask a database file, behind the program's back."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def exhaust(snapshot: Snapshot) -> int:
    """Read a snapshot to its end, keeping nothing; gives the number of records."""
    return sum(map(len, snapshot.batches()))
