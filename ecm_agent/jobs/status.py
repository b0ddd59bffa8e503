"""list and status: what is kept where, and what is known of it. Reads names and the journal, no archive."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from ecm_agent.clock import is_ahead
from ecm_agent.errors import DestinationRefused
from ecm_agent.jobs.due import SKIPPED, next_run
from ecm_agent.model.journal import Pending, Run

if TYPE_CHECKING:
    from ecm_agent.destination.base import Destination
    from ecm_agent.history import History
    from ecm_agent.jobs.job import Context, Job
    from ecm_agent.model.journal import Proof
    from ecm_agent.model.names import ArchiveName

PATIENCE = timedelta(hours=1)
"""How late the newest proved archive may be before it is called overdue: time for a run, a retry, a clock change."""


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


class ProvenRestore(Struct, frozen=True):
    """The last drill that went well: of which archive and where it lies, and how long it took to a usable store."""

    archive: str
    finished_at: datetime
    seconds: float
    age_seconds: float


class DestinationStatus(Struct, frozen=True):
    """What one job has in one destination; `error` says why it could not be seen, `overdue` what is missing there.

    `drill_fault` is what the last drill from there found wrong.
    """

    destination: str
    label: str
    archives: int = 0
    bytes: int = 0
    newest_verified: Kept | None = None
    faults: dict[str, str] = {}
    """Archive name → what the last test decrypt found wrong with it."""
    error: str = ""
    overdue: str = ""
    drill_fault: str = ""
    ahead: list[str] = []
    """Archives that are dated in the future: a clock was wrong, or is; nothing is removed until it has caught up."""


class JobStatus(Struct, frozen=True):
    """How one job stands. `waiting` are archives that could not be sent yet."""

    job: str
    schedule: str
    next_run: datetime | None
    last_run: Run | None
    last_success: Run | None
    last_check: Run | None
    last_drill: Run | None
    waiting: list[Pending]
    destinations: list[DestinationStatus]
    last_proven_restore: ProvenRestore | None = None
    redacted: tuple[str, ...] = ()
    """What its archives are without; such are for sharing, and no backup."""

    @property
    def well(self) -> bool:
        """Whether the last run made an archive, nothing waits, and nothing is overdue, out of reach, faulty or ahead.

        A destination whose last drill failed is not well, whatever those of the others found.
        """
        last = self.last_run
        failed = last is not None and last.exit_code not in {0, SKIPPED} and not last.archive
        unwell = any(
            one.overdue or one.error or one.faults or one.drill_fault or one.ahead for one in self.destinations
        )
        return not (failed or self.waiting or unwell)


def kept_in(name: str, destination: Destination, history: History) -> list[Kept]:
    """Give every archive of a destination, of whatever job and host, oldest first."""
    proofs = history.proofs(destination.label)
    return [_kept(name, one.name, one.size, proofs.get(str(one.name))) for one in destination.list()]


def status_of(job: Job, context: Context) -> JobStatus:
    """Say how a job stands; a destination that cannot be reached is reported, not raised."""
    history = context.history
    return JobStatus(
        job=job.name,
        schedule=job.schedule.text if job.schedule else "",
        next_run=next_run(job, context),
        last_run=history.last_run(job.name, "backup"),
        last_success=history.last_success(job.name, "backup"),
        last_check=history.last_attempt(job.name, "verify"),
        last_drill=history.last_attempt(job.name, "drill"),
        waiting=history.pending(job.name),
        destinations=[_destination_status(job, name, place, context) for name, place in job.destinations.items()],
        last_proven_restore=_proven_restore(history.last_success(job.name, "drill"), context.clock.now()),
        redacted=job.selection.redact,
    )


def _proven_restore(run: Run | None, now: datetime) -> ProvenRestore | None:
    """Read the seconds a drill took from its beginning and its end, where `jobs.drill` has put them."""
    if run is None:
        return None
    seconds = (run.finished_at - run.started_at).total_seconds()
    return ProvenRestore(run.message, run.finished_at, seconds, (now - run.finished_at).total_seconds())


def _destination_status(job: Job, name: str, place: Destination, context: Context) -> DestinationStatus:
    try:
        kept = kept_in(name, place, context.history)
    except DestinationRefused as error:
        return DestinationStatus(name, place.label, error=error.message)
    own = [one for one in kept if (one.job, one.host) == (job.name, job.host)]
    now = context.clock.now()
    ahead = [one for one in own if is_ahead(one.created, now)]
    newest = next((one for one in reversed(own) if one.verified and one not in ahead), None)
    drilled = context.history.last_drill(job.name, place.label)
    return DestinationStatus(
        name,
        place.label,
        archives=len(own),
        bytes=sum(one.bytes for one in own),
        newest_verified=newest,
        faults={one.name: one.fault for one in own if one.fault},
        overdue=_overdue(job, newest, now),
        ahead=[one.name for one in ahead],
        drill_fault=drilled.message if drilled and drilled.exit_code else "",
    )


def _overdue(job: Job, newest: Kept | None, now: datetime) -> str:
    """Say what is missing: of a job on a schedule, a proved archive no older than the schedule's longest pause."""
    if job.schedule is None:
        return ""
    if newest is None:
        return "nothing is proved here yet"
    allowed = job.schedule.expected_interval(now) + job.schedule.jitter + PATIENCE
    late = now - newest.created - allowed
    return f"a proved archive is missing for {_span(late)}" if late > timedelta(0) else ""


def _span(time: timedelta) -> str:
    hours = int(time / timedelta(hours=1))
    return f"{hours // 24} d {hours % 24} h" if hours >= 24 else f"{hours} h {time.seconds // 60 % 60} min"  # noqa: PLR2004 (hours of a day)


def _kept(destination: str, name: ArchiveName, size: int, proof: Proof | None) -> Kept:
    checked_at, fault = (proof.checked_at, proof.fault) if proof else (None, "")
    if proof and proof.good and proof.bytes not in {0, size}:
        fault = f"it has {size} bytes; when it was proved it had {proof.bytes}"
    return Kept(destination, str(name), name.job, name.host, name.created, size, checked_at, fault)
