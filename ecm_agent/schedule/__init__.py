"""When a job runs: pure functions of a schedule's text, a time zone and `now`. No clock, no I/O.

`Schedule` reads a crontab line or an interval and names the slots; `due` says from the last success on record whether
a job has to run now, so that a slot missed while the machine slept, was off or restarted is made good once.
"""

from ecm_agent.schedule.due import FIRST_RETRY, Due, Failure, due, retry_at, retry_wait
from ecm_agent.schedule.timetable import Schedule

__all__ = ["FIRST_RETRY", "Due", "Failure", "Schedule", "due", "retry_at", "retry_wait"]
