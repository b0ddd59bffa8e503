"""A store is read while the memory program writes to it, and never written to."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from builders import CREATED, chunk, contents, execute, exhaust, fill, flat, memory, sqlite_store

from ecm_agent.model.manifest import Selection
from ecm_agent.model.records import Chunk, Edge
from ecm_agent.store import connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecm_agent.store.sqlite import SqliteStore

ROOT = Path(__file__).parents[2]

WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA wal_autocheckpoint = 4")
number = 0
while True:
    number += 1
    database.execute("BEGIN IMMEDIATE")
    for end in "ab":
        database.execute(
            "INSERT INTO chunks (id, session_id, session_slug, turn_indices, start_time, end_time, content)"
            " VALUES (?, 's', 'live', '[0]', '', '', ?)", (f"{number}{end}", "x" * 3000))
    database.execute(
        "INSERT INTO edges (id, source_chunk_id, target_chunk_id, edge_type, created_at)"
        " VALUES (?, ?, ?, 'forward', '')",
        (str(number), f"{number}a", f"{number}b"))
    if number % 200 == 0:
        database.execute("DELETE FROM edges")
        database.execute("DELETE FROM chunks")
    database.execute("COMMIT")
"""
"""Writes pairs of chunks with an edge between them, for ever; now and then it throws all of them away."""

KILLED = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("UPDATE chunks SET content = 'only in the WAL'")
database.commit()
os.kill(os.getpid(), 9)
"""

READER = """
import os, sys
from pathlib import Path
from ecm_agent.errors import StoreUnreadable
from ecm_agent.model.manifest import Selection
from ecm_agent.store.sqlite import SqliteStore
if os.geteuid() == 0:
    os.setuid(65534)
try:
    store = SqliteStore(Path(sys.argv[1]))
    assert store.chunk_count()
    with store.snapshot(Selection(), "") as snapshot:
        print(sum(map(len, snapshot.batches())), flush=True)
        sys.stdin.readline()
except StoreUnreadable as error:
    print(error, flush=True)
else:
    print("unchanged", flush=True)
