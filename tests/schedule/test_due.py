"""Due or not: what is on record decides, and each slot is run, made good once, or reported as skipped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecm_agent.clock import CLOCK_TOLERANCE
from ecm_agent.schedule import Due, Failure, Schedule, due, retry_at

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    """Read a moment of a Berlin wall clock in July 2026: the day and the time."""
    return datetime.fromisoformat(f"2026-07-{text.replace(' ', 'T')}").replace(tzinfo=BERLIN).astimezone(UTC)


def schedule(text: str, jitter: timedelta = timedelta(0)) -> Schedule:
    return Schedule.parse(text, timezone=BERLIN, jitter=jitter, seed="nightly@laptop")


NIGHTLY = schedule("0 2 * * *")


def judged(each: Schedule, last_success: str | None, now: str, failure: Failure | None = None) -> Due | None:
    return due(each, last_success=at(last_success) if last_success else None, last_failure=failure, now=at(now))


def failed(started: str, ended: str, in_a_row: int = 1) -> Failure:
    return Failure(at(started), at(ended), in_a_row)


# --- due ---------------------------------------------------------------------------------------------------------


def test_a_laptop_that_slept_through_its_slot_makes_it_good_once() -> None:
    """Asleep from 01:50 to 07:30: the run of 02:00 is due on waking, and when it has succeeded no more."""
    assert judged(NIGHTLY, "01 02:00:04", "02 01:50") is None
    assert judged(NIGHTLY, "01 02:00:04", "02 07:30") == Due(at("02 02:00"), "scheduled")
    assert judged(NIGHTLY, "02 07:30:00", "02 07:30:30") is None
    assert judged(NIGHTLY, "02 07:30:00", "03 01:59:59") is None
    assert judged(NIGHTLY, "02 07:30:00", "03 02:00:00") == Due(at("03 02:00"), "scheduled")


def test_a_job_without_a_success_is_due_at_once() -> None:
    """A new job does not wait for its first slot."""
    assert judged(NIGHTLY, None, "02 12:00") == Due(at("02 12:00"), "no success on record")


def test_several_missed_slots_are_due_once() -> None:
    """Off for a holiday: one run for the latest slot; how many are skipped, and since when, is told."""
    found = judged(NIGHTLY, "01 02:00:04", "12 09:00")
    assert found == Due(at("12 02:00"), "scheduled", missed=10, first_missed=at("02 02:00"))


def test_an_interval_is_due_that_long_after_the_success() -> None:
    """Every 6h is six hours after the last success, whenever that was; whole intervals missed are told."""
    every = schedule("every 6h")
    assert judged(every, "01 09:17:30", "01 15:17:29") is None
    assert judged(every, "01 09:17:30", "01 15:17:30") == Due(at("01 15:17:30"), "scheduled")
    assert judged(every, "01 09:17:30", "02 04:00") == Due(
        at("02 03:17:30"), "scheduled", missed=2, first_missed=at("01 15:17:30")
    )


def test_a_slot_that_passes_while_the_job_runs_is_due_after_it() -> None:
    """A success counts from when it started: what changed after that is not in the archive."""
    hourly = schedule("@hourly")
    assert judged(hourly, "01 02:00:01", "01 03:10") == Due(at("01 03:00"), "scheduled")


def test_a_success_in_the_future_does_not_stop_the_job_for_months() -> None:
    """With the last success dated after now, the clock went backwards: due at once; a few minutes are no matter."""
    found = judged(NIGHTLY, "30 02:00", "02 12:00")
    assert found == Due(at("02 12:00"), "the last success is dated in the future, the clock went backwards")
    now = at("02 12:00")
    assert due(NIGHTLY, last_success=now + CLOCK_TOLERANCE, last_failure=None, now=now) is None


def test_the_night_the_clock_is_put_back_has_one_run() -> None:
    """02:30 comes twice; after the run at the first, the second is not due."""
    nightly = schedule("30 2 * * *")
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    before = first - timedelta(days=1)
    assert due(nightly, last_success=before, last_failure=None, now=first) == Due(first, "scheduled")
    for minutes in range(1, 25 * 60):
        assert due(nightly, last_success=first, last_failure=None, now=first + minutes * MINUTE) is None


def test_moments_in_a_zone_of_their_own_are_compared_as_instants() -> None:
    """Given as wall-clock times of the repeated hour, moments still differ by what has passed between them."""
    every = schedule("every 45m")
    success = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN)
    later = success.replace(fold=1)
    assert due(every, last_success=success, last_failure=None, now=later) == Due(
        success.astimezone(UTC) + 45 * MINUTE, "scheduled"
    )


def test_a_slot_put_off_by_jitter_is_due_when_its_time_comes() -> None:
    """Between a slot and its time to run nothing is due."""
    jittered = schedule("0 2 * * *", jitter=timedelta(hours=1))
    success = at("01 05:00")
    slot, run = next(jittered.runs_after(success))
    assert slot < run
    assert due(jittered, last_success=success, last_failure=None, now=run - timedelta(seconds=1)) is None
    assert due(jittered, last_success=success, last_failure=None, now=run) == Due(slot, "scheduled")
    assert due(jittered, last_success=run, last_failure=None, now=run + timedelta(hours=1)) is None


# --- after a failure ---------------------------------------------------------------------------------------------


def test_a_failed_job_waits_longer_each_time() -> None:
    """5 minutes from the end of the attempt, doubling up to an hour."""
    waits = [retry_at(NIGHTLY, failed("02 02:00", "02 02:20", n)) - at("02 02:20") for n in (1, 2, 3, 4, 5, 6, 5000)]
    assert waits == [5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE, 60 * MINUTE, 60 * MINUTE, 60 * MINUTE]


def test_a_retry_is_never_later_than_the_next_slot() -> None:
    """Where slots come faster than retries, they set the pace."""
    assert retry_at(schedule("*/15 * * * *"), failed("02 02:00", "02 02:01", 9)) == at("02 02:15")
    assert retry_at(schedule("every 10m"), failed("02 02:00", "02 02:01", 9)) == at("02 02:11")
    assert retry_at(NIGHTLY, failed("02 01:40", "02 01:50", 9)) == at("02 02:00")


def test_a_failed_run_is_due_again_when_its_wait_is_over() -> None:
    """The slot stays due until it is served, but not before the retry."""
    failure = failed("02 02:00:00", "02 02:03:00")
    assert judged(NIGHTLY, "01 02:00:04", "02 02:07:59", failure) is None
    assert judged(NIGHTLY, "01 02:00:04", "02 02:08:00", failure) == Due(at("02 02:00"), "retry")
    assert judged(NIGHTLY, None, "02 02:07:59", failure) is None
    assert judged(NIGHTLY, None, "02 02:08:00", failure) == Due(at("02 02:08"), "no success on record")


def test_a_failure_without_a_slot_to_serve_is_not_retried() -> None:
    """A backup started by hand that failed, with the night's own done, leaves the schedule as it was."""
    assert judged(NIGHTLY, "02 02:00:04", "02 18:00", failed("02 10:00", "02 10:01")) is None


