"""moments: points in time as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ecm_agent.config.moments import moment_of
from ecm_agent.errors import UsageError

NOW = datetime(2025, 3, 10, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-03-01", "2025-03-01T22:59:59.999999+00:00"),
        ("20250301", "2025-03-01T22:59:59.999999+00:00"),
        ("2025-03-01T14:30", "2025-03-01T13:30:00+00:00"),
        ("2025-03-01 14:30:05", "2025-03-01T13:30:05+00:00"),
        ("2025-03-01T14:30Z", "2025-03-01T14:30:00+00:00"),
        ("2025-03-01T14:30-05:00", "2025-03-01T19:30:00+00:00"),
        ("2025-10-26T02:30", "2025-10-26T01:30:00+00:00"),
        ("2025-07-01", "2025-07-01T21:59:59.999999+00:00"),
        ("3d", "2025-03-07T12:00:00+00:00"),
        ("12h ago", "2025-03-10T00:00:00+00:00"),
        ("0s", "2025-03-10T12:00:00+00:00"),
        ("2w", "2025-02-24T12:00:00+00:00"),
    ],
)
def test_a_moment_is_read(text: str, expected: str) -> None:
    """A day means its end, a time that of the zone, of two the later one; an offset counts; a span is so long ago."""
    assert moment_of(text, BERLIN, NOW).isoformat() == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "bla", "14:30", "latest", "yesterday", "3", "-3d", "3 d", "٣d", "999999w", "2025-02-30"),
        *("2025-03-01T25:00", "2025-03-01T14:30+99:00", "0001-01-01", "9999-12-31"),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_what_is_no_moment_is_refused(text: str, zone: str) -> None:
    """Anything else is an error that shows what to write, in whatever zone."""
    with pytest.raises(UsageError, match="is no time") as caught:
        moment_of(text, ZoneInfo(zone), NOW)
    assert "2025-03-01T14:30Z" in caught.value.hint
