"""The slots of a schedule as APScheduler wants them. Imported only where APScheduler runs.

APScheduler's own `CronTrigger` (3.11.3) is not used, for it does not do what cron does: `0 3 * * 0` is Monday to it;
day of month and day of week must both match; on the day the clock is put back a job at 02:30 runs twice; and a job
at midnight does not run at all on a day that begins at 01:00 (America/Havana, Africa/Cairo).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apscheduler.triggers.base import BaseTrigger

from ecm_agent.clock import CLOCK_TOLERANCE

if TYPE_CHECKING:
    from datetime import datetime

    from ecm_agent.schedule.timetable import Schedule


class SlotTrigger(BaseTrigger):  # type: ignore[misc] # APScheduler 3 has no type information
    """Fires at the slots of a schedule, jitter included, as `Schedule.next_run_after` names them.

    All slots that have passed are one: after a sleep there is a single run, not one a slot. A clock set back is
    followed rather than waited for. An interval is counted from the last firing; it takes `due` to count from the
    last success.
    """

    __slots__ = ("schedule",)

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Give the next time to fire, in UTC."""
        previous = previous_fire_time
        if previous is None or previous - now > CLOCK_TOLERANCE:
            return self.schedule.next_run_after(now)
        return self.schedule.next_run_after(max(previous, now))

    def __str__(self) -> str:
        return self.schedule.text