def test_a_skip_is_told_once() -> None:
    """Slots that were told as missed at an attempt, or tried at one, are not told again at the next."""
    first = judged(NIGHTLY, "01 02:00:04", "05 09:00")
    assert first == Due(at("05 02:00"), "scheduled", missed=3, first_missed=at("02 02:00"))
    failure = failed("05 09:00", "05 09:01")
    assert judged(NIGHTLY, "01 02:00:04", "05 10:00", failure) == Due(at("05 02:00"), "retry")
    assert judged(NIGHTLY, "01 02:00:04", "06 02:00", failure) == Due(at("06 02:00"), "retry")
    assert judged(NIGHTLY, "01 02:00:04", "08 07:00", failure) == Due(
        at("08 02:00"), "retry", missed=2, first_missed=at("06 02:00")
    )


def test_slots_that_pass_during_a_failed_attempt_are_told() -> None:
    """An attempt that takes hours to fail has tried the slot it began with, not those that passed meanwhile."""
    found = judged(schedule("@hourly"), "01 01:00:01", "01 05:35", failed("01 02:00:01", "01 05:30"))
    assert found == Due(at("01 05:00"), "retry", missed=2, first_missed=at("01 03:00"))


def test_a_failure_in_the_future_does_not_put_the_job_off() -> None:
    """A failure dated after now was dated by a clock that has been corrected since: nothing to wait for."""
    assert judged(NIGHTLY, "01 02:00:04", "02 12:00", failed("30 12:00", "30 12:01")) is not None


def test_a_moment_without_a_zone_is_refused() -> None:
    """Naive moments are a mistake of the caller's."""
    now = at("02 12:00")
    naive = now.replace(tzinfo=None)
    with pytest.raises(ValueError, match="zone"):
        due(NIGHTLY, last_success=now, last_failure=None, now=naive)
    with pytest.raises(ValueError, match="zone"):
        due(NIGHTLY, last_success=naive, last_failure=None, now=now)
    with pytest.raises(ValueError, match="zone"):
        Failure(now, naive)


# --- a machine's life --------------------------------------------------------------------------------------------


@given(
    text=st.sampled_from(["0 * * * *", "30 2 * * *", "0,20 2,3 * * 0,6", "*/40 1-3 * * *", "0 */7 * * *"]),
    jitter=st.sampled_from([timedelta(0), timedelta(minutes=50)]),
    naps=st.lists(st.tuples(st.integers(1, 60 * 60), st.integers(0, 300), st.booleans()), max_size=25),
    start=st.sampled_from([datetime(2026, 3, 28, 3, tzinfo=UTC), datetime(2026, 10, 24, 3, tzinfo=UTC)]),
)
def test_every_slot_is_run_or_told_as_missed(
    text: str, jitter: timedelta, naps: list[tuple[int, int, bool]], start: datetime
) -> None:
    """However a machine sleeps and its runs fail, each slot that passes is served or told as missed, and only once."""
    each = schedule(text, jitter)
    now, success, failure = start, start, None
    served: list[datetime] = []
    missed = 0
    for minutes, took, works in naps:
        now += minutes * MINUTE
        found = due(each, last_success=success, last_failure=failure, now=now)
        if found is None:
            continue
        assert found.slot <= now
        if found.slot not in served[-1:]:
            served.append(found.slot)
        missed += found.missed
        started, now = now, now + took * MINUTE
        if works:
            success, failure = started, None
        else:
            failure = Failure(started, now, failure.in_a_row + 1 if failure else 1)
    last = max(success, failure.started if failure else success)
    passed = [slot for slot, _ in takewhile(lambda pair: pair[1] <= last, each.runs_after(start))]
    assert served == sorted(set(served))
    assert len(served) + missed == len(passed)
    assert set(served) <= set(passed)
