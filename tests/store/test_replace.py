"""What a replacement does with a store that is not quite like the archive, and with one that is."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from builders import (
    CREATED,
    LATER,
    chunk,
    cluster,
    contents,
    edge,
    execute,
    fill,
    flat,
    manifest_of,
    membership,
    memory,
    query,
    rows_of,
    sqlite_store,
    vector,
)
from contracts.store_contract import Interruption, breaking_off
from msgspec import UNSET
from msgspec.structs import replace

from ecm_agent.errors import ArchiveInvalid
from ecm_agent.model.manifest import Selection
from ecm_agent.model.records import Chunk, Edge, Exact, TableRow, Vector
from ecm_agent.store.generations import ECM
from ecm_agent.store.schema import TABLES
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from ecm_agent.model.records import Batch

FULL_TEXT = """
CREATE VIRTUAL TABLE chunks_fts USING fts5(content, content = 'chunks', content_rowid = 'rowid');
CREATE TRIGGER chunks_fts_insert AFTER INSERT ON chunks BEGIN
  INSERT INTO chunks_fts(rowid, content) VALUES (new.rowid, new.content);
END;
CREATE TRIGGER chunks_fts_delete AFTER DELETE ON chunks BEGIN
  INSERT INTO chunks_fts(chunks_fts, rowid, content) VALUES ('delete', old.rowid, old.content);
END;
INSERT INTO chunks_fts(chunks_fts) VALUES ('rebuild');
"""
OTHER_TABLES = """
CREATE TABLE ingestion_checkpoints (session_id TEXT PRIMARY KEY, last_turn_index INTEGER NOT NULL);
CREATE TABLE "odd ""name" (id TEXT);
CREATE TABLE unused (id TEXT);
"""
INTEGRITY = "INSERT INTO chunks_fts(chunks_fts, rank) VALUES ('integrity-check', 1)"


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return sqlite_store(tmp_path / "memory.db")


def test_other_tables_stay_where_the_archive_knows_of_none(store: SqliteStore) -> None:
    """An archive that does not say what its store was made of never held them: they are as they were."""
    execute(store.path, OTHER_TABLES, "INSERT INTO ingestion_checkpoints VALUES ('s', 1)")
    execute(store.path, """INSERT INTO "odd ""name" VALUES ('x')""")
    before = rows_of(store.path)
    fill(store, [[chunk("n1")]])
    after = rows_of(store.path)
    assert [record for record in contents(store) if not isinstance(record, TableRow)] == [chunk("n1")]
    for table in ("ingestion_checkpoints", 'odd "name'):
        assert after[table] == before[table] != []


def test_other_tables_come_back(store: SqliteStore) -> None:
    """Rows of tables that nobody has heard of take the place of those that are there."""
    execute(store.path, OTHER_TABLES, "INSERT INTO ingestion_checkpoints VALUES ('s', 1), ('t', 2)")
    before = rows_of(store.path)
    with store.snapshot(Selection(), CREATED) as snapshot:
        manifest, batches = snapshot.manifest, list(snapshot.batches())
    execute(store.path, "UPDATE ingestion_checkpoints SET last_turn_index = 7; DROP TABLE unused")
    store.replace(manifest, batches)
    assert rows_of(store.path) == {name: rows for name, rows in before.items() if name != "unused"}


def test_tables_left_out_stay(store: SqliteStore) -> None:
    """What an archive leaves out by choice is not lost when it takes the store's place, and not archived either."""
    execute(store.path, OTHER_TABLES, "INSERT INTO ingestion_checkpoints VALUES ('s', 1), ('t', 2)")
    with store.snapshot(Selection(exclude=("ingestion_checkpoints",)), CREATED) as snapshot:
        assert snapshot.manifest.left_out == {"ingestion_checkpoints": 2}
        assert snapshot.manifest.excluded == ["ingestion_checkpoints"]
        assert snapshot.manifest.partial
        assert snapshot.manifest.schema_version == ECM.version
        manifest, batches = snapshot.manifest, list(snapshot.batches())
    execute(store.path, "INSERT INTO ingestion_checkpoints VALUES ('u', 3)")
    store.replace(manifest, batches)
    assert query(store.path, "SELECT session_id FROM ingestion_checkpoints") == [("s",), ("t",), ("u",)]


def test_other_tables_without_rows_do_not_hinder(store: SqliteStore) -> None:
    """A store of a later generation whose other tables are empty is replaced, and keeps them."""
    execute(store.path, OTHER_TABLES)
    fill(store, [[chunk("n1")]])
    assert contents(store) == [chunk("n1")]
    assert query(store.path, "SELECT count(*) FROM unused") == [(0,)]


