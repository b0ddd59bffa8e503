"""Sizes of parts, keys and labels."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ecm_agent.destination.s3 import S3Options
from ecm_agent.destination.s3.options import (
    LARGEST_OBJECT,
    LARGEST_PART,
    MOST_PARTS,
    SMALLEST_PART,
    part_sizes,
    parts_in_flight,
)
from ecm_agent.errors import DestinationRefused

WANTED = st.one_of(st.just(0), st.integers(1, LARGEST_PART))


@given(st.integers(0, LARGEST_OBJECT), WANTED)
@example(LARGEST_OBJECT, 0)
@example(LARGEST_OBJECT, 1)
@example(MOST_PARTS * SMALLEST_PART + 1, SMALLEST_PART)
def test_ten_thousand_parts_are_never_passed(size: int, wanted: int) -> None:
    """An object of any size S3 can hold is sent in parts of one size, within limits, as large as asked."""
    first, second = islice(part_sizes(size, wanted), 2)
    assert first == second
    assert max(SMALLEST_PART, wanted) <= first <= LARGEST_PART
    assert -(-size // first) <= MOST_PARTS


@given(WANTED)
@example(0)
@example(1)
def test_parts_of_a_source_without_an_end_grow_far_enough(wanted: int) -> None:
    """A source that cannot tell its size can have the largest one, and begins with small parts."""
    sizes = list(part_sizes(None, wanted))
    assert len(sizes) == MOST_PARTS
    assert sum(sizes) >= LARGEST_OBJECT
    assert sizes == sorted(sizes)
    assert sizes[0] == next(part_sizes(0, wanted))
    assert sizes[-1] <= LARGEST_PART


def test_what_no_bucket_can_hold_is_refused_at_once() -> None:
    """An archive over five tebibytes is refused before a byte of it is sent."""
    with pytest.raises(DestinationRefused, match="has at most"):
        part_sizes(LARGEST_OBJECT + 1, 0)


@given(st.integers(SMALLEST_PART, LARGEST_PART), st.integers(1, 64))
def test_parts_in_flight_are_few_when_they_are_large(size: int, parallel: int) -> None:
    """One at least, as many as asked for at most, and never over a quarter of a gibibyte by being several."""
    at_once = parts_in_flight(size, parallel)
    assert 1 <= at_once <= parallel
    assert at_once == 1 or at_once * size <= 256 << 20


@pytest.mark.parametrize(("prefix", "folder"), [("", ""), ("/", ""), ("a", "a/"), ("/a/b/", "a/b/"), ("a/b", "a/b/")])
def test_a_prefix_is_a_folder(prefix: str, folder: str) -> None:
    """Slashes around a prefix make no difference."""
    assert S3Options("b", prefix).folder == folder


@pytest.mark.parametrize(
    ("options", "label"),
    [
        (S3Options("b"), "s3://b"),
        (S3Options("b", "p/q"), "s3://b/p/q"),
        (S3Options("b", "p", endpoint_url="https://nas.lan:9000/x"), "s3://b/p at nas.lan:9000"),
        (S3Options("b", "p", endpoint_url="https://me:secret@nas.lan"), "s3://b/p at nas.lan"),
    ],
)
def test_the_label_names_the_place(options: S3Options, label: str) -> None:
    """Bucket, prefix and host, and nothing that could be a secret."""
    assert options.label == label
