"""attend: do one due thing with all that belongs around it: hooks, pings, messages, and one outcome for the log."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec.structs import replace

from ecm_agent.errors import PARTIAL, EcmError, HookFailed, LockHeld, Skipped
from ecm_agent.jobs.backup import BackedUp, backup
from ecm_agent.jobs.check import Checked, check, share_of
from ecm_agent.jobs.deliver import Sent, send
from ecm_agent.lock import held
from ecm_agent.model.journal import INTERRUPTED, Run
from ecm_agent.model.outcome import Outcome, Started, Status, ended_by
from ecm_agent.notification.around import Around

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ecm_agent.jobs.due import Task, Verb
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

    The job's lock is held from before the first hook until after the last: where another process still has it after
    `wait` seconds, the run is skipped without hooks or pings, which would disturb that process's own. What is no error
    of ours (Ctrl-C, SIGTERM, a mistake in the program) is put on record and told as a failure, then raised again.

    Only a backup pings that all is well: checks must not keep a dead-man's switch quiet while no backup is made.
    """
    attendance = _Attendance(job, verb, context, audience)
    return attendance.under_lock(attendance.do, wait)


def perform(task: Task, job: Job, context: Context, audience: Audience, *, wait: float = 0.0) -> Outcome:
    """Do what is due for a job, as `attend` does; of a run that was killed, tell what it could not tell itself."""
    if task.lost:
        return refuse(job, task.verb, EcmError(f"{task.reason}."), context, audience)
    return attend(job, task.verb, context, audience, wait=wait)


def refuse(job: Job, verb: Verb, error: EcmError, context: Context, audience: Audience) -> Outcome:
    """Put on record that a thing cannot be begun, and tell everybody why, hooks and pings included.

    As in `attend`, there are none where another process is at the job, and its being skipped is what is told.
    """
    attendance = _Attendance(job, verb, context, audience)
    return attendance.under_lock(lambda: attendance.end(attendance.failed(error)), 0.0)


class _Attendance:
    """One thing that is done, or refused, for a job: when it began, and what follows from how it ended."""

    def __init__(self, job: Job, verb: Verb, context: Context, audience: Audience) -> None:
        self._job = job
        self._verb = verb
        self._context = context
        self._audience = audience
        self._started = Started(job=job.name, host=job.host, verb=verb, started_at=context.clock.now())
        self._began = context.clock.monotonic()

    def under_lock(self, act: Callable[[], Outcome], wait: float) -> Outcome:
        with ExitStack() as lock:
            try:
                lock.enter_context(
                    held(self._job.lock, f"job {self._job.name!r}", clock=self._context.clock, wait=wait)
                )
            except EcmError as error:
                self._audience.failed(self._job.name, error)
                return self.end(self.failed(error))
            return self._noted(act)

    def _noted(self, act: Callable[[], Outcome]) -> Outcome:
        """Act with a note in the journal: should it be left there, the process was killed."""
        job, verb, history = self._job.name, self._verb, self._context.history
        with suppress(EcmError):
            history.begin_run(job, verb, self._context.clock.now())
        try:
            return act()
        finally:
            with suppress(EcmError):
                history.end_run(job, verb)

    def do(self) -> Outcome:
        try:
            self._notice(self._around(pinged=self._verb == "backup").begin(self._started))
            result = _WORK[self._verb](self._job, self._context)
            outcome = self._outcome(result)
        except EcmError as error:
            self._audience.failed(self._job.name, error)
            begun = not isinstance(error, (Skipped, HookFailed))  # then it has recorded its own end
            return self.end(self.failed(error), recorded=begun)
        except BaseException as error:
            self.end(self._cut_short(error))
            raise
        return self.end(outcome, result, recorded=True)

    def end(self, outcome: Outcome, result: Result | None = None, *, recorded: bool = False) -> Outcome:
        """Put an end on record unless it is there already, do what follows it, and tell the audience."""
        if not recorded:
            self._record(outcome)
        outcome, problems = self._following(outcome).end(outcome)
        self._notice(problems)
        self._audience.done(outcome, result)
        return outcome

    def failed(self, error: EcmError) -> Outcome:
        clock = self._context.clock
        outcome = ended_by(error, self._started, finished_at=clock.now(), seconds=clock.monotonic() - self._began)
        return replace(outcome, status="skipped") if isinstance(error, LockHeld) else outcome

    def _cut_short(self, error: BaseException) -> Outcome:
        code, message = EcmError.exit_code, f"An error that was not expected ended it ({type(error).__name__})."
        if isinstance(error, KeyboardInterrupt):
            code, message = INTERRUPTED, "Interrupted."
        elif isinstance(error, SystemExit) and isinstance(error.code, int):
            code, message = error.code, "Terminated."
        return replace(self.failed(EcmError(message)), exit_code=code)

    def _outcome(self, result: Result) -> Outcome:
        return Outcome(
            job=self._started.job,
            host=self._started.host,
            verb=self._started.verb,
            started_at=self._started.started_at,
            status=_status(result.exit_code),
            exit_code=result.exit_code,
            seconds=self._context.clock.monotonic() - self._began,
            finished_at=self._context.clock.now(),
            message=result.faults,
            archive=result.archive if isinstance(result, BackedUp) else "",
        )

    def _following(self, outcome: Outcome) -> Around:
        """Give what is to follow an outcome: of a run that another process kept from beginning, messages alone."""
        if (outcome.status, outcome.exit_code) == ("skipped", LockHeld.exit_code):
            return Around(notices=self._job.around.notices)
        return self._around(pinged=self._verb == "backup" or outcome.status != "ok")

    def _around(self, *, pinged: bool) -> Around:
        return self._job.around if pinged else dataclasses.replace(self._job.around, ping=None)

    def _notice(self, problems: Iterable[str]) -> None:
        for problem in problems:
            self._audience.noticed(self._job.name, problem)

    def _record(self, outcome: Outcome) -> None:
        code = Skipped.exit_code if outcome.status == "skipped" else outcome.exit_code
        run = Run(outcome.job, outcome.verb, outcome.started_at, outcome.finished_at, code, outcome.message)
        try:
            self._context.history.record_run(run)
        except EcmError as unrecorded:
            self._notice([unrecorded.message])


def _status(exit_code: int) -> Status:
    return {0: "ok", PARTIAL: "partial"}.get(exit_code, "failed")  # type: ignore[return-value] # each is a Status


def _check(job: Job, context: Context) -> Result:
    """Check as thoroughly, and as many, as the job's verification says."""
    verification = job.verification
    if verification is None:
        return check(job, context, "decrypt", share=1.0)
    interval = verification.schedule.expected_interval(context.clock.now())
    return check(job, context, verification.level, share=share_of(interval, verification.cover))


_WORK: dict[Verb, Callable[[Job, Context], Result]] = {"backup": backup, "send": send, "verify": _check}
