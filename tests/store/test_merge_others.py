"""Rows of tables beyond ECM's own in a merge: what they are matched by, who is right, and what gives way to none."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from builders import CREATED, execute, rows_of, sqlite_store
from msgspec.structs import replace

from ecm_agent.archive import open_archive, write_archive
from ecm_agent.errors import MergeConflicts
from ecm_agent.model.manifest import Selection
from ecm_agent.store.base import Tally

if TYPE_CHECKING:
    from pathlib import Path

    from ecm_agent.archive import Archive
    from ecm_agent.store.base import Changes, OnConflict
    from ecm_agent.store.sqlite import SqliteStore


class Pair:
    """A store, and a copy of it whose archives are merged into it; `both` is made in each."""

    def __init__(self, folder: Path, *both: str) -> None:
        self.ours, self.theirs = sqlite_store(folder / "ours.db"), sqlite_store(folder / "theirs.db")
        execute(self.ours.path, *both)
        execute(self.theirs.path, *both)

    def merge(self, on_conflict: OnConflict = "ours") -> Changes:
        archive = archive_of(self.theirs)
        return self.ours.merge(archive.manifest, archive.batches(), on_conflict)

    def all(self, sql: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.ours.path)) as database:
            return database.execute(sql).fetchall()


def archive_of(store: SqliteStore, selection: Selection | None = None) -> Archive:
    file = io.BytesIO()
    with store.snapshot(selection or Selection(), CREATED) as snapshot:
        write_archive(file, snapshot.manifest, snapshot.batches(), seal=None, compression="none")
    return open_archive(file, None)


def tally(changes: Changes, table: str) -> Tally:
    return next((one for one in changes.tallies if one.section == table), Tally(table, None))


KEYED = (
    "CREATE TABLE t (a TEXT, b INT, v, PRIMARY KEY (a, b)) {}; INSERT INTO t VALUES ('x', 1, 'same'), ('x', 2, 'old')"
)


@pytest.mark.parametrize("kind", ["", "WITHOUT ROWID", "STRICT"])
@pytest.mark.parametrize(("on_conflict", "stands"), [("ours", "old"), ("theirs", "new")])
def test_rows_are_matched_by_their_whole_key(kind: str, on_conflict: OnConflict, stands: str, tmp_path: Path) -> None:
    """The same is skipped, another key added; one key with other content is a conflict, settled as asked, and named."""
    pair = Pair(tmp_path, KEYED.format(kind).replace(" v,", " v TEXT,"))
    execute(pair.theirs.path, "UPDATE t SET v = 'new' WHERE b = 2; INSERT INTO t VALUES ('y', 1, 'added')")
    changes = pair.merge(on_conflict)
    assert pair.all("SELECT * FROM t ORDER BY a, b") == [("x", 1, "same"), ("x", 2, stands), ("y", 1, "added")]
    assert tally(changes, "t") == Tally("t", None, added=1, skipped=1, conflicts=1)
    assert [(one.section, one.record, one.columns) for one in changes.conflicts] == [("t", "x, 2", ["v"])]


def test_null_is_no_key(tmp_path: Path) -> None:
    """Rows whose key is NULL, as SQLite lets in, are known by all they say: none is taken for another, none is lost."""
    pair = Pair(
        tmp_path, "CREATE TABLE t (a TEXT PRIMARY KEY, v); INSERT INTO t VALUES (NULL, 1), (NULL, 1), (NULL, 2)"
    )
    assert (pair.merge().none, tally(pair.merge(), "t")) == (True, Tally("t", None, skipped=3))
    execute(pair.ours.path, "DELETE FROM t")
    assert tally(pair.merge(), "t") == Tally("t", None, added=3)
    execute(pair.theirs.path, "INSERT INTO t VALUES (NULL, 1), (NULL, 3)")
    assert tally(pair.merge(), "t") == Tally("t", None, added=2, skipped=3)
    assert pair.all("SELECT v FROM t ORDER BY v") == [(1,), (1,), (1,), (2,), (3,)]


def test_a_conflict_can_stop_it_all(tmp_path: Path) -> None:
    """With `fail`, nothing is merged, and the file is as it was."""
    pair = Pair(tmp_path, KEYED.format(""))
    execute(pair.theirs.path, "UPDATE t SET v = 'new'; DELETE FROM chunks WHERE id = 'c5'")
    before = pair.ours.path.read_bytes()
    with pytest.raises(MergeConflicts, match="t x, 1"):
        pair.merge("fail")
    assert pair.ours.path.read_bytes() == before


def test_rows_without_a_key_are_counted_by_their_values(tmp_path: Path) -> None:
    """What the archive has more often is added as often as is missing; types count; a second time adds nothing."""
    pair = Pair(tmp_path, "CREATE TABLE t (v); INSERT INTO t VALUES (1), (1), ('1'), (NULL)")
    execute(pair.theirs.path, "INSERT INTO t VALUES (1), (1), (x'31'), (NULL), (1.0)")
    execute(pair.ours.path, "INSERT INTO t VALUES ('mine')")
    assert tally(pair.merge(), "t") == Tally("t", None, added=5, skipped=4)
    assert sorted(map(repr, pair.all("SELECT typeof(v), count(*) FROM t GROUP BY typeof(v)"))) == sorted(
        map(repr, [("blob", 1), ("integer", 4), ("null", 2), ("real", 1), ("text", 2)])
    )
    assert pair.merge().none


RULES = {
    "ingestion_checkpoints": ("session_id TEXT PRIMARY KEY, last_turn_index INT, v", "last_turn_index", 4, 9),
    "session_states": ("session_id TEXT PRIMARY KEY, ended_at TEXT, v", "ended_at", "2025-01-01", "2025-01-02"),
    "entities": ("id TEXT PRIMARY KEY, updated_at TEXT, v", "updated_at", "2025-01-01", "2025-01-02"),
    "hdbscan_models": ("id TEXT PRIMARY KEY, created_at TEXT, v", "created_at", "2025-01-01", "2025-01-02"),
}


@pytest.mark.parametrize("table", RULES)
@pytest.mark.parametrize("theirs_is_later", [True, False])
def test_of_rows_that_say_when_the_later_is_right(table: str, theirs_is_later: bool, tmp_path: Path) -> None:
    """Whichever side it is on, whatever was asked for: there is no conflict to settle."""
    columns, column, early, late = RULES[table]
    pair = Pair(tmp_path, f"CREATE TABLE {table} ({columns}); INSERT INTO {table} VALUES ('k', {early!r}, 'early')")
    later = pair.theirs if theirs_is_later else pair.ours
    execute(later.path, f"UPDATE {table} SET v = 'late', {column} = {late!r}")
    changes = pair.merge("ours" if theirs_is_later else "theirs")
    assert pair.all(f"SELECT * FROM {table}") == [("k", late, "late")]
    assert tally(changes, table) == Tally(table, None, updated=theirs_is_later, skipped=not theirs_is_later)


JOINS = {
    "entities": ("created_at", "2025-01-02", "2025-01-01", "2025-01-01"),
    "entity_mentions": ("confidence", 0.5, 0.75, 0.75),
    "index_entries": ("created_at", "2025-01-02", "2025-01-01", "2025-01-01"),
    "index_vectors": ("orphaned_at", "2025-01-02", None, None),
    "embedding_cache": ("hit_count", 3, 7, 7),
}


@pytest.mark.parametrize("table", JOINS)
@pytest.mark.parametrize("swapped", [False, True])
def test_bookkeeping_is_joined_and_no_conflict(table: str, swapped: bool, tmp_path: Path) -> None:
    """When something was first seen, how often, how surely: one value stands for both, whichever side has it."""
    column, one, other, joined = JOINS[table]
    pair = Pair(tmp_path, f"CREATE TABLE {table} (id TEXT PRIMARY KEY, {column})")
    for store, value in zip(
        (pair.theirs, pair.ours) if swapped else (pair.ours, pair.theirs), (one, other), strict=True
    ):
        execute(store.path, f"INSERT INTO {table} VALUES ('k', {'NULL' if value is None else repr(value)})")
    assert pair.merge().conflicts == []
    assert pair.all(f"SELECT {column} FROM {table}") == [(joined,)]


@pytest.mark.parametrize("replaces", ["", " ON CONFLICT REPLACE"])
def test_a_value_that_must_be_unique_replaces_nothing(replaces: str, tmp_path: Path) -> None:
    """New or changed, a row whose value another row has is a conflict; both of the store's rows stay."""
    pair = Pair(tmp_path, f"CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT UNIQUE{replaces})")
    execute(pair.ours.path, "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    execute(pair.theirs.path, "INSERT INTO t VALUES (2, 'a'), (3, 'b')")
    changes = pair.merge("theirs")
    assert pair.all("SELECT * FROM t") == [(1, "a"), (2, "b")]
    assert tally(changes, "t") == Tally("t", None, conflicts=2)
    assert {tuple(one.columns) for one in changes.conflicts} == {("a value that must be unique",)}
    assert changes.none


REFERRING = """
CREATE TABLE p (id TEXT PRIMARY KEY, up TEXT REFERENCES p);
CREATE TABLE by_number (k INTEGER PRIMARY KEY, chunk TEXT REFERENCES chunks (id) ON DELETE CASCADE,
  p TEXT REFERENCES p);
CREATE TABLE by_key (chunk TEXT REFERENCES chunks ON DELETE CASCADE, p TEXT REFERENCES P (ID), PRIMARY KEY (chunk, p))
  WITHOUT ROWID;
CREATE TABLE by_none (chunk TEXT REFERENCES chunks, rowid);
INSERT INTO p VALUES ('here', NULL);
INSERT INTO by_number VALUES (50, 'c1', 'here');
"""


def test_what_refers_to_nothing_is_dropped_and_named(tmp_path: Path) -> None:
    """Whatever tells its rows apart, and where it referred to what is dropped itself; what was there already stays."""
    pair = Pair(tmp_path, REFERRING, "INSERT INTO by_key VALUES ('c1', 'lost already')")
    execute(
        pair.theirs.path,
        "INSERT INTO p VALUES ('lost', 'nowhere'), ('lost too', 'lost'), ('found', 'here')",
        "INSERT INTO by_number VALUES (7, 'c1', 'lost too'), (8, 'gone', NULL), (9, NULL, 'found')",
        "INSERT INTO by_key VALUES ('c1', 'lost'), ('gone', 'found'), ('c2', 'found')",
        "INSERT INTO by_none VALUES ('gone', 1), ('c1', 1), ('gone', 1)",
    )
    changes = pair.merge()
    assert pair.all("SELECT * FROM p") == [("here", None), ("found", "here")]
    assert pair.all("SELECT * FROM by_number") == [(9, None, "found"), (50, "c1", "here")]
    assert pair.all("SELECT * FROM by_key") == [("c1", "lost already"), ("c2", "found")]
    assert pair.all("SELECT * FROM by_none") == [("c1", 1)]
    assert changes.total("dropped") == changes.dangling == 8
    assert {one.table for one in changes.dropped} == {"p", "by_number", "by_key", "by_none"}
    assert ("by_key", "gone, found") in {(one.table, one.row) for one in changes.dropped}
    assert pair.merge().none


def test_a_row_is_not_changed_to_refer_to_nothing(tmp_path: Path) -> None:
    """What would tie a row of the store to what is nowhere is undone, and named."""
    pair = Pair(tmp_path, REFERRING)
    execute(pair.theirs.path, "UPDATE by_number SET p = 'nowhere'")
    changes = pair.merge("theirs")
    assert pair.all("SELECT * FROM by_number") == [(50, "c1", "here")]
    assert (tally(changes, "by_number").dropped, changes.none) == (1, True)


def test_a_foreign_key_that_is_a_mistake_hinders_nothing(tmp_path: Path) -> None:
    """SQLite lets one be declared that no row can ever follow; such rows are merged as others are."""
    pair = Pair(tmp_path, "CREATE TABLE q (a, b); CREATE TABLE t (a REFERENCES q, b REFERENCES nowhere)")
    execute(pair.theirs.path, "INSERT INTO t VALUES (1, 2)")
    assert tally(pair.merge(), "t").added == 1


SEARCHED = """
CREATE TABLE notes (id INTEGER PRIMARY KEY, a TEXT);
CREATE VIRTUAL TABLE notes_fts USING fts5(a, content='notes', content_rowid='id');
CREATE TRIGGER notes_new AFTER INSERT ON notes BEGIN INSERT INTO notes_fts(rowid, a) VALUES (new.id, new.a); END;
CREATE TRIGGER mine AFTER INSERT ON notes BEGIN DELETE FROM chunks; END;
CREATE VIRTUAL TABLE own USING fts5(a);
"""


def test_full_text_tables_know_what_was_merged_and_no_trigger_fires(tmp_path: Path) -> None:
    """Derived ones are rebuilt, others take rows by number; a trigger of the store's own sees nothing of it."""
    pair = Pair(tmp_path, SEARCHED)
    execute(pair.theirs.path, "INSERT INTO own (rowid, a) VALUES (5, 'ebb'), (6, 'flood')", "DROP TRIGGER mine")
    execute(pair.theirs.path, "INSERT INTO notes VALUES (3, 'neap tide')")
    execute(pair.ours.path, "INSERT INTO own (rowid, a) VALUES (5, 'ebb'), (9, 'slack')")
    changes = pair.merge()
    assert pair.all("SELECT rowid FROM notes_fts WHERE notes_fts MATCH 'neap'") == [(3,)]
    assert pair.all("SELECT rowid, a FROM own") == [(5, "ebb"), (6, "flood"), (9, "slack")]
    assert tally(changes, "own") == Tally("own", None, added=1, skipped=1)
    assert pair.all("SELECT count(*) FROM chunks") == [(5,)]
    assert pair.all("SELECT name FROM sqlite_master WHERE type = 'trigger'") == [("notes_new",), ("mine",)]
    assert pair.ours.problems() == []


def test_what_a_store_has_no_place_for_is_counted(tmp_path: Path) -> None:
    """A store of another schema version gets no new tables or columns, and keeps its version."""
    pair = Pair(tmp_path)
    execute(
        pair.theirs.path, "CREATE TABLE t (v); INSERT INTO t VALUES (1), (2); UPDATE schema_version SET version = 9"
    )
    execute(
        pair.theirs.path, "CREATE TABLE u (k INTEGER PRIMARY KEY, v, w); INSERT INTO u VALUES (1, 2, 3), (2, 3, NULL)"
    )
    execute(pair.ours.path, "CREATE TABLE u (k INTEGER PRIMARY KEY, v)")
    versions = rows_of(pair.ours.path)["schema_version"]
    assert pair.merge("theirs").no_place == {"t": 2, "u.w": 1}
    assert rows_of(pair.ours.path)["schema_version"] == versions
    assert pair.all("SELECT * FROM u") == [(1, 2), (2, 3)]


KEPT = """
CREATE TABLE kept (id TEXT PRIMARY KEY, chunk TEXT REFERENCES chunks (id), up TEXT REFERENCES kept);
CREATE TABLE taken (id TEXT PRIMARY KEY);
CREATE TABLE ingestion_checkpoints (session_id TEXT PRIMARY KEY, last_chunk_id TEXT);
INSERT INTO kept VALUES ('a', 'c1', NULL), ('c', NULL, 'b'), ('b', 'lone', NULL), ('d', NULL, 'c');
INSERT INTO taken VALUES ('x');
INSERT INTO ingestion_checkpoints VALUES ('s', 'c1'), ('t', 'lone'), ('u', NULL);
"""


def test_a_replacement_leaves_excluded_tables_without_their_orphans(tmp_path: Path) -> None:
    """Rows that refer to what is gone go as well, and what refers to those; all are counted and named."""
    pair = Pair(tmp_path, KEPT, "INSERT INTO chunks SELECT 'lone', session_id, session_slug, turn_indices, start_time, "
                "end_time, content, 0, 0, 0, NULL, NULL, NULL, 0 FROM chunks WHERE id = 'c1'")  # fmt: skip
    execute(pair.theirs.path, "DELETE FROM chunks WHERE id = 'lone'; DELETE FROM taken")
    archive = archive_of(pair.theirs, Selection(exclude=("kept",)))
    assert (archive.manifest.left_out, archive.manifest.excluded) == ({"kept": 4}, ["kept"])
    replaced = pair.ours.replace(archive.manifest, archive.batches())
    assert pair.all("SELECT id FROM kept") == [("a",)]
    assert pair.all("SELECT * FROM taken") == []
    assert replaced.dropped.records == {"kept": 3}
    assert {one.row for one in replaced.dropped.examples} == {"b", "c", "d"}


def test_checkpoints_of_chunks_that_are_gone_go_with_them(tmp_path: Path) -> None:
    """An archive of a memory program says nothing of them; the program would skip those sessions for ever."""
    pair = Pair(tmp_path, KEPT)
    archive = archive_of(pair.theirs)
    original = replace(archive.manifest, membership_count=None, schema=None, row_count=None)
    batches = [batch for batch in archive.batches() if batch[0].section in {"chunks", "edges", "clusters"}]
    replaced = pair.ours.replace(original, batches)
    assert pair.all("SELECT session_id FROM ingestion_checkpoints") == [("s",), ("u",)]
    assert pair.all("SELECT * FROM taken") == [("x",)]
    assert replaced.dropped.records["ingestion_checkpoints"] == 1


def test_numbers_go_on_after_the_higher_of_both(tmp_path: Path) -> None:
    """A number that either store has given out once is not given out again."""
    pair = Pair(tmp_path, "CREATE TABLE t (k INTEGER PRIMARY KEY AUTOINCREMENT, v)")
    execute(pair.theirs.path, "INSERT INTO t VALUES (40, 'gone'), (3, 'kept'); DELETE FROM t WHERE k = 40")
    pair.merge()
    execute(pair.ours.path, "INSERT INTO t (v) VALUES ('next')")
    assert pair.all("SELECT k FROM t") == [(3,), (41,)]
