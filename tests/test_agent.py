"""The daemon's loop: what it begins, what it never does twice, and how it stops."""

from __future__ import annotations

import errno
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from fakes import ManualClock

from ecm_agent.agent import TICK_SECONDS, Agent
from ecm_agent.errors import EcmError, UsageError
from ecm_agent.systemd import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class WorkFake:
    """Work that ends when it is told to, or never."""

    def __init__(self, *, ends_when_stopped: bool = True) -> None:
        self.asked: list[str] = []
        self._running = True
        self._ends_when_stopped = ends_when_stopped

    def finish(self) -> None:
        self._running = False

    def running(self) -> bool:
        return self._running

    def exit_code(self) -> int:
        return 0

    def stop(self) -> None:
        self.asked.append("stop")
        self._running = not self._ends_when_stopped

    def kill(self) -> None:
        self.asked.append("kill")
        self._running = False


class DutyFake:
    """Says what is due, and counts what was begun."""

    grace_seconds = 60.0
    hooks_seconds = 30.0
    triggers = ()

    def __init__(self, *due: str, work: WorkFake | None = None) -> None:
        self.what_is_due = list(due)
        self.begun: list[WorkFake] = []
        self.error: EcmError | None = None
        self.refused: OSError | None = None
        self.looked: Callable[[], None] = lambda: None
        self.beginning: Callable[[], None] = lambda: None
        self._work = work

    def due(self) -> list[str]:
        self.looked()
        if self.error:
            raise self.error
        return self.what_is_due

    def begin(self) -> WorkFake:
        self.beginning()
        if self.refused:
            raise self.refused
        self.begun.append(self._work or WorkFake())
        return self.begun[-1]


class JournalFake:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def info(self, event: str, **_facts: Any) -> None:  # noqa: ANN401 (any fact)
        self.events.append(event)

    def error(self, event: str, **_facts: Any) -> None:  # noqa: ANN401 (any fact)
        self.events.append(f"error: {event}")


def agent_for(*duties: DutyFake | EcmError | OSError) -> tuple[Agent, JournalFake, ManualClock]:
    """Give an agent that loads these duties one after the other; an error stands for one that cannot be loaded."""
    waiting, journal, clock = list(duties), JournalFake(), ManualClock()

    def load() -> DutyFake:
        loaded = waiting.pop(0)
        if isinstance(loaded, Exception):
            raise loaded
        return loaded

    return Agent(load, clock, Supervisor({}), journal), journal, clock


@pytest.fixture(autouse=True)
def _handlers_put_back() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def test_nothing_due_begins_nothing() -> None:
    """A look when nothing is due starts no work."""
    duty = DutyFake()
    agent, _, _ = agent_for(duty)
    agent.step()
    assert duty.begun == []


def test_what_is_due_is_begun_once() -> None:
    """While a run is under way no second one begins, however often the agent looks; after its end the next look may."""
    duty = DutyFake("backup of nightly")
    agent, _, _ = agent_for(duty)
    for _ in range(3):
        agent.step()
    assert len(duty.begun) == 1
    duty.begun[0].finish()
    agent.step()
    assert len(duty.begun) == 1
    agent.step()
    assert len(duty.begun) == 2


def test_an_unreadable_journal_does_not_end_the_agent() -> None:
    """When it cannot be told what is due, the agent says so and looks again at the next tick."""
    duty = DutyFake("backup of nightly")
    agent, journal, _ = agent_for(duty)
    duty.error = EcmError("the disk is full")
    agent.step()
    duty.error = None
    agent.step()
    assert journal.events[0] == "error: cannot tell what is due"
    assert len(duty.begun) == 1


def test_a_process_that_cannot_be_had_does_not_end_the_agent() -> None:
    """When the system gives no process to work in, the agent says so and begins at the next tick."""
    duty = DutyFake("backup of nightly")
    agent, journal, _ = agent_for(duty)
    duty.refused = BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
    agent.step()
    duty.refused = None
    agent.step()
    assert journal.events == ["run begins", "error: cannot begin what is due", "run begins"]
    assert len(duty.begun) == 1


def test_nothing_begins_once_it_was_told_to_stop_while_it_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """What falls due in the moment of the order to stop is left to the next start; the exit code is 0."""
    duty = DutyFake()
    agent, _, _ = agent_for(duty)

    def as_the_wait_begins() -> float:
        duty.what_is_due.append("backup of nightly")
        send(signal.SIGTERM)
        return TICK_SECONDS

    monkeypatch.setattr(agent, "_pause", as_the_wait_begins)
    assert agent.run() == 0
    assert duty.begun == []


