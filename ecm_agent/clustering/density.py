"""HDBSCAN over a space that may be large: fewer dimensions, and a sample when there are many vectors.

Measured in docs/recluster.md. HDBSCAN's search for neighbours degenerates in hundreds of dimensions, and its time
grows faster than the number of vectors.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ecm_agent.clustering.belonging import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from ecm_agent.clustering.gathering import Matrix

DIMENSIONS = ((10_000, 32), (50_000, 48), (math.inf, 64))
"""How many principal components are kept of how many vectors at most: more vectors have more topics to tell apart."""

SAMPLE = 32_768
"""How many vectors the density is learnt from at most; the others are told which topic they fall into."""

_NEIGHBOURS = 5  # how many make a place dense; more would swallow small topics
_BLOCK = 5_000  # rows at a time


def labels_of(unit: Matrix, min_cluster_size: int, advance: Callable[[int], None]) -> NDArray[np.intp]:
    """Give each row the number of its topic, -1 for none. Rows are unit vectors; equal input gives equal labels."""
    import numpy as np

    labels = np.full(len(unit), -1, dtype=np.intp)
    if len(unit) < 2 * min_cluster_size:  # one topic alone is no division: there must be room for two
        advance(len(unit))
        return labels
    rows = np.unique(np.linspace(0, len(unit) - 1, min(SAMPLE, len(unit))).astype(np.intp))
    points = _projected(unit, _principal_axes(unit[rows], dimensions_for(len(unit))))
    density = _density(points[rows], min_cluster_size)
    labels[rows] = density.labels_
    advance(len(rows))
    _assign(labels, points, np.setdiff1d(np.arange(len(unit)), rows), density, advance)
    settle(labels, unit)
    return labels


def dimensions_for(vectors: int) -> int:
    return next(dimensions for most, dimensions in DIMENSIONS if vectors <= most)


def _density(points: NDArray[np.float64], min_cluster_size: int) -> Any:  # noqa: ANN401 (the library has no types)
    from hdbscan import HDBSCAN

    return HDBSCAN(
        min_cluster_size=min_cluster_size,
        min_samples=min(_NEIGHBOURS, min_cluster_size),
        core_dist_n_jobs=1,  # more would be processes, each with a copy of somebody's memory
        prediction_data=True,
    ).fit(points)


def _assign(
    labels: NDArray[np.intp],
    points: NDArray[np.float64],
    rows: NDArray[np.intp],
    density: Any,  # noqa: ANN401 (the library has no types)
    advance: Callable[[int], None],
) -> None:
    from hdbscan import approximate_predict

    any_topic = density.labels_.max() >= 0
    for begin in range(0, len(rows), _BLOCK):
        block = rows[begin : begin + _BLOCK]
        if any_topic:
            labels[block] = approximate_predict(density, points[block])[0]
        advance(len(block))


def _principal_axes(unit: Matrix, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the mean, and as columns the directions in which the rows differ most, each with a definite sign."""
    import numpy as np

    mean = unit.mean(axis=0, dtype=np.float64)
    centred = unit - mean.astype(np.float32)
    wide = centred.shape[1] > centred.shape[0]  # then the smaller product has the same axes
    _, vectors = np.linalg.eigh((centred @ centred.T if wide else centred.T @ centred).astype(np.float64))
    axes = vectors[:, : -count - 1 : -1]
    if wide:
        axes = centred.T.astype(np.float64) @ axes
        axes /= np.maximum(np.linalg.norm(axes, axis=0), np.finfo(np.float64).tiny)
    largest = np.abs(axes).argmax(axis=0)
    return mean, axes * np.where(axes[largest, range(axes.shape[1])] < 0, -1.0, 1.0)


def _projected(unit: Matrix, frame: tuple[NDArray[np.float64], NDArray[np.float64]]) -> NDArray[np.float64]:
    import numpy as np

    mean, axes = frame
    points = np.empty((len(unit), axes.shape[1]))
    for begin in range(0, len(unit), _BLOCK):
        points[begin : begin + _BLOCK] = (unit[begin : begin + _BLOCK] - mean) @ axes
    return points
