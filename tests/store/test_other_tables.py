"""Which rows of tables beyond ECM's own belong to an export, and how they are read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from builders import CREATED, execute, flat, sqlite_store

from ecm_agent.model.manifest import Manifest, Selection
from ecm_agent.model.records import Exact, TableRow
from ecm_agent.store.describing import describe
from ecm_agent.store.other_tables import leads_nowhere, references

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ecm_agent.model.records import Cell
    from ecm_agent.store.base import Oddity
    from ecm_agent.store.sqlite import SqliteStore

TABLES = """
CREATE TABLE sessions (id TEXT PRIMARY KEY, project_slug TEXT);
CREATE TABLE notes (id TEXT PRIMARY KEY, session_slug TEXT, chunk TEXT REFERENCES chunks);
CREATE TABLE mentions (chunk TEXT REFERENCES Chunks (id), session TEXT REFERENCES sessions, v);
CREATE TABLE cache (k TEXT PRIMARY KEY, embedding BLOB);
CREATE TABLE plain (v);
CREATE TABLE empty (v);
CREATE VIRTUAL TABLE own USING fts5(a);
CREATE VIRTUAL TABLE boxes USING rtree(id, a, b);
INSERT INTO sessions VALUES ('s1', 'tide-tables'), ('s2', 'café-kiosk'), ('s3', NULL);
INSERT INTO notes VALUES ('n1', 'tide-tables', 'c1'), ('n2', 'tide-tables', NULL), ('n3', 'tide-tables', 'c5'),
  ('n4', 'café-kiosk', 'c5'), ('n5', NULL, 'c1');
INSERT INTO mentions VALUES ('c1', 's1', 1), ('c1', NULL, 2), (NULL, 's1', 3), (NULL, NULL, 4), ('c1', 's2', 5),
  ('c5', 's2', 6);
INSERT INTO cache VALUES ('k', x'00');
INSERT INTO plain VALUES (1), (2);
INSERT INTO own (rowid, a) VALUES (7, 'ebb');
INSERT INTO boxes VALUES (1, 0, 1);
"""


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    store = sqlite_store(tmp_path / "memory.db")
    execute(store.path, TABLES)
    return store


def read(store: SqliteStore, selection: Selection) -> tuple[Manifest, dict[str, list[list[Cell]]], list[Oddity]]:
    rows: dict[str, list[list[Cell]]] = {}
    with store.snapshot(selection, CREATED) as snapshot:
        for record in flat(snapshot.batches((TableRow,))):
            assert isinstance(record, TableRow)
            rows.setdefault(record.table, []).append(record.values)
        return snapshot.manifest, rows, snapshot.oddities


def firsts(rows: Iterable[list[Cell]]) -> list[Cell]:
    return [values[0] for values in rows]


def test_a_whole_export_holds_every_row(store: SqliteStore) -> None:
    """As many as the manifest says of each table; what cannot be read is counted as left out."""
    manifest, rows, oddities = read(store, Selection())
    assert {name: len(found) for name, found in rows.items()} == {name: n for name, n in manifest.rows().items() if n}
    assert manifest.rows() == {
        "sessions": 3, "notes": 5, "mentions": 6, "cache": 1, "plain": 2, "empty": 0, "own": 1,
    }  # fmt: skip
    assert (manifest.row_count, manifest.left_out, oddities) == (18, {"boxes": 1}, [])
    assert rows["own"] == [[7, "ebb"]]


def test_rows_belong_to_a_project_they_name_or_refer_to(store: SqliteStore) -> None:
    """All that a row refers to must; a row that refers to nothing belongs only where it names the project itself."""
    manifest, rows, _ = read(store, Selection(projects=("tide-tables",)))
    assert firsts(rows["sessions"]) == ["s1"]
    assert firsts(rows["notes"]) == ["n1", "n2"]
    assert [values[2] for values in rows["mentions"]] == [1, 2, 3]
    assert manifest.left_out == {"cache": 1, "plain": 2, "own": 1, "boxes": 1}
    assert manifest.schema
    assert manifest.schema.foreign == []


def test_tables_can_be_left_out_by_name(store: SqliteStore) -> None:
    """They are described, named as excluded, and counted."""
    manifest, rows, _ = read(store, Selection(exclude=("cache", "own", "unknown")))
    assert (manifest.excluded, manifest.left_out) == (["cache", "own"], {"cache": 1, "own": 1, "boxes": 1})
    assert not rows.keys() & {"cache", "own"}
    assert manifest.schema
    assert "cache" in {table.name for table in manifest.schema.tables}


def test_without_vectors_no_table_of_embeddings_is_exported(store: SqliteStore) -> None:
    """Texts can be guessed from them, wherever they are."""
    manifest, rows, _ = read(store, Selection(vectors=False))
    assert "cache" not in rows
    assert manifest.left_out == {"cache": 1, "boxes": 1, "vectors": 4}


def test_a_redacted_export_holds_nothing_of_other_tables(store: SqliteStore) -> None:
    """Nobody knows which of their columns hold texts; not even the schema goes out, whose texts are somebody's too."""
    manifest, rows, _ = read(store, Selection(redact=("paths",)))
    assert (rows, manifest.schema, manifest.row_count) == ({}, None, None)
    assert manifest.left_out.keys() == {"sessions", "notes", "mentions", "cache", "plain", "own", "boxes"}


