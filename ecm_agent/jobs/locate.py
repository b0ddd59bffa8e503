"""Which archive somebody means: `latest`, a name in a destination, or the path of a file."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from ecm_agent.errors import ArchiveInvalid, DestinationRefused, NotFound
from ecm_agent.model.names import ArchiveName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ecm_agent.destination.base import Destination
    from ecm_agent.history import History
    from ecm_agent.jobs.job import Job

LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Located:
    """An archive in a destination."""

    name: ArchiveName
    destination: Destination
    verified: bool

    def __str__(self) -> str:
        return f"{self.name} in {self.destination.label}"


def is_path(wanted: str) -> bool:
    """Whether somebody named a file rather than an archive of a destination."""
    return wanted != LATEST and (ArchiveName.parse(wanted) is None or os.path.lexists(wanted))


@contextmanager
def opened_path(path: Path) -> Iterator[BinaryIO]:
    """Open an archive file. Raises `NotFound`, and `ArchiveInvalid` for what is no file or cannot be read."""
    try:
        # Without O_NONBLOCK the opening of a named pipe would wait for its other end.
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115 (closed below; Path.open takes no opener)
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.", hint="The archives in the destinations: ecm-agent list") from None
    except IsADirectoryError:
        raise ArchiveInvalid(f"Invalid archive format: {path} is a directory.") from None
    except OSError as error:
        raise ArchiveInvalid(f"{path} cannot be read: {error.strerror}.") from None
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ArchiveInvalid(
                f"Invalid archive format: {path} is not a regular file.",
                hint="An archive is read more than once: write it to a file first.",
            )
        yield file


def found(wanted: str, job: Job, destinations: Mapping[str, Destination], history: History) -> Located:
    """Find an archive by name, or the latest of a job. Raises `NotFound`."""
    name = ArchiveName.parse(wanted)
    return find_named(name, destinations, history) if name else find_latest(job, destinations, history)


def all_of(job: Job, destination: Destination, history: History) -> list[Located]:
    """Give every archive of a job, of this host, in a destination. Raises `NotFound` when there is none."""
    every = [archive for archive in _archives(job, destination, history) if archive.name.host == job.host]
    if not every:
        raise NotFound(f"There is no archive of job {job.name!r} in {destination.label}.")
    return every


def find_named(name: ArchiveName, destinations: Mapping[str, Destination], history: History) -> Located:
    """Find an archive by name in the first destination that holds it.

    Raises `NotFound`, or the error of a destination that could not be asked and may hold it.
    """
    unasked: list[DestinationRefused] = []
    for destination in destinations.values():
        try:
            if any(one.name == name for one in destination.list()):
                proof = history.proofs(destination.label).get(str(name))
                return Located(name, destination, verified=proof is not None and proof.good)
        except DestinationRefused as error:
            unasked.append(error)
    if unasked:
        raise unasked[0]
    raise NotFound(f"There is no archive {name} in {_labels(destinations)}.", hint="See: ecm-agent list")


def find_latest(job: Job, destinations: Mapping[str, Destination], history: History) -> Located:
    """Find the newest archive of a job that was proved good; where none was, simply the newest.

    This host's archives come first; where there are none (a new machine), those of any host count. Raises `NotFound`,
    and the error of a destination that cannot be asked: it may hold a newer one.
    """
    candidates = [archive for destination in destinations.values() for archive in _archives(job, destination, history)]
    own = [archive for archive in candidates if archive.name.host == job.host] or candidates
    if not own:
        raise NotFound(f"There is no archive of job {job.name!r} in {_labels(destinations)}.")
    return max(own, key=lambda archive: (archive.verified, archive.name.created))


def _archives(job: Job, destination: Destination, history: History) -> Iterator[Located]:
    """Give a job's archives in a destination, of any host, oldest first."""
    good = {name for name, proof in history.proofs(destination.label).items() if proof.good}
    for name in _listed(destination):
        if name.job == job.name:
            yield Located(name, destination, verified=str(name) in good)


def _listed(destination: Destination) -> list[ArchiveName]:
    try:
        return [one.name for one in destination.list()]
    except DestinationRefused as error:
        hint = f"{error.hint} To leave it out, name another destination: --from NAME"
        raise type(error)(error.message, hint=hint.strip()) from error


def _labels(destinations: Mapping[str, Destination]) -> str:
    return ", ".join(destination.label for destination in destinations.values())
