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

from ecm_agent.model.records import Chunk, Cluster, Edge, Vector, VectorClock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ecm_agent.model.records import AnyRecord, Batch, Embedding

_FLOAT = struct.calcsize("<f")
_MOST_LENGTHS, _NAMED = 1000, 5
"""How many different lengths are told apart, and named: a store in which every vector has its own must not fill the
memory, nor the screen. So many records are named of each kind of oddness."""

_HUGE = (b"\x7f", b"\xff")
"""How the last byte of a float32 is where it is not finite. It is so in very large ones, too."""

_TICKS = msgspec.json.Decoder(dict[str, Annotated[int, Meta(ge=0)]])


class Oddness:
    """Looks at records and remembers, in a few counts and names, what is odd.

    With `clocks` it looks at vector clocks as well, which takes as long as to read the records.
    """

    def __init__(self, *, clocks: bool = False) -> None:
        self._look_at_clocks = clocks
        self._lengths: dict[str, Counter[int]] = {}
        self._first: dict[tuple[str, int], str] = {}
        self._centroids: dict[int, str] = {}
        self._uneven, self._not_finite, self._clocks = _Named(), _Named(), _Named()

    def watched(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Take records into account as they pass."""
        for batch in batches:
            self.look(batch)
            yield batch

    def look(self, batch: Batch) -> None:
        """Take records into account."""
        first = batch[0]
        if isinstance(first, Vector):
            self._look_at_vectors(batch)  # type: ignore[arg-type] # a batch is of one kind
        elif isinstance(first, Cluster):
            self._look_at_centroids(batch)  # type: ignore[arg-type] # as above
        elif self._look_at_clocks and isinstance(first, (Chunk, Edge, VectorClock)):
            for record in batch:
                if not _has_clock(record):
                    self._clocks.add(f"{record.section} {_name(record)}")

    def warnings(self) -> Iterator[str]:
        """Say what was odd, a sentence each, and name the first records; never a value, which is somebody's memory."""
        for model, lengths in self._lengths.items():
            if len(lengths) > 1:
                found = ", ".join(self._of_length(model, *pair) for pair in lengths.most_common(_NAMED))
                found += ", …" if len(lengths) > _NAMED else ""
                of = f"of model {model!r} " if model else "that name no model "
                yield f"vectors {of}differ in their dimensions: {found}"
        known = {length for lengths in self._lengths.values() for length in lengths}
        for length, cluster in self._centroids.items():
            if known and length not in known:
                yield f"cluster {cluster!r} has a centroid of {length} dimensions, and no vector has as many"
        for named, what in (
            (self._uneven, "vectors whose length is no whole number of 32-bit floats"),
            (self._not_finite, "vectors holding a number that is not finite"),
            (self._clocks, "vector clocks that are not a count for each agent"),
        ):
            if named.count:
                yield f"there are {what}: {named}"

    def _of_length(self, model: str, length: int, count: int) -> str:
        return f"{count} of {length} (first: {self._first[model, length]!r})"

    def _look_at_vectors(self, batch: Sequence[Vector]) -> None:
        lengths = Counter((vector.model_id, len(vector.embedding)) for vector in batch)
        packed = [vector.embedding for vector in batch if isinstance(vector.embedding, bytes)]
        even = len(packed) == len(batch) and all(length and not length % _FLOAT for _, length in lengths)
        if not even or _may_be_infinite(b"".join(packed)):
            batch = [vector for vector in batch if self._is_even(vector, vector.embedding)]
            lengths = Counter((vector.model_id, _FLOAT * _dimensions(vector.embedding)) for vector in batch)
        for (model_id, length), count in lengths.items():
            model, dimensions = model_id if isinstance(model_id, str) else "", length // _FLOAT
            if (model, dimensions) not in self._first:
                if len(self._first) >= _MOST_LENGTHS:
                    continue
                has = (one for one in batch if (one.model_id, _dimensions(one.embedding)) == (model_id, dimensions))
                self._first[model, dimensions] = next(has).chunk_id
            self._lengths.setdefault(model, Counter())[dimensions] += count

    def _look_at_centroids(self, batch: Sequence[Cluster]) -> None:
        for cluster in batch:
            centroid = cluster.centroid
            if centroid is UNSET or centroid is None or not self._is_even(cluster, centroid):
                continue
            if len(self._centroids) < _NAMED:
                self._centroids.setdefault(_dimensions(centroid), cluster.id)

    def _is_even(self, record: Vector | Cluster, embedding: Embedding) -> bool:
        """Whether an embedding is a number of floats, finite or not; what it is otherwise is taken down."""
        if not embedding or (isinstance(embedding, bytes) and len(embedding) % _FLOAT):
            self._uneven.add(_name(record))
            return False
        if isinstance(embedding, bytes):
            # Numbers of 32 bits cannot add up to an infinity of 64 bits unless one of them is none.
            numbers = struct.unpack(f"<{_dimensions(embedding)}f", embedding)
            if not math.isfinite(sum(numbers)):
                self._not_finite.add(_name(record))
        return True


class _Named:
    """How many records there are of a kind, and the first of them by name."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[str] = []

    def add(self, name: str) -> None:
        self.count += 1
        if len(self._first) < _NAMED:
            self._first.append(name)

    def __str__(self) -> str:
        return f"{self.count} ({', '.join(self._first)}{', …' if self.count > len(self._first) else ''})"


def _name(record: AnyRecord) -> str:
    """Name a record, and its kind where it is not that which is meant anyway."""
    if isinstance(record, Vector):
        return repr(record.chunk_id)
    name = repr(getattr(record, "id", ""))
    return f"the centroid of cluster {name}" if isinstance(record, Cluster) else name


def _dimensions(embedding: Embedding) -> int:
    return len(embedding) // _FLOAT if isinstance(embedding, bytes) else len(embedding)


def _may_be_infinite(packed: bytes) -> bool:
    """Whether some number may not be finite: quickly, since hardly ever one is."""
    last = packed[_FLOAT - 1 :: _FLOAT]
    return any(byte in last for byte in _HUGE)


def _has_clock(record: AnyRecord) -> bool:
    if isinstance(record, VectorClock):
        return _is_clock(record.clock, record.columns, "clock_data")
    return not isinstance(record, (Chunk, Edge)) or _is_clock(record.vector_clock, record.columns, "vector_clock")


def _is_clock(clock: Any, columns: Mapping[str, Any] | msgspec.UnsetType, name: str) -> bool:  # noqa: ANN401 (a clock or none)
    """Whether a clock maps agents to counts. A text that JSON would write in another way stands in `columns`."""
    if columns is not UNSET and columns.get(name) is not None:
        try:
            _TICKS.decode(columns[name])
        except (msgspec.DecodeError, TypeError, RecursionError):
            return False
        return True
    return not clock or all(tick >= 0 for tick in clock.values())
