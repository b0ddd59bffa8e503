"""How big a sample is, and the dice every part of it is thrown with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from ecm_agent.errors import UsageError

_LEAST = {"chunks": 0, "text_bytes": 1, "edges_per_chunk": 0, "dimensions": 2, "clusters": 0}
"""A vector of one dimension has no direction to lean in, hence two."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What to make: the same shape gives equal records.

    `text_bytes` is the mean size of a chunk's content in UTF-8 bytes; sizes spread as in real stores (5% below a
    quarter of it, 5% above one and a half times, now and then five times). `edges_per_chunk` is a mean as well.
    There is one vector of `dimensions` numbers for each chunk. Raises `UsageError` for a size that cannot be.
    """

    chunks: int = 400
    text_bytes: int = 10_000
    edges_per_chunk: float = 1.0
    dimensions: int = 384
    clusters: int = 12
    seed: int = 20260101

    def __post_init__(self) -> None:
        for field, least in _LEAST.items():
            if not least <= getattr(self, field) < math.inf:
                raise UsageError(f"A sample memory cannot have {field}={getattr(self, field)}; the least is {least}.")


def dice(seed: int, kind: str, index: int) -> Random:
    """Give the random numbers of one thing from its place alone, so that nothing has to be remembered."""
    return Random(f"{seed}:{kind}:{index}")  # noqa: S311 - a sample must be repeatable, and keeps no secret
