"""A store with forty tables nobody has heard of makes every round trip there is, or what is left out is named."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, BinaryIO

import pytest
from builders import CREATED, Rows, execute, row_numbers, rows_of, sqlite_store
from invented import NOT_MADE, TABLES, invented
from msgspec.structs import replace
from workplace import Workplace

from ecm_agent.archive import open_archive, write_archive
from ecm_agent.jobs.drill import drill_file
from ecm_agent.model.manifest import Selection
from ecm_agent.store.describing import describe
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ecm_agent.archive import Archive
    from ecm_agent.model.schema import Schema


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return invented(tmp_path / "invented.db")


@contextmanager
def sealed_nowhere(store: SqliteStore) -> Iterator[BinaryIO]:
    """Give a plain archive of a store."""
    with io.BytesIO() as file:
        with store.snapshot(Selection(), CREATED) as snapshot:
            write_archive(file, snapshot.manifest, snapshot.batches(), seal=None, compression="none")
        yield file


@contextmanager
def archive_of(store: SqliteStore) -> Iterator[Archive]:
    with sealed_nowhere(store) as file:
        yield open_archive(file, None)


def described(store: SqliteStore) -> Schema:
    """Describe what a store is made of, without what no archive can make again."""
    with closing(sqlite3.connect(store.path)) as database:
        return replace(describe(database), foreign=[])


def own(store: SqliteStore) -> dict[str, list[tuple[object, ...]]]:
    """Read what full-text tables hold of their own, by row number, and what is found in others."""
    found = "SELECT rowid FROM notes_fts WHERE notes_fts MATCH '\"spring-tide\"'"
    with closing(sqlite3.connect(store.path)) as database:
        queries = {"pilots": "SELECT rowid, * FROM pilots", "found": found}
        return {name: database.execute(sql).fetchall() for name, sql in queries.items()}


def numbers(store: SqliteStore) -> tuple[int, ...]:
    """Read what the header of a database says it is, for the program that owns it."""
    with closing(sqlite3.connect(store.path)) as database:
        return tuple(database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id"))


def same(store: SqliteStore, other: SqliteStore) -> None:
    """Hold one store against another: rows of every table with their types and numbers, schemas, full-text tables."""
    mine, theirs = rows_of(store.path), rows_of(other.path)
    assert {name: rows for name, rows in theirs.items() if rows != mine.get(name)} == {}
    assert mine.keys() == theirs.keys()
    assert row_numbers(store.path) == row_numbers(other.path)
    assert described(store) == described(other)
    assert own(store) == own(other)
    assert numbers(store) == numbers(other) == (17, -1161904947)
    assert (store.problems(), other.problems()) == ([], [])


def test_the_store_is_what_it_is_said_to_be(store: SqliteStore) -> None:
    """Forty tables, all of SQLite's types in them, and something in each."""
    rows: Rows = {name: found for name, found in rows_of(store.path).items() if "nvented" in name}
    assert len(rows) == TABLES - 4
    assert all(rows.values())
    assert {kind for found in rows.values() for row in found for kind, _ in row} == {
        "integer",
        "real",
        "text",
        "blob",
        "null",
    }


def test_a_new_store_is_the_same_in_every_table(store: SqliteStore, tmp_path: Path) -> None:
    """Restored where there was none: rows, types, schema, indexes, triggers; the rest is named, and not executed."""
    new = SqliteStore(tmp_path / "new.db")
    with archive_of(store) as archive:
        replaced = new.replace(archive.manifest, archive.batches())
        assert archive.manifest.left_out == {"regions": 2}
        assert archive.manifest.schema
        assert {one.name: one.sql.split()[1] for one in archive.manifest.schema.foreign} == {
            "deep": "VIEW",
            "regions": "VIRTUAL",
            "copying": "TRIGGER",
        }
    assert (replaced.not_made, replaced.no_place, replaced.dropped.records) == (NOT_MADE, {}, {})
    same(new, store)