def test_nothing_begins_once_it_was_told_to_stop_while_it_looked() -> None:
    """An order to stop that comes while the agent asks what is due is obeyed before anything begins."""
    duty = DutyFake("backup of nightly")
    duty.looked = lambda: send(signal.SIGTERM)
    agent, _, _ = agent_for(duty)
    assert agent.run() == 0
    assert duty.begun == []


def test_a_bad_configuration_at_the_start_is_refused() -> None:
    """An agent does not start on a configuration it cannot use."""
    with pytest.raises(UsageError):
        agent_for(UsageError("no job has a schedule"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_while_nothing_runs_it_ends_at_once(number: int) -> None:
    """SIGTERM and SIGINT end an idle agent with exit code 0."""
    agent, _, clock = agent_for(DutyFake())
    send_when_listening(agent, number)
    assert agent.run() == 0
    assert clock.monotonic() == 0


def test_a_run_that_ends_within_the_grace_is_not_disturbed() -> None:
    """Told to stop, the agent lets the run in hand finish."""
    work = WorkFake()
    duty = DutyFake("backup of nightly", work=work)
    agent, _, clock = agent_for(duty)
    agent.step()
    clock.woken = lambda: work.finish() if clock.monotonic() > 20 else None
    send_when_listening(agent, signal.SIGTERM)
    assert agent.run() == 0
    assert work.asked == []


def test_a_run_that_outlasts_the_grace_is_abandoned_cleanly() -> None:
    """After the grace the run is asked to stop, and the exit code says that the signal ended it."""
    work = WorkFake()
    agent, _, clock = agent_for(DutyFake("backup of nightly", work=work))
    agent.step()
    send_when_listening(agent, signal.SIGTERM)
    assert agent.run() == 128 + signal.SIGTERM
    assert work.asked == ["stop"]
    assert DutyFake.grace_seconds <= clock.monotonic() < DutyFake.grace_seconds + 2


def test_a_run_that_will_not_stop_is_killed() -> None:
    """A run that does not answer in the time its hooks may take, and some seconds, is killed."""
    work = WorkFake(ends_when_stopped=False)
    agent, _, clock = agent_for(DutyFake("backup of nightly", work=work))
    agent.step()
    send_when_listening(agent, signal.SIGTERM)
    agent.run()
    assert work.asked == ["stop", "kill"]
    assert clock.monotonic() >= DutyFake.grace_seconds + DutyFake.hooks_seconds + 10


def test_what_is_due_at_the_start_is_begun_at_once() -> None:
    """An agent that starts does not wait for the first tick."""
    duty = DutyFake("backup of nightly")
    agent, _, clock = agent_for(duty)
    duty.beginning = lambda: send(signal.SIGTERM)

    def finished() -> None:
        duty.begun[0].finish()

    clock.woken = finished
    assert agent.run() == 0
    assert len(duty.begun) == 1


def test_sighup_takes_the_new_configuration() -> None:
    """SIGHUP replaces what the agent does."""
    old, new = DutyFake(), DutyFake("backup of nightly", work=WorkFake())
    old.looked = lambda: send(signal.SIGHUP)
    new.beginning = lambda: send(signal.SIGTERM)
    agent, journal, _ = agent_for(old, new)
    send_when_listening(agent, signal.SIGUSR1)
    agent.run()
    assert "configuration reloaded" in journal.events
    assert len(new.begun) == 1


@pytest.mark.parametrize("error", [UsageError("jobs.nightly: unknown key"), OSError(errno.EAGAIN, "no process")])
def test_sighup_with_a_bad_configuration_keeps_the_old_one(error: EcmError | OSError) -> None:
    """A configuration that cannot be used, or looked at, is reported, and the agent goes on as before."""
    old = DutyFake()
    signals = iter([signal.SIGHUP, signal.SIGTERM])
    old.looked = lambda: send(next(signals))
    agent, journal, _ = agent_for(old, error)
    send_when_listening(agent, signal.SIGUSR1)
    assert agent.run() == 0
    assert "error: configuration not taken; the old one stays" in journal.events


def test_the_clockwork_forgives_lateness() -> None:
    """Wake-ups that come late still count, many are as good as one, and the tick is at most 30 seconds."""
    agent, _, _ = agent_for(DutyFake())
    scheduler = agent._clockwork()
    try:
        jobs = scheduler.get_jobs()
        assert [(job.misfire_grace_time, job.coalesce, job.max_instances) for job in jobs] == [(None, True, 1)]
        assert TICK_SECONDS <= 30
    finally:
        scheduler.shutdown(wait=False)


def send_when_listening(agent: Agent, number: int) -> None:
    """Send a signal as soon as the agent's own handlers are in place."""
    listen = agent._listen

    def then_send() -> None:
        listen()
        send(number)

    agent._listen = then_send  # type: ignore[method-assign] # the one moment a test cannot otherwise see
