"""Crontab lines: read as Debian's cron reads them, run when it runs them, on the days the clock is changed as well."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ecm_agent.errors import UsageError
from ecm_agent.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

# cronsim is at home here; where the clock changes at midnight or by half an hour it loses or repeats wildcard slots.
PLAIN_ZONES = ["America/New_York", "Antarctica/Troll", "Asia/Kathmandu", "Europe/Berlin", "Pacific/Chatham", "UTC"]
ZONES = [
    *PLAIN_ZONES,
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Havana",
    "America/Nuuk",
    "America/Scoresbysund",
    "America/St_Johns",
    "Antarctica/Casey",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Pacific/Apia",
]


def slots(line: str, zone: str, start: datetime, count: int) -> list[datetime]:
    schedule = Schedule.parse(line, timezone=ZoneInfo(zone))
    return schedule.slots_between(start, datetime(9000, 1, 1, tzinfo=UTC), limit=count)


def on_the_wall(line: str, zone: str, day: str, count: int) -> list[str]:
    """Give the first slots from a local midnight on as the wall clock shows them, with the UTC offset."""
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    found = slots(line, zone, midnight.astimezone(UTC) - timedelta(seconds=1), count)
    return [f"{slot.astimezone(ZoneInfo(zone)):%d %H:%M %z}" for slot in found]


# --- what a line says --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 3 * * 0", "Sun 05, Sun 12, Sun 19"),
        ("0 3 * * 7", "Sun 05, Sun 12, Sun 19"),
        ("0 3 * * sun", "Sun 05, Sun 12, Sun 19"),
        ("0 3 * * 1", "Mon 06, Mon 13, Mon 20"),
        ("0 3 * * MON", "Mon 06, Mon 13, Mon 20"),
        ("0 3 * * 5-7", "Fri 03, Sat 04, Sun 05, Fri 10"),
        ("0 3 * * 0-2", "Sun 05, Mon 06, Tue 07, Sun 12"),
        ("0 3 * * sat-7", "Sat 04, Sun 05, Sat 11"),
        ("0 3 * * */2", "Thu 02, Sat 04, Sun 05, Tue 07, Thu 09"),
        ("0 3 * * */7", "Sun 05, Sun 12"),
        ("0 3 * * 1-7/2", "Wed 01, Fri 03, Sun 05, Mon 06"),
        ("0 3 * * mon,wed-5,7", "Wed 01, Thu 02, Fri 03, Sun 05, Mon 06"),
        ("0 3 13 * 5", "Fri 03, Fri 10, Mon 13, Fri 17, Fri 24"),
        ("0 3 1-7 * 1", "Wed 01, Thu 02, Fri 03, Sat 04, Sun 05, Mon 06, Tue 07, Mon 13"),
        ("0 3 1-7 * */7", "Sun 05"),
        ("0 3 */2 * 1", "Mon 13, Mon 27"),
        ("0 3 *,1 * 1", "Mon 06, Mon 13"),
        ("0 3 1-31/10 jul *", "Wed 01, Sat 11, Tue 21, Fri 31"),
        ("0  3\t04,5 JUL-sep *", "Sat 04, Sun 05"),
        ("0 3 30 2 5", None),
    ],
)
def test_the_days_a_line_names(line: str, expected: str | None) -> None:
    """In July 2026, a Wednesday's first: weekdays from Sunday, 0 and 7; two restricted day fields mean either."""
    found = slots(line, "UTC", datetime(2026, 7, 1, tzinfo=UTC), 12)
    if expected is None:
        assert found[0].month == 2
    else:
        shown = [f"{slot:%a %d}" for slot in found if slot.month == 7]
        assert ", ".join(shown[: expected.count(",") + 1]) == expected
        assert {(slot.hour, slot.minute, slot.second) for slot in found} == {(3, 0, 0)}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "it has 0 fields"),
        ("0 2 * *", "it has 4 fields"),
        ("0 0 2 * * *", "it has 6 fields; cron has 5, none of them for seconds"),
        ("60 * * * *", 'minute "60" is not a number from 0 to 59'),
        ("-5 * * * *", 'minute "" is not a number'),
        ("+5 * * * *", 'minute "+5" is not a number'),
        ("5, * * * *", 'minute "" is not a number'),
        ("5x * * * *", 'minute "5x" is not a number'),
        ("\u0665 * * * *", "is not a number from 0 to 59"),
        ("1\N{SUPERSCRIPT TWO} * * * *", "is not a number from 0 to 59"),
        (f"{'9' * 5000} * * * *", "is not a number from 0 to 59"),
        ("*/0 * * * *", 'minute */0 has the step "0"'),
        ("*/jan * * * *", 'minute */jan has the step "jan"'),
        ("*/2/3 * * * *", 'the step "2/3"'),
        ("5/10 * * * *", "minute 5/10 has a step but no range; write 5-59/10"),
        ("* 24 * * *", 'hour "24" is not a number from 0 to 23'),
        ("* 5-1 * * *", "hour 5-1 runs from high to low"),
        ("* 1-2-3 * * *", 'hour "2-3" is not a number'),
        ("* *-5 * * *", 'hour "*" is not a number'),
        ("* * 0 * *", 'day of month "0" is not a number from 1 to 31'),
        ("* * 32 * *", 'day of month "32" is not a number from 1 to 31'),
        ("* * L * *", 'day of month "L" is not a number'),
        ("* * mon * *", 'day of month "mon" is not a number'),
        ("* * 30 2 *", "there is no day 30 in month 2"),
        ("* * 31 feb,4,jun *", "there is no day 31 in month feb,4,jun"),
        ("* * 30-31 2 */2", "there is no day 30 in month 2"),
        ("* * * 0 *", 'month "0" is not a number from 1 to 12 or a name from jan to dec'),
        ("* * * january *", 'month "january" is not'),
        ("* * * mar-jan *", "month mar-jan runs from high to low"),
        ("* * * * 8", 'day of week "8" is not a number from 0 to 7 or a name from sun to sat'),
        ("* * * * 6-1", "day of week 6-1 runs from high to low"),
        ("* * * * fri-sun", "day of week fri-sun runs from high to low"),
        ("* * * * mon/2", "day of week mon/2 has a step but no range"),
        ("* * * * 5#2", 'day of week "5#2" is not'),
        ("* * * * ?", 'day of week "?" is not'),
    ],
)
def test_a_line_that_says_nothing_is_refused(line: str, complaint: str) -> None:
    """What Debian's cron refuses, or takes and never runs, is refused with the field and what it may be."""
    with pytest.raises(UsageError) as refused:
        Schedule.parse(line, timezone=ZoneInfo("UTC"))
    assert complaint in refused.value.message
    assert line in refused.value.message
    assert "0 2 * * *" in refused.value.hint


