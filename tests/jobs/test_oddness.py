"""oddness: what is odd in vectors and clocks is counted and said, and nothing else is."""

from __future__ import annotations

import math
import struct
from itertools import groupby
from typing import TYPE_CHECKING, Any

import builders
import pytest
from msgspec.structs import replace

from ecm_agent.jobs import oddness
from ecm_agent.jobs.oddness import Oddness
from ecm_agent.model.records import Exact, Vector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ecm_agent.model.records import AnyRecord, Batch, Cell

CLOCKS = "there are vector clocks that are not a count for each agent: "


def warnings(records: Iterable[AnyRecord]) -> list[str]:
    odd = Oddness(clocks=True)
    for _, alike in groupby(records, key=type):
        batch: Any = list(alike)
        odd.look(batch)
    return list(odd.warnings())


def vector(embedding: bytes | list[float], model: str | None = "m", name: str = "c") -> Vector:
    return Vector(chunk_id=name, embedding=embedding, model_id=model)


def test_an_ordinary_memory_is_not_odd() -> None:
    """Nothing is said of vectors of one length for each model, and of clocks that count."""
    assert warnings(builders.flat(builders.memory())) == []
    assert warnings([vector(bytes(8), "m"), vector(bytes(12), "n"), vector(bytes(16), None)]) == []


def test_dimensions_that_differ_within_a_model_are_odd() -> None:
    """The model is named with how many vectors have how many dimensions."""
    vectors = [vector(bytes(8), name="a"), vector(bytes(8)), vector(bytes(12), name="z"), vector(bytes(4), None)]
    expected = ["vectors of model 'm' differ in their dimensions: 2 of 2 (first: 'a'), 1 of 3 (first: 'z')"]
    assert warnings(vectors) == expected
    assert warnings([vector([0.5, 1]), *vectors[1:]]) == [expected[0].replace("'a'", "'c'")]


@pytest.mark.parametrize("embedding", [b"", bytes(7)])
def test_a_length_of_no_floats_is_odd(embedding: bytes) -> None:
    """An embedding is one 32-bit float or more."""
    what = "there are vectors whose length is no whole number of 32-bit floats"
    assert warnings([vector(embedding), vector(bytes(8))]) == [f"{what}: 1 ('c')"]
    assert warnings([builders.cluster("k"), replace(builders.cluster("l"), centroid=embedding)]) == (
        [f"{what}: 1 (the centroid of cluster 'l')"]
    )


def test_a_centroid_unlike_all_vectors_is_odd() -> None:
    """A centroid is a place among the vectors; without vectors there is nothing to say."""
    cluster = replace(builders.cluster("k"), centroid=bytes(12))
    found = warnings([cluster, vector(bytes(8))])
    assert found == ["cluster 'k' has a centroid of 3 dimensions, and no vector has as many"]
    assert warnings([cluster]) == warnings([replace(cluster, centroid=None), vector(bytes(8))]) == []


def test_numbers_that_are_not_finite_are_odd() -> None:
    """Infinities are, on either side, and what is no number; the largest floats added up are not."""
    odd = [vector(struct.pack("<3f", 1.0, number, 2.0)) for number in (math.inf, -math.inf, math.nan)]
    odd.append(vector(struct.pack("<3f", math.inf, -math.inf, 0.0)))
    large = vector(b"\xff\xff\x7f\x7f" * 3)
    named = "4 ('c', 'c', 'c', 'c')"
    assert warnings([*odd, large]) == [f"there are vectors holding a number that is not finite: {named}"]


def test_a_clock_that_goes_below_zero_is_odd() -> None:
    """In chunks, edges and vector clocks alike; a record without a clock is not odd."""
    odd: list[AnyRecord] = [
        replace(builders.chunk("c"), vector_clock={"ui": -1}),
        replace(builders.edge("e", "c", "c"), vector_clock={"ui": 1, "human": -3}),
        replace(builders.vector_clock("v", "p"), clock={"ui": -1}),
    ]
    assert warnings(odd) == [f"{CLOCKS}3 (chunks 'c', edges 'e', vectorClocks 'v')"]
    assert warnings([replace(builders.chunk("c"), vector_clock=None)]) == []


@pytest.mark.parametrize("cell", ["[1]", '{"ui": "one"}', '{"ui": -1}', "{", 7, Exact(blob=b"{}"), Exact(text=b"\xff")])
def test_a_clock_that_is_none_is_odd(cell: Cell) -> None:
    """What stands in the place of a clock and cannot be read as one."""
    assert warnings([replace(builders.chunk("c"), columns={"vector_clock": cell})]) == ([f"{CLOCKS}1 (chunks 'c')"])
    assert warnings([replace(builders.vector_clock("v", "p"), columns={"clock_data": cell})]) == (
        [f"{CLOCKS}1 (vectorClocks 'v')"]
    )


def test_a_clock_that_is_only_spaced_otherwise_is_not_odd() -> None:
    """JSON with blanks says the same."""
    assert warnings([replace(builders.chunk("c"), columns={"vector_clock": '{"ui": 3}'})]) == []


def test_ever_new_lengths_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past a bound no further length is told apart, and of those that are only the most frequent are named."""
    odd = [vector(bytes(4 * length)) for length in (1, *range(1, 20))]
    what, first = "vectors of model 'm' differ in their dimensions", "(first: 'c')"
    named = f"1 of 2 {first}, 1 of 3 {first}, 1 of 4 {first}, 1 of 5 {first}"
    assert warnings(odd) == [f"{what}: 2 of 1 {first}, {named}, …"]
    monkeypatch.setattr(oddness, "_MOST_LENGTHS", 2)
    assert warnings([*odd, *odd]) == [f"{what}: 4 of 1 {first}, 2 of 2 {first}"]


def test_clocks_are_looked_at_only_when_asked() -> None:
    """To look at every clock takes too long for an export."""
    odd = Oddness()
    batches: list[Batch] = [[replace(builders.chunk("c"), vector_clock={"ui": -1})]]
    assert list(odd.watched(batches)) == batches
    assert list(odd.warnings()) == []
