"""What a store's clusters are to be: topics found among its vectors, joined to the clusters it has."""

from __future__ import annotations

import uuid
from collections import Counter
from itertools import count, islice
from typing import TYPE_CHECKING, TypeVar

from ecm_agent.clustering import Gathering, heirs, membership_hash
from ecm_agent.model.records import Cluster, Membership, Vector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ecm_agent.clustering import Topic
    from ecm_agent.model.records import Batch

_BATCH = 500

_Kind = TypeVar("_Kind", Cluster, Membership)


class Before:
    """What a clustering starts from: the vectors that have a chunk, and the clusters there are."""

    def __init__(self, chunks: set[str]) -> None:
        """Take the ids of the chunks there are."""
        self.gathering = Gathering()
        self.clusters: dict[str, Cluster] = {}
        self.members: dict[str, dict[str, float]] = {}
        """Of each cluster, by its id: its chunks, and their distances."""
        self._left_out: Counter[str] = Counter()
        self._chunks = chunks

    @property
    def left_out(self) -> dict[str, int]:
        """How many vectors take no part, by reason; complete once the gathering's spaces are used up."""
        return dict(sorted((self._left_out + self.gathering.left_out).items()))

    def hear(self, batch: Batch) -> None:
        """Take in clusters, then memberships and vectors; other records mean nothing here."""
        for record in batch:
            match record:
                case Cluster() if "id" not in (record.columns or {}):  # else it cannot be named in SQL, and goes
                    self.clusters[record.id] = record
                    self.members[record.id] = {}
                case Membership() if record.cluster_id in self.members:
                    self.members[record.cluster_id][record.chunk_id] = record.distance
                case Vector():
                    self._take(record)

    def _take(self, vector: Vector) -> None:
        exact = vector.columns or {}
        if vector.chunk_id not in self._chunks:
            self._left_out["no chunk"] += 1
        elif "embedding" in exact or not isinstance(vector.embedding, bytes):
            self._left_out["odd bytes"] += 1
        else:
            self.gathering.add(vector.chunk_id, vector.embedding, repr(exact.get("model_id", vector.model_id)))


class After:
    """The clusters and memberships that are to be.

    A topic that mostly overlaps a cluster takes its place: id, name, description and times stay. So do the members of
    it that have no vector, since nothing can be said about them, and clusters all of whose members have none.
    """

    def __init__(self, before: Before, topics: Sequence[Topic], clustered: set[str], now: str) -> None:
        """Take what was found, the ids of the chunks it was found among, and the time of new clusters."""
        self._before = before
        self._topics = topics
        self._clustered = clustered
        self._now = now
        self.heirs = heirs(before.members, [topic.distances.keys() for topic in topics])
        kept = set(self.heirs.values())
        self.untouched = [name for name in before.clusters if name not in kept and self._is_beyond_us(name)]
        self._names = self._named()

    @property
    def gone(self) -> int:
        """How many clusters are to be no more."""
        return len(self._before.clusters) - len(self.heirs) - len(self.untouched)

    @property
    def same(self) -> bool:
        """Whether the clusters and memberships there are say all of this already."""
        return not self.gone and all(
            (old := self._before.clusters.get(name)) is not None
            and _says(old) == _says(self._cluster(name, topic))
            and self._before.members[name] == self._members(name, topic)
            for name, topic in zip(self._names, self._topics, strict=True)
        )

    def clusters(self) -> Iterator[list[Cluster]]:
        found = (self._cluster(name, topic) for name, topic in zip(self._names, self._topics, strict=True))
        yield from _batches(found)
        yield from _batches(self._before.clusters[name] for name in self.untouched)

    def memberships(self) -> Iterator[list[Membership]]:
        names = [*self._names, *self.untouched]
        members = [
            *map(self._members, self._names, self._topics),
            *map(self._before.members.__getitem__, self.untouched),
        ]
        yield from _batches(
            Membership(chunk_id=chunk, cluster_id=name, distance=distance)
            for name, chunks in zip(names, members, strict=True)
            for chunk, distance in chunks.items()
        )

    def _is_beyond_us(self, name: str) -> bool:
        members = self._before.members[name].keys()
        return bool(members) and members.isdisjoint(self._clustered)

    def _named(self) -> list[str]:
        """Give each topic the id of the cluster it takes the place of, or one that follows from its members."""
        taken = set(self._before.clusters)
        names = []
        for place, topic in enumerate(self._topics):
            said = membership_hash(topic.distances)
            fresh = (str(uuid.uuid5(uuid.NAMESPACE_OID, f"{said} {number}")) for number in count())
            names.append(self.heirs.get(place) or next(name for name in fresh if name not in taken))
            taken.add(names[-1])
        return names

    def _members(self, name: str, topic: Topic) -> dict[str, float]:
        old = self._before.members.get(name, {})
        return topic.distances | {chunk: old[chunk] for chunk in old if chunk not in self._clustered}

    def _cluster(self, name: str, topic: Topic) -> Cluster:
        old = self._before.clusters.get(name)
        return Cluster(
            id=name,
            name=old.name if old else None,
            description=old.description if old else None,
            centroid=topic.centroid,
            exemplar_ids=topic.exemplars,
            membership_hash=membership_hash(self._members(name, topic)),
            created_at=old.created_at if old else self._now,
            refreshed_at=old.refreshed_at if old else None,
        )


def _says(cluster: Cluster) -> tuple[object, ...]:
    return cluster.centroid, cluster.exemplar_ids, cluster.membership_hash


def _batches(records: Iterable[_Kind]) -> Iterator[list[_Kind]]:
    left = iter(records)
    while batch := list(islice(left, _BATCH)):
        yield batch
