"""The sample itself, record by record, in the columns of an ECM store of schema version 2."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from ecm_agent.model.records import Batch, Chunk, Cluster, Edge, Membership, Record, Vector, VectorClock
from ecm_agent.sample import wording
from ecm_agent.sample.geometry import Space
from ecm_agent.sample.shape import Shape, dice
from ecm_agent.sample.timeline import PROJECT_ROOTS, ROUND_LENGTH, Moment, digest, iso, moment, sql, unique_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

BATCH_SIZE = 500
"""Records in a batch at most."""

_EXEMPLARS = 3
_REFERENCES = ("file-path", "code-entity", None)
_SHARES = (10, 9, 1)
_UNCLOCKED = 1 / 20
"""How many edges are from before there were vector clocks."""

_Kind = TypeVar("_Kind", bound=Record)


def batches(shape: Shape) -> Iterator[Batch]:
    """Make the records: chunks, edges, clusters, memberships, vector clocks, vectors, in that order.

    Nothing is kept between batches, whatever the number of chunks. A `Cluster` leaves `member_chunk_ids` empty: its
    memberships say it, and a list of them all would grow with the sample.
    """
    space = Space(shape)
    yield from _batched(_chunk(shape, index) for index in range(shape.chunks))
    yield from _batched(_edges(shape))
    yield from _batched(_cluster(shape, space, topic) for topic in range(shape.clusters))
    yield from _batched(_memberships(shape, space))
    yield from _batched(_vector_clocks(shape))
    yield from _batched(
        Vector(chunk_id=moment(shape.seed, index).chunk_id, embedding=space.embedding(index))
        for index in range(shape.chunks)
    )


def _batched(records: Iterator[_Kind]) -> Iterator[list[_Kind]]:
    while batch := list(islice(records, BATCH_SIZE)):
        yield batch


def _chunk(shape: Shape, index: int) -> Chunk:
    rng = dice(shape.seed, "chunk", index)
    at = moment(shape.seed, index)
    begin = at.opens + timedelta(seconds=rng.uniform(0, 180))
    end = begin + timedelta(seconds=rng.uniform(1, 240))
    first = 2 * at.position
    content = wording.content(rng, PROJECT_ROOTS[at.project], wording.size(rng, shape.text_bytes))
    return Chunk(
        id=at.chunk_id,
        session_id=at.session_id,
        session_slug=at.project,
        turn_indices=list(range(first, first + rng.randint(1, 3))),
        start_time=iso(begin),
        end_time=iso(end),
        content=content,
        code_block_count=content.count("```") // 2,
        tool_use_count=content.count("[Tool:"),
        approx_tokens=len(content) // 4,
        created_at=sql(at.closes),
        agent_id=at.agent,
        vector_clock=at.clock,
        spawn_depth=int(at.is_helper),
    )


def _edges(shape: Shape) -> Iterator[Edge]:
    if shape.chunks <= 1:
        return
    count = round(shape.chunks * shape.edges_per_chunk)
    for number in range(count):
        yield _edge(shape, number, number * shape.chunks // count)


def _edge(shape: Shape, number: int, at: int) -> Edge:
    rng = dice(shape.seed, "edge", number)
    other = _neighbour(rng, at, shape.chunks)
    source, target = moment(shape.seed, at), moment(shape.seed, other)
    return Edge(
        id=unique_id(shape.seed, "edge", number),
        source=source.chunk_id,
        target=target.chunk_id,
        type="forward" if other > at else "backward",
        reference_type=_reference(rng, source, target),
        weight=1.0 - rng.random(),
        vector_clock=None if rng.random() < _UNCLOCKED else source.clock,
        link_count=1 + int(rng.expovariate(1.5)),
        created_at=iso(max(source.closes, target.closes)),
    )


def _neighbour(rng: Random, at: int, chunks: int) -> int:
    step = (1 + int(rng.expovariate(0.6))) * rng.choice((-1, 1))
    other = min(max(at + step, 0), chunks - 1)
    return other if other != at else at - step // abs(step)


def _reference(rng: Random, source: Moment, target: Moment) -> str | None:
    if source.session_id != target.session_id:
        return "cross-session"
    if source.is_helper or target.is_helper:
        return "debrief" if source.is_helper else "brief"
    return rng.choices(_REFERENCES, _SHARES)[0]


def _cluster(shape: Shape, space: Space, topic: int) -> Cluster:
    made = moment(shape.seed, shape.chunks).closes
    # Real stores hold clusters without a description, a name or a centroid: the second, fourth and sixth here.
    described = bool((topic + 2) % 3)
    members = (index for index in range(topic, shape.chunks, shape.clusters) if space.bearing(index).is_member)
    return Cluster(
        id=unique_id(shape.seed, "cluster", topic),
        name=wording.title(dice(shape.seed, "title", topic)) if (topic + 1) % 4 else None,
        description=wording.summary(dice(shape.seed, "summary", topic)) if described else None,
        centroid=space.centroid(topic) if (topic + 1) % 6 else None,
        exemplar_ids=[moment(shape.seed, index).chunk_id for index in islice(members, _EXEMPLARS)],
        membership_hash=digest(f"{shape.seed}:members:{topic}", 8).hex(),
        created_at=iso(made),
        refreshed_at=iso(made + timedelta(seconds=9)) if described else None,
    )


def _memberships(shape: Shape, space: Space) -> Iterator[Membership]:
    for index in range(shape.chunks):
        bearing = space.bearing(index)
        if bearing.is_member:
            yield Membership(
                chunk_id=moment(shape.seed, index).chunk_id,
                cluster_id=unique_id(shape.seed, "cluster", bearing.topic),
                distance=bearing.distance,
            )


def _vector_clocks(shape: Shape) -> Iterator[VectorClock]:
    # Clocks only grow, so a project's last chunk has seen everything; each project has one in every round.
    latest = {
        at.project: at
        for at in (moment(shape.seed, index) for index in range(max(0, shape.chunks - ROUND_LENGTH), shape.chunks))
    }
    for slug, at in latest.items():
        seen = sql(at.closes)
        yield VectorClock(id=f"project:{slug}", project_slug=slug, clock=at.clock, updated_at=seen)
        for agent, tick in at.clock.items():
            yield VectorClock(id=f"agent:{slug}:{agent}", project_slug=slug, clock={agent: tick}, updated_at=seen)
