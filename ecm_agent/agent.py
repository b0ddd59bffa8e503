"""The daemon: wakes when something may be due, lets a process of its own do it, and stops when told to.

APScheduler runs the clockwork, but decides nothing: every wake-up asks the journal what is due, so a machine that
slept, was switched off, or whose clock was set loses no backup and makes none twice. A tick of at most 30 seconds
notices a resumed laptop; a wait on the monotonic clock alone would not, since that clock stops in suspend.

Work is done in a child process: it can be stopped cleanly, its memory goes back to the system, and what is left here
while nothing is due is small.
"""

from __future__ import annotations

import select
import signal
import socket
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ecm_agent.errors import EcmError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.base import BaseTrigger

    from ecm_agent.clock import Clock
    from ecm_agent.systemd import Supervisor

TICK_SECONDS = 30.0
_WATCH_SECONDS = 0.5  # how often a running child is looked at
_LAST_WORDS_SECONDS = 10.0  # how long an abandoned run may take to clean up, besides its hooks, before it is killed


class Work(Protocol):
    """Work under way in another process."""

    def running(self) -> bool: ...

    def exit_code(self) -> int: ...

    def stop(self) -> None:
        """Ask it to abandon what it does, leaving nothing half-done."""

    def kill(self) -> None: ...


class Duty(Protocol):
    """What the agent is for, from one reading of the configuration."""

    @property
    def triggers(self) -> Iterable[BaseTrigger]:
        """When something may fall due."""

    @property
    def grace_seconds(self) -> float:
        """How long a run may go on after the agent was told to stop."""

    def due(self) -> list[str]:
        """Say in words what is due now, from the journal; empty when nothing is."""

    @property
    def hooks_seconds(self) -> float:
        """How long the hooks after an abandoned run may take."""

    def begin(self) -> Work:
        """Start doing everything that is due. Raises `OSError` where no process can be had for it."""


class Journal(Protocol):
    """Where the agent says what it does."""

    def info(self, event: str, **facts: object) -> None: ...

    def error(self, event: str, **facts: object) -> None: ...


class _Bell:
    """Wakes the loop from a signal handler or another thread.

    `threading.Event` would not do: a handler that sets it while the main thread is inside its `wait` can deadlock.
    """

    def __init__(self) -> None:
        self._listener, self._button = socket.socketpair()
        self._listener.setblocking(False)
        self._button.setblocking(False)
        # A signal that another thread takes, or that comes just before the wait, rings as well: its Python handler
        # would run only after the wait.
        self._rung_before = signal.set_wakeup_fd(self._button.fileno(), warn_on_full_buffer=False)

    def close(self) -> None:
        signal.set_wakeup_fd(self._rung_before)
        self._listener.close()
        self._button.close()

    def ring(self) -> None:
        with suppress(BlockingIOError):  # it is ringing already
            self._button.send(b".")

    def wait(self, seconds: float) -> None:
        """Wait until somebody rings, or so long."""
        select.select([self._listener], [], [], seconds)
        with suppress(BlockingIOError):
            self._listener.recv(4096)


@dataclass
class _Orders:
    """What signals have asked for since the last look."""

    stop: int = 0
    reload: bool = False


