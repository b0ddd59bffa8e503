"""Which archive somebody means: `latest`, a name in a destination, or the path of a file."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ecm_agent.errors import ArchiveInvalid, NotFound
from ecm_agent.model.names import ArchiveName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    return wanted != LATEST and (ArchiveName.parse(wanted) is None or Path(wanted).exists())


@contextmanager
def opened_path(path: Path) -> Iterator[BinaryIO]:
    """Open an archive file. Raises `NotFound`, and `ArchiveInvalid` for what is no file or cannot be read."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise NotFound(
            f"There is no file {path}.", hint="Give a path, the name of an archive (ecm-agent list), or: latest"
        ) from None
    except IsADirectoryError:
        raise ArchiveInvalid(f"Invalid archive format: {path} is a directory.") from None
    except OSError as error:
        raise ArchiveInvalid(f"{path} cannot be read: {error.strerror}.") from None
    with file:
        if not file.seekable():
            raise ArchiveInvalid(f"{path} is not a regular file; an archive is read twice.")
        yield file


def found(wanted: str, job: Job, destinations: Mapping[str, Destination], history: History) -> Located:
    """Find an archive by name, or the latest of a job. Raises `NotFound`."""
    name = ArchiveName.parse(wanted)
    return find_named(name, destinations, history) if name else find_latest(job, destinations, history)


def all_of(job: Job, destinations: Mapping[str, Destination], history: History) -> list[Located]:
    """Give every archive of a job, of this host. Raises `NotFound` when there is none."""
    every = [
        _located(name, destination, history)
        for destination in destinations.values()
        for name in job.archives_in(destination)
    ]
    if not every:
        raise NotFound(f"There is no archive of job {job.name!r} in {_labels(destinations)}.")
    return every


def find_named(name: ArchiveName, destinations: Mapping[str, Destination], history: History) -> Located:
    """Find an archive by name in the first destination that holds it. Raises `NotFound`."""
    for destination in destinations.values():
        if any(one.name == name for one in destination.list()):
            return _located(name, destination, history)
    raise NotFound(f"There is no archive {name} in {_labels(destinations)}.", hint="See: ecm-agent list")


def find_latest(job: Job, destinations: Mapping[str, Destination], history: History) -> Located:
    """Find the newest archive of a job that was proved good; where none was, simply the newest.

    This host's archives come first; where there are none (a new machine), those of any host count.
    """
    candidates = [
        _located(one.name, destination, history)
        for destination in destinations.values()
        for one in destination.list()
        if one.name.job == job.name
    ]
    own = [archive for archive in candidates if archive.name.host == job.host] or candidates
    if not own:
        raise NotFound(f"There is no archive of job {job.name!r} in {_labels(destinations)}.")
    return max(own, key=lambda archive: (archive.verified, archive.name.created))


def _located(name: ArchiveName, destination: Destination, history: History) -> Located:
    proof = history.proofs(destination.label).get(str(name))
    return Located(name, destination, verified=proof is not None and proof.good)


def _labels(destinations: Mapping[str, Destination]) -> str:
    return ", ".join(destination.label for destination in destinations.values())
