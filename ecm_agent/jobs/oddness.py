"""What is odd in a memory without being damage: vectors and clocks as the memory program would not write them.

An archive keeps them exactly, since they were so in the store; whoever relies on the memory should hear of them.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from ecm_agent.model.records import Chunk, Edge, Vector, VectorClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ecm_agent.model.records import AnyRecord

_FLOAT = struct.calcsize("<f")
_MOST_LENGTHS, _NAMED = 1000, 5
"""How many different lengths are told apart, and named: a store in which every vector has its own must not fill the
memory, nor the screen."""

_TICKS = msgspec.json.Decoder(dict[str, Annotated[int, Meta(ge=0)]])


class Oddness:
    """Looks at the records of a store one by one and remembers, in a few counts, what is odd."""

    def __init__(self) -> None:
        self._lengths: dict[str, Counter[int]] = {}
        self._uneven = self._not_finite = self._clocks = 0

    def look(self, record: AnyRecord) -> None:
        """Take a record into account."""
        if isinstance(record, Vector):
            self._look_at_vector(record)
        elif isinstance(record, VectorClock):
            self._clocks += not _is_clock(record.clock, record.columns, "clock_data")
        elif isinstance(record, (Chunk, Edge)):
            self._clocks += not _is_clock(record.vector_clock, record.columns, "vector_clock")

    def warnings(self) -> Iterator[str]:
        """Say what was odd, a sentence each; never a value, which is somebody's memory."""
        for model, lengths in self._lengths.items():
            if len(lengths) > 1:
                found = ", ".join(f"{count} of {length}" for length, count in lengths.most_common(_NAMED))
                found += ", …" if len(lengths) > _NAMED else ""
                of = f"of model {model!r} " if model else "that name no model "
                yield f"vectors {of}differ in their dimensions: {found}"
        for count, what in (
            (self._uneven, "vectors whose length is no whole number of 32-bit floats"),
            (self._not_finite, "vectors holding a number that is not finite"),
            (self._clocks, "vector clocks that are not a count for each agent"),
        ):
            if count:
                yield f"there are {what}: {count}"

    def _look_at_vector(self, vector: Vector) -> None:
        embedding = vector.embedding
        if not isinstance(embedding, bytes) or len(embedding) % _FLOAT or not embedding:
            self._uneven += 1
            return
        dimensions = len(embedding) // _FLOAT
        model = vector.model_id if isinstance(vector.model_id, str) else ""
        known = dimensions in self._lengths.get(model, ())
        if known or sum(map(len, self._lengths.values())) < _MOST_LENGTHS:
            self._lengths.setdefault(model, Counter())[dimensions] += 1
        # Numbers of 32 bits cannot add up to an infinity of 64 bits unless one of them is none.
        self._not_finite += not math.isfinite(sum(struct.unpack(f"<{dimensions}f", embedding)))


def _is_clock(clock: Any, columns: Mapping[str, Any] | msgspec.UnsetType, name: str) -> bool:  # noqa: ANN401 (a clock or none)
    """Whether a clock maps agents to counts. A text that JSON would write in another way stands in `columns`."""
    if columns is not UNSET and columns.get(name) is not None:
        try:
            _TICKS.decode(columns[name])
        except (msgspec.DecodeError, TypeError, RecursionError):
            return False
        return True
    return not clock or all(tick >= 0 for tick in clock.values())
