"""Which archive somebody means: `latest`, a name in a destination, or the path of a file."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from ecm_agent.clock import is_ahead
from ecm_agent.errors import ArchiveInvalid, DestinationRefused, NotFound
from ecm_agent.model.names import ArchiveName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from ecm_agent.destination.base import Destination
    from ecm_agent.history import History
    from ecm_agent.jobs.job import Job
    from ecm_agent.model.journal import Proof

LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Located:
    """An archive in a destination: proved good there, on record with a fault, or neither."""

    name: ArchiveName
    destination: Destination
    verified: bool
    fault: str = ""

    def __str__(self) -> str:
        return f"{self.name} in {self.destination.label}"


@dataclass(frozen=True, slots=True)
class Candidates:
    """What somebody can mean, the best first, and the errors of destinations that may hold something better.

    All copies of one archive stand together: proved ones first, those with a fault on record last, otherwise in the
    order of the destinations. Which archive comes first depends on what was asked for.
    """

    copies: list[Located]
    unasked: list[DestinationRefused]


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


def candidates(
    wanted: str,
    job: Job,
    destinations: Mapping[str, Destination],
    history: History,
    *,
    now: datetime,
    at: datetime | None = None,
    proved_first: bool = True,
) -> Candidates:
    """Give every copy of what somebody means: a name, `latest`, or with `at` (aware) the newest made by that time.

    A name may be anywhere, so that no destination is asked before its turn comes. `latest` is the newest archive that
    was proved good; where none was, or unless `proved_first`, simply the newest. One that is dated in the future, by a
    clock that was wrong, is the last to be meant. This host's archives count; where there are none (a new machine),
    those of any host. Raises `NotFound`, and the error of a destination that could not be asked where no
    other holds anything.
    """
    if name := ArchiveName.parse(wanted):
        copies = [_located(name, place, history.proofs(place.label)) for place in destinations.values()]
        return Candidates(sorted(copies, key=_standing), [])
    listed, unasked = _every(destinations, history)
    of_job = [one for one in listed if one.name.job == job.name]
    own = [one for one in of_job if one.name.host == job.host] or of_job
    chosen = [one for one in own if at is None or one.name.created <= at]
    if not chosen:
        raise unasked[0] if unasked else _nothing(job, destinations, listed, own, at)
    proved = {one.name for one in chosen if one.verified and proved_first and at is None}
    chosen.sort(key=_standing)
    chosen.sort(
        key=lambda one: (at is not None or not _ahead(one, now), one.name in proved, one.name.created, str(one.name)),
        reverse=True,
    )
    return Candidates(chosen, unasked)


def _ahead(one: Located, now: datetime) -> bool:
    return is_ahead(one.name.created, now)


def found(
    wanted: str,
    job: Job,
    destinations: Mapping[str, Destination],
    history: History,
    *,
    now: datetime,
    at: datetime | None = None,
) -> Located:
    """Find the one archive somebody means, as `candidates` does, guessing nothing: the latest is the newest.

    A name is found in the first destination that holds it. Raises `NotFound`, and the error of a destination that
    could not be asked and may hold the archive, or a newer one.
    """
    if name := ArchiveName.parse(wanted):
        return find_named(name, destinations, history)
    best = candidates(wanted, job, destinations, history, now=now, at=at, proved_first=False)
    if best.unasked:
        raise best.unasked[0]
    return best.copies[0]


def find_named(name: ArchiveName, destinations: Mapping[str, Destination], history: History) -> Located:
    """Find an archive by name in the first destination that holds it.

    Raises `NotFound`, or the error of a destination that could not be asked and may hold it.
    """
    unasked: list[DestinationRefused] = []
    for destination in destinations.values():
        try:
            if any(one.name == name for one in destination.list()):
                return _located(name, destination, history.proofs(destination.label))
        except DestinationRefused as error:
            unasked.append(error)
    if unasked:
        raise unasked[0]
    raise NotFound(f"There is no archive {name} in {_labels(destinations)}.", hint="See: ecm-agent list")


def all_of(job: Job, destination: Destination, history: History) -> list[Located]:
    """Give every archive of a job, of this host, in a destination. Raises `NotFound` when there is none."""
    every = [archive for archive in _held_by(destination, history) if job.owns(archive.name)]
    if not every:
        raise NotFound(
            f"There is no archive of job {job.name!r} of host {job.host!r} in {destination.label}.",
            hint="What there is: ecm-agent list",
        )
    return every


def newest_of(job: Job, destination: Destination, history: History, now: datetime) -> Located:
    """Give the newest archive of a job, of this host; one that is dated in the future only where there is no other."""
    return max(all_of(job, destination, history), key=lambda one: (not _ahead(one, now), one.name.created))


def _every(destinations: Mapping[str, Destination], history: History) -> tuple[list[Located], list[DestinationRefused]]:
    """Give every archive there is, and the errors of destinations that could not be asked."""
    listed: list[Located] = []
    unasked: list[DestinationRefused] = []
    for destination in destinations.values():
        try:
            listed += _held_by(destination, history)
        except DestinationRefused as error:
            unasked.append(error)
    return listed, unasked


def _held_by(destination: Destination, history: History) -> list[Located]:
    try:
        names = [one.name for one in destination.list()]
    except DestinationRefused as error:
        hint = f"To leave it out, name another destination: --from NAME. {error.hint}"
        raise type(error)(error.message, hint=hint.strip()) from error
    proofs = history.proofs(destination.label)
    return [_located(name, destination, proofs) for name in names]


def _located(name: ArchiveName, destination: Destination, proofs: Mapping[str, Proof]) -> Located:
    proof = proofs.get(str(name))
    return Located(name, destination, verified=proof is not None and proof.good, fault=proof.fault if proof else "")


def _standing(one: Located) -> tuple[bool, bool]:
    return (not one.verified, bool(one.fault))


def _nothing(
    job: Job,
    destinations: Mapping[str, Destination],
    listed: list[Located],
    own: list[Located],
    at: datetime | None,
) -> NotFound:
    where = f"of job {job.name!r} in {_labels(destinations)}"
    if at and own:
        oldest = min(own, key=lambda one: one.name.created).name
        made = at.astimezone(job.timezone).isoformat(timespec="seconds")
        return NotFound(f"There is no archive {where} made by {made}.", hint=f"The oldest there is {oldest}.")
    others = sorted({one.name.job for one in listed})
    hint = f"There are archives of {', '.join(map(repr, others))}; restore one by its name: ecm-agent list"
    return NotFound(f"There is no archive {where}.", hint=hint if others else "")


def _labels(destinations: Mapping[str, Destination]) -> str:
    return ", ".join(destination.label for destination in destinations.values())
