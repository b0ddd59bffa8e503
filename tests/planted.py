"""Vectors with topics planted among them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float64]


def unit(vectors: Vectors) -> Vectors:
    lengths: Vectors = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / lengths


def planted(
    sizes: list[int], *, dimensions: int = 48, spread: float = 0.05, seed: int = 1
) -> tuple[Vectors, list[int]]:
    """Give unit vectors around as many centres as there are sizes, one topic after the other, and each one's topic."""
    rng = np.random.default_rng(seed)
    topics = [topic for topic, size in enumerate(sizes) for _ in range(size)]
    centres = unit(rng.standard_normal((len(sizes), dimensions)))
    return unit(centres[topics] + spread * rng.standard_normal((len(topics), dimensions))), topics


def scattered(count: int, *, dimensions: int = 48, seed: int = 2) -> Vectors:
    """Give unit vectors that belong nowhere."""
    return unit(np.random.default_rng(seed).standard_normal((count, dimensions)))


def packed(vector: Vectors) -> bytes:
    """Give a vector as a store keeps it."""
    return vector.astype("<f4").tobytes()
