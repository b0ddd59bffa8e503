"""SQLite sorts in memory here, as nothing of a memory goes to a temporary file: no statement may sort a whole table."""

from __future__ import annotations

import sqlite3
from shutil import copyfile
from typing import TYPE_CHECKING

import pytest
from builders import CREATED, exhaust, fill
from plans import plans_of

from ecm_agent.model.manifest import Selection
from ecm_agent.sample import Shape, batches
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEMORY = ("chunks", "edges", "chunk_clusters", "vectors")
SORTED = ("FOR GROUP BY", "FOR ORDER BY")


def sorts_a_table(sql: str, plan: str) -> bool:
    """Whether a statement sorts what it finds, and finds it by more than the key of a single row."""
    of_the_memory = any(f"main.{table}" in sql for table in MEMORY)
    return of_the_memory and any(words in plan for words in SORTED) and "(rowid=?)" not in plan


def export(store: SqliteStore, _other: SqliteStore) -> None:
    for selection in (Selection(), Selection(projects=("tide-tables",)), Selection(dangling=True)):
        with store.snapshot(selection, CREATED) as snapshot:
            exhaust(snapshot)


def replace(store: SqliteStore, other: SqliteStore) -> None:
    with other.snapshot(Selection(), CREATED) as snapshot:
        store.replace(snapshot.manifest, snapshot.batches())


def merge(store: SqliteStore, other: SqliteStore) -> None:
    with other.snapshot(Selection(), CREATED) as snapshot:
        store.merge(snapshot.manifest, snapshot.batches())


def compare(store: SqliteStore, other: SqliteStore) -> None:
    with other.snapshot(Selection(), CREATED) as snapshot:
        store.compare(snapshot.manifest, snapshot.batches())


@pytest.mark.parametrize("action", [export, replace, merge, compare], ids=lambda action: action.__name__)
def test_no_statement_sorts_a_table(tmp_path: Path, action: Callable[[SqliteStore, SqliteStore], object]) -> None:
    """Exports, replacements, merges and their dry runs take rows as they come, or along an index."""
    store, other = (SqliteStore(tmp_path / name) for name in ("memory.db", "other.db"))
    fill(store, list(batches(Shape(chunks=60, text_bytes=100, dimensions=4, clusters=3, edges_per_chunk=2))))
    copyfile(store.path, other.path)
    with sqlite3.connect(other.path) as changing:
        changing.execute("DELETE FROM edges WHERE rowid % 3 = 0")
        changing.execute("UPDATE edges SET id = 'other ' || id WHERE rowid % 3 = 1")
    plans = plans_of(lambda: action(store, other))
    assert len(plans) > 10
    assert [(sql, plan) for sql, plan in plans.items() if sorts_a_table(sql, plan)] == []


def test_a_sort_is_seen(tmp_path: Path) -> None:
    """The test above would see a statement that counts rows with GROUP BY."""
    store = SqliteStore(tmp_path / "memory.db")
    fill(store, list(batches(Shape(chunks=20, text_bytes=100, dimensions=4, clusters=3, edges_per_chunk=2))))

    def count() -> None:
        connection = sqlite3.connect(store.path)
        connection.execute("SELECT edge_type || '', count(*) FROM main.edges t WHERE t.rowid > ? GROUP BY 1", (0,))
        connection.close()

    ((sql, plan),) = plans_of(count).items()
    assert sorts_a_table(sql, plan)