class Agent:
    """One daemon. `load` reads the configuration and makes a duty of it.

    It raises `EcmError` for a bad one, and `OSError` where no process can be had to look at it.
    """

    def __init__(self, load: Callable[[], Duty], clock: Clock, supervisor: Supervisor, journal: Journal) -> None:
        self._load = load
        self._clock = clock
        self._supervisor = supervisor
        self._journal = journal
        self._orders = _Orders()
        self._work: Work | None = None
        self._duty = load()

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; gives the exit code, 0 when no run had to be abandoned."""
        with closing(_Bell()) as self._bell:
            return self._serve()

    def _serve(self) -> int:
        self._listen()
        scheduler = self._clockwork()
        self._supervisor.ready()
        self._journal.info("agent started")
        try:
            while not self._orders.stop:  # what fell due while no agent ran is due now, before any wait
                if self._orders.reload:
                    scheduler = self._reload(scheduler)
                self.step()
                self._bell.wait(self._pause())
        finally:
            scheduler.shutdown(wait=False)
        return self._wind_up()

    def step(self) -> None:
        """Look once: collect a finished run, begin what is due unless a run is under way, report to the supervisor."""
        if self._work is None:
            self._begin_what_is_due()
        elif not self._work.running():  # what is due now can wait a tick: a run that fails at once must not make a loop
            code = self._work.exit_code()
            # What a signal ended has told nobody, and has an exit code below 0.
            (self._journal.error if code < 0 else self._journal.info)("run ended", exit_code=code)
            self._work = None
        self._supervisor.alive("running" if self._work else "waiting")

    def _begin_what_is_due(self) -> None:
        try:
            due = self._duty.due()
            if due and not self._orders.stop:
                self._journal.info("run begins", due=due)
                self._work = self._duty.begin()
        except EcmError as error:  # a journal that cannot be read now may be readable at the next tick
            self._journal.error("cannot tell what is due", **_facts(error))
        except OSError as error:  # and a process may be had then
            self._journal.error("cannot begin what is due", **_facts(error))

    def _pause(self) -> float:
        if self._work:
            return _WATCH_SECONDS
        return min(TICK_SECONDS, self._supervisor.watchdog_seconds / 2 or TICK_SECONDS)

    def _clockwork(self) -> BackgroundScheduler:
        """Wake the loop at every tick and at every slot. Late wake-ups count, and many are as good as one."""
        from apscheduler.schedulers.background import BackgroundScheduler
        from apscheduler.triggers.interval import IntervalTrigger

        defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        scheduler = BackgroundScheduler(job_defaults=defaults, timezone="UTC")
        for trigger in (IntervalTrigger(seconds=int(TICK_SECONDS)), *self._duty.triggers):
            scheduler.add_job(self._ring, trigger)
        scheduler.start()
        return scheduler

    def _reload(self, scheduler: BackgroundScheduler) -> BackgroundScheduler:
        """Take the new configuration, or keep the old one when the new one is bad."""
        self._orders.reload = False
        self._supervisor.reloading(self._clock.monotonic())
        try:
            self._duty = self._load()
        except (EcmError, OSError) as error:
            self._journal.error("configuration not taken; the old one stays", **_facts(error))
        else:
            self._journal.info("configuration reloaded")
            scheduler.shutdown(wait=False)
            scheduler = self._clockwork()
        self._supervisor.ready()
        return scheduler

    def _listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _frame: self._order(stop=received))
        signal.signal(signal.SIGHUP, lambda _number, _frame: self._order(reload=True))
        signal.signal(signal.SIGUSR1, lambda _number, _frame: self._ring())

    def _ring(self) -> None:
        self._bell.ring()

    def _order(self, *, stop: int = 0, reload: bool = False) -> None:
        self._orders.stop = stop or self._orders.stop
        self._orders.reload = reload or self._orders.reload
        self._ring()

    def _wind_up(self) -> int:
        """Let the run in hand finish within the grace, else have it abandoned; give the exit code."""
        self._supervisor.stopping()
        self._journal.info("agent stopping", running=self._work is not None)
        if self._ended_within(self._duty.grace_seconds):
            return 0
        assert self._work is not None  # noqa: S101 (something is still running)
        self._work.stop()
        if not self._ended_within(_LAST_WORDS_SECONDS + self._duty.hooks_seconds):
            self._work.kill()
        self._journal.error("run abandoned; it will be made up for at the next start")
        return 128 + self._orders.stop

    def _ended_within(self, seconds: float) -> bool:
        deadline = self._clock.monotonic() + seconds
        while self._work and self._work.running():
            if self._clock.monotonic() >= deadline:
                return False
            self._supervisor.needs_longer(_LAST_WORDS_SECONDS)
            self._clock.sleep(_WATCH_SECONDS)
        return True


def _facts(error: EcmError | OSError) -> dict[str, str]:
    if isinstance(error, EcmError):
        return {"reason": error.message, "hint": error.hint}
    return {"reason": error.strerror or str(error)}
