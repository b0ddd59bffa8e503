"""Schedules: nicknames, intervals, jitter, the interval to expect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecm_agent.errors import UsageError
from ecm_agent.schedule import Schedule

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 7, 1, 12, 0, 30, tzinfo=UTC)
FAR_AWAY = NOON + timedelta(days=1000)


def schedule(text: str, jitter: timedelta = timedelta(0), seed: str = "") -> Schedule:
    return Schedule.parse(text, timezone=BERLIN, jitter=jitter, seed=seed)


# --- texts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nickname", "line"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        (" @Daily ", "0 0 * * *"),
    ],
)
def test_a_nickname_stands_for_a_line(nickname: str, line: str) -> None:
    """The nicknames of crontab(5) have the slots of the lines given there, in any case."""
    asked = {"limit": 5, "after": NOON, "until": NOON + timedelta(days=2000)}
    assert schedule(nickname).slots_between(**asked) == schedule(line).slots_between(**asked)  # type: ignore[arg-type] # keyword arguments from a table


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("every 90m", timedelta(minutes=90)),
        ("every 6h", timedelta(hours=6)),
        ("every 2d", timedelta(days=2)),
        ("every 1w", timedelta(weeks=1)),
        ("EVERY  6 H", timedelta(hours=6)),
    ],
)
def test_an_interval_counts_from_the_moment_it_is_given(text: str, length: timedelta) -> None:
    """The slots of an interval are one, two, three intervals after a moment, also where the clock is changed."""
    moment = datetime(2026, 10, 24, 22, 17, 5, tzinfo=UTC)
    found = schedule(text).slots_between(moment, moment + 3 * length, limit=10)
    assert found == [moment + length, moment + 2 * length, moment + 3 * length]
    assert schedule(text).next_after(moment.astimezone(BERLIN)) == moment + length


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("every 0h", "an interval has to be longer than no time at all"),
        ("every 6", "an interval is a number of minutes, hours, days or weeks"),
        ("every 30s", "an interval is a number of minutes, hours, days or weeks"),
        ("every -6h", "an interval is a number of minutes, hours, days or weeks"),
        ("every 1.5h", "an interval is a number of minutes, hours, days or weeks"),
        ("every day", "an interval is a number of minutes, hours, days or weeks"),
        ("every 123456h", "an interval is a number of minutes, hours, days or weeks (five digits at most)"),
        ("@reboot", "@reboot is not one of @hourly, @daily"),
        ("@every 6h", "@every 6h is not one of @hourly, @daily"),
        ("nightly", "it has 1 fields"),
    ],
)
def test_a_text_that_is_no_schedule_is_refused(text: str, complaint: str) -> None:
    """The error names the text and what is wrong with it, and the hint says what to write."""
    with pytest.raises(UsageError) as refused:
        schedule(text)
    assert f'The schedule "{text}" cannot be read: {complaint}' in refused.value.message.replace(
        " (five", ", five"
    ) or (complaint in refused.value.message)
    assert "every 6h" in refused.value.hint


def test_a_schedule_shows_its_text() -> None:
    """In a log a schedule is its text and its time zone."""
    assert repr(schedule("0 2 * * *")) == "<Schedule '0 2 * * *' in Europe/Berlin>"


# --- slots -------------------------------------------------------------------------------------------------------


def test_slots_between_leaves_out_the_first_moment_and_counts_the_last() -> None:
    """A slot at `after` is not among them, one at `until` is; never more than `limit`; all are in UTC."""
    nightly = schedule("0 2 * * *")
    first, second, third = nightly.slots_between(NOON, FAR_AWAY, limit=3)
    assert nightly.slots_between(first, third, limit=9) == [second, third]
    assert nightly.slots_between(first, third - timedelta(seconds=1), limit=9) == [second]
    assert nightly.slots_between(first, first, limit=9) == []
    assert nightly.slots_between(third, first, limit=9) == []
    assert nightly.slots_between(NOON.astimezone(BERLIN), FAR_AWAY, limit=1) == [first]
    assert {slot.tzinfo for slot in (first, second, third)} == {UTC}


def test_a_moment_without_a_zone_is_refused() -> None:
    """Naive moments are a mistake of the caller's."""
    naive = NOON.replace(tzinfo=None)
    with pytest.raises(ValueError, match="zone"):
        schedule("0 2 * * *").next_after(naive)
    with pytest.raises(ValueError, match="zone"):
        schedule("every 6h").slots_between(NOON, naive, limit=1)
    with pytest.raises(ValueError, match="zone"):
        schedule("@daily").expected_interval(naive)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", timedelta(minutes=1)),
        ("*/15 * * * *", timedelta(minutes=15)),
        ("0 */5 * * *", timedelta(hours=5)),
        ("0 2 * * *", timedelta(days=1)),
        ("0 9-17 * * 1-5", timedelta(days=2, hours=16)),
        ("0 2 * * 0", timedelta(days=7)),
        ("0 2 1 * *", timedelta(days=31)),
        ("0 2 31 * *", timedelta(days=61)),
        ("0 2 1 1 *", timedelta(days=365)),
        ("0 2 29 2 *", timedelta(days=4 * 365 + 1)),
        ("every 6h", timedelta(hours=6)),
    ],
)
def test_the_interval_to_expect_is_the_longest_usual_one(text: str, expected: timedelta) -> None:
    """Over a weekend or a short month nothing is overdue; the days the clock is changed do not count."""
    assert schedule(text).expected_interval(NOON) == expected


