"""Crontab lines: which times of the wall clock they name, and which instants those are.

A line is read as Debian's cron 3.0pl1 reads it (crontab(5)), but for lines that cron takes and then never runs, or runs
differently from what they seem to say: ranges from high to low, days that no month has, and whatever it reads over
(`5-6-7`, `5#2`) are errors here.

Changes of the clock are those of cron(8). Where the clock jumps ahead, a line that names its times runs right after
the jump for those it skipped, once for all of them; where it is put back, the repeated times do not run again. A line
whose minute or hour begins with `*` looks at the wall clock each minute and runs whenever that matches. Unlike cron
this holds for jumps of more than three hours as well: they are the time zone's doing here, never the administrator's.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count, pairwise
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_YEAR = timedelta(days=366)
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def read(self, text: str) -> frozenset[int]:
        return frozenset(value for part in text.split(",") for value in self._range(part))

    def _range(self, text: str) -> range:
        span, slash, step = text.partition("/")
        if span == "*":
            low, high = self.low, self.high
        else:
            first, dash, last = span.partition("-")
            low = self._value(first)
            high = self._value(last) if dash else low
            if slash and not dash:
                raise ValueError(f"{self.name} {text} has a step but no range; write {span}-{self.high}/{step}")
        if high < low:
            raise ValueError(f"{self.name} {span} runs from high to low")
        return range(low, high + 1, self._step(text, step) if slash else 1)

    def _value(self, text: str) -> int:
        if text.lower() in self.names:
            return self.low + self.names.index(text.lower())
        if _is_number(text) and self.low <= int(text) <= self.high:
            return int(text)
        names = f" or a name from {self.names[0]} to {self.names[-1]}" if self.names else ""
        raise ValueError(f'{self.name} "{text}" is not a number from {self.low} to {self.high}{names}')

    def _step(self, text: str, step: str) -> int:
        if not _is_number(step) or int(step) == 0:
            raise ValueError(f'{self.name} {text} has the step "{step}", which is not a number from 1 on')
        return int(step)


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    _Field("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)


def _is_number(text: str) -> bool:
    return re.fullmatch("[0-9]{1,9}", text) is not None


@dataclass(frozen=True, slots=True)
class Crontab:
    """The times a crontab line names: `times` of the days that `days` (of the month), `months` and `weekdays` pick.

    Weekdays count from 0, Sunday. `either`: one of `days` and `weekdays` is enough. `wildcard`: the minute or the hour
    begins with `*`.
    """

    times: tuple[time, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool
    wildcard: bool

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read five fields. Raises `ValueError` saying which field is wrong and what it may be."""
        fields = line.split()
        if len(fields) != len(_FIELDS):
            raise ValueError(f"it has {len(fields)} fields; cron has {len(_FIELDS)}, none of them for seconds")
        minutes, hours, days, months, weekdays = (field.read(text) for field, text in zip(_FIELDS, fields, strict=True))
        minute, hour, day, month, weekday = fields
        parsed = cls(
            times=tuple(time(each_hour, each_minute) for each_hour in sorted(hours) for each_minute in sorted(minutes)),
            days=days,
            months=months,
            weekdays=frozenset(number % 7 for number in weekdays),
            # It is the first character that decides in cron: `*/2` counts as no restriction, and `1-31` as one.
            either=not day.startswith("*") and not weekday.startswith("*"),
            wildcard=minute.startswith("*") or hour.startswith("*"),
        )
        longest = max(_LONGEST_MONTHS[number - 1] for number in parsed.months)
        if not parsed.either and min(parsed.days) > longest:
            raise ValueError(f"there is no day {min(parsed.days)} in month {month}")
        return parsed

    def slots(self, after: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """Give every instant after `after` at which the line runs in `zone`, in order, without end. All in UTC."""
        # From a day before: what the wall clock showed until `after` says which times are repeated ones.
        start = after.replace(second=0, microsecond=0) - (_DAY if not self.wildcard else timedelta(0))
        latest, reached = after, _shown(start, _offset(start, zone))
        for begin, end, offset in _stretches(start, zone):
            for shown in self._due_within(begin, end, begin if self.wildcard else reached):
                if (instant := shown.replace(tzinfo=UTC) - offset) > latest:
                    latest = instant
                    yield instant
            reached = end

    def longest_gap(self, since: date) -> timedelta:
        """Give the longest time between two slots in the year from `since` on, on a clock that is never changed."""
        within_a_day = pairwise(datetime.combine(since, at) for at in self.times)
        longest = max((later - earlier for earlier, later in within_a_day), default=timedelta(0))
        for earlier, later in pairwise(filter(self._names, (since + days * _DAY for days in count()))):
            gap = datetime.combine(later, self.times[0]) - datetime.combine(earlier, self.times[-1])
            longest = max(longest, gap)
            if later > since + _YEAR:
                break
        return longest

    def _due_within(self, begin: datetime, end: datetime, reached: datetime) -> Iterator[datetime]:
        """Give the times of a stretch of the wall clock at which to run; it has shown all before `reached` already."""
        if reached < begin and any(self._times(reached, begin)):
            yield begin
        yield from self._times(max(begin, reached), end)

    def _times(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        """Give the times the line names from `begin` until before `end`, whether the clock shows them or not."""
        first, last = begin.date(), end.date()
        for day in filter(self._names, (first + days * _DAY for days in range((last - first).days + 1))):
            start = bisect_left(self.times, begin.time()) if day == first else 0
            stop = bisect_left(self.times, end.time()) if day == last else len(self.times)
            yield from (datetime.combine(day, at) for at in self.times[start:stop])

    def _names(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (of_month or of_week) if self.either else (of_month and of_week)


def _stretches(start: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """Cut time from `start` (UTC) on into stretches in which the wall clock does not jump: begin, end, UTC offset.

    Begin and end are naive, what the clock shows; end is no longer part of the stretch.
    """
    while True:
        offset, end = _offset(start, zone), start + _DAY
        if _offset(end, zone) != offset:
            end = start + _minutes_until_the_jump(start, zone) * _MINUTE
        yield _shown(start, offset), _shown(end, offset), offset
        start = end


def _minutes_until_the_jump(start: datetime, zone: ZoneInfo) -> int:
    """Give the first minute of the day from `start` on with another UTC offset, where its last one has another."""
    offset = _offset(start, zone)
    minutes = range(1, _DAY // _MINUTE)
    return 1 + bisect_left(minutes, True, key=lambda each: _offset(start + each * _MINUTE, zone) != offset)


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def _shown(instant: datetime, offset: timedelta) -> datetime:
    return (instant + offset).replace(tzinfo=None)
