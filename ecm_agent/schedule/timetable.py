"""A schedule: its text, read and checked, and the slots it names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import count, dropwhile, islice, pairwise, takewhile
from typing import TYPE_CHECKING, Self

from ecm_agent.errors import UsageError
from ecm_agent.schedule.cron import Crontab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

_NOTHING = timedelta(0)
_INTERVAL = re.compile(r"every\s+([0-9]{1,5})\s*([mhdw])", re.IGNORECASE | re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_HINT = (
    'Write "minute hour day-of-month month day-of-week" as in a crontab (0 2 * * * is every night at 2), '
    f"one of {', '.join(_NICKNAMES)}, or an interval such as every 6h, every 90m or every 2d."
)


def in_utc(moment: datetime) -> datetime:
    """Give the same moment in UTC. Raises `ValueError` for a naive one."""
    if moment.utcoffset() is None:
        raise ValueError("a moment has to have a zone")
    # Of two times in one zone Python compares and subtracts what the clock on the wall shows; only in UTC is it time.
    return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class _Interval:
    length: timedelta

    def slots(self, after: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        del zone  # an interval is time, whatever a clock shows
        return (after + number * self.length for number in count(1))

    def longest_gap(self, since: date) -> timedelta:
        del since
        return self.length


@dataclass(frozen=True, slots=True, repr=False)
class Schedule:
    """When a job is to run: the slots of a crontab line in a time zone, or an interval since the last success.

    An interval has no slots of its own: they follow, each an interval after the one before, from the moment they are
    asked for; ask with the last success. Each slot may be put off by up to `jitter`, never as far as the next slot: a
    time drawn from `seed` and the slot, and therefore the same after a restart. Give each job on each machine a seed
    of its own.

    All moments are aware; naive ones raise `ValueError`. Those given back are in UTC.
    """

    text: str
    timezone: ZoneInfo
    jitter: timedelta
    seed: str
    _rule: Crontab | _Interval

    @classmethod
    def parse(cls, text: str, *, timezone: ZoneInfo, jitter: timedelta = _NOTHING, seed: str = "") -> Self:
        """Read five crontab fields, a nickname such as `@daily`, or `every` with a number and m, h, d or w.

        Raises `UsageError` saying what is wrong: which field, and what it may be.
        """
        if jitter < _NOTHING:
            raise UsageError(f"The jitter {jitter} is negative.", hint="Use 0 to switch it off.")
        try:
            return cls(text, timezone, jitter, seed, _rule(text.strip()))
        except ValueError as error:
            raise UsageError(f'The schedule "{text}" cannot be read: {error}.', hint=_HINT) from None

    def __repr__(self) -> str:
        return f"<Schedule {self.text!r} in {self.timezone}>"

    def next_after(self, moment: datetime) -> datetime:
        """Give the first slot after `moment`; of an interval, `moment` plus the interval."""
        return next(self._slots(in_utc(moment)))

    def slots_between(self, after: datetime, until: datetime, *, limit: int) -> list[datetime]:
        """Give the slots later than `after` and no later than `until`: the first `limit` of them."""
        end = in_utc(until)
        return list(islice(takewhile(lambda slot: slot <= end, self._slots(in_utc(after))), limit))

    def runs_after(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Give every slot with the time it is run at, slot and jitter, where that is after `moment`; without end."""
        after = in_utc(moment)
        first = after if isinstance(self._rule, _Interval) else after - self.jitter
        runs = ((slot, slot + self._delay(slot, following)) for slot, following in pairwise(self._slots(first)))
        return dropwhile(lambda run: run[1] <= after, runs)

    def next_run_after(self, moment: datetime) -> datetime:
        """Give the first time after `moment` at which a slot is run: the slot and its jitter.

        With the last success this is when the job is next to run, in the past where it is overdue.
        """
        return next(self.runs_after(moment))[1]

    def expected_interval(self, moment: datetime) -> timedelta:
        """Give the longest usual time between two slots in the year from `moment` on, to judge what is overdue.

        Jitter, a clock change (an hour or so) and the time a run takes come on top.
        """
        return self._rule.longest_gap(in_utc(moment).astimezone(self.timezone).date())

    def _slots(self, after: datetime) -> Iterator[datetime]:
        return self._rule.slots(after, self.timezone)

    def _delay(self, slot: datetime, following: datetime) -> timedelta:
        drawn = sha256(f"{self.seed} {slot.isoformat()}".encode()).digest()
        fraction = int.from_bytes(drawn[:4]) / 2**32
        return timedelta(seconds=int(fraction * min(self.jitter, following - slot).total_seconds()))


def _rule(text: str) -> Crontab | _Interval:
    if interval := _INTERVAL.fullmatch(text):
        length = timedelta(**{_UNITS[interval[2].lower()]: int(interval[1])})
        if not length:
            raise ValueError("an interval has to be longer than no time at all")
        return _Interval(length)
    if text.lower().startswith("every"):
        raise ValueError("an interval is a number of minutes, hours, days or weeks (five digits at most)")
    if text.startswith("@") and text.lower() not in _NICKNAMES:
        raise ValueError(f"{text} is not one of {', '.join(_NICKNAMES)}")
    return Crontab.parse(_NICKNAMES.get(text.lower(), text))
