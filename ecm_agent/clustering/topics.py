"""The topics of a space, and what the memory keeps of each."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from msgspec import Struct

from ecm_agent.clustering.belonging import half_turns
from ecm_agent.clustering.density import labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ecm_agent.clustering.gathering import Matrix, Space

EXEMPLARS = 3
"""How many members stand for a topic."""


class Topic(Struct, frozen=True):
    """Vectors that lie together. `centroid` is their mean, of length one, as little-endian float32."""

    distances: dict[str, float]
    """Of each member from the centroid: the angle between them as a part of a half turn, in [0, 1]."""
    centroid: bytes
    exemplars: list[str]
    """The ids of the members nearest the centroid, the nearest first."""


def topics_of(space: Space, min_cluster_size: int, advance: Callable[[int], None]) -> Iterator[Topic]:
    """Find the topics of a space, in the order of their first member; what belongs to none is noise.

    `min_cluster_size` is at least 2; `advance` hears how many more vectors are done. Equal spaces give equal topics.
    """
    import numpy as np

    labels = labels_of(space.unit, min_cluster_size, advance)
    order = np.argsort(labels, kind="stable")
    first, counts = np.unique(labels[order], return_index=True, return_counts=True)[1:]
    groups = [order[begin : begin + count] for begin, count in zip(first, counts, strict=True)]
    for rows in sorted((rows for rows in groups if labels[rows[0]] >= 0), key=lambda rows: int(rows[0])):
        yield _topic([space.ids[row] for row in rows], space.unit[rows])


def _topic(ids: list[str], unit: Matrix) -> Topic:
    import numpy as np

    members = unit.astype(np.float64)
    mean = members.mean(axis=0)
    centroid = mean / (np.linalg.norm(mean) or 1.0)
    distances = half_turns(members @ centroid)
    nearest = np.argsort(distances, kind="stable")[:EXEMPLARS]
    return Topic(
        distances=dict(zip(ids, distances.tolist(), strict=True)),
        centroid=centroid.astype("<f4").tobytes(),
        exemplars=[ids[row] for row in nearest],
    )


def membership_hash(chunk_ids: Iterable[str]) -> str:
    """Tell one set of members from another: SHA-256 of the ids, sorted, a newline between; 16 hexadecimal digits."""
    return hashlib.sha256("\n".join(sorted(chunk_ids)).encode(errors="surrogatepass")).hexdigest()[:16]
