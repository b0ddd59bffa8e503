"""A second look at what density found, in all dimensions: which topics are none, and who else belongs to one.

Fewer dimensions make density fast to find, and leave two faults, measured in docs/recluster.md: vectors that belong
nowhere lie together in the middle of what is left, and become a topic; and some members look like outsiders.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ecm_agent.clustering.gathering import Matrix

    Labels: TypeAlias = NDArray[np.intp]

SOMETHING_IN_COMMON = 0.1
"""The least mean cosine between two members of a topic; vectors of unrelated texts are nearly at right angles."""

_FENCE = 4  # Tukey's: two quartile distances beyond the quartile, so four beyond the median; one stray cannot widen it
_BLOCK = 5_000  # rows at a time


def settle(labels: Labels, unit: Matrix) -> None:
    """Change labels in place: members of a topic with nothing in common leave it, outsiders (-1) join where they fit.

    An outsider joins the topic with the nearest centroid unless it lies beyond the fence around it: the median angle
    of the members, and four times their median deviation from that.
    """
    import numpy as np

    topics = []
    for rows in _groups(labels):
        members = unit[rows]
        mean = members.mean(axis=0, dtype=np.float64)
        if _mean_cosine(mean, len(rows)) < SOMETHING_IN_COMMON:
            labels[rows] = -1
            continue
        centroid = mean / np.linalg.norm(mean)
        topics.append((labels[rows[0]], centroid, _reach(members, mean)))
    if topics:
        _join(labels, unit, *map(np.array, zip(*topics, strict=True)))


def _groups(labels: Labels) -> list[NDArray[np.intp]]:
    """Give the rows of each topic, in the order of the labels."""
    import numpy as np

    order = np.argsort(labels, kind="stable")
    starts = np.unique(labels[order], return_index=True)[1]
    return [rows for rows in np.split(order, starts[1:]) if labels[rows[0]] >= 0]


def _mean_cosine(mean: NDArray[np.float64], count: int) -> float:
    """Give the mean cosine between two different ones of `count` unit vectors, from the mean of all."""
    return float((count * (mean @ mean) - 1) / (count - 1))


def _reach(members: Matrix, mean: NDArray[np.float64]) -> float:
    """Give the fence, in half turns.

    A member is measured from the mean of the others, as an outsider is: every vector draws the mean towards itself, and
    in many dimensions that outweighs how members differ.
    """
    import numpy as np

    count, along = len(members), members @ mean
    others = np.sqrt(np.maximum(count**2 * (mean @ mean) - 2 * count * along + 1, np.finfo(np.float64).tiny))
    distances = half_turns((count * along - 1) / others)
    median = np.median(distances)
    return float(median + _FENCE * np.median(np.abs(distances - median)))


def half_turns(cosines: NDArray[Any]) -> NDArray[np.float64]:
    """Give each angle as a part of a half turn, in [0, 1]: arccos(cosine) / π."""
    import numpy as np

    angles: NDArray[np.float64] = np.arccos(np.clip(cosines, -1.0, 1.0)) / math.pi
    return angles


def _join(
    labels: Labels,
    unit: Matrix,
    names: Labels,
    centroids: NDArray[np.float64],
    reaches: NDArray[np.float64],
) -> None:
    import numpy as np

    outsiders = np.flatnonzero(labels < 0)
    across = centroids.T.astype(np.float32)
    for begin in range(0, len(outsiders), _BLOCK):
        rows = outsiders[begin : begin + _BLOCK]
        cosines = unit[rows] @ across
        nearest = cosines.argmax(axis=1)
        angles = half_turns(cosines.max(axis=1))
        labels[rows] = np.where(angles <= reaches[nearest], names[nearest], -1)
