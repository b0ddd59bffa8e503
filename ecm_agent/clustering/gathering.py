"""Vectors as they come, sorted into spaces within which angles mean something."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    Matrix: TypeAlias = NDArray[np.float32]

_WIDTH = 4  # bytes of a float32
_BLOCK = 8192  # rows worked on at a time, so that no second copy of all vectors is made


class Space:
    """The vectors of one model and one number of dimensions.

    `ids` names the rows of `unit`, float32, one row a vector, of length one. Rows are in the order of their ids: what
    is found in a space does not depend on the order in which its vectors came.
    """

    def __init__(self, ids: list[str], unit: Matrix) -> None:
        self.ids = ids
        self.unit = unit


class Gathering:
    """Takes vectors one by one and keeps them as numbers side by side, four bytes each."""

    def __init__(self) -> None:
        self.left_out: Counter[str] = Counter()
        """How many vectors cannot be used, by reason; complete once `spaces` is used up."""
        self._groups: dict[tuple[str, int], tuple[list[str], bytearray]] = {}

    def __len__(self) -> int:
        return sum(len(ids) for ids, _ in self._groups.values())

    def add(self, chunk_id: str, embedding: bytes, model: str) -> None:
        """Take a vector: little-endian float32, of the model of that name (any name that tells it from others)."""
        if not embedding or len(embedding) % _WIDTH:
            self.left_out["odd bytes"] += 1
            return
        ids, numbers = self._groups.setdefault((model, len(embedding)), ([], bytearray()))
        ids.append(chunk_id)
        numbers += embedding

    def spaces(self) -> Iterator[Space]:
        """Give each model's and each length's vectors as a space of their own, and forget them."""
        for key in sorted(self._groups):
            ids, numbers = self._groups.pop(key)
            yield self._space(ids, numbers)

    def _space(self, ids: list[str], numbers: bytearray) -> Space:
        import numpy as np

        given = np.frombuffer(numbers, dtype="<f4").reshape(len(ids), -1)
        lengths = _lengths(given)
        infinite, zero = ~np.isfinite(lengths), lengths == 0
        self.left_out += Counter({"not finite": int(infinite.sum()), "zero": int(zero.sum())})
        good = np.flatnonzero(~infinite & ~zero).tolist()
        rows = np.array(sorted(good, key=ids.__getitem__), dtype=np.intp)
        unit = given[rows].astype(np.float32, copy=False)
        for begin in range(0, len(rows), _BLOCK):
            block = slice(begin, begin + _BLOCK)
            unit[block] = unit[block] / lengths[rows[block], None]
        return Space([ids[row] for row in rows], unit)


def _lengths(given: Matrix) -> NDArray[np.float64]:
    """Give each row's length in double precision; NaN or infinite where a number of the row is."""
    import numpy as np

    lengths = np.empty(len(given))
    for begin in range(0, len(given), _BLOCK):
        lengths[begin : begin + _BLOCK] = np.linalg.norm(given[begin : begin + _BLOCK].astype(np.float64), axis=1)
    return lengths