"""
"""Reads a store as somebody who may not write in its directory, and waits for a line before it lets go of it."""


@contextmanager
def running(script: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", script, str(path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def beside(path: Path) -> dict[str, int]:
    """Give the names and sizes of what lies beside a store."""
    return {file.name: file.stat().st_size for file in path.parent.iterdir() if file != path}


def journal(path: Path, mode: str) -> None:
    execute(path, f"PRAGMA journal_mode = {mode}")


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return sqlite_store(tmp_path / "memory.db")


@pytest.fixture
def read_only() -> Iterator[SqliteStore]:
    """Give a store in WAL mode in a directory that everybody may read and nobody write (a fixture's own is private)."""
    with tempfile.TemporaryDirectory() as name:
        store = sqlite_store(Path(name, "memory.db"))
        journal(store.path, "WAL")
        store.path.chmod(0o444)
        Path(name).chmod(0o555)
        yield store
        Path(name).chmod(0o700)


def test_snapshots_of_a_busy_store_are_consistent(store: SqliteStore) -> None:
    """While a writer commits within every one of twenty snapshots, each gives one instant: all of it, and only it."""
    fill(store, [])
    journal(store.path, "WAL")
    with running(WRITER, store.path) as writer:
        for _ in range(20):
            with store.snapshot(Selection(), CREATED) as snapshot:
                manifest = snapshot.manifest
                before = _last_change(store)
                while _last_change(store) == before:
                    assert writer.poll() is None
                records = list(flat(snapshot.batches()))
            chunks = {record.id for record in records if isinstance(record, Chunk)}
            edges = [record for record in records if isinstance(record, Edge)]
            assert {end for edge in edges for end in (edge.source, edge.target)} == chunks
            assert (manifest.chunk_count, manifest.edge_count) == (len(chunks), len(edges))
            assert manifest.dangling == {}


def _last_change(store: SqliteStore) -> tuple[int, ...]:
    with connection.connect(store.path, write=False) as database:
        newest = database.execute("SELECT count(*), max(rowid) FROM chunks").fetchone()
        return tuple(newest)


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_an_export_neither_changes_a_store_nor_waits_for_its_writer(
    store: SqliteStore, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a writer in the middle of a transaction, reading works at once, and the file is the same afterwards."""
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.0)
    journal(store.path, mode)
    before = fingerprint(store.path)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE chunks SET content = 'not yet'")
        assert contents(store) == list(flat(memory()))
        assert fingerprint(store.path) == before
        writer.execute("ROLLBACK")
    assert fingerprint(store.path) == before


def test_a_reader_keeps_its_hold_when_another_one_in_the_process_ends(store: SqliteStore) -> None:
    """Reading a store twice at a time leaves the first reader protected from writers in other processes."""
    intruder = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).executescript('DELETE FROM vectors')"
    with store.snapshot(Selection(), CREATED) as first:
        assert contents(store) == list(flat(memory()))
        done = subprocess.run([sys.executable, "-c", intruder, store.path], check=False, capture_output=True, text=True)
        assert "database is locked" in done.stderr
        assert exhaust(first) == len(list(flat(memory())))


def test_what_is_still_in_the_wal_is_read(store: SqliteStore) -> None:
    """Changes that a killed writer left in the WAL belong to the store; reading leaves both files as they are."""
    journal(store.path, "WAL")
    subprocess.run([sys.executable, "-c", KILLED, store.path], check=False)
    wal = Path(f"{store.path}-wal")
    before = fingerprint(store.path), fingerprint(wal)
    assert wal.stat().st_size > 0
    assert {record.content for record in contents(store) if isinstance(record, Chunk)} == {"only in the WAL"}
    assert (fingerprint(store.path), fingerprint(wal)) == before


def test_reading_leaves_nothing_beside_a_store_without_a_wal(store: SqliteStore) -> None:
    """A store in the ordinary journal mode has no company after it was read."""
    contents(store)
    assert beside(store.path) == {}


def test_reading_leaves_an_empty_wal_beside_a_store_that_has_one(store: SqliteStore) -> None:
    """SQLite itself makes a WAL to read a store in that mode; a reader may not remove it, but nothing is in it."""
    journal(store.path, "WAL")
    before = fingerprint(store.path)
    contents(store)
    assert beside(store.path) == {"memory.db-wal": 0, "memory.db-shm": 32768}
    assert fingerprint(store.path) == before


def test_an_empty_wal_left_over_does_not_hinder_a_restore(store: SqliteStore) -> None:
    """Where a read store was lost and only the empty WAL is left, a new one can take its place."""
    journal(store.path, "WAL")
    contents(store)
    store.path.unlink()
    fill(store, [[chunk("n1")]])
    assert contents(store) == [chunk("n1")]


def test_a_store_in_a_read_only_directory_is_read(read_only: SqliteStore) -> None:
    """A store in WAL mode is read where no WAL can be made beside it, as on a read-only disk."""
    with running(READER, read_only.path) as reader:
        assert reader.communicate("\n")[0].splitlines() == [str(len(list(flat(memory())))), "unchanged"]
    assert beside(read_only.path) == {}


def test_a_change_to_a_store_in_a_read_only_directory_is_noticed(read_only: SqliteStore) -> None:
    """Where no lock can be had, a snapshot in which somebody wrote meanwhile is not taken for a good one."""
    with running(READER, read_only.path) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        read_only.path.parent.chmod(0o755)
        read_only.path.chmod(0o644)
        execute(read_only.path, "DELETE FROM edges")
        assert "changed while it was read" in reader.communicate("\n")[0]


def test_a_wal_that_cannot_be_opened_is_not_passed_over(read_only: SqliteStore) -> None:
    """In a read-only directory, a WAL with content and nothing to read it by is a reason to refuse."""
    read_only.path.parent.chmod(0o755)
    read_only.path.chmod(0o644)
    subprocess.run([sys.executable, "-c", KILLED, read_only.path], check=False)
    Path(f"{read_only.path}-shm").unlink()
    read_only.path.parent.chmod(0o555)
    with running(READER, read_only.path) as reader:
        assert "cannot be opened" in reader.communicate("\n")[0]


def test_a_store_one_may_not_look_at_is_unreadable(read_only: SqliteStore) -> None:
    """Missing permissions, of the file or of its directory, are told as such."""
    read_only.path.chmod(0o000)
    with running(READER, read_only.path) as reader:
        assert "cannot be read: Permission denied" in reader.communicate("\n")[0]
    read_only.path.parent.chmod(0o000)
    with running(READER, read_only.path) as reader:
        assert "cannot be read: Permission denied" in reader.communicate("\n")[0]
