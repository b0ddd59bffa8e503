"""The merge, held against what it must be for any two memories, and against a model that shares no code with it."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from builders import contents, manifest_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from merge_memories import batched, memories
from merge_model import key, merged, said

from ecm_agent.model.causality import Order, order
from ecm_agent.model.records import Chunk, Edge, VectorClock
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ecm_agent.model.records import AnyRecord
    from ecm_agent.store.base import Changes, Fate, MemoryStore, OnConflict

SLOW = settings(
    max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], deadline=None
)
POLICIES: st.SearchStrategy[OnConflict] = st.sampled_from(["ours", "theirs"])
FATES: tuple[Fate, ...] = ("added", "updated", "skipped", "folded", "conflicts", "dropped")


@pytest.fixture
def new(tmp_path: Path) -> Callable[[Iterable[AnyRecord]], SqliteStore]:
    """Give a way to make a store of records; each is a file of its own."""
    numbers = count()

    def make(records: Iterable[AnyRecord]) -> SqliteStore:
        store = SqliteStore(tmp_path / f"{next(numbers)}.db")
        store.replace(manifest_of([]), batched(records))
        return store

    return make


def merge(store: MemoryStore, records: Iterable[AnyRecord], on_conflict: OnConflict = "ours") -> Changes:
    return store.merge(manifest_of([]), batched(records), on_conflict)


def as_set(records: Iterable[AnyRecord]) -> dict[tuple[str, tuple[str, ...]], dict[str, Any]]:
    """Give what records say, by section and key: their order is no part of it."""
    return {(record.section, key(record)): said(record) for record in records}


@SLOW
@given(ours=memories(), theirs=memories(dangling=True), policy=POLICIES)
def test_the_merge_does_what_the_model_says(
    new: Callable[..., SqliteStore], ours: list[AnyRecord], theirs: list[AnyRecord], policy: OnConflict
) -> None:
    """For any two memories the store holds, and the report counts, what the plain rules give."""
    store = new(ours)
    changes = merge(store, theirs, policy)
    expected = merged(ours, theirs, policy)
    assert as_set(contents(store)) == as_set(expected.records)
    assert {(one.section, fate): 0 for one in changes.tallies for fate in FATES} | dict(expected.fates) == {
        (one.section, fate): changes.total(fate, one.section) for one in changes.tallies for fate in FATES
    }
    assert store.problems() == []


@SLOW
@given(ours=memories())
def test_a_memory_merged_with_itself_is_itself(new: Callable[..., SqliteStore], ours: list[AnyRecord]) -> None:
    """merge(A, A) = A, down to the order of the records, and every record is counted as skipped."""
    store = new(ours)
    before = contents(store)
    changes = merge(store, ours)
    assert contents(store) == before
    assert changes.total("skipped") == len(ours)


@SLOW
@given(ours=memories(), theirs=memories(dangling=True), policy=POLICIES)
def test_merging_twice_is_merging_once(
    new: Callable[..., SqliteStore], ours: list[AnyRecord], theirs: list[AnyRecord], policy: OnConflict
) -> None:
    """merge(merge(A, B), B) = merge(A, B)."""
    store = new(ours)
    merge(store, theirs, policy)
    once = contents(store)
    again = merge(store, theirs, policy)
    assert contents(store) == once
    assert again.total("added") == again.total("updated") == 0


@SLOW
@given(ours=memories(), theirs=memories())
def test_without_conflicts_the_order_does_not_matter(
    new: Callable[..., SqliteStore], ours: list[AnyRecord], theirs: list[AnyRecord]
) -> None:
    """merge(A, B) = merge(B, A) as sets, unless something had to be decided."""
    one, other = new(ours), new(theirs)
    changes = merge(one, theirs)
    merge(other, ours)
    if not changes.total("conflicts"):
        assert as_set(contents(one)) == as_set(contents(other))


@SLOW
@given(ours=memories(), theirs=memories(dangling=True), policy=POLICIES)
def test_no_clock_goes_backwards(
    new: Callable[..., SqliteStore], ours: list[AnyRecord], theirs: list[AnyRecord], policy: OnConflict
) -> None:
    """After a merge every clock of the store is the same or later, whoever won; an edge is known by what it says."""
    store = new(ours)
    merge(store, theirs, policy)
    after = as_set(contents(store))
    for record in ours:
        name = (record.section, key(record))
        if isinstance(record, (Chunk, VectorClock)) or (isinstance(record, Edge) and name in after):
            field = "clock" if isinstance(record, VectorClock) else "vector_clock"
            was, now = said(record).get(field) or {}, after[name].get(field) or {}
            assert order(was, now) in {Order.SAME, Order.BEFORE}


@SLOW
@given(ours=memories(), theirs=memories(dangling=True), policy=POLICIES)
def test_the_counts_add_up(
    new: Callable[..., SqliteStore], ours: list[AnyRecord], theirs: list[AnyRecord], policy: OnConflict
) -> None:
    """Every record of the archive has exactly one fate, and what was added less nothing is what there is more."""
    store = new(ours)
    changes = merge(store, theirs, policy)
    assert sum(changes.total(fate) for fate in FATES) == len(theirs)
    assert len(contents(store)) == len(ours) + changes.total("added")


@SLOW
@given(ours=memories(), theirs=memories(dangling=True), policy=POLICIES)
def test_a_dry_run_says_what_the_merge_does_and_does_nothing(
    new: Callable[..., SqliteStore], ours: list[AnyRecord], theirs: list[AnyRecord], policy: OnConflict
) -> None:
    """The plan is the report, and the store is as it was."""
    store = new(ours)
    before = contents(store)
    planned = store.merge(manifest_of([]), batched(theirs), policy, dry_run=True)
    assert contents(store) == before
    assert planned == merge(store, theirs, policy)


@SLOW
@given(theirs=memories())
def test_merging_into_an_empty_store_is_the_identity(new: Callable[..., SqliteStore], theirs: list[AnyRecord]) -> None:
    """Nothing is folded, and every record arrives as it is: duplicates of one side are left alone."""
    store = new([])
    changes = merge(store, theirs)
    assert as_set(contents(store)) == as_set(theirs)
    assert changes.total("added") == len(theirs)
