"""recluster: the topics of a memory, found anew from its vectors; what is still the same topic keeps its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ecm_agent.clustering import require, topics_of
from ecm_agent.errors import UsageError
from ecm_agent.jobs.clusters import After, Before
from ecm_agent.jobs.safety import Kept, undoable
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
    changed: bool
    """Whether the store was, or would be, changed."""
    back: Kept
    """What there is to go back to."""
    dry_run: bool

    @property
    def found(self) -> int:
        """How many topics were found."""
        return self.kept + self.new


def recluster(
    store: MemoryStore,
    safety: Safety | None,
    context: Context,
    *,
    dry_run: bool = False,
    min_cluster_size: int = MIN_CLUSTER_SIZE,
) -> Reclustered:
    """Find the topics of a store's vectors, and make them its clusters.

    Vectors of different models or dimensions are clustered apart. The store is read and the topics are found while its
    owner may go on writing; only then is it locked, a safety archive made and proved, and everything written in one
    transaction. A chunk that comes meanwhile belongs to no cluster until the next time. Without `safety` it is part of
    a change that is on record already: `undo` goes back to before both.
    Raises `UsageError` without the libraries, or for a cluster of fewer than two; `StoreUnreadable`.
    """
    require()
    if min_cluster_size < 2:  # noqa: PLR2004 (one chunk is no topic)
        raise UsageError("A cluster has at least two members.", hint="Give --min-cluster-size 2 or more.")
    began = context.clock.monotonic()
    before = _read(store, context)
    topics, clustered = _found(before, context, min_cluster_size)
    after = After(before, topics, clustered, timestamp(context.clock.now()))
    changes = bool(topics) and not after.same
    back = _carried_out(after, store, safety, context) if changes and not dry_run else Kept()
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
        changed=changes,
        back=back,
        dry_run=dry_run,
    )


def _carried_out(after: After, store: MemoryStore, safety: Safety | None, context: Context) -> Kept:
    if safety is None:
        store.recluster(after.clusters(), after.memberships())
        return Kept()
    with undoable(store, "recluster", safety, context) as change:
        store.recluster(after.clusters(), after.memberships(), change.prepare, change.finish)
    return change.kept


def _read(store: MemoryStore, context: Context) -> Before:
    """Read what a clustering starts from."""
    with store.snapshot(Selection(), "") as snapshot:
        before = Before(set(snapshot.chunk_ids()))
        context.progress.stage(f"Reading {store.path}", sum(snapshot.manifest.count(kind) or 0 for kind in _KINDS))
        for batch in snapshot.batches(_KINDS):
            before.hear(batch)
            context.progress.advance(len(batch))
        return before


def _found(before: Before, context: Context, min_cluster_size: int) -> tuple[list[Topic], set[str]]:
    """Give the topics of every space, and the ids of all chunks that took part."""
    topics: list[Topic] = []
    clustered: set[str] = set()
    context.progress.stage("Finding topics", len(before.gathering))
    for space in before.gathering.spaces():
        topics += topics_of(space, min_cluster_size, context.progress.advance)
        clustered.update(space.ids)
    return topics, clustered
