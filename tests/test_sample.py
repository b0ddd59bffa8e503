"""The sample memory: repeatable, whole, in the columns of schema version 2, and small however long it is."""

from __future__ import annotations

import math
import re
import struct
import tracemalloc
from collections import Counter
from dataclasses import replace
from itertools import groupby, pairwise
from statistics import fmean
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest

from ecm_agent.errors import UsageError
from ecm_agent.model.records import (
    AnyRecord,
    Chunk,
    Cluster,
    Edge,
    Membership,
    Record,
    RecordType,
    Vector,
    VectorClock,
)
from ecm_agent.sample import BATCH_SIZE, Shape, batches

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = Shape(chunks=700, text_bytes=600, dimensions=16, clusters=9, edges_per_chunk=1.5)
EDGE_CASES = [
    replace(SMALL, chunks=0),
    replace(SMALL, chunks=1),
    replace(SMALL, chunks=2, edges_per_chunk=40),
    replace(SMALL, chunks=5, clusters=8),
    replace(SMALL, chunks=60, clusters=0),
    replace(SMALL, chunks=60, clusters=1, text_bytes=1, dimensions=2, edges_per_chunk=0),
]

VERSION_2: dict[RecordType, set[str]] = {
    Chunk: {
        "id",
        "session_id",
        "session_slug",
        "turn_indices",
        "start_time",
        "end_time",
        "content",
        "code_block_count",
        "tool_use_count",
        "approx_tokens",
        "created_at",
        "agent_id",
        "vector_clock",
        "spawn_depth",
    },
    Edge: {"id", "source", "target", "type", "reference_type", "weight", "created_at", "vector_clock", "link_count"},
    Cluster: {
        "id",
        "name",
        "description",
        "centroid",
        "exemplar_ids",
        "membership_hash",
        "created_at",
        "refreshed_at",
        "member_chunk_ids",  # no column, but a field that is always there
    },
    Membership: {"chunk_id", "cluster_id", "distance"},
    VectorClock: {"id", "project_slug", "clock", "updated_at"},
    Vector: {"chunk_id", "embedding"},
}

Kind = TypeVar("Kind", bound=Record)


def records(shape: Shape) -> Iterator[AnyRecord]:
    for batch in batches(shape):
        yield from batch


def only(kind: type[Kind], shape: Shape) -> list[Kind]:
    return [record for record in records(shape) if isinstance(record, kind)]


def set_fields(record: Record) -> set[str]:
    return {name for name in record.__struct_fields__ if getattr(record, name) is not msgspec.UNSET}


def numbers(embedding: bytes | list[float]) -> tuple[float, ...]:
    assert isinstance(embedding, bytes)
    return struct.unpack(f"<{len(embedding) // 4}f", embedding)


def cosine(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def peak_memory(shape: Shape) -> int:
    tracemalloc.start()
    for _ in batches(shape):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_the_same_shape_gives_equal_records() -> None:
    """Two streams of one shape are equal, record by record and in the same batches."""
    assert list(batches(SMALL)) == list(batches(SMALL))


@pytest.mark.parametrize("kind", [kind for kind in VERSION_2 if kind is not VectorClock])
def test_another_seed_gives_other_records(kind: RecordType) -> None:
    """No record of one seed turns up with another; vector clocks alone are the same, as they only count."""
    ours = [msgspec.json.encode(record) for record in only(kind, SMALL)]
    theirs = {msgspec.json.encode(record) for record in only(kind, replace(SMALL, seed=7))}
    assert ours
    assert theirs.isdisjoint(ours)


def test_a_longer_sample_begins_with_the_shorter_one() -> None:
    """A chunk and its vector follow from seed and index alone, so a memory can be made to grow."""
    longer = replace(SMALL, chunks=900)
    assert only(Chunk, longer)[:700] == only(Chunk, SMALL)
    assert only(Vector, longer)[:700] == only(Vector, SMALL)


def test_batches_come_in_the_order_of_an_archive() -> None:
    """Each batch holds records of one kind, one to 500 of them, and the kinds come in an archive's order."""
    found = [({type(record) for record in batch}, len(batch)) for batch in batches(SMALL)]
    assert all(len(kinds) == 1 and 1 <= size <= BATCH_SIZE == 500 for kinds, size in found)
    assert [kinds for kinds, _ in groupby(kinds for kinds, _ in found)] == [{kind} for kind in VERSION_2]


def test_counts_are_those_asked_for() -> None:
    """There are as many chunks, edges, clusters and vectors as the shape says, and most chunks have a topic."""
    counts = Counter(type(record) for record in records(SMALL))
    assert (counts[Chunk], counts[Edge], counts[Cluster], counts[Vector]) == (700, 1050, 9, 700)
    assert 550 < counts[Membership] < 680


@pytest.mark.parametrize("shape", [SMALL, *EDGE_CASES], ids=str)
def test_references_hold_and_keys_are_unique(shape: Shape) -> None:
    """Whatever the shape, every id is there once and every reference leads to a record of the sample."""
    chunks = [chunk.id for chunk in only(Chunk, shape)]
    clusters = [cluster.id for cluster in only(Cluster, shape)]
    edges = only(Edge, shape)
    placed = [(membership.chunk_id, membership.cluster_id) for membership in only(Membership, shape)]
    for keys in (chunks, clusters, placed, [edge.id for edge in edges], [c.id for c in only(VectorClock, shape)]):
        assert len(set(keys)) == len(keys)
    assert {end for edge in edges for end in (edge.source, edge.target)} <= set(chunks)
    assert all(edge.source != edge.target for edge in edges)
    assert {chunk for chunk, _ in placed} <= set(chunks)
    assert {cluster for _, cluster in placed} <= set(clusters)
    assert [vector.chunk_id for vector in only(Vector, shape)] == chunks


@pytest.mark.parametrize("kind", VERSION_2)
def test_only_columns_of_version_2_are_set(kind: RecordType) -> None:
    """Every column of the ECM schema, version 2, has a value, and no column of a later one has."""
    assert {frozenset(set_fields(record)) for record in only(kind, SMALL)} == {frozenset(VERSION_2[kind])}


def test_records_survive_json() -> None:
    """Every value is canonical: written as JSON and read back it is the same."""
    for record in records(replace(SMALL, chunks=150)):
        assert msgspec.json.decode(msgspec.json.encode(record), type=type(record)) == record


def test_times_increase_and_are_written_as_in_a_store() -> None:
    """Chunks follow each other without overlap: ISO times with milliseconds and Z, creation times as SQLite's."""
    chunks = only(Chunk, SMALL)
    times = [time for chunk in chunks for time in (chunk.start_time, chunk.end_time)]
    assert all(early < late for early, late in pairwise(times))
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time) for time in times)
    created = [str(chunk.created_at) for chunk in chunks]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", time) for time in created)
    assert all(end[:19].replace("T", " ") <= time for end, time in zip(times[1::2], created, strict=True))


