"""Embeddings: unit vectors that lean towards the centre of their topic.

A vector at angle a from its centre c is `cos(a) * c + sin(a) * u`, with u a unit vector at right angles to c. So the
distance is known before the vector is made, and memberships need no vectors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import mul
from struct import Struct

from ecm_agent.sample.shape import Shape, dice

_NEAR = (0.08, 0.22)
_FAR = (0.4, 0.5)
"""Angles from the centre as parts of a half turn: of members, and of chunks that belong nowhere."""

_OUTLIERS = 1 / 8
_NOISE_LENGTH = 1 << 14


@dataclass(frozen=True, slots=True)
class Bearing:
    """Where a chunk's vector points. `distance` is angular, from its topic's centre, in [0, 1]."""

    topic: int
    is_member: bool
    distance: float
    offset: int


class Space:
    """The topics of a sample, and where in their midst each chunk lies."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._packing = Struct(f"<{shape.dimensions}f")
        gauss = dice(shape.seed, "noise", 0).gauss
        self._noise = [gauss(0.0, 1.0) for _ in range(_NOISE_LENGTH + shape.dimensions)]
        self._centres = [self._centre(topic) for topic in range(max(shape.clusters, 1))]

    def _centre(self, topic: int) -> list[float]:
        gauss = dice(self._shape.seed, "centre", topic).gauss
        values = [gauss(0.0, 1.0) for _ in range(self._shape.dimensions)]
        length = math.hypot(*values)
        return [value / length for value in values]

    def bearing(self, index: int) -> Bearing:
        """Say where the chunk of that index points; the first chunk of a topic is always a member."""
        rng = dice(self._shape.seed, "bearing", index)
        clusters = self._shape.clusters
        is_member = clusters > 0 and (index < clusters or rng.random() >= _OUTLIERS)
        return Bearing(
            topic=index % len(self._centres),
            is_member=is_member,
            distance=rng.uniform(*(_NEAR if is_member else _FAR)),
            offset=rng.randrange(_NOISE_LENGTH),
        )

    def embedding(self, index: int) -> bytes:
        """Give the chunk's vector: little-endian float32, of length one."""
        bearing = self.bearing(index)
        centre = self._centres[bearing.topic]
        noise = self._noise[bearing.offset : bearing.offset + len(centre)]
        overlap = sum(map(mul, centre, noise))
        sideways = math.sin(bearing.distance * math.pi) / math.sqrt(sum(map(mul, noise, noise)) - overlap**2)
        along = math.cos(bearing.distance * math.pi) - sideways * overlap
        return self._packing.pack(*[along * c + sideways * n for c, n in zip(centre, noise, strict=True)])

    def centroid(self, topic: int) -> bytes:
        return self._packing.pack(*self._centres[topic])
