"""A child process: what needs the heavy libraries is done there, and their memory goes with it."""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from ecm_agent.cli.screen import exit_code_of
from ecm_agent.cli.settings import configure_log
from ecm_agent.errors import EcmError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from ecm_agent.config.settings import Settings

_FOR_THE_PARENT = frozenset({signal.SIGINT, signal.SIGHUP, signal.SIGUSR1})
"""A group of processes gets them all at once; the daemon hears them, and decides for its child."""


class Child:
    """A fresh interpreter that calls one function with the settings, which travel through a pipe, not through argv."""

    def __init__(self, work: Callable[["Settings"], object], settings: "Settings") -> None:
        spawn = multiprocessing.get_context("spawn")
        self._answer, ours = spawn.Pipe(duplex=False)
        self._process = spawn.Process(target=_in_child, args=(work, settings, ours), name="ecm-agent-run")
        with _held_back(_FOR_THE_PARENT):  # a child that has just been started would die of them
            self._process.start()
        ours.close()

    def running(self) -> bool:
        return self._process.is_alive()

    def exit_code(self) -> int:
        return self._process.exitcode or 0

    def stop(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def refusal(self) -> EcmError | None:
        """Wait for the end, and give the error it ended with."""
        try:
            error = self._answer.recv()
        except EOFError:
            error = EcmError("The agent's check of itself ended without an answer.")
        self._process.join()
        return error if isinstance(error, EcmError) else None


@contextmanager
def _held_back(numbers: frozenset[signal.Signals]) -> Iterator[None]:
    """Keep signals waiting during the block, and in what is started in it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        resource_tracker.ensure_running()  # the helper of multiprocessing, whose start lets SIGINT through
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _in_child(work: Callable[["Settings"], object], settings: "Settings", answer: "Connection") -> None:
    for number in _FOR_THE_PARENT:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FOR_THE_PARENT)
    signal.signal(signal.SIGTERM, _abandon)
    configure_log(settings)
    try:
        codes = work(settings)
        answer.send(None)
    except EcmError as error:
        answer.send(error)
        sys.exit(error.exit_code)
    sys.exit(exit_code_of(codes) if isinstance(codes, list) else 0)


def _abandon(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
