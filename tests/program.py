"""The program as users run it: another process, a home of its own, a clean environment."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import ecm_agent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PASSWORD = "correct horse battery staple"
PATIENCE = 60.0
"""Seconds after which something that should happen never will."""


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Give what a command with --json printed."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Program:
    """Runs `ecm-agent` from a home directory. `variables` are the environment besides the bare necessities."""

    home: Path
    variables: dict[str, str] = field(default_factory=lambda: {"ECM_EXPORT_PASSWORD": PASSWORD})

    @property
    def store(self) -> Path:
        return self.home / ".ecm" / "memory.db"

    @property
    def backups(self) -> Path:
        return self.home / ".ecm" / "backups"

    @property
    def state(self) -> Path:
        return self.home / ".local" / "state" / "ecm-agent"

    def run(self, *words: str, **variables: str | None) -> Ended:
        """Run a command to its end, without a terminal; a variable that is `None` is not set.

        Whatever the command, a traceback is a failure.
        """
        with self.started(*words, **variables) as process:
            out, err = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in err, err
        assert "Exception ignored" not in err, err
        return Ended(process.returncode, out, err)

    @contextmanager
    def started(self, *words: str, **variables: str | None) -> Iterator[subprocess.Popen[str]]:
        """Start a command, and kill it in the end if need be."""
        with subprocess.Popen(
            self.command(*words),
            cwd=self.home,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_mind_interrupts,  # noqa: PLW1509 (no threads before exec)
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def answering(self, *words: str, answers: Sequence[tuple[str, str]], **variables: str | None) -> Ended:
        """Run a command at a terminal, giving each answer when its prompt appears; `out` is all the terminal showed."""
        master, slave = pty.openpty()
        with subprocess.Popen(
            self.command(*words),
            cwd=self.home,
            env=self.environment(**{"TERM": "dumb", **variables}),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 (no threads before exec)
        ) as process:
            os.close(slave)
            shown = b""
            for prompt, answer in answers:
                shown = _read_until(master, shown, prompt.encode())
                os.write(master, answer.encode() + b"\n")
            shown = _read_until(master, shown, None)
            code = process.wait(PATIENCE)
        os.close(master)
        return Ended(code, shown.decode().replace("\r\n", "\n"), "")

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "ecm_agent", *words]

    def environment(self, **variables: str | None) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        kept["PYTHONPATH"] = str(Path(ecm_agent.__file__).parents[1])
        wanted = {**kept, "HOME": str(self.home), "LANG": "C.UTF-8", "TZ": "UTC", **self.variables, **variables}
        return {name: value for name, value in wanted.items() if value is not None}

    def files(self) -> dict[Path, bytes]:
        """Give every file below the home directory."""
        return {path: path.read_bytes() for path in self.home.rglob("*") if path.is_file()}


def until(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Wait for something to be so, or for the process to end."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.001)
            return


def _read_until(terminal: int, shown: bytes, prompt: bytes | None) -> bytes:
    """Read on until a prompt stands at the end, or with `None` until the terminal is closed."""
    end = time.monotonic() + PATIENCE
    while prompt is None or not shown.endswith(prompt):
        ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert ready, shown
        try:
            block = os.read(terminal, 4096)
        except OSError:  # Linux reports the closed other side as an error
            block = b""
        if not block:
            assert prompt is None, shown
            break
        shown += block
    return shown


def _mind_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test run in the background ignores it, and so would its children


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
