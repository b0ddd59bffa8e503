"""The words of every report: units, numbers of things, times, columns."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from ecm_agent.cli import wording
from ecm_agent.model.manifest import Manifest

MOMENT = datetime(2025, 7, 1, 22, 30, 15, 999_999, tzinfo=UTC)
MANIFEST = Manifest(version="1.0", created="2025-07-01T22:30:15.000Z", chunk_count=5, edge_count=1, cluster_count=0)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2, "1.0 MiB"),
        (5_347_738, "5.1 MiB"),
        (1024**3, "1.0 GiB"),
        (2**36, "64.0 GiB"),
        (2**42, "4096.0 GiB"),
    ],
)
def test_sizes_are_said_in_units_to_compare(count: int, said: str) -> None:
    """A size has at most one decimal and the largest unit that leaves a number of 1 or more, up to GiB."""
    assert wording.size(count) == said


@pytest.mark.parametrize(
    ("count", "things", "said"),
    [(0, "chunks", "0 chunks"), (1, "vector clocks", "1 vector clock"), (2, "rows", "2 rows")],
)
def test_one_thing_is_no_things(count: int, things: str, said: str) -> None:
    """One is said in the singular, every other number in the plural."""
    assert wording.counted(count, things) == said


def test_moments_are_told_in_the_zone_of_the_settings() -> None:
    """A time is told to the second, with its offset, in the zone that schedules and retention go by."""
    assert wording.moment(MOMENT, ZoneInfo("Europe/Berlin")) == "2025-07-02 00:30:15+02:00"
    assert wording.moment(MOMENT, ZoneInfo("UTC")) == "2025-07-01 22:30:15+00:00"


def test_a_table_is_as_wide_as_it_must_be() -> None:
    """Columns start below their heads, and no line ends in spaces."""
    lines = list(wording.table(("A", "NAME"), [("long value", "x"), ("y", "")]))
    assert lines == ["A           NAME", "long value  x", "y"]
    assert list(wording.table(("A", "B"), [])) == ["A  B"]


def test_contents_name_what_there_is() -> None:
    """Only kinds of which there are records are named; an archive without any says so."""
    assert wording.contents(MANIFEST) == "5 chunks, 1 edge"
    full = replace(MANIFEST, vector_clock_count=2, vector_count=1, membership_count=1)
    assert wording.contents(full) == "5 chunks, 1 edge, 1 membership, 2 vector clocks, 1 vector"
    assert wording.contents(replace(MANIFEST, chunk_count=0, edge_count=0)) == "no records"