def test_the_schema_of_the_store_stays_its_own(store: SqliteStore) -> None:
    """Replacing rows never touches tables, indexes, triggers or the schema's version."""
    execute(store.path, OTHER_TABLES, FULL_TEXT, "UPDATE schema_version SET version = 16")
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    before = query(store.path, schema), query(store.path, "SELECT * FROM schema_version")
    fill(store, [[chunk("n1")]])
    assert (query(store.path, schema), query(store.path, "SELECT * FROM schema_version")) == before


def test_full_text_search_goes_on(store: SqliteStore) -> None:
    """The triggers that keep a full-text index do their work: it finds what is new, nothing old, and is sound."""
    execute(store.path, FULL_TEXT)
    broken = replace(chunk("n2"), columns={"content": Exact(text=b"neap\xed\xa0\x80")})
    fill(store, [[chunk("n1", content="spring tide"), broken]])
    execute(store.path, INTEGRITY)
    found = "SELECT id FROM chunks JOIN chunks_fts ON chunks.rowid = chunks_fts.rowid WHERE chunks_fts MATCH {!r}"
    assert query(store.path, found.format("spring")) == [("n1",)]
    assert query(store.path, found.format("water")) == []


def test_full_text_search_survives_a_failed_replacement(store: SqliteStore) -> None:
    """When a replacement fails, the index goes back with the rows."""
    execute(store.path, FULL_TEXT)
    batches: list[Batch] = [[chunk("n1", content="spring tide")]]
    with pytest.raises(Interruption):
        store.replace(manifest_of(batches), breaking_off(batches, Interruption()))
    execute(store.path, INTEGRITY)
    assert query(store.path, "SELECT count(*) FROM chunks_fts WHERE chunks_fts MATCH 'water'") == [(5,)]


def test_the_integrity_check_can_fail(store: SqliteStore) -> None:
    """The full-text check these tests rely on does notice an index that differs from its table."""
    execute(store.path, FULL_TEXT, "DROP TRIGGER chunks_fts_delete", "DELETE FROM chunks WHERE id = 'c1'")
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        execute(store.path, INTEGRITY)


def as_original(batches: list[Batch]) -> list[Batch]:
    """Take away what archives of the original program do not carry."""

    def bare(record: object) -> object:
        match record:
            case Chunk():
                names = ("session_id", "agent_id", "spawn_depth", "code_block_count", "tool_use_count", "created_at")
                return replace(record, approx_tokens=UNSET, **dict.fromkeys(names, UNSET))
            case Edge():
                return replace(record, id=UNSET, link_count=UNSET, created_at=UNSET)
        return record

    return [[bare(record) for record in batch] for batch in batches]  # type: ignore[misc] # of the kind it was


ORIGINAL: list[Batch] = as_original(
    [
        [chunk("0b5-chunk-0"), chunk("0b5-chunk-1"), chunk("other")],
        [edge("", "0b5-chunk-0", "other"), edge("", "other", "other")],
        [edge("", "0b5-chunk-0", "other")],
        [cluster("k", ["other"])],
        [membership("other", "k")],
    ]
)


def test_an_archive_of_the_original_program_gives_the_same_rows_twice(store: SqliteStore) -> None:
    """What such an archive lacks is made up from the archive alone, but for the time at which a chunk was put in."""
    imported = []
    for _ in range(2):
        store.replace(manifest_of(ORIGINAL), ORIGINAL)
        execute(store.path, "UPDATE chunks SET created_at = NULL")
        imported.append(rows_of(store.path))
    assert imported[0] == imported[1]


def test_what_the_original_program_left_out_is_filled_in(store: SqliteStore) -> None:
    """Sessions come from the chunk's id, times from the archive, ids of equal edges differ, the rest has defaults."""
    store.replace(manifest_of(ORIGINAL, LATER), ORIGINAL)
    assert query(store.path, "SELECT session_id, spawn_depth, agent_id FROM chunks") == [
        ("0b5", 0, None),
        ("0b5", 0, None),
        ("other", 0, None),
    ]
    assert query(store.path, "SELECT created_at, link_count FROM edges") == [(LATER, 1)] * 3
    assert query(store.path, "SELECT count(DISTINCT id) FROM edges") == [(3,)]


def test_records_with_and_without_an_id_share_a_batch(store: SqliteStore) -> None:
    """Filling in works record by record as well, with the same result, and an id that is given is kept."""
    mixed: list[Batch] = [ORIGINAL[0], [edge("given", "other", "other"), *flat(ORIGINAL[1:3])]]  # type: ignore[list-item] # edges
    store.replace(manifest_of(mixed), mixed)
    ids = [name for (name,) in query(store.path, "SELECT id FROM edges ORDER BY rowid")]
    assert ids[0] == "given"
    assert len(set(ids)) == 4


