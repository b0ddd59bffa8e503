"""Edges that say the same under different ids: how they are found, where one chunk has very many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from builders import CREATED, chunk, edge, fill, query, rows_of
from plans import plans_of

from ecm_agent.model.manifest import Selection
from ecm_agent.store.merging import folding
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from ecm_agent.store.base import Changes

MANY = folding._MANY + 1


def hub(path: Path, prefix: str, edges: int) -> SqliteStore:
    """Make a store in which one chunk has very many edges, whose ids begin with `prefix`."""
    store = SqliteStore(path)
    chunks = [chunk(f"c{number}") for number in range(edges + 1)]
    fill(store, [chunks, [edge(f"{prefix}{number}", "c0", f"c{number + 1}") for number in range(edges)]])
    return store


def merged(store: SqliteStore, other: SqliteStore) -> Changes:
    with other.snapshot(Selection(), CREATED) as snapshot:
        return store.merge(snapshot.manifest, snapshot.batches())


@pytest.mark.parametrize(("edges", "by_both_ends"), [(MANY, True), (MANY // 2, False)])
def test_the_edges_of_a_hub_are_found_by_both_ends(tmp_path: Path, edges: int, *, by_both_ends: bool) -> None:
    """Where one chunk has very many edges, none is compared with all others; elsewhere nothing is built for that."""
    store, other = hub(tmp_path / "memory.db", "b", edges), hub(tmp_path / "other.db", "a", edges)
    done: list[Changes] = []
    plans = plans_of(lambda: done.append(merged(store, other)))
    assert done[0].total("folded") == edges
    looked_up = [plan for sql, plan in plans.items() if "main.edges o" in sql]
    assert looked_up
    assert all(("target_chunk_id=?" in plan) is by_both_ends for plan in looked_up)
    assert query(store.path, "SELECT name FROM sqlite_master WHERE name GLOB 'ecm_agent*'") == []


def test_how_edges_are_found_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same edges are folded, whichever way they are found."""
    other = hub(tmp_path / "other.db", "a", MANY)
    stores = [hub(tmp_path / f"{number}.db", "b", MANY) for number in range(2)]
    merged(stores[0], other)
    monkeypatch.setattr(folding, "_HUB", "SELECT 1 WHERE false")
    merged(stores[1], other)
    assert rows_of(stores[0].path)["edges"] == rows_of(stores[1].path)["edges"]
