"""What APScheduler is given: the slots of a schedule, one run for all that was slept through."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from apscheduler.schedulers.background import BackgroundScheduler

from ecm_agent.schedule import Schedule
from ecm_agent.schedule.trigger import SlotTrigger

if TYPE_CHECKING:
    from apscheduler.job import Job

NOON = datetime(2026, 7, 1, 12, 0, 30, tzinfo=UTC)


def schedule(text: str, jitter: timedelta = timedelta(0), seed: str = "") -> Schedule:
    return Schedule.parse(text, timezone=ZoneInfo("Europe/Berlin"), jitter=jitter, seed=seed)


def fires(text: str, zone: str, start: str, count: int) -> list[str]:
    """Ask the trigger as APScheduler's scheduler does: first with no firing before, then moments after each firing."""
    trigger = SlotTrigger(Schedule.parse(text, timezone=ZoneInfo(zone)))
    moment = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    found = [trigger.get_next_fire_time(None, moment)]
    while len(found) < count:
        found.append(trigger.get_next_fire_time(found[-1], found[-1] + timedelta(milliseconds=3)))
    return [f"{fire.astimezone(ZoneInfo(zone)):%a %d %H:%M}" for fire in found]


def test_apscheduler_fires_at_the_slots() -> None:
    """Sunday is Sunday, a day without a midnight has its run, and a time shown twice has one."""
    assert fires("0 3 * * 0", "Europe/Berlin", "2026-07-01", 2) == ["Sun 05 03:00", "Sun 12 03:00"]
    assert fires("0 0 * * *", "America/Havana", "2026-03-07T12:00", 2) == ["Sun 08 01:00", "Mon 09 00:00"]
    assert fires("30 2 * * *", "Europe/Berlin", "2026-10-25", 2) == ["Sun 25 02:30", "Mon 26 02:30"]
    assert fires("0 3 13 * 5", "UTC", "2026-07-04", 3) == ["Fri 10 03:00", "Mon 13 03:00", "Fri 17 03:00"]


def scheduled(each: Schedule, first: datetime) -> Job:
    scheduler = BackgroundScheduler(timezone=UTC)
    trigger = SlotTrigger(each)
    job = scheduler.add_job(print, trigger, next_run_time=first, misfire_grace_time=None, coalesce=True)
    assert str(job.trigger) == each.text
    return job


def test_apscheduler_makes_one_run_of_all_that_was_slept_through() -> None:
    """A scheduler that wakes after a month has one run to make, and the next one ahead."""
    every_minute = schedule("* * * * *")
    job = scheduled(every_minute, first=NOON)
    woken = NOON + timedelta(days=30)
    assert job._get_run_times(woken) == [NOON]
    assert job.trigger.get_next_fire_time(NOON, woken) == every_minute.next_after(woken)


def test_apscheduler_follows_a_clock_set_back() -> None:
    """After a clock that ran years ahead is corrected, the next firing is the next slot, not years away."""
    nightly = schedule("0 2 * * *")
    trigger = SlotTrigger(nightly)
    assert trigger.get_next_fire_time(NOON + timedelta(days=900), NOON) == nightly.next_after(NOON)
    early = nightly.next_after(NOON)
    assert trigger.get_next_fire_time(early, early - timedelta(seconds=1)) == nightly.next_after(early)


def test_apscheduler_sees_the_jitter() -> None:
    """The trigger fires at the time to run, and asked again before it, still does."""
    jittered = schedule("0 2 * * *", timedelta(hours=1), "nightly@laptop")
    trigger = SlotTrigger(jittered)
    run = trigger.get_next_fire_time(None, NOON)
    assert run == jittered.next_run_after(NOON)
    assert trigger.get_next_fire_time(None, jittered.next_after(NOON)) == run