def test_what_has_no_place_is_listed(tmp_path: Path) -> None:
    """Values for columns and tables the store lacks are counted by name, NULLs and made-up values are not."""
    store = SqliteStore(tmp_path / "memory.db")
    store.create()
    execute(
        store.path,
        "ALTER TABLE chunks DROP COLUMN vector_clock; ALTER TABLE edges DROP COLUMN vector_clock",
        "ALTER TABLE edges DROP COLUMN link_count; ALTER TABLE edges DROP COLUMN created_at",
        "DROP TABLE vector_clocks",
    )
    records: list[Batch] = [
        [replace(chunk("c1"), team_name="tides"), replace(chunk("c2"), vector_clock=None, project_path=None)],
        [replace(chunk("c3"), columns={"mood": "good", "colour": None})],
        [replace(edge("e1", "c1", "c2"), created_at=UNSET)],
        *memory()[5:6],
    ]
    replaced = fill(store, records)
    assert replaced.no_place == {
        "chunks.vector_clock": 2,
        "chunks.team_name": 1,
        "chunks.mood": 1,
        "edges.vector_clock": 1,
        "edges.link_count": 1,
        "vector_clocks": 2,
    }
    assert replaced.records == {"chunks": 3, "edges": 1}


def test_a_value_without_a_place_is_counted_once(tmp_path: Path) -> None:
    """Records that differ in what they carry are counted like others."""
    store = SqliteStore(tmp_path / "memory.db")
    store.create()
    execute(store.path, "ALTER TABLE chunks DROP COLUMN vector_clock")
    assert fill(store, [[chunk("c1"), replace(chunk("c2"), created_at=UNSET)]]).no_place == {"chunks.vector_clock": 2}


def test_vectors_get_their_table(store: SqliteStore) -> None:
    """A store that never held a vector lacks the table for them; it is made when vectors are restored."""
    execute(store.path, "DROP TABLE vectors")
    fill(store, [[chunk("c1")]])
    assert query(store.path, "SELECT name FROM sqlite_master WHERE name = 'vectors'") == []
    assert fill(store, [[chunk("c1")], [vector("c1", 1.0)]]).no_place == {}
    assert contents(store) == [chunk("c1"), vector("c1", 1.0)]


def test_vectors_may_be_numbers(store: SqliteStore) -> None:
    """An array of numbers, as other programs write it, becomes the same little-endian 32-bit floats."""
    fill(store, [[Vector(chunk_id="c1", embedding=[1.0, -0.5, 3.4028234663852886e38])]])
    assert query(store.path, "SELECT hex(embedding) FROM vectors") == [("0000803F000000BFFFFF7F7F",)]


@pytest.mark.parametrize(
    ("record", "named"),
    [
        (Vector(chunk_id="n1", embedding=[1e39]), "vectors .n1. has a number beyond 32-bit floats"),
        (replace(chunk("n1"), spawn_depth=2**63), "chunks, id 'n1'"),
        (replace(chunk("n1"), columns={"content": None}), "chunks, id 'n1'.*chunks.content"),
        (replace(chunk("n1"), columns={"content": Exact(real="4.5")}), 'neither "inf" nor "-inf"'),
        (replace(edge("n1", "x", "y"), columns={"edge_type": None}), "edges, id 'n1'.*edges.edge_type"),
    ],
    ids=["vector", "integer", "NULL", "real", "edge"],
)
def test_a_value_no_store_can_take_makes_the_archive_invalid(
    store: SqliteStore, record: Chunk | Edge | Vector, named: str
) -> None:
    """A hostile or damaged record is refused in words, and nothing is changed."""
    batch: Batch = [record]  # type: ignore[assignment] # one record is all of one kind
    with pytest.raises(ArchiveInvalid, match=named):
        fill(store, [batch])
    assert contents(store) == list(flat(memory()))


def test_a_new_store_has_the_schema_of_version_2(tmp_path: Path) -> None:
    """Every table an archive can hold is there, and the file is for its owner only."""
    store = SqliteStore(tmp_path / "memory.db")
    store.create()
    assert query(store.path, "SELECT version FROM schema_version") == [(ECM.version,)]
    assert query(store.path, "PRAGMA integrity_check") == [("ok",)]
    assert {name for (name,) in query(store.path, "SELECT name FROM sqlite_master WHERE type = 'table'")} == {
        *(table.name for table in TABLES),
        "schema_version",
    }
    assert store.path.stat().st_mode & 0o777 == 0o600


def test_nothing_else_is_left_beside_a_store(tmp_path: Path) -> None:
    """Neither success nor failure leaves a temporary file, or a directory anybody else can read."""
    store = SqliteStore(tmp_path / "deep" / "er" / "memory.db")
    with pytest.raises(Interruption):
        store.replace(manifest_of(memory()), breaking_off(memory(), Interruption()))
    assert list(store.path.parent.iterdir()) == []
    assert store.path.parent.stat().st_mode & 0o777 == 0o700
    fill(store, memory())
    fill(store, memory())
    assert list(store.path.parent.iterdir()) == [store.path]