@pytest.mark.parametrize(("text_bytes", "chunks"), [(400, 6000), (1500, 4000), (10_000, 2000)])
def test_content_sizes_spread_as_in_real_stores(text_bytes: int, chunks: int) -> None:
    """The mean is the one asked for; 5% lie below a quarter of it, 5% above one and a half, a few about five times."""
    shape = replace(SMALL, chunks=chunks, text_bytes=text_bytes, clusters=0, edges_per_chunk=0, dimensions=2)
    sizes = sorted(len(chunk.content.encode()) / text_bytes for chunk in only(Chunk, shape))
    assert fmean(sizes) == pytest.approx(1, abs=0.06)
    assert sizes[chunks // 20] == pytest.approx(0.25, abs=0.06)
    assert sizes[chunks * 95 // 100] == pytest.approx(1.5, abs=0.1)
    assert 4.5 < sizes[-1] < 6


def test_content_has_every_kind_of_block() -> None:
    """Chunks hold what real ones do: speakers, tools with results, code, odd fences, home directories."""
    chunks = only(Chunk, replace(SMALL, text_bytes=4000))
    text = "\n".join(chunk.content for chunk in chunks)
    for part in ("[User]", "[Assistant]", "[Thinking]", "[Tool:Edit]", "[Tool:Bash]", "[Result]", "```python\n"):
        assert f"\n{part}" in text
    assert "/home/jonas/" in text
    assert "C:\\Users\\mira\\" in text
    assert not text.isascii()
    assert 0 < sum(chunk.content.count("```") % 2 for chunk in chunks) < 70


def test_counters_tell_what_the_content_holds() -> None:
    """A chunk's code blocks, tool uses and tokens are counted from its own text."""
    for chunk in only(Chunk, SMALL):
        assert chunk.code_block_count == chunk.content.count("```") // 2
        assert chunk.tool_use_count == chunk.content.count("[Tool:")
        assert chunk.approx_tokens == len(chunk.content) // 4


def test_ids_belong_to_sessions_of_one_project() -> None:
    """A chunk's id is its session's and a number within it; a session has one project, one project no name."""
    chunks = only(Chunk, SMALL)
    numbered = Counter[object]()
    for chunk in chunks:
        assert re.fullmatch(
            r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", str(chunk.session_id)
        )
        assert chunk.id == f"{chunk.session_id}-chunk-{numbered[chunk.session_id]}"
        assert chunk.turn_indices
        numbered[chunk.session_id] += 1
    slugs = {chunk.session_id: chunk.session_slug for chunk in chunks}
    assert all(slugs[chunk.session_id] == chunk.session_slug for chunk in chunks)
    assert len(set(slugs.values())) == 7
    assert "" in slugs.values()


def test_vector_clocks_only_grow() -> None:
    """Within a project each chunk's clock is beyond the one before, and the project's own row is the last of them."""
    seen: dict[str, dict[str, int]] = {}
    for chunk in only(Chunk, SMALL):
        assert isinstance(chunk.vector_clock, dict)
        before = seen.get(chunk.session_slug, {})
        assert all(chunk.vector_clock[agent] >= tick for agent, tick in before.items())
        assert chunk.vector_clock[str(chunk.agent_id)] == before.get(str(chunk.agent_id), 0) + 1
        assert chunk.spawn_depth == (chunk.agent_id != "ui")
        seen[chunk.session_slug] = chunk.vector_clock
    rows = {row.id: (row.project_slug, row.clock) for row in only(VectorClock, SMALL)}
    projects = {f"project:{slug}": (slug, clock) for slug, clock in seen.items()}
    agents = {f"agent:{slug}:{a}": (slug, {a: tick}) for slug, clock in seen.items() for a, tick in clock.items()}
    assert rows == projects | agents
    assert any(len(clock) == 3 for clock in seen.values())


def test_edges_say_what_edges_say() -> None:
    """Edges point back and forth in time, for every reason there is, with weights in (0, 1]."""
    place = {chunk.id: number for number, chunk in enumerate(only(Chunk, SMALL))}
    sessions = {chunk.id: chunk.session_id for chunk in only(Chunk, SMALL)}
    edges = only(Edge, SMALL)
    for edge in edges:
        assert edge.type == ("forward" if place[edge.source] < place[edge.target] else "backward")
        assert 0 < edge.weight <= 1
        assert isinstance(edge.link_count, int)
        assert edge.link_count >= 1
        assert (edge.reference_type == "cross-session") == (sessions[edge.source] != sessions[edge.target])
    reasons = {edge.reference_type for edge in edges}
    assert reasons == {"file-path", "code-entity", "brief", "debrief", "cross-session", None}
    assert {edge.type for edge in edges} == {"forward", "backward"}
    assert {type(edge.vector_clock) for edge in edges} == {dict, type(None)}


def test_some_clusters_lack_what_real_ones_lack() -> None:
    """Some clusters have no name, description or centroid; exemplars are among the cluster's own members."""
    clusters = only(Cluster, SMALL)
    members = {(membership.cluster_id, membership.chunk_id) for membership in only(Membership, SMALL)}
    for field in ("name", "description", "centroid"):
        assert {getattr(cluster, field) is None for cluster in clusters} == {True, False}
    for cluster in clusters:
        assert isinstance(cluster.exemplar_ids, list)
        assert len(cluster.exemplar_ids) == 3
        assert members.issuperset((cluster.id, chunk) for chunk in cluster.exemplar_ids)
        assert re.fullmatch("[0-9a-f]{16}", str(cluster.membership_hash))


@pytest.mark.parametrize("dimensions", [2, 16, 384, 512])
def test_vectors_are_unit_length_float32(dimensions: int) -> None:
    """Each vector is `dimensions` little-endian float32 numbers of length one, and no two are the same."""
    vectors = [numbers(vector.embedding) for vector in only(Vector, replace(SMALL, chunks=120, dimensions=dimensions))]
    assert all(len(vector) == dimensions and math.hypot(*vector) == pytest.approx(1, abs=1e-5) for vector in vectors)
    assert len(set(vectors)) == 120


def test_a_distance_is_the_angle_to_the_centroid() -> None:
    """A membership's distance is that of the chunk's vector from its cluster's centroid, in half turns."""
    vectors = {vector.chunk_id: numbers(vector.embedding) for vector in only(Vector, SMALL)}
    centres = {c.id: numbers(c.centroid) for c in only(Cluster, SMALL) if isinstance(c.centroid, bytes)}
    measured = [m for m in only(Membership, SMALL) if m.cluster_id in centres]
    assert len(measured) > 400
    for membership in measured:
        angle = math.acos(cosine(vectors[membership.chunk_id], centres[membership.cluster_id])) / math.pi
        assert membership.distance == pytest.approx(angle, abs=1e-5)


def test_clusters_can_be_found_again() -> None:
    """Any two members of a cluster are nearer to each other than to a member of another, and to chunks of none."""
    shape = replace(SMALL, chunks=150, dimensions=384, clusters=5)
    topics = {membership.chunk_id: membership.cluster_id for membership in only(Membership, shape)}
    vectors = [(topics.get(v.chunk_id), numbers(v.embedding)) for v in only(Vector, shape)]
    inside: list[float] = []
    across: list[float] = []
    for number, (topic, vector) in enumerate(vectors):
        for other_topic, other in vectors[:number]:
            (inside if topic == other_topic is not None else across).append(cosine(vector, other))
    assert min(inside) > max(across)


def test_memory_stays_flat() -> None:
    """Four thousand more chunks take not even the memory of their ids."""
    shape = Shape(chunks=1000, text_bytes=50, dimensions=8)
    peak_memory(shape)  # fills the pool of sentences
    assert peak_memory(replace(shape, chunks=5000)) - peak_memory(shape) < 4000 * 50


@pytest.mark.parametrize(
    "wrong",
    [
        {"chunks": -1},
        {"text_bytes": 0},
        {"edges_per_chunk": math.nan},
        {"edges_per_chunk": math.inf},
        {"dimensions": 1},
        {"clusters": -1},
    ],
    ids=str,
)
def test_an_impossible_shape_is_refused(wrong: dict[str, int]) -> None:
    """A size that cannot be is refused when it is asked for, by name."""
    with pytest.raises(UsageError, match=next(iter(wrong))):
        replace(Shape(), **wrong)
