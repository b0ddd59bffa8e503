"""Private directories for stores in plain text, gone after use; what a killed process left is swept by the next."""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ecm_agent.atomic import private_directory
from ecm_agent.errors import EcmError, LockHeld, StoreUnreadable
from ecm_agent.lock import held

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "drill-"

NO_JOB = ".file"
"""Whose the scratch directory is when a file is drilled. No job can be called so: a name does not begin with a dot."""


def lock_of(state_dir: Path, owner: str) -> Path:
    """Name the lock file that the user of an owner's scratch directory holds: a job's own lock, or that of `NO_JOB`."""
    return state_dir / "locks" / f"{owner}.lock"


@contextmanager
def scratch(state_dir: Path, owner: str) -> Iterator[Path]:
    """Give a private directory (mode 0700) below `state_dir` that is gone afterwards.

    The caller holds the owner's lock. Raises `EcmError` where no such directory can be made, or no store be written
    or read in it.
    """
    staging = state_dir / "staging"
    try:
        private_directory(staging)
        sweep(state_dir, owner)
        prefix = f"{_PREFIX}{owner}-"
        with TemporaryDirectory(prefix=prefix, dir=staging, ignore_cleanup_errors=True) as directory:
            yield Path(directory)
    except OSError as error:
        raise _no_place(staging, f"{error.strerror}.") from error
    except StoreUnreadable as error:  # the scratch store: nothing is wrong with the one in use
        raise _no_place(staging, error.message) from error


def _no_place(staging: Path, reason: str) -> EcmError:
    return EcmError(
        f"There is no place for a drill in {staging}: {reason}",
        hint="Make room there, or name another place with the key state_dir.",
    )


def sweep(state_dir: Path, owner: str) -> None:
    """Remove what killed drills have left: the owner's, whose lock the caller holds, and that of every idle owner.

    Other jobs' leftovers count too, or that of a job which is no longer configured would lie there for ever.
    """
    for leftover in (state_dir / "staging").glob(f"{_PREFIX}*-*"):
        if not leftover.is_dir():  # an archive of a job called "drill" that waits to be sent
            continue
        its_owner = leftover.name.removeprefix(_PREFIX).partition("-")[0]  # no job's name holds a dash
        if its_owner == owner:
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            with suppress(LockHeld), held(lock_of(state_dir, its_owner), "a drill"):
                shutil.rmtree(leftover, ignore_errors=True)
