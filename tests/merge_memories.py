"""Pairs of memories worth merging: few ids, few values, so that two of them meet in most of their records."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from ecm_agent.model.records import (
    RECORD_TYPES,
    AnyRecord,
    Chunk,
    Cluster,
    Edge,
    Membership,
    Vector,
    VectorClock,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ecm_agent.model.records import Batch

CHUNKS = [f"c{number}" for number in range(4)]
CLUSTERS = ["k0", "k1"]
CLOCKS = st.none() | st.dictionaries(st.sampled_from(["ada", "bob"]), st.integers(0, 2))
TIMES = st.sampled_from(["2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z"])
SOME_TIME = st.none() | TIMES

chunks = st.builds(
    Chunk,
    id=st.sampled_from(CHUNKS),
    session_slug=st.sampled_from(["tide-tables", ""]),
    content=st.sampled_from(["high water", "low water"]),
    start_time=st.just("2025-01-01T08:00:00Z"),
    end_time=st.just("2025-01-01T08:05:00Z"),
    turn_indices=st.sampled_from([[], [0, 1]]),
    vector_clock=CLOCKS,
    session_id=st.just("session"),
    agent_id=st.none() | st.just("ui"),
    spawn_depth=st.just(0),
    code_block_count=st.just(0),
    tool_use_count=st.integers(0, 1),
    approx_tokens=st.just(3),
    created_at=SOME_TIME,
)
clusters = st.builds(
    Cluster,
    id=st.sampled_from(CLUSTERS),
    name=st.none() | st.just("Tides"),
    description=st.none(),
    centroid=st.none() | st.just(struct.pack("<2f", 0.6, 0.8)),
    exemplar_ids=st.none() | st.just(["c0"]),
    membership_hash=st.none(),
    created_at=SOME_TIME,
    refreshed_at=SOME_TIME,
)
memberships = st.builds(
    Membership,
    chunk_id=st.sampled_from(CHUNKS),
    cluster_id=st.sampled_from(CLUSTERS),
    distance=st.sampled_from([0.0, 0.25]),
)
vector_clocks = st.builds(
    VectorClock,
    id=st.sampled_from(["project:a", "project:b"]),
    project_slug=st.sampled_from(["tide-tables", ""]),
    clock=st.dictionaries(st.sampled_from(["ada", "bob"]), st.integers(0, 2)),
    updated_at=SOME_TIME,
)
vectors = st.builds(
    Vector,
    chunk_id=st.sampled_from([*CHUNKS, "gone"]),
    embedding=st.sampled_from([struct.pack("<2f", 1.0, 0.0), struct.pack("<2f", 0.0, 1.0)]),
)


def edges(ids: Sequence[str]) -> st.SearchStrategy[Edge]:
    """Give edges that often say the same thing, under any of these ids."""
    return st.builds(
        Edge,
        id=st.sampled_from(ids),
        source=st.sampled_from(CHUNKS[:2]),
        target=st.sampled_from(CHUNKS[1:3]),
        type=st.just("forward"),
        reference_type=st.none() | st.just("brief"),
        weight=st.sampled_from([0.25, 0.5, 1.0]),
        vector_clock=CLOCKS,
        link_count=st.none() | st.integers(1, 3),
        created_at=TIMES,
    )


def _name(record: Any) -> tuple[type, str, str]:  # noqa: ANN401 (a record)
    match record:
        case Membership():
            return Membership, record.chunk_id, record.cluster_id
        case Vector():
            return Vector, record.chunk_id, ""
    return type(record), record.id, ""


@st.composite
def memories(draw: st.DrawFn, *, dangling: bool = False, edge_ids: Sequence[str] = ("e0", "e1", "e2", "e3")) -> Any:  # noqa: ANN401 (records)
    """Give the records of one memory; edges and memberships without their chunks only where `dangling` allows."""
    found: list[AnyRecord] = []
    for kind in (chunks, edges(edge_ids), clusters, memberships, vector_clocks, vectors):
        found += draw(st.lists(kind, max_size=5, unique_by=_name))
    if dangling:
        return found
    there = {record.id for record in found if isinstance(record, Chunk)}
    topics = {record.id for record in found if isinstance(record, Cluster)}
    return [record for record in found if _stands(record, there, topics)]


def _stands(record: AnyRecord, chunks_there: set[str], clusters_there: set[str]) -> bool:
    match record:
        case Edge():
            return {record.source, record.target} <= chunks_there
        case Membership():
            return record.chunk_id in chunks_there and record.cluster_id in clusters_there
    return True


def batched(records: Iterable[AnyRecord], size: int = 2) -> list[Batch]:
    """Give records as an archive does: kind by kind, a few at a time."""
    batches: list[Any] = []
    rows = list(records)
    for kind in RECORD_TYPES:
        mine = [record for record in rows if type(record) is kind]
        batches += [mine[start : start + size] for start in range(0, len(mine), size)]
    return batches
