"""oddness: what is odd in vectors and clocks is counted and said, and nothing else is."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import builders
import pytest
from msgspec.structs import replace

from ecm_agent.jobs import oddness
from ecm_agent.jobs.oddness import Oddness
from ecm_agent.model.records import Exact, Vector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ecm_agent.model.records import AnyRecord, Cell

CLOCKS = "there are vector clocks that are not a count for each agent: "


def warnings(records: Iterable[AnyRecord]) -> list[str]:
    odd = Oddness()
    for record in records:
        odd.look(record)
    return list(odd.warnings())


def vector(embedding: bytes, model: str | None = "m") -> Vector:
    return Vector(chunk_id="c", embedding=embedding, model_id=model)


def test_an_ordinary_memory_is_not_odd() -> None:
    """Nothing is said of vectors of one length for each model, and of clocks that count."""
    assert warnings(builders.flat(builders.memory())) == []
    assert warnings([vector(bytes(8), "m"), vector(bytes(12), "n"), vector(bytes(16), None)]) == []


def test_dimensions_that_differ_within_a_model_are_odd() -> None:
    """The model is named with how many vectors have how many dimensions."""
    found = warnings([vector(bytes(8)), vector(bytes(8)), vector(bytes(12)), vector(bytes(4), None)])
    assert found == ["vectors of model 'm' differ in their dimensions: 2 of 2, 1 of 3"]


@pytest.mark.parametrize("embedding", [b"", bytes(7)])
def test_a_length_of_no_floats_is_odd(embedding: bytes) -> None:
    """An embedding is one 32-bit float or more."""
    assert warnings([vector(embedding)]) == ["there are vectors whose length is no whole number of 32-bit floats: 1"]


def test_numbers_that_are_not_finite_are_odd() -> None:
    """Infinities are, on either side, and what is no number; the largest floats added up are not."""
    odd = [vector(struct.pack("<3f", 1.0, number, 2.0)) for number in (math.inf, -math.inf, math.nan)]
    odd.append(vector(struct.pack("<3f", math.inf, -math.inf, 0.0)))
    large = vector(b"\xff\xff\x7f\x7f" * 3)
    assert warnings([*odd, large]) == ["there are vectors holding a number that is not finite: 4"]


def test_a_clock_that_goes_below_zero_is_odd() -> None:
    """In chunks, edges and vector clocks alike; a record without a clock is not odd."""
    odd: list[AnyRecord] = [
        replace(builders.chunk("c"), vector_clock={"ui": -1}),
        replace(builders.edge("e", "c", "c"), vector_clock={"ui": 1, "human": -3}),
        replace(builders.vector_clock("v", "p"), clock={"ui": -1}),
    ]
    assert warnings(odd) == [f"{CLOCKS}3"]
    assert warnings([replace(builders.chunk("c"), vector_clock=None)]) == []


@pytest.mark.parametrize("cell", ["[1]", '{"ui": "one"}', '{"ui": -1}', "{", 7, Exact(blob=b"{}"), Exact(text=b"\xff")])
def test_a_clock_that_is_none_is_odd(cell: Cell) -> None:
    """What stands in the place of a clock and cannot be read as one."""
    assert warnings([replace(builders.chunk("c"), columns={"vector_clock": cell})]) == [f"{CLOCKS}1"]
    assert warnings([replace(builders.vector_clock("v", "p"), columns={"clock_data": cell})]) == [f"{CLOCKS}1"]


def test_a_clock_that_is_only_spaced_otherwise_is_not_odd() -> None:
    """JSON with blanks says the same."""
    assert warnings([replace(builders.chunk("c"), columns={"vector_clock": '{"ui": 3}'})]) == []


def test_ever_new_lengths_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past a bound no further length is told apart, and of those that are only the most frequent are named."""
    odd = [vector(bytes(4 * length)) for length in (1, *range(1, 20))]
    assert warnings(odd) == [
        "vectors of model 'm' differ in their dimensions: 2 of 1, 1 of 2, 1 of 3, 1 of 4, 1 of 5, …"
    ]
    monkeypatch.setattr(oddness, "_MOST_LENGTHS", 2)
    assert warnings([*odd, *odd]) == ["vectors of model 'm' differ in their dimensions: 4 of 1, 2 of 2"]
