"""A process killed in the middle of a replacement leaves the old memory, or none, and never half of one."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from builders import contents, execute, fill, flat, memory, sqlite_store

from ecm_agent.store.connection import undo_the_unfinished
from ecm_agent.store.sqlite import SqliteStore

TESTS = Path(__file__).parents[1]

KILLED = """
import os, sys
from pathlib import Path
from builders import chunk, manifest_of
from ecm_agent.store.sqlite import SqliteStore

def batches():
    for number in range(60):
        yield [chunk(f"n{number}", content="x" * 100_000)]
    # More than SQLite's cache holds has gone to the disk by now.
    os.kill(os.getpid(), 9)

SqliteStore(Path(sys.argv[1])).replace(manifest_of([]), batches())
"""


def kill_in_the_middle(store: SqliteStore) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(TESTS), str(TESTS.parent)))}
    done = subprocess.run([sys.executable, "-c", KILLED, store.path], check=False, env=environment)
    assert done.returncode == -9


def integrity(store: SqliteStore) -> str:
    with closing(sqlite3.connect(store.path)) as database:
        [(result,)] = database.execute("PRAGMA integrity_check")
        return str(result)


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_killed_replacement_leaves_the_old_memory(tmp_path: Path, mode: str) -> None:
    """The store reads as before at once, without the memory program's help, and can be replaced later."""
    store = sqlite_store(tmp_path / "memory.db")
    execute(store.path, f"PRAGMA journal_mode = {mode}")
    kill_in_the_middle(store)
    left = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert left > 1_000_000, "the test killed it before anything was written"
    assert contents(store) == list(flat(memory()))
    assert integrity(store) == "ok"
    fill(store, memory()[:1])
    assert contents(store) == list(flat(memory()[:1]))


def test_a_killed_replacement_makes_no_store(tmp_path: Path) -> None:
    """Where there was no store there is none; the next replacement works and clears what was left over."""
    store = SqliteStore(tmp_path / "memory.db")
    kill_in_the_middle(store)
    assert not store.exists()
    assert any(tmp_path.iterdir())
    fill(store, memory())
    assert contents(store) == list(flat(memory()))
    assert integrity(store) == "ok"
    assert list(tmp_path.iterdir()) == [store.path]


def test_what_sqlite_could_not_undo_is_undone_at_once(tmp_path: Path) -> None:
    """A journal of half a change is played back, so that the file alone is the whole store again."""
    store = sqlite_store(tmp_path / "memory.db")
    execute(store.path, "PRAGMA journal_mode = DELETE")
    kill_in_the_middle(store)
    assert len(list(tmp_path.iterdir())) == 2
    undo_the_unfinished(store.path)
    assert list(tmp_path.iterdir()) == [store.path]
    assert contents(store) == list(flat(memory()))
