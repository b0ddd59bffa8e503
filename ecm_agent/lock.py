"""Locks between processes that the operating system releases when their holder dies; nothing to clear by hand."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ecm_agent.atomic import private_directory
from ecm_agent.errors import EcmError, LockHeld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ecm_agent.clock import Clock


_POLL_SECONDS = 0.2
_HINT = "Wait until it has finished, then try again."


@contextmanager
def held(path: Path, what: str, *, clock: Clock | None = None, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path` during the block.

    Raises `LockHeld` when another process still has it after `wait` seconds, which need a clock to measure them.

    The file stays: removing it would let two processes lock two files of one name. Raises `EcmError` where no such
    file can be made or locked.
    """
    descriptor = _opened(path)
    try:
        deadline = clock.monotonic() + wait if clock else 0.0
        while not _locked(descriptor, path):
            if clock is None or clock.monotonic() >= deadline:
                raise LockHeld(f"Another process is working on {what}.", hint=_HINT)
            clock.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        private_directory(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unlockable(path, error) from error


def _locked(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _unlockable(path, error) from error
    return True


def _unlockable(path: Path, error: OSError) -> EcmError:
    return EcmError(
        f"The lock file {path} cannot be used: {error.strerror}.",
        hint="Name another place for the agent's own files with the key state_dir.",
    )
