"""Gathering vectors: what can be used is sorted into spaces, what cannot is counted by reason."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from ecm_agent.clustering import Gathering, Space


def pack(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


def gathered(*vectors: tuple[str, bytes, str]) -> tuple[list[Space], dict[str, int]]:
    gathering = Gathering()
    for vector in vectors:
        gathering.add(*vector)
    return list(gathering.spaces()), dict(+gathering.left_out)


def test_vectors_become_unit_vectors_in_the_order_of_their_ids() -> None:
    """Whatever the length of the vectors and the order they come in, a space has them sorted and of length one."""
    (space,), left_out = gathered(("b", pack(0, 5), "m"), ("a", pack(3, 4), "m"), ("c", pack(-1e-30, 0), "m"))
    assert space.ids == ["a", "b", "c"]
    assert space.unit.dtype == np.float32
    assert space.unit.tolist() == [pytest.approx(row) for row in ([0.6, 0.8], [0, 1], [-1, 0])]
    assert left_out == {}


def test_models_and_dimensions_are_kept_apart() -> None:
    """Angles between vectors of different models or lengths mean nothing: each pair has a space of its own."""
    spaces, _ = gathered(
        ("a", pack(1, 0), "m"), ("b", pack(1, 0), "n"), ("c", pack(1, 0, 0), "m"), ("d", pack(0, 1), "m")
    )
    assert sorted(space.ids for space in spaces) == [["a", "d"], ["b"], ["c"]]


def test_what_is_no_direction_is_left_out_and_counted() -> None:
    """Bytes that are no float32 numbers, numbers that are not finite, and the zero vector cannot be clustered."""
    (space,), left_out = gathered(
        ("good", pack(1, 0), "m"),
        ("cut short", pack(1, 0)[:-1], "m"),
        ("empty", b"", "m"),
        ("nan", pack(1, float("nan")), "m"),
        ("infinite", pack(float("-inf"), 0), "m"),
        ("zero", pack(0, -0.0), "m"),
    )
    assert space.ids == ["good"]
    assert left_out == {"odd bytes": 2, "not finite": 2, "zero": 1}


def test_the_largest_and_smallest_numbers_are_no_trouble() -> None:
    """A vector whose length is beyond float32 still has a direction."""
    (space,), left_out = gathered(("large", pack(3e38, 3e38), "m"), ("small", pack(1e-45, 0), "m"))
    assert space.unit.tolist() == [pytest.approx([0.5**0.5] * 2), [1.0, 0.0]]
    assert left_out == {}


def test_nothing_gathered_has_no_spaces() -> None:
    """Without vectors there is no space, and no complaint."""
    assert gathered() == ([], {})
