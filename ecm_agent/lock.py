"""Locks between processes that the operating system releases when their holder dies; nothing to clear by hand."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ecm_agent.atomic import private_directory
from ecm_agent.errors import LockHeld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ecm_agent.clock import Clock


_POLL_SECONDS = 0.2


@contextmanager
def held(path: Path, what: str, *, clock: Clock | None = None, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path` during the block.

    Raises `LockHeld` when another process still has it after `wait` seconds (with a clock to measure them by).

    The file stays: removing it would let two processes lock two files of one name.
    """
    private_directory(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = clock.monotonic() + wait if clock else 0.0
        while not _locked(descriptor):
            if clock is None or clock.monotonic() >= deadline:
                raise LockHeld(
                    f"Another process is working on {what}.", hint="Try again, or wait for it: --wait-lock 10m"
                )
            clock.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
