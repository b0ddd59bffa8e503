"""list and status: what is kept where, and what is known of it. Reads names and the journal, no archive."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from ecm_agent.errors import DestinationRefused
from ecm_agent.history import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ecm_agent.destination.base import Destination
    from ecm_agent.history import History, Proof
    from ecm_agent.jobs.job import Job
    from ecm_agent.model.names import ArchiveName


class Kept(Struct, frozen=True):
    """An archive a destination holds; `checked_at` and `fault` are the last test decrypt's, if there was one."""

    destination: str
    name: str
    job: str
    host: str
    created: datetime
    bytes: int
    checked_at: datetime | None
    fault: str

    @property
    def verified(self) -> bool:
        return self.checked_at is not None and not self.fault


class DestinationStatus(Struct, frozen=True):
    """What one job has in one destination; `error` says why it could not be seen."""

    destination: str
    label: str
    archives: int = 0
    bytes: int = 0
    newest_verified: Kept | None = None
    faults: dict[str, str] = {}
    """Archive name → what the last test decrypt found wrong with it."""
    error: str = ""


class JobStatus(Struct, frozen=True):
    """How one job stands."""

    job: str
    last_run: Run | None
    last_success: Run | None
    destinations: list[DestinationStatus]


def kept_in(name: str, destination: Destination, history: History) -> list[Kept]:
    """Give every archive of a destination, of whatever job and host, oldest first."""
    proofs = history.proofs(destination.label)
    return [_kept(name, one.name, one.size, proofs.get(str(one.name))) for one in destination.list()]


def status_of(job: Job, history: History) -> JobStatus:
    """Say how a job stands; a destination that cannot be reached is reported, not raised."""
    destinations = [_destination_status(job, name, place, history) for name, place in job.destinations.items()]
    return JobStatus(
        job.name,
        history.last_run(job.name, "backup"),
        history.last_success(job.name, "backup"),
        destinations,
    )


def known_destinations(jobs: Iterable[Job]) -> Mapping[str, Destination]:
    """Give every destination of some jobs, once."""
    return {name: place for job in jobs for name, place in job.destinations.items()}


def _destination_status(job: Job, name: str, place: Destination, history: History) -> DestinationStatus:
    try:
        own = [kept for kept in kept_in(name, place, history) if (kept.job, kept.host) == (job.name, job.host)]
    except DestinationRefused as error:
        return DestinationStatus(name, place.label, error=error.message)
    verified = [kept for kept in own if kept.verified]
    return DestinationStatus(
        name,
        place.label,
        archives=len(own),
        bytes=sum(kept.bytes for kept in own),
        newest_verified=verified[-1] if verified else None,
        faults={kept.name: kept.fault for kept in own if kept.fault},
    )


def _kept(destination: str, name: ArchiveName, size: int, proof: Proof | None) -> Kept:
    checked_at, fault = (proof.checked_at, proof.fault) if proof else (None, "")
    return Kept(destination, str(name), name.job, name.host, name.created, size, checked_at, fault)