def test_a_changed_copy_becomes_the_same_again(store: SqliteStore, tmp_path: Path) -> None:
    """Replaced where it is there: what the archive leaves out stays, and the store's own trigger does not fire."""
    copy = invented(tmp_path / "copy.db")
    execute(copy.path, "DELETE FROM harbours; UPDATE notes SET title = 'ebb'; DELETE FROM pilots; DELETE FROM chunks")
    execute(copy.path, "INSERT INTO invented_0 VALUES (0, 0, 0, 0); DELETE FROM regions WHERE id = 2")
    with archive_of(store) as archive:
        copy.replace(archive.manifest, archive.batches())
    with closing(sqlite3.connect(copy.path)) as database:
        assert database.execute("SELECT id FROM regions").fetchall() == [(1,)]
        assert database.execute("SELECT name FROM sqlite_master WHERE name IN ('copying', 'deep')").fetchall() != []
    execute(copy.path, "DROP TABLE regions; DROP TRIGGER copying; DROP VIEW deep")
    execute(store.path, "DROP TABLE regions; DROP TRIGGER copying; DROP VIEW deep")
    same(copy, store)


def test_a_merge_into_a_new_store_is_a_restore(store: SqliteStore, tmp_path: Path) -> None:
    """Where there was nothing, what both know is what the archive knows."""
    new = SqliteStore(tmp_path / "new.db")
    with archive_of(store) as archive:
        changes = new.merge(archive.manifest, archive.batches())
    assert (changes.not_made, changes.no_place, changes.conflicts, changes.dropped) == (NOT_MADE, {}, [], [])
    same(new, store)


def test_a_store_merged_with_its_own_archive_stays_as_it_is(store: SqliteStore) -> None:
    """Every row is found again, with a key or without one, and not a byte of the file changes."""
    before = store.path.read_bytes()
    with archive_of(store) as archive:
        changes = store.merge(archive.manifest, archive.batches(), "theirs")
        announced = sum(archive.manifest.counts().values())
    assert changes.none
    assert changes.total("skipped") == announced
    assert store.path.read_bytes() == before


def test_a_comparison_finds_no_difference(store: SqliteStore) -> None:
    """A replacement by the store's own archive would change nothing, and says so."""
    with archive_of(store) as archive:
        assert store.compare(archive.manifest, archive.batches()).none


def test_numbers_once_given_out_are_not_given_out_again(store: SqliteStore, tmp_path: Path) -> None:
    """AUTOINCREMENT goes on after the highest number of the archive's store, in a restored and in a merged one."""
    insert = "INSERT INTO invented_9 (a) VALUES ('next')"
    execute(store.path, insert)
    expected = rows_of(store.path)["invented_9"][-1]
    execute(
        store.path,
        "DELETE FROM invented_9 WHERE a = 'next'; UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'invented_9'",
    )
    restored, merged = SqliteStore(tmp_path / "restored.db"), SqliteStore(tmp_path / "merged.db")
    with archive_of(store) as archive:
        restored.replace(archive.manifest, archive.batches())
        merged.merge(archive.manifest, archive.batches())
    for one in (restored, merged):
        execute(one.path, insert)
        assert rows_of(one.path)["invented_9"][-1] == expected


def test_tables_a_store_of_the_same_schema_version_lacks_are_made(store: SqliteStore, tmp_path: Path) -> None:
    """A program makes some of its tables late; merging into a store without them loses no row."""
    bare = sqlite_store(tmp_path / "bare.db")
    with archive_of(store) as archive:
        changes = bare.merge(archive.manifest, archive.batches())
    assert changes.no_place == {"pilots": 2}
    assert rows_of(bare.path) == rows_of(store.path)


def test_a_drill_of_its_archive_passes_with_warnings(store: SqliteStore, tmp_path: Path) -> None:
    """What a restore does not make is a warning; everything else was compared and is the same."""
    at = Workplace(tmp_path)
    with sealed_nowhere(store) as file:
        drilled = drill_file(tmp_path / "some.json", file, store, at.state_dir, at.context(None))
    expected = [f"a restore does not make {what}, which the archive only describes" for what in NOT_MADE]
    assert [warning for warning in drilled.warnings if "restore does not make" in warning] == expected