# --- the days the clock is changed -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "zone", "day", "expected"),
    [
        # The clock goes from 02:00 to 03:00, and back from 03:00 to 02:00.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28", ["28 02:30 +0100", "29 03:00 +0200", "30 02:30 +0200"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24", ["24 02:30 +0200", "25 02:30 +0200", "26 02:30 +0100"]),
        ("0 2 * * *", "Europe/Berlin", "2026-03-28", ["28 02:00 +0100", "29 03:00 +0200", "30 02:00 +0200"]),
        ("0 3 * * *", "Europe/Berlin", "2026-10-24", ["24 03:00 +0200", "25 03:00 +0100", "26 03:00 +0100"]),
        ("0,30 2,3 * * *", "Europe/Berlin", "2026-03-29", ["29 03:00 +0200", "29 03:30 +0200", "30 02:00 +0200"]),
        ("30 2 * * *", "America/New_York", "2026-03-07", ["07 02:30 -0500", "08 03:00 -0400", "09 02:30 -0400"]),
        ("30 1 * * *", "America/New_York", "2026-10-31", ["31 01:30 -0400", "01 01:30 -0400", "02 01:30 -0500"]),
        # From 02:00 to 02:30, and back from 02:00 to 01:30.
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03", ["03 02:15 +1030", "04 02:30 +1100", "05 02:15 +1100"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04", ["04 01:45 +1100", "05 01:45 +1100", "06 01:45 +1030"]),
        # From 00:00 to 01:00: the day has no midnight.
        ("0 0 * * *", "America/Havana", "2026-03-07", ["07 00:00 -0500", "08 01:00 -0400", "09 00:00 -0400"]),
        ("0 0 * * *", "America/Havana", "2026-10-31", ["31 00:00 -0400", "01 00:00 -0400", "02 00:00 -0500"]),
        ("0 0 * * *", "Africa/Cairo", "2026-04-23", ["23 00:00 +0200", "24 01:00 +0300", "25 00:00 +0300"]),
        ("30 23 * * *", "Africa/Cairo", "2026-10-28", ["28 23:30 +0300", "29 23:30 +0300", "30 23:30 +0200"]),
        # Never changed.
        ("30 2 * * *", "Asia/Kathmandu", "2026-03-28", ["28 02:30 +0545", "29 02:30 +0545", "30 02:30 +0545"]),
        # Skipped 30 December 2011 as a whole.
        ("30 2 * * *", "Pacific/Apia", "2011-12-29", ["29 02:30 -1000", "31 00:00 +1400", "31 02:30 +1400"]),
    ],
)
def test_a_daily_job_runs_once_on_the_days_the_clock_is_changed(
    line: str, zone: str, day: str, expected: list[str]
) -> None:
    """A time the clock skips runs right after the jump, however many of them; a time it shows twice runs once."""
    assert on_the_wall(line, zone, day, 3) == expected


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "America/Havana", "Africa/Cairo"])
@pytest.mark.parametrize(("line", "minutes"), [("0 * * * *", 60), ("*/15 * * * *", 15), ("@hourly", 60)])
def test_a_job_that_runs_all_day_does_so_whatever_the_clock_shows(line: str, minutes: int, zone: str) -> None:
    """Hourly and quarter-hourly jobs run every real hour and quarter of one, all through the year."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    count = 366 * 24 * 60 // minutes
    assert slots(line, zone, start, count) == [start + n * timedelta(minutes=minutes) for n in range(1, count + 1)]


def test_half_an_hour_of_change_moves_the_hours() -> None:
    """Where the clock is changed by 30 minutes, an hourly job keeps to the full hours that the clock does show."""
    zone = "Australia/Lord_Howe"
    assert on_the_wall("0 * * * *", zone, "2026-10-04", 4)[1:] == ["04 01:00 +1030", "04 03:00 +1100", "04 04:00 +1100"]
    assert on_the_wall("0 * * * *", zone, "2026-04-05", 4)[1:] == ["05 01:00 +1100", "05 02:00 +1030", "05 03:00 +1030"]
    assert on_the_wall("45 * * * *", zone, "2026-04-05", 3)[1:] == ["05 01:45 +1100", "05 01:45 +1030"]


# --- against others ----------------------------------------------------------------------------------------------


@st.composite
def fields(draw: st.DrawFn, low: int, high: int) -> str:
    if draw(st.booleans()):
        return draw(st.sampled_from(["*", "*", f"*/{draw(st.integers(1, high))}"]))
    return ",".join(draw(st.lists(ranges(low, high), min_size=1, max_size=3)))


@st.composite
def ranges(draw: st.DrawFn, low: int, high: int) -> str:
    first, last = draw(st.integers(low, high)), draw(st.integers(low, high))
    if first >= last:  # cron has steps after ranges only, and cronsim takes 5-5/2 for 5/2
        return f"{first}"
    return draw(st.sampled_from([f"{first}-{last}", f"{first}-{last}/{draw(st.integers(1, high))}"]))


LINES = st.tuples(fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12), fields(0, 7)).map(" ".join)
STARTS = st.datetimes(datetime(1995, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (hypothesis adds the zone)


def looks_at_the_clock(line: str) -> bool:
    minute, hour, *_ = line.split()
    return minute.startswith("*") or hour.startswith("*")


def read_by_cronsim(line: str, start: datetime) -> CronSim:
    """Read a line with cronsim; where it finds a day that no month has, there must be a UsageError as well."""
    try:
        return CronSim(line, start)
    except CronSimError:
        with pytest.raises(UsageError):
            Schedule.parse(line, timezone=ZoneInfo("UTC"))
        assume(False)
        raise


@settings(max_examples=200)
@given(line=LINES, zone=st.sampled_from(ZONES), start=STARTS)
@example(line="0 3 13 * 5", zone="Europe/Berlin", start=datetime(2026, 1, 1, tzinfo=UTC))
@example(line="0 0 29 2 */7", zone="UTC", start=datetime(2090, 1, 1, tzinfo=UTC))
def test_cronsim_names_the_same_slots(line: str, zone: str, start: datetime) -> None:
    """An independent implementation that follows Debian's cron finds the same slots over many years.

    For lines that look at the clock each minute, only in zones where it reckons as cron does.
    """
    if looks_at_the_clock(line) and zone not in PLAIN_ZONES:
        zone = PLAIN_ZONES[ZONES.index(zone) % len(PLAIN_ZONES)]
    theirs = read_by_cronsim(line, start.astimezone(ZoneInfo(zone)))
    expected = [slot.astimezone(UTC) for slot in islice(theirs, 20)]
    assert slots(line, zone, start, 20) == expected


def run_by_crons_loop(line: str, zone: ZoneInfo, start: datetime, minutes: int) -> Iterator[datetime]:
    """Run the main loop of Vixie's cron (cron.c) minute by minute, as on a machine that is never late.

    `reached` is its virtualTime: a machine that is on time runs everything; where the clock has jumped ahead, the
    lines that name their times are run for each minute skipped; where it is put back, only wildcard lines run until it
    has caught up. Cron gives up on jumps of more than three hours; this does not.
    """
    fields_of_line = read_by_cronsim(line, start)

    def names(shown: datetime) -> bool:
        at = shown.minute in fields_of_line.minutes and shown.hour in fields_of_line.hours
        return at and shown.month in fields_of_line.months and fields_of_line.match_day(shown)

    reached = start.astimezone(zone).replace(tzinfo=None)
    for number in range(1, minutes + 1):
        instant = start + timedelta(minutes=number)
        shown = instant.astimezone(zone).replace(tzinfo=None)
        skipped = range(1, (shown - reached) // timedelta(minutes=1) + 1)
        tried = [shown] if looks_at_the_clock(line) else [reached + timedelta(minutes=each) for each in skipped]
        if any(names(each) for each in tried):
            yield instant
        reached = max(reached, shown)


def nights_of_change(zone: str) -> list[date]:
    days = [date(2005, 1, 1) + timedelta(days=number) for number in range(30 * 365)]
    offsets = [datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone)).utcoffset() for day in days]
    return [day for day, before, after in zip(days, offsets, offsets[1:], strict=False) if before != after]


NIGHTS = {zone: nights for zone in ZONES if (nights := nights_of_change(zone))}
NEAR_CHANGES = st.sampled_from(sorted(NIGHTS)).flatmap(
    lambda zone: st.tuples(st.just(zone), st.sampled_from(NIGHTS[zone]))
)
OFTEN = st.tuples(fields(0, 59), fields(0, 23), st.just("*"), st.just("*"), fields(0, 7)).map(" ".join)


@settings(max_examples=100)
@given(line=OFTEN, zone_and_night=NEAR_CHANGES, hour=st.integers(0, 23))
@example(line="30 2 * * *", zone_and_night=("Europe/Berlin", date(2026, 3, 28)), hour=18)
@example(line="* * * * 0", zone_and_night=("America/St_Johns", date(2006, 10, 28)), hour=18)
def test_crons_own_loop_runs_the_same_slots_when_the_clock_is_changed(
    line: str, zone_and_night: tuple[str, date], hour: int
) -> None:
    """Cron's main loop, run through the days of a clock change, runs a line at the very instants that are slots."""
    zone, night = zone_and_night
    start = datetime(night.year, night.month, night.day, hour, tzinfo=UTC) - timedelta(hours=12)
    minutes = 2 * 24 * 60
    expected = list(run_by_crons_loop(line, ZoneInfo(zone), start, minutes))
    found = Schedule.parse(line, timezone=ZoneInfo(zone)).slots_between(
        start, start + timedelta(minutes=minutes), limit=minutes
    )
    assert found == expected


@given(line=OFTEN, zone_and_night=NEAR_CHANGES, minutes=st.lists(st.integers(0, 36 * 60), min_size=10))
@example(line="30 2 * * *", zone_and_night=("Europe/Berlin", date(2026, 10, 24)), minutes=[60 * 12 + 75])
def test_a_slot_is_the_same_wherever_the_counting_starts(
    line: str, zone_and_night: tuple[str, date], minutes: list[int]
) -> None:
    """The slot after a moment, even one in an hour that the clock shows twice, is the one a count from long ago has."""
    zone, night = zone_and_night
    noon = datetime(night.year, night.month, night.day, 12, tzinfo=UTC)
    schedule = Schedule.parse(line, timezone=ZoneInfo(zone))
    counted = schedule.slots_between(noon - timedelta(days=2), noon + timedelta(days=12), limit=20_000)
    for moment in (noon + timedelta(minutes=each) for each in minutes):
        assert schedule.next_after(moment) == next(slot for slot in counted if slot > moment)
