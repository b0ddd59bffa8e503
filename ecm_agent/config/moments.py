"""A point in time as people give it on the command line."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

from ecm_agent.config.values import span_of
from ecm_agent.errors import UsageError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_AGO = re.compile(r"([0-9]{1,6}[smhdw])(?: ago)?")
_YEARS = range(1970, 9999)  # beyond them, arithmetic with time zones leaves the calendar


def moment_of(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    """Read an ISO 8601 date (its end is meant) or date-time, or a span such as 3d, that long before `now`; gives UTC.

    Without an offset it is a time of the zone; of a time that a clock change makes happen twice, the later one.
    Raises `UsageError`.
    """
    try:
        given = _read(text, now)
        local = given if given.tzinfo else given.replace(tzinfo=zone, fold=1)
        if local.year in _YEARS:
            return local.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise UsageError(
        f"{text!r} is no time.",
        hint="Give a date (2025-03-01: the end of that day), a time (2025-03-01T14:30, 2025-03-01T14:30Z) or how long "
        "ago (12h, 3d, 2w).",
    )


def _read(text: str, now: datetime) -> datetime:
    if ago := _AGO.fullmatch(text):
        return now - span_of(ago[1])
    try:
        return datetime.combine(date.fromisoformat(text), time.max)
    except ValueError:
        return datetime.fromisoformat(text)
