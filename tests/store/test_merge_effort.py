"""A merge into a large store takes more time than into a small one as the records are more, not as their pairs are."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from builders import chunk, edge, execute, fill, manifest_of
from injection import connecting

from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ecm_agent.model.records import Batch

OTHER_INDEXES = [
    "SELECT 1",
    "DROP INDEX idx_edges_source",
    "CREATE INDEX idx_edges_source_type ON edges (source_chunk_id, edge_type)",
    "ANALYZE",
]
"""What stores differ in: the index to find edges by is ours, or there are more, or SQLite has been told its worth."""


def ring(first: int, length: int) -> Iterator[Batch]:
    """Make chunks of which each leads to the next one."""
    names = [f"c{number:05}" for number in range(first, first + length)]
    yield [chunk(name) for name in names]
    yield [edge(f"e {name}", name, after) for name, after in zip(names, [*names[1:], names[0]], strict=True)]


def effort(path: Path, length: int, preparation: str) -> int:
    """Give the steps that SQLite takes to merge a ring into one of the same length, in hundreds."""
    store = SqliteStore(path)
    fill(store, list(ring(0, length)))
    execute(path, preparation)
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    class Counting(sqlite3.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 (as sqlite3's own)
            super().__init__(*arguments, **options)
            self.set_progress_handler(step, 100)

    with connecting(Counting):
        changes = store.merge(manifest_of([]), ring(length // 2, length))
    assert changes.total("added", "edges") == changes.total("skipped", "chunks") == length // 2
    return steps


@pytest.mark.parametrize("preparation", OTHER_INDEXES)
def test_ten_times_the_edges_are_ten_times_the_work(tmp_path: Path, preparation: str) -> None:
    """Half of the edges are new, and each of them is held only against those that leave from the same chunk."""
    few, many = (effort(tmp_path / str(length), length, preparation) for length in (100, 1000))
    assert many < 13 * few
