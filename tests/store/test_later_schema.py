"""A merge into a store of a later generation, with full-text triggers and tables that no archive holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from builders import CREATED, chunk, execute, manifest_of, memory, sqlite_store
from injection import ARRIVING, FULL_TEXT, merge, state
from msgspec.structs import replace

from ecm_agent.archive import open_archive, write_archive
from ecm_agent.errors import StoreUnreadable
from ecm_agent.model.manifest import Selection

if TYPE_CHECKING:
    from pathlib import Path

    from ecm_agent.store.base import Changes, OnConflict
    from ecm_agent.store.sqlite import SqliteStore

LATER_SCHEMA = """
DROP TABLE vector_clocks;
ALTER TABLE chunks DROP COLUMN vector_clock;
ALTER TABLE chunks ADD COLUMN team_name TEXT;
ALTER TABLE edges DROP COLUMN vector_clock;
ALTER TABLE vectors ADD COLUMN orphaned_at TEXT DEFAULT NULL;
ALTER TABLE vectors ADD COLUMN model_id TEXT DEFAULT 'small';
CREATE TABLE entities (id TEXT PRIMARY KEY, canonical_name TEXT NOT NULL);
CREATE TABLE entity_mentions (
  chunk_id TEXT NOT NULL REFERENCES chunks(id) ON DELETE CASCADE,
  entity_id TEXT NOT NULL REFERENCES entities(id) ON DELETE CASCADE,
  PRIMARY KEY (chunk_id, entity_id)
);
CREATE TABLE retrieval_feedback (chunk_id TEXT NOT NULL REFERENCES chunks(id) ON DELETE CASCADE, tool_name TEXT);
INSERT INTO entities VALUES ('harbour', 'the harbour');
INSERT INTO entity_mentions SELECT id, 'harbour' FROM chunks;
INSERT INTO retrieval_feedback SELECT id, 'search' FROM chunks;
UPDATE schema_version SET version = 16;
"""
OTHERS = (
    "schema",
    "rows of entities",
    "rows of entity_mentions",
    "rows of retrieval_feedback",
    "rows of schema_version",
)


def later(path: Path) -> SqliteStore:
    store = sqlite_store(path)
    execute(path, LATER_SCHEMA, FULL_TEXT)
    return store


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return later(tmp_path / "later.db")


def merged(store: SqliteStore, source: SqliteStore, file: Path, on_conflict: OnConflict = "ours") -> Changes:
    """Export one store and merge the archive into another."""
    with source.snapshot(Selection(), CREATED) as snapshot, file.open("wb+") as archive_file:
        write_archive(archive_file, snapshot.manifest, snapshot.batches(), seal=None, compression="none")
        archive = open_archive(archive_file, None)
        return store.merge(archive.manifest, archive.batches(), on_conflict)


def found(store: SqliteStore, words: str) -> set[str]:
    """Give the chunks that the full-text index leads to."""
    sql = "SELECT id FROM chunks_fts JOIN chunks ON chunks.rowid = chunks_fts.rowid WHERE chunks_fts MATCH ?"
    with closing(sqlite3.connect(store.path)) as database:
        return {name for (name,) in database.execute(sql, (words,))}


def test_what_an_archive_does_not_hold_stays_as_it_is(store: SqliteStore) -> None:
    """Mentions and feedback of chunks that are changed stay theirs, and the schema is the store's own."""
    before = state(store.path)
    merge(store)
    after = state(store.path)
    assert {name: after[name] for name in OTHERS} == {name: before[name] for name in OTHERS}
    assert after["rows of chunks"] != before["rows of chunks"]
    assert after["foreign_key_check"] == []


def test_full_text_search_finds_what_was_merged(store: SqliteStore) -> None:
    """New chunks are found, changed ones by what they say now, untouched ones as before; the index is sound."""
    merge(store)
    state(store.path)  # runs the index's own check
    assert found(store, "neap") == {"c3", "n1", "n2", "n3"}
    assert found(store, "differs") == {"c4"}
    assert found(store, "water") == {"c1", "c2", "c5"}


def test_an_archive_of_a_changed_copy_is_merged(store: SqliteStore, tmp_path: Path) -> None:
    """Between two stores of the later generation only what differs is merged, by the archive's word if asked."""
    copy = later(tmp_path / "copy.db")
    same = merged(store, copy, tmp_path / "same.json")
    assert same.none
    assert same.total("skipped", "chunks") == sum(map(len, memory()[:2]))
    execute(copy.path, "UPDATE chunks SET content = 'slack tide' WHERE id = 'c1'")
    columns = "session_id, session_slug, turn_indices, start_time, end_time"
    execute(copy.path, f"INSERT INTO chunks (id, content, {columns}) SELECT 'n1', 'ebb', {columns} FROM chunks LIMIT 1")
    changes = merged(store, copy, tmp_path / "changed.json", "theirs")
    assert (changes.total("added"), changes.total("conflicts"), changes.no_place) == (1, 1, {})
    state(store.path)
    assert (found(store, "slack"), found(store, "ebb")) == ({"c1"}, {"n1"})


def test_without_a_place_for_clocks_nothing_tells_which_is_later(store: SqliteStore) -> None:
    """What differs is in conflict even where the archive has clocks; those are told to have no place."""
    changes = store.merge(manifest_of(ARRIVING), ARRIVING)
    assert [(one.record, one.columns) for one in changes.conflicts if one.section == "chunks"] == [
        ("c3", ["content"]),
        ("c4", ["content"]),
    ]
    assert changes.no_place == {"chunks.vector_clock": 6, "edges.vector_clock": 9, "vector_clocks": 2}
    assert changes.total("dropped", "vectorClocks") == 2


def test_vectors_get_what_the_later_schema_says_of_them(store: SqliteStore) -> None:
    """Columns that an archive says nothing of take the table's default in new rows, and stay in old ones."""
    execute(store.path, "UPDATE vectors SET model_id = 'large'")
    merge(store)
    with closing(sqlite3.connect(store.path)) as database:
        models = dict(database.execute("SELECT id, model_id FROM vectors"))
    assert models == {"c3": "large", "c2": "large", "gone": "large", "c1": "large", "n1": "small"}


def test_an_index_that_is_damaged_already_is_not_made_worse(store: SqliteStore) -> None:
    """A merge that a damaged full-text index does not let through is told of, and changes nothing."""
    execute(store.path, "DELETE FROM chunks_fts_data")
    rows = "SELECT * FROM chunks"
    with closing(sqlite3.connect(store.path)) as database:
        before = database.execute(rows).fetchall()
        with pytest.raises(StoreUnreadable, match="is damaged"):
            store.merge(manifest_of([]), [[replace(chunk("c1"), content="slack tide")], [*ARRIVING[2]]], "theirs")
        assert database.execute(rows).fetchall() == before
