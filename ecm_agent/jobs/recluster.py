"""recluster: the topics of a memory, found anew from its vectors; what is still the same topic keeps its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ecm_agent.clustering import require, topics_of
from ecm_agent.errors import UsageError
from ecm_agent.jobs.clusters import After, Before
from ecm_agent.model.manifest import Selection, timestamp
from ecm_agent.model.records import Cluster, Membership, Vector

if TYPE_CHECKING:
    from ecm_agent.clustering import Topic
    from ecm_agent.jobs.job import Context
    from ecm_agent.jobs.safety import Safety
    from ecm_agent.store.base import MemoryStore

MIN_CLUSTER_SIZE = 5
"""How many chunks make a topic; docs/recluster.md says why."""

_KINDS = (Cluster, Membership, Vector)


class Reclustered(Struct, frozen=True):
    """What a re-clustering did, or with `dry_run` would do. Where no topic was found, nothing was changed."""

    vectors: int
    """How many took part."""
    left_out: dict[str, int]
    """How many did not, by reason."""
    kept: int
    """Clusters that go on under their id, name and description."""
    new: int
    gone: int
    untouched: int
    """Clusters none of whose members took part: they stay as they are."""
    members: int
    unclustered: int
    """Of the vectors that took part, how many belong to a topic and how many to none."""
    seconds: float
    safety_archive: str | None
    replaceable: bool
    """Whether an archive can take the store's place: not where it has tables that archives do not hold."""
    dry_run: bool

    @property
    def found(self) -> int:
        """How many topics were found."""
        return self.kept + self.new


def recluster(
    store: MemoryStore,
    safety: Safety,
    context: Context,
    *,
    dry_run: bool = False,
    min_cluster_size: int = MIN_CLUSTER_SIZE,
) -> Reclustered:
    """Find the topics of a store's vectors, and make them its clusters.

    Vectors of different models or dimensions are clustered apart. The store is read and the topics are found while its
    owner may go on writing; only then is it locked, a safety archive made and proved, and everything written in one
    transaction. A chunk that comes meanwhile belongs to no cluster until the next time.
    Raises `UsageError` without the libraries, or for a cluster of fewer than two; `StoreUnreadable`.
    """
    require()
    if min_cluster_size < 2:  # noqa: PLR2004 (one chunk is no topic)
        raise UsageError("A cluster has at least two members.", hint="Give --min-cluster-size 2 or more.")
    began = context.clock.monotonic()
    before, left_out = _read(store, context)
    topics, clustered = _found(before, context, min_cluster_size)
    after = After(before, topics, clustered, timestamp(context.clock.now()))
    saved: list[str] = []
    if topics and not dry_run:
        store.recluster(after.clusters(), after.memberships(), lambda: saved.extend(safety.save(store, context)))
    members = sum(len(topic.distances) for topic in topics)
    return Reclustered(
        vectors=len(clustered),
        left_out=before.left_out,
        kept=len(after.heirs),
        new=len(topics) - len(after.heirs),
        gone=after.gone if topics else 0,
        untouched=len(after.untouched) if topics else len(before.clusters),
        members=members,
        unclustered=len(clustered) - members,
        seconds=context.clock.monotonic() - began,
        safety_archive=saved[0] if saved else None,
        replaceable=not left_out,
        dry_run=dry_run,
    )


def _read(store: MemoryStore, context: Context) -> tuple[Before, dict[str, int]]:
    """Read what a clustering starts from, and which tables a whole archive of the store leaves out."""
    with store.snapshot(Selection(), "") as snapshot:
        before = Before(set(snapshot.chunk_ids()))
        context.progress.stage(f"Reading {store.path}", sum(snapshot.manifest.count(kind) or 0 for kind in _KINDS))
        for batch in snapshot.batches(_KINDS):
            before.hear(batch)
            context.progress.advance(len(batch))
        return before, snapshot.manifest.left_out


def _found(before: Before, context: Context, min_cluster_size: int) -> tuple[list[Topic], set[str]]:
    """Give the topics of every space, and the ids of all chunks that took part."""
    topics: list[Topic] = []
    clustered: set[str] = set()
    context.progress.stage("Finding topics", len(before.gathering))
    for space in before.gathering.spaces():
        topics += topics_of(space, min_cluster_size, context.progress.advance)
        clustered.update(space.ids)
    return topics, clustered
