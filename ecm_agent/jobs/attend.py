"""attend: do one due thing with all that belongs around it: hooks, pings, messages, and one outcome for the log."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec.structs import replace

from ecm_agent.errors import EcmError, HookFailed, LockHeld, Skipped
from ecm_agent.jobs.backup import PARTIAL, BackedUp, backup
from ecm_agent.jobs.check import Checked, check, share_of
from ecm_agent.jobs.deliver import Sent, send
from ecm_agent.model.journal import Run
from ecm_agent.model.outcome import Outcome, Started, Status, ended_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecm_agent.jobs.due import Verb
    from ecm_agent.jobs.job import Context, Job

Result: TypeAlias = BackedUp | Checked | Sent


class Audience(Protocol):
    """Who hears how things went."""

    def done(self, outcome: Outcome, result: Result | None) -> None:
        """Hear the outcome of a run, with what it did, unless it failed before it did anything."""

    def failed(self, job: str, error: EcmError) -> None:
        """Hear what ended a run, before its outcome."""

    def noticed(self, job: str, problem: str) -> None:
        """Hear of something that went wrong beside a run and does not change its outcome."""


def attend(job: Job, verb: Verb, context: Context, audience: Audience, *, wait: float = 0.0) -> Outcome:
    """Do one thing for a job and tell everybody who is to know. Raises nothing of ours: the outcome says it all.

    Only a backup pings that all is well: checks must not keep a dead-man's switch quiet while no backup is made.
    """
    around = job.around if verb == "backup" else dataclasses.replace(job.around, ping=None)
    started = Started(job=job.name, host=job.host, verb=verb, started_at=context.clock.now())
    began = context.clock.monotonic()
    result: Result | None = None
    try:
        for problem in around.begin(started):
            audience.noticed(job.name, problem)
        result = _WORK[verb](job, context, wait)
        outcome = _outcome(started, result, context, began)
    except EcmError as error:
        seconds = context.clock.monotonic() - began
        outcome = ended_by(error, started, finished_at=context.clock.now(), seconds=seconds)
        if isinstance(error, LockHeld):
            outcome = replace(outcome, status="skipped")
        audience.failed(job.name, error)
        if isinstance(error, (Skipped, LockHeld, HookFailed)):  # a run that began has recorded its own end
            _record_not_begun(outcome, context, audience)
    return _told(job, outcome, result, audience)


def refuse(job: Job, verb: Verb, error: EcmError, context: Context, audience: Audience) -> Outcome:
    """Put on record that a thing cannot be begun, and tell everybody why, hooks and pings included."""
    now = context.clock.now()
    started = Started(job=job.name, host=job.host, verb=verb, started_at=now)
    outcome = ended_by(error, started, finished_at=now, seconds=0.0)
    _record_not_begun(outcome, context, audience)
    return _told(job, outcome, None, audience)


def _told(job: Job, outcome: Outcome, result: Result | None, audience: Audience) -> Outcome:
    unpinged = outcome.verb != "backup" and outcome.status == "ok"
    around = dataclasses.replace(job.around, ping=None) if unpinged else job.around
    outcome, problems = around.end(outcome)
    for problem in problems:
        audience.noticed(job.name, problem)
    audience.done(outcome, result)
    return outcome


def _outcome(started: Started, result: Result, context: Context, began: float) -> Outcome:
    return Outcome(
        job=started.job,
        host=started.host,
        verb=started.verb,
        started_at=started.started_at,
        status=_status(result.exit_code),
        exit_code=result.exit_code,
        seconds=context.clock.monotonic() - began,
        finished_at=context.clock.now(),
        message=result.faults,
        archive=result.archive if isinstance(result, BackedUp) else "",
    )


def _status(exit_code: int) -> Status:
    return {0: "ok", PARTIAL: "partial"}.get(exit_code, "failed")  # type: ignore[return-value] # each is a Status


def _record_not_begun(outcome: Outcome, context: Context, audience: Audience) -> None:
    """Put on record what kept a run from beginning."""
    code = Skipped.exit_code if outcome.status == "skipped" else outcome.exit_code
    run = Run(outcome.job, outcome.verb, outcome.started_at, outcome.finished_at, code, outcome.message)
    try:
        context.history.record_run(run)
    except EcmError as unrecorded:
        audience.noticed(outcome.job, unrecorded.message)


def _backup(job: Job, context: Context, wait: float) -> Result:
    return backup(job, context, wait=wait)


def _send(job: Job, context: Context, wait: float) -> Result:
    return send(job, context, wait=wait)


def _check(job: Job, context: Context, wait: float) -> Result:
    """Check as thoroughly, and as many, as the job's verification says."""
    verification = job.verification
    if verification is None:
        return check(job, context, "decrypt", share=1.0, wait=wait)
    interval = verification.schedule.expected_interval(context.clock.now())
    return check(job, context, verification.level, share=share_of(interval, verification.cover), wait=wait)


_WORK: dict[Verb, Callable[[Job, Context, float], Result]] = {"backup": _backup, "send": _send, "verify": _check}
