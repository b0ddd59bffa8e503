"""What is due now, from the journal alone: which is why nothing is lost by sleep, restarts or a clock that was set."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct

from ecm_agent.errors import LockHeld, Skipped
from ecm_agent.jobs.deliver import waiting_now
from ecm_agent.lock import held
from ecm_agent.model.journal import BY_SIGNAL, Pending, Run
from ecm_agent.schedule import FIRST_RETRY, Due, Failure, due

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ecm_agent.jobs.job import Context, Job
    from ecm_agent.schedule import Schedule

Verb: TypeAlias = Literal["backup", "send", "verify"]
SKIPPED = Skipped.exit_code
_VERBS: tuple[Verb, ...] = ("backup", "send", "verify")
_LOST = "The run that began at {:%Y-%m-%d %H:%M:%S} UTC ended without a word: killed, or the machine went down"


class Task(Struct, frozen=True):
    """One thing to do for one job, and why now."""

    job: str
    verb: Verb
    reason: str
    due: Due | None = None
    lost: datetime | None = None
    """When a run began that was killed: it is to be told of. The first time it is made up for at once."""

    def __str__(self) -> str:
        return f"{self.verb} of {self.job}: {self.reason}"


def tasks(jobs: Iterable[Job], context: Context, *, at_once: bool = False) -> list[Task]:
    """Give everything that is due, backups first: the newest memory is the most precious.

    Before that comes what was killed, and is to be told of. What failed or was skipped is given a rest, unless somebody
    asks for it `at_once`.
    """
    found = [task for job in jobs for task in _tasks_of(job, context, at_once=at_once)]
    return sorted(found, key=lambda task: (task.lost is None, _VERBS.index(task.verb)))


def record_missed(task: Task, context: Context) -> None:
    """Put the slots on record that passed with nobody there to use them."""
    if task.due is None or not task.due.missed or task.due.first_missed is None:
        return
    first = task.due.first_missed
    slots = "the slot" if task.due.missed == 1 else f"{task.due.missed} slots from"
    message = f"skipped {slots} {first:%Y-%m-%d %H:%M} UTC: the agent was not running, or the machine asleep"
    now = context.clock.now()
    context.history.record_run(Run(task.job, task.verb, now, now, SKIPPED, message))


def next_run(job: Job, context: Context) -> datetime | None:
    """Say when a job is next to be backed up; in the past when it is overdue, `None` when it has no schedule."""
    last = context.history.last_archive(job.name)
    if job.schedule is None:
        return None
    return job.schedule.next_run_after(last.started_at) if last else context.clock.now()


def _tasks_of(job: Job, context: Context, *, at_once: bool) -> list[Task]:
    lost = _lost(job, context)
    told = [Task(job.name, verb, _LOST.format(began), lost=began) for verb, began in lost.items()]
    resting = set() if at_once else {verb for verb in lost if context.history.failures_since_success(job.name, verb)}
    return [*told, *(task for task in _regular(job, context, at_once=at_once) if task.verb not in resting)]


def _lost(job: Job, context: Context) -> dict[Verb, datetime]:
    """Give the runs that were killed, and when they began: they have not ended, and no process is at the job."""
    begun = context.history.begun(job.name)
    try:
        with held(job.lock, "") if begun else nullcontext():
            return {verb: begun[verb] for verb in _VERBS if verb in begun}
    except LockHeld:
        return {}


def _regular(job: Job, context: Context, *, at_once: bool) -> list[Task]:
    found = []
    if job.schedule and (backup := _backup_due(job, job.schedule, context, at_once=at_once)):
        found.append(Task(job.name, "backup", backup.reason, backup))
    if waiting := _to_send(job, context, at_once=at_once):
        archives = len({one.archive for one in waiting})
        found.append(Task(job.name, "send", f"{archives} archive{'s wait' if archives > 1 else ' waits'} to be sent"))
    if job.verification and (check := _check_due(job, job.verification.schedule, context, at_once=at_once)):
        found.append(Task(job.name, "verify", check.reason, check))
    return found


def _backup_due(job: Job, schedule: Schedule, context: Context, *, at_once: bool) -> Due | None:
    """Count from the last run that made an archive: one that could not be sent yet waits and needs no second export.

    A run that was skipped is tried again like one that failed, and not at every look.
    """
    made, last = context.history.last_archive(job.name), context.history.last_run(job.name, "backup")
    failures = context.history.failures_since_success(job.name, "backup")
    if last and (failures or last.exit_code == SKIPPED):
        failure = Failure(last.started_at, last.finished_at, max(failures, 1))
    else:
        failure = None
    success, now = made.started_at if made else None, context.clock.now()
    return due(schedule, last_success=success, last_failure=failure, now=now, at_once=at_once)


def _check_due(job: Job, schedule: Schedule, context: Context, *, at_once: bool) -> Due | None:
    """Count from the last check, whatever it found, or from the first archive; without one nothing is due."""
    last = context.history.last_attempt(job.name, "verify") or context.history.first_archive(job.name)
    if last is None:
        return None
    latest = context.history.last_run(job.name, "verify")
    skipped = latest and latest.exit_code == SKIPPED
    failure = Failure(latest.started_at, latest.finished_at) if latest and skipped else None
    now = context.clock.now()
    return due(schedule, last_success=last.started_at, last_failure=failure, now=now, at_once=at_once)


def _to_send(job: Job, context: Context, *, at_once: bool) -> list[Pending]:
    if at_once:
        return context.history.pending(job.name)
    return [] if _send_stopped_just_now(job, context) else waiting_now(job, context)


def _send_stopped_just_now(job: Job, context: Context) -> bool:
    """Tell whether the last sending was kept from beginning a moment ago: that leaves no trace on what waits.

    One that a signal ended is made up for at the next start.
    """
    last = context.history.last_run(job.name, "send")
    if last is None or last.exit_code in {0, *BY_SIGNAL}:
        return False
    return timedelta(0) <= context.clock.now() - last.finished_at < FIRST_RETRY
