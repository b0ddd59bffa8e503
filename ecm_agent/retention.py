"""Retention: which archives stay and which go, and why. A pure function of names, times, a policy and `now`.

The rules are those of restic's `snapshot_policy` (a rule keeps the newest archive of each calendar bucket until its
count is used up; reasons are part of the answer; a policy that keeps nothing is refused), with three of our own:

- Only verified archives count, and only they can be removed. Any other stays and uses up no slot.
- Time that cannot be trusted removes nothing: with any archive dated later than `now`, by five minutes or more, the
  clock has gone backwards (or was ahead once), and every removal becomes a keep until the clock has caught up.
- The newest `keep_minimum` verified archives stay whatever the rules say.

Raising any number of a policy, or adding a rule to it, never removes an archive that stayed before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ecm_agent.clock import is_ahead
from ecm_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from zoneinfo import ZoneInfo

NOT_VERIFIED = "not verified"
DATED_IN_THE_FUTURE = "dated in the future"
CLOCK_WENT_BACKWARDS = "clock went backwards"
MINIMUM = "minimum"


@dataclass(frozen=True, slots=True)
class Policy:
    """How many archives to keep: the newest ones, one a calendar bucket, and all within a time; 0 and `None` are off.

    `keep_within` reaches back from the newest archive that counts, not from `now`, so that a machine that was off for
    a month, or whose clock runs ahead, loses nothing before it has made a new archive. An archive exactly that old is
    no longer within. From that new archive on it is the other rules and `keep_minimum` that hold the older ones.
    `keep_minimum` is a floor under the rules and no rule itself: the newest so many verified archives always stay.

    Raises `UsageError`, naming the key, for a negative count, `keep_minimum` below 1, a `keep_within` that is not
    positive, and a policy without any rule.
    """

    keep_last: int = 0
    keep_hourly: int = 0
    keep_daily: int = 0
    keep_weekly: int = 0
    keep_monthly: int = 0
    keep_yearly: int = 0
    keep_within: timedelta | None = None
    keep_minimum: int = 1

    def __post_init__(self) -> None:
        for key in _COUNTS:
            if self._count(key) < 0:
                message = f"{key} is {self._count(key)}, but a number of archives cannot be negative."
                raise UsageError(message, hint="Use 0 to switch the rule off.")
        if self.keep_minimum < 1:
            message = f"keep_minimum is {self.keep_minimum}, but one verified archive stays at the very least."
            raise UsageError(message, hint="Use 1 or more.")
        if self.keep_within is not None and self.keep_within <= timedelta(0):
            message = f"keep_within is {self.keep_within}, but it has to be longer than no time at all."
            raise UsageError(message, hint="Write a time such as 14d, or leave keep_within out.")
        if self.keep_within is None and not any(map(self._count, _COUNTS)):
            message = f"The retention policy keeps nothing: {', '.join(_COUNTS)} and keep_within are all off."
            raise UsageError(message, hint="Set at least one of them, for example keep_daily: 7.")

    def _count(self, key: str) -> int:
        count: int = getattr(self, key)
        return count

    def reasons(self, created: Sequence[datetime], zone: ZoneInfo) -> list[tuple[str, ...]]:
        """Say for each archive that counts why it stays; empty means it goes.

        `created` are their times, aware, in UTC, newest first.
        """
        reasons: list[list[str]] = [[] for _ in created]
        for index, reason in self._claims(created, zone):
            reasons[index].append(reason)
        for floor in reasons[: self.keep_minimum]:
            if not floor:
                floor.append(MINIMUM)
        return [tuple(each) for each in reasons]

    def _claims(self, created: Sequence[datetime], zone: ZoneInfo) -> Iterator[tuple[int, str]]:
        for index in range(min(self.keep_last, len(created))):
            yield index, f"last {index + 1}"
        local = [moment.astimezone(zone) for moment in created]
        for period, bucket_of in _BUCKETS.items():
            newest: dict[str, int] = {}
            for index, moment in enumerate(local):
                newest.setdefault(bucket_of(moment), index)
            for bucket, index in list(newest.items())[: self._count(f"keep_{period}")]:
                yield index, f"{period} {bucket}"
        if self.keep_within is not None:
            for index, moment in enumerate(created):
                if created[0] - moment < self.keep_within:
                    yield index, f"within {_written(self.keep_within)}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An archive that retention may judge. `created` is aware, in any zone; a naive one raises `ValueError`.

    `verified`: this very archive has been read back from this very destination. `apart` is why no other archive can
    stand in for it, if that is so: it stays, and uses up nothing.
    """

    name: str
    created: datetime
    verified: bool
    apart: str = ""

    def __post_init__(self) -> None:
        if self.created.utcoffset() is None:
            raise ValueError(f"the time of {self.name} has no zone")


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of an archive. `reasons` are why it stays, and empty when it goes."""

    candidate: Candidate
    keep: bool
    reasons: tuple[str, ...]


def plan(candidates: Iterable[Candidate], policy: Policy, *, now: datetime, timezone: ZoneInfo) -> list[Decision]:
    """Decide on every candidate, newest first; of equally old ones, the later name counts as the newer.

    Days, weeks, months and years are those of the calendar in `timezone`. An hour that a clock change repeats is two
    hours. The order of the input does not matter. Raises `ValueError` when `now` is naive.
    """
    if now.utcoffset() is None:
        raise ValueError("now has no zone")
    ordered = sorted(candidates, key=lambda each: (_instant(each), each.name), reverse=True)
    exempt = [_exemptions(each, now) for each in ordered]
    counting = [_instant(each) for each, why in zip(ordered, exempt, strict=True) if not why]
    judged = iter(policy.reasons(counting, timezone))
    otherwise = (CLOCK_WENT_BACKWARDS,) if any(DATED_IN_THE_FUTURE in why for why in exempt) else ()
    reasons = [why or next(judged) or otherwise for why in exempt]
    return [Decision(each, bool(why), why) for each, why in zip(ordered, reasons, strict=True)]


def _instant(candidate: Candidate) -> datetime:
    # Of two times in one zone Python compares and subtracts what the clock on the wall shows; only in UTC is it time.
    return candidate.created.astimezone(UTC)


def _exemptions(candidate: Candidate, now: datetime) -> tuple[str, ...]:
    """Why the rules do not apply to an archive at all; empty when they do."""
    reasons: tuple[str, ...] = () if candidate.verified else (NOT_VERIFIED,)
    reasons += (candidate.apart,) if candidate.apart else ()
    return (*reasons, DATED_IN_THE_FUTURE) if is_ahead(candidate.created, now) else reasons


def _hour(local: datetime) -> str:
    name = f"{local.date()} {local.hour:02}h"
    first = local.replace(minute=0, second=0, microsecond=0, fold=0)
    last = local.replace(minute=59, second=59, microsecond=999_999, fold=1)
    return name if first.utcoffset() == last.utcoffset() else f"{name} {local:%z}"


def _day(local: datetime) -> str:
    return f"{local.date()}"


def _week(local: datetime) -> str:
    year, week, _ = local.isocalendar()
    return f"{year:04}-W{week:02}"


def _month(local: datetime) -> str:
    return f"{local.year:04}-{local.month:02}"


def _year(local: datetime) -> str:
    return f"{local.year:04}"


_BUCKETS: dict[str, Callable[[datetime], str]] = {
    "hourly": _hour,
    "daily": _day,
    "weekly": _week,
    "monthly": _month,
    "yearly": _year,
}
_COUNTS = ("keep_last", *(f"keep_{period}" for period in _BUCKETS))


def _written(duration: timedelta) -> str:
    minutes, seconds = divmod(duration.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = {
        "d": duration.days,
        "h": hours,
        "m": minutes,
        "s": seconds + duration.microseconds / 1_000_000,
    }
    return "".join(f"{amount:.10g}{unit}" for unit, amount in parts.items() if amount)
