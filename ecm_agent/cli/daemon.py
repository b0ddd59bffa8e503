"""run: the daemon, and `run --once`, which does everything due and ends. Both follow the same due logic."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecm_agent.cli import options
from ecm_agent.cli.child import Child
from ecm_agent.cli.screen import exit_code_of, screen
from ecm_agent.cli.settings import configure_log, settings_of
from ecm_agent.cli.start import check_start, expect_a_schedule
from ecm_agent.errors import EcmError

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

    from ecm_agent.config.settings import Settings
    from ecm_agent.jobs.attend import Result
    from ecm_agent.jobs.job import Context
    from ecm_agent.jobs.progress import Stopwatch
    from ecm_agent.model.outcome import Outcome


def run(
    store: options.Store = None,
    config: options.Config = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="Do everything that is due, then end.")] = False,
    wait_lock: options.WaitLock = "0s",
    json: options.Json = False,
) -> None:
    """Run as a daemon: back up on schedule, catch up after sleep, send what waits, verify what is stored."""
    from ecm_agent.config.values import seconds_of

    with screen(json=json):
        settings = settings_of(config, store)
        configure_log(settings)
        if once:
            expect_a_schedule(settings)
            codes = do_what_is_due(settings, at_once=True, wait=seconds_of(wait_lock))
            raise SystemExit(exit_code_of(codes))
        raise SystemExit(_serve(settings, config, store))


def do_what_is_due(settings: "Settings", *, at_once: bool = False, wait: float = 0.0) -> list[int]:
    """Do everything that is due, one after the other; give the exit code of each.

    Done `at_once`, what failed a moment ago is tried again; `wait` is how many seconds to wait for another process on
    the same job. A ping or message whose address cannot be had is a line in the log, and keeps nothing from being done.
    When nothing can be begun, as without a password, that is put on record and told for each thing due, and raised.
    """
    from dataclasses import replace

    from ecm_agent import wiring
    from ecm_agent.jobs.attend import perform, refuse
    from ecm_agent.jobs.due import record_missed, tasks
    from ecm_agent.jobs.progress import Silent, Stopwatch

    arounds = {name: wiring.around(settings, name, forgiving=True) for name in settings.jobs}
    jobs = {name: wiring.job(settings, name, around) for name, around in arounds.items()}
    context = wiring.context(settings, Silent())
    due = tasks(jobs.values(), context, at_once=at_once)
    try:
        context = _context(settings)
    except EcmError as error:
        for task in due:
            refuse(jobs[task.job], task.verb, error, context, _Log(Stopwatch(context.clock)))
        raise
    codes = []
    for task in due:
        record_missed(task, context)
        watch = Stopwatch(context.clock)
        surroundings = replace(context, progress=watch)
        outcome = perform(task, jobs[task.job], surroundings, _Log(watch), wait=wait)
        codes.append(outcome.exit_code)
    return codes


def _serve(settings: "Settings", config: Path | None, store: Path | None) -> int:
    from ecm_agent import log
    from ecm_agent.agent import Agent
    from ecm_agent.clock import SystemClock
    from ecm_agent.lock import held
    from ecm_agent.systemd import Supervisor

    fresh = [settings]

    def load() -> _ScheduledWork:
        return _ScheduledWork(fresh.pop() if fresh else settings_of(config, store))

    # No job can be called so: a job's name does not begin with a dot.
    with held(settings.state_dir / "locks" / ".daemon.lock", "these jobs: a daemon is running already"):
        return Agent(load, SystemClock(), Supervisor(os.environ), log.logger()).run()


class _ScheduledWork:
    """The agent's duty: the jobs of one configuration. What needs the heavy libraries is done in a child process."""

    def __init__(self, settings: "Settings") -> None:
        from ecm_agent import wiring
        from ecm_agent.jobs.progress import Silent

        self._settings = settings
        self._context = wiring.context(settings, Silent())
        self._jobs = [wiring.job(settings, name) for name in settings.jobs]
        self.grace_seconds = settings.daemon.grace_seconds()
        self.hooks_seconds = max(wiring.hooks(settings, name).longest_end for name in settings.jobs)
        if refusal := Child(check_start, settings).refusal():
            raise refusal

    @property
    def triggers(self) -> Iterator["BaseTrigger"]:
        from ecm_agent.schedule.trigger import SlotTrigger

        for job in self._jobs:
            if job.schedule:
                yield SlotTrigger(job.schedule)
            if job.verification:
                yield SlotTrigger(job.verification.schedule)

    def due(self) -> list[str]:
        from ecm_agent.jobs.due import tasks

        return [str(task) for task in tasks(self._jobs, self._context)]

    def begin(self) -> "Child":
        return Child(_do_unattended, self._settings)


def _do_unattended(settings: "Settings") -> list[int]:
    from ecm_agent import log

    try:
        return do_what_is_due(settings)
    except EcmError as error:
        log.logger().error("nothing can be begun", reason=error.message, hint=error.hint)
        return [error.exit_code]


class _Log:
    """Hears of runs and writes one line about each to the log."""

    def __init__(self, watch: "Stopwatch") -> None:
        self._watch = watch

    def done(self, outcome: "Outcome", result: "Result | None") -> None:
        from ecm_agent import log
        from ecm_agent.jobs.backup import BackedUp

        self._watch.stop()
        backed_up = result if isinstance(result, BackedUp) else None
        log.run_finished(
            outcome,
            counts=backed_up.exported.manifest.counts() if backed_up else {},
            size=backed_up.exported.bytes if backed_up else 0,
            stages=self._watch.seconds,
            destinations={one.destination: one.error or "verified" for one in backed_up.deliveries}
            if backed_up
            else {},
        )

    def failed(self, job: str, error: EcmError) -> None:
        from ecm_agent import log

        log.logger(job=job).debug(error.message, hint=error.hint)  # the outcome says it at its own level

    def noticed(self, job: str, problem: str) -> None:
        from ecm_agent import log

        log.logger(job=job).warning(problem)


def _context(settings: "Settings") -> "Context":
    """Give the surroundings of a run nobody attends: the password must be had without asking."""
    from ecm_agent import log, wiring
    from ecm_agent.cli import passwords
    from ecm_agent.jobs.progress import Silent

    password = passwords.without_asking(settings)
    log.register(password)
    return wiring.context(settings, Silent(), password)


COMMANDS: dict[str, Callable[..., None]] = {"run": run}
