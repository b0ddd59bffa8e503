"""The only wall clock. Everything else gets a `Clock`, or `now` as a value."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far in the future a time on record may lie (another machine's clock, a small correction) and still count."""


def is_ahead(moment: datetime, now: datetime) -> bool:
    """Whether an aware time lies so far in the future that a clock was wrong, or is."""
    # Of two times in one zone Python subtracts what the clock on the wall shows; only in UTC is it time.
    return moment.astimezone(UTC) - now.astimezone(UTC) > CLOCK_TOLERANCE


class Clock(Protocol):
    """Time as a dependency, so that tests can hold it still or make it jump."""

    def now(self) -> datetime:
        """Give the time of day, aware, in UTC."""

    def monotonic(self) -> float:
        """Give seconds that never run backwards, for measuring how long a thing took."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
