"""The daemon as its users have it: started in a process group of its own, read through its log, told by signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from program import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from program import Program


@dataclass(frozen=True)
class Daemon:
    """A running `ecm-agent run` and its log."""

    process: subprocess.Popen[str]
    log: Path

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Give what it has logged so far, every line of it an object."""
        return [json.loads(line) for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def said(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    def until_said(self, event: str, times: int = 1) -> dict[str, Any]:
        """Wait until it has logged an event so often, and give the last of them."""
        self.until(lambda: len(self.said(event)) >= times)
        assert len(self.said(event)) >= times, self.log.read_text()
        return self.said(event)[times - 1]

    def until(self, condition: Callable[[], bool]) -> None:
        until(self.process, condition)

    def tell(self, number: signal.Signals) -> None:
        """Send the daemon itself a signal, and not its children."""
        self.process.send_signal(number)

    def tell_all(self, number: signal.Signals) -> None:
        """Send a signal to the daemon and to its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def ended(self) -> int:
        """Wait for the end, and give the exit code."""
        code = self.process.wait(PATIENCE)
        assert "Traceback" not in self.log.read_text()
        return code


@contextmanager
def running(program: Program, **variables: str | None) -> Iterator[Daemon]:
    """Run the daemon during the block; its log is a file in the home directory."""
    log = program.home / f"run-{len(list(program.home.glob('run-*.log')))}.log"
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            program.command("run"),
            cwd=program.home,
            env=program.environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        daemon = Daemon(process, log)
        try:
            yield daemon
        finally:
            daemon.tell_all(signal.SIGCONT)
            daemon.tell_all(signal.SIGKILL)
            process.wait()
