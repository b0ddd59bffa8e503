"""Whether a job has to run now, judged from what is on record rather than from what a timer did.

Timers sleep with the machine and forget when it restarts. The last success is durable: a slot that has passed since
then is due, however long ago, and several of them are due once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

from ecm_agent.clock import CLOCK_TOLERANCE
from ecm_agent.schedule.timetable import in_utc

if TYPE_CHECKING:
    from ecm_agent.schedule.timetable import Schedule

FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=1)

SCHEDULED = "scheduled"
RETRY = "retry"
NEVER_SUCCEEDED = "no success on record"
CLOCK_WENT_BACKWARDS = "the last success is dated in the future, the clock went backwards"


@dataclass(frozen=True, slots=True)
class Failure:
    """The last attempt, which failed: when it started and ended (aware), and how many have failed since a success."""

    started: datetime
    ended: datetime
    in_a_row: int = 1

    def __post_init__(self) -> None:
        for name in ("started", "ended"):
            object.__setattr__(self, name, in_utc(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class Due:
    """A job has to run now: for which slot (UTC), and why.

    `slot` is the latest one that has passed, or `now` where none counts (the job never succeeded, the clock went
    backwards). `missed` is how many slots before it have passed without any attempt and will not be run any more,
    `first_missed` the first of them: they are skipped, and each skip is reported once.
    """

    slot: datetime
    reason: str
    missed: int = 0
    first_missed: datetime | None = None


def due(
    schedule: Schedule,
    *,
    last_success: datetime | None,
    last_failure: Failure | None,
    now: datetime,
    at_once: bool = False,
) -> Due | None:
    """Say whether the job has to run now; `None` when it has not.

    `last_success` is when the last successful run started: what changed later is not in it. `last_failure` is `None`
    when the last attempt succeeded. A job without a success is due at once, one with a success dated more than
    `CLOCK_TOLERANCE` in the future as well, and any other when a slot (with its jitter) has passed since the success.
    After a failure, none of that before `retry_at`, unless somebody asks for it `at_once`. Naive moments raise
    `ValueError`.
    """
    now = in_utc(now)
    if last_failure and not at_once and _too_soon(schedule, last_failure, now):
        return None
    if last_success is None:
        return Due(now, NEVER_SUCCEEDED)
    if in_utc(last_success) - now > CLOCK_TOLERANCE:
        return Due(now, CLOCK_WENT_BACKWARDS)
    return _passed(schedule, in_utc(last_success), last_failure, now)


def _too_soon(schedule: Schedule, failure: Failure, now: datetime) -> bool:
    return now < retry_at(schedule, failure) and failure.ended - now <= CLOCK_TOLERANCE


def _passed(schedule: Schedule, last_success: datetime, last_failure: Failure | None, now: datetime) -> Due | None:
    attempted = last_failure.started if last_failure else last_success
    latest = first_unattempted = None
    unattempted = 0
    for slot, run in takewhile(lambda each: each[1] <= now, schedule.runs_after(last_success)):
        latest = slot
        if run > attempted:
            first_unattempted = first_unattempted or slot
            unattempted += 1
    if latest is None:
        return None
    reason = RETRY if last_failure else SCHEDULED
    missed = max(unattempted - 1, 0)
    return Due(latest, reason, missed, first_unattempted if missed else None)


def retry_at(schedule: Schedule, failure: Failure) -> datetime:
    """Give when to try again: after `retry_wait`, and never later than the next slot."""
    return min(failure.ended + retry_wait(failure.in_a_row), schedule.next_run_after(failure.ended))


def retry_wait(failures: int) -> timedelta:
    """Give how long to wait after so many failures in a row: 5 minutes after the first, doubling up to an hour."""
    doublings = min(max(failures - 1, 0), LONGEST_RETRY // FIRST_RETRY)
    return min(FIRST_RETRY * (1 << doublings), LONGEST_RETRY)
