"""Stores made anew: of which generation, and that they work."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from builders import chunk, edge, execute, manifest_of, query, vector
from msgspec.structs import replace

from ecm_agent.model.manifest import CAUSANTIC as CAUSANTIC_FORMAT
from ecm_agent.model.manifest import FORMAT, Selection
from ecm_agent.store.generations import CAUSANTIC, ECM, GENERATIONS, generation_for, generation_of
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from ecm_agent.model.records import Batch
    from ecm_agent.store.generations import Generation

RECORDS: list[Batch] = [[chunk("c1"), chunk("c2")], [edge("e1", "c1", "c2")], [vector("c1", 1.0)]]


@pytest.mark.parametrize(
    ("format_", "version", "expected"),
    [
        (FORMAT, None, ECM),
        (FORMAT, 1, ECM),
        (FORMAT, 2, ECM),
        (FORMAT, 3, CAUSANTIC),
        (FORMAT, 16, CAUSANTIC),
        (FORMAT, 99, CAUSANTIC),
        (CAUSANTIC_FORMAT, None, CAUSANTIC),
        (CAUSANTIC_FORMAT, 2, CAUSANTIC),
    ],
)
def test_an_archive_chooses_the_generation(format_: str, version: int | None, expected: Generation) -> None:
    """Archives of Causantic, and of stores past ECM's last schema, make a store of Causantic's; all others of ECM's."""
    manifest = replace(manifest_of(RECORDS), format=format_, schema_version=version)
    assert generation_for(manifest) is expected


@pytest.mark.parametrize("generation", GENERATIONS.values(), ids=list(GENERATIONS))
def test_what_does_not_exist_is_made_of_that_generation(tmp_path: Path, generation: Generation) -> None:
    """Replacing, merging into and comparing with a store that is not there agree about what has no place in it."""
    manifest = replace(manifest_of(RECORDS), schema_version=generation.version)
    replaced = SqliteStore(tmp_path / "replaced.db").replace(manifest, RECORDS)
    planned = SqliteStore(tmp_path / "merged.db").compare(manifest, RECORDS)
    merged = SqliteStore(tmp_path / "merged.db").merge(manifest, RECORDS)
    clocks = {} if generation is ECM else {"chunks.vector_clock": 2, "edges.vector_clock": 1}
    assert replaced.no_place == planned.no_place == merged.no_place == clocks
    for name in ("replaced.db", "merged.db"):
        store = SqliteStore(tmp_path / name)
        assert query(store.path, "SELECT version FROM schema_version") == [(generation.version,)]
        assert (store.problems(), store.chunk_count()) == ([], 2)


@pytest.mark.parametrize(("version", "expected"), [(None, ECM), (0, ECM), (2, ECM), (3, CAUSANTIC), (17, CAUSANTIC)])
def test_a_store_is_nearest_to_one_of_them(version: int | None, expected: Generation) -> None:
    """What lies between the two, or beyond, is taken for the later one."""
    assert generation_of(version) is expected


@pytest.mark.parametrize("generation", GENERATIONS.values(), ids=list(GENERATIONS))
@pytest.mark.parametrize("merge", [False, True], ids=["replace", "merge"])
def test_a_missing_table_of_vectors_is_made_of_the_stores_generation(
    tmp_path: Path, generation: Generation, *, merge: bool
) -> None:
    """Where the program has not stored a vector yet, the table that holds the first has the columns it would have."""
    store = SqliteStore(tmp_path / "memory.db")
    store.create(generation)
    columns = "SELECT name FROM pragma_table_xinfo('vectors')"
    complete = query(store.path, columns)
    execute(store.path, "DROP TABLE vectors")
    manifest = manifest_of(RECORDS)
    if merge:
        store.merge(manifest, RECORDS)
    else:
        store.replace(manifest, RECORDS)
    assert query(store.path, columns) == complete
    assert query(store.path, "SELECT count(*) FROM vectors") == [(1,)]


INDEXED = {
    "chunks": (
        "content",
        """INSERT INTO chunks (id, session_id, session_slug, turn_indices, start_time, end_time, content)
        VALUES ('c1', 's', 'p', '[]', '', '', 'high tides')""",
    ),
    "index_entries": (
        "description",
        """INSERT INTO index_entries (id, chunk_ids, session_slug, start_time, description)
        VALUES ('i1', '[]', 'p', '', 'high tides')""",
    ),
}


@pytest.mark.parametrize("table", INDEXED)
def test_full_text_follows_every_change(tmp_path: Path, table: str) -> None:
    """What is inserted, changed and deleted is found as it is now, by its stem, and the index stays sound."""
    store = SqliteStore(tmp_path / "memory.db")
    store.create(CAUSANTIC)
    column, insertion = INDEXED[table]
    with closing(sqlite3.connect(store.path, isolation_level=None)) as database:

        def found(word: str) -> int:
            database.execute(f"INSERT INTO {table}_fts({table}_fts, rank) VALUES ('integrity-check', 1)")
            sql = f"SELECT count(*) FROM {table}_fts WHERE {table}_fts MATCH ?"
            return int(database.execute(sql, (word,)).fetchone()[0])

        database.execute(insertion)
        assert (found("tide"), found("slack")) == (1, 0)
        database.execute(f"UPDATE {table} SET {column} = 'slack water'")
        assert (found("tide"), found("slack")) == (0, 1)
        database.execute(f"UPDATE {table} SET session_slug = 'q'")
        assert found("slack") == 1
        database.execute(f"DELETE FROM {table}")
        assert found("slack") == 0


def test_a_new_store_of_either_generation_exports(tmp_path: Path) -> None:
    """An empty store is a store: its snapshot says its version, and that nothing is left out."""
    for generation in GENERATIONS.values():
        store = SqliteStore(tmp_path / f"{generation.name}.db")
        store.create(generation)
        with store.snapshot(Selection(), "2025-01-01T00:00:00.000Z") as snapshot:
            assert (snapshot.manifest.schema_version, snapshot.manifest.left_out) == (generation.version, {})
            assert list(snapshot.batches()) == []