# --- jitter ------------------------------------------------------------------------------------------------------

JITTERED = st.sampled_from(["* * * * *", "*/7 * * * *", "30 2 * * *", "0 2 * * 1-5", "every 10m"])


@given(text=JITTERED, minutes=st.integers(1, 500), seed=st.text(max_size=5), offset=st.integers(0, 10**6))
def test_jitter_puts_a_slot_off_but_never_to_the_next(text: str, minutes: int, seed: str, offset: int) -> None:
    """Each slot is run once, in order: no earlier than itself, later by less than the jitter, before the next slot."""
    jitter = timedelta(minutes=minutes)
    jittered = schedule(text, jitter, seed)
    runs = list(islice(jittered.runs_after(NOON + timedelta(minutes=offset)), 20))
    for (slot, run), (following, _) in pairwise(runs):
        assert slot <= run < min(slot + jitter, following)
        assert jittered.next_after(slot) == following


@given(text=JITTERED, seed=st.text(max_size=5), seconds=st.integers(0, 10**6))
def test_jitter_is_the_same_after_a_restart(text: str, seed: str, seconds: int) -> None:
    """A slot's time to run does not depend on when or how often it is asked for."""
    moment = NOON + timedelta(seconds=seconds)
    before, after = (schedule(text, timedelta(minutes=45), seed) for _ in range(2))
    first, second = islice(before.runs_after(moment), 2)
    assert next(after.runs_after(moment)) == first
    if not text.startswith("every"):
        assert next(after.runs_after(first[1] - timedelta(seconds=1))) == first
        assert next(after.runs_after(first[1])) == second


def test_jitter_spreads_jobs_and_nights() -> None:
    """Jobs of different seeds run at different times, one job at different times on different nights."""
    hour = timedelta(hours=1)
    by_job = {schedule("0 2 * * *", hour, f"job{n}@host").next_run_after(NOON) for n in range(20)}
    nights = islice(schedule("0 2 * * *", hour, "job@host").runs_after(NOON), 20)
    by_night = {run - slot for slot, run in nights}
    assert len(by_job) > 15
    assert len(by_night) > 15
    assert max(by_night) - min(by_night) > hour / 2


def test_jitter_is_fixed_for_good() -> None:
    """The draw is part of the contract: a new version of the program moves no run."""
    runs = islice(schedule("0 2 * * *", timedelta(hours=1), "nightly@laptop").runs_after(NOON), 3)
    assert [f"{run:%d %H:%M:%S}" for _, run in runs] == ["02 00:09:14", "03 00:17:37", "04 00:09:29"]


def test_negative_jitter_is_refused() -> None:
    """A run never comes before its slot."""
    with pytest.raises(UsageError, match="negative"):
        schedule("0 2 * * *", timedelta(seconds=-1))
