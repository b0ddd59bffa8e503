"""compare: two stores hold the same memory, or where they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import builders
import pytest

from ecm_agent.jobs.compare import differences
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from workplace import Workplace


@pytest.fixture
def other(at: Workplace) -> SqliteStore:
    """Make a second store with the same memory."""
    store = SqliteStore(at.home / "other.db")
    builders.fill(store, builders.memory())
    return store


def test_equal_stores_have_no_differences(at: Workplace, other: SqliteStore) -> None:
    """Two stores filled alike are the same, either way round."""
    assert differences(at.store, other) == {}
    assert differences(other, at.store) == {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("UPDATE chunks SET approx_tokens = 6 WHERE id = 'c1'", {"chunks": 1}),
        ("UPDATE chunks SET agent_id = NULL WHERE id = 'c1'", {"chunks": 1}),
        ("UPDATE edges SET initial_weight = 0.7000000000000001 WHERE id = 'e1'", {"edges": 1}),
        ("DELETE FROM edges WHERE id = 'e4'", {"edges": 1}),
        ("DELETE FROM edges", {"edges": 4}),
        ("DELETE FROM edges WHERE id = 'e2'", {"edges": 4}),
        ("UPDATE chunk_clusters SET distance = 0.1 WHERE chunk_id = 'c1'", {"memberships": 1}),
        ("UPDATE vectors SET embedding = x'0000803f00000080' WHERE id = 'c3'", {"vectors": 1}),
        ("UPDATE vector_clocks SET clock_data = '{\"ui\":8}'", {"vectorClocks": 2}),
        ("INSERT INTO clusters (id) VALUES ('k9')", {"clusters": 1}),
        ("ALTER TABLE chunks ADD COLUMN mood TEXT DEFAULT 'calm'", {"chunks": 5}),
    ],
)
def test_any_column_counts(at: Workplace, other: SqliteStore, change: str, expected: dict[str, int]) -> None:
    """A changed value, a missing row, a further row or column shows, in its section and in no other."""
    builders.execute(other.path, change)
    assert differences(at.store, other) == expected
    assert differences(other, at.store) == expected