def test_values_are_kept_exactly_and_odd_ones_named(store: SqliteStore) -> None:
    """What JSON has no word for is named by its column, never by what it holds; blobs are nothing odd."""
    execute(store.path, "INSERT INTO cache VALUES ('odd', CAST(x'ff' AS TEXT)), ('far', 9e999)")
    _, rows, oddities = read(store, Selection())
    assert rows["cache"] == [["k", Exact(blob=b"\0")], ["odd", Exact(text=b"\xff")], ["far", Exact(real="inf")]]
    assert [(one.table, one.row, one.found.split()[0]) for one in oddities] == [
        ("cache", "odd", "embedding"),
        ("cache", "far", "embedding"),
    ]


def test_a_warning_never_shows_a_value(store: SqliteStore) -> None:
    """A row without a key has no name: its first value may be anybody's secret."""
    execute(store.path, "DELETE FROM plain; INSERT INTO plain VALUES (CAST('secret' || x'ff' AS TEXT))")
    _, _, (oddity,) = read(store, Selection())
    assert (oddity.table, oddity.row) == ("plain", "one without a key")


def test_batches_are_small_whatever_the_rows_hold(store: SqliteStore) -> None:
    """No batch holds more than some four megabytes and one row, nor more than a few hundred rows."""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})"
    execute(store.path, f"{numbers.format(12)} INSERT INTO plain SELECT zeroblob(1000000) FROM n")
    execute(store.path, f"{numbers.format(2000)} INSERT INTO empty SELECT i FROM n")
    with store.snapshot(Selection(), CREATED) as snapshot:
        firsts_of = [(batch[0], len(batch)) for batch in snapshot.batches((TableRow,))]
        batches = [(first.table, rows) for first, rows in firsts_of if isinstance(first, TableRow)]
    assert max(rows for table, rows in batches if table == "plain") <= 7
    assert max(rows for table, rows in batches) <= 512
    assert sum(rows for table, rows in batches if table == "empty") == 2000


def test_references_are_those_that_can_be_followed() -> None:
    """Case does not matter; a key to a table without one, or of another length, is SQLite's word for a mistake."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript("""
            CREATE TABLE index_entries (id TEXT PRIMARY KEY);
            CREATE TABLE pair (a, b, PRIMARY KEY (a, b));
            CREATE TABLE bare (a);
            CREATE TABLE index_vectors (id REFERENCES Index_Entries, x REFERENCES pair, y REFERENCES bare,
              z REFERENCES nowhere, v REFERENCES bare (b), FOREIGN KEY (x, y) REFERENCES PAIR);
        """)
        schema = describe(database)
    to_entries = (["id"], "index_entries", ["id"])
    found = list(references(schema.tables[-1], schema))
    assert found == [to_entries, (["x", "y"], "pair", ["a", "b"]), to_entries]
    assert len(list(leads_nowhere(found))) == 3
