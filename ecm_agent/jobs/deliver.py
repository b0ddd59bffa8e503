"""deliver: bring a staged archive to a destination, prove it there, rotate; what cannot arrive now waits on disk."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from ecm_agent.errors import AlreadyExists, ArchiveInvalid, DecryptionFailed, DestinationRefused, EcmError
from ecm_agent.jobs.rotate import Rotation, rotate
from ecm_agent.jobs.verify import Verified, verify, verify_copy
from ecm_agent.model.journal import Pending, Run
from ecm_agent.model.names import ArchiveName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from ecm_agent.destination.base import Destination
    from ecm_agent.jobs.job import Context, Job

FIRST_RETRY, LONGEST_RETRY = timedelta(minutes=5), timedelta(hours=1)


class Delivery(Struct, frozen=True):
    """What became of an archive in one destination: `error` is empty when it was read back there and proved."""

    archive: str
    destination: str
    label: str
    error: str = ""
    hint: str = ""
    exit_code: int = 0
    rotation: Rotation | None = None

    @property
    def verified(self) -> bool:
        return not self.error


class Sent(Struct, frozen=True):
    """What became of archives that had been waiting."""

    job: str
    deliveries: list[Delivery]

    @property
    def exit_code(self) -> int:
        """0 when all arrived, the failure's own code when none did, 3 between the two."""
        failed = [one.exit_code for one in self.deliveries if one.error]
        if not failed:
            return 0
        return failed[0] if len(failed) == len(self.deliveries) else 3

    @property
    def faults(self) -> str:
        """What went wrong, in one line."""
        return "; ".join(one.error for one in self.deliveries if one.error)


def staged_path(job: Job, name: ArchiveName) -> Path:
    """Say where an archive lies until every destination has it."""
    return job.state_dir / "staging" / str(name)


def deliver_new(job: Job, name: ArchiveName, proved: Verified, context: Context) -> list[Delivery]:
    """Send a freshly staged archive everywhere; one destination's failure never stops another's."""
    now = context.clock.now()
    waiting = [Pending(job.name, str(name), place, now, 0, now, "") for place in job.destinations]
    for one in waiting:
        context.history.expect(one)
    return [deliver(job, one, context, proved) for one in waiting]


def send_waiting(job: Job, context: Context, places: Iterable[str] | None = None) -> list[Delivery]:
    """Send what waits from earlier runs, oldest first, to some destinations or to all, even those no longer there.

    A destination that did not take one archive is not asked to take the next.
    """
    chosen = None if places is None else set(places)
    sent: list[Delivery] = []
    for one in context.history.pending(job.name):
        closed = {delivery.destination for delivery in sent if delivery.exit_code == DestinationRefused.exit_code}
        if one.destination not in closed and (chosen is None or one.destination in chosen):
            sent.append(deliver(job, one, context))
    return sent


def send(job: Job, context: Context) -> Sent:
    """Send everything that waits, and put on record how it went; the caller holds the job's lock."""
    started = context.clock.now()
    sent = Sent(job.name, send_waiting(job, context))
    context.history.record_run(Run(job.name, "send", started, context.clock.now(), sent.exit_code, sent.faults))
    return sent


def waiting_now(job: Job, context: Context) -> list[Pending]:
    """Give what waits and may be tried again: five minutes after the first failure, then ever longer, up to an hour."""
    now = context.clock.now()
    return [one for one in context.history.pending(job.name) if retry_at(one) <= now or one.last_attempt > now]


def retry_at(pending: Pending) -> datetime:
    """Say when sending may be tried again."""
    doublings = min(max(pending.attempts - 1, 0), 10)
    return pending.last_attempt + min(FIRST_RETRY * int(2**doublings), LONGEST_RETRY)


def deliver(job: Job, pending: Pending, context: Context, proved: Verified | None = None) -> Delivery:
    """Send one waiting archive to one destination, and put on record how it went. Raises no `EcmError`.

    `proved` is what the staged file was found to hold just now; one that has been lying is proved again first.
    """
    place = job.destinations.get(pending.destination)
    name = ArchiveName.parse(pending.archive)
    if place is None or name is None or not staged_path(job, name).exists():
        return _give_up(job, pending, context)
    try:
        with _opened(staged_path(job, name)) as staged:
            proved = proved or verify(staged, context.password, context.progress, title=f"Checking {name}")
            staged.seek(0)
            _put_and_prove(place, name, staged, proved, context)
    except EcmError as error:
        failed = replace(pending, attempts=pending.attempts + 1, last_attempt=context.clock.now(), error=error.message)
        context.history.expect(failed)
        return Delivery(pending.archive, pending.destination, place.label, error.message, error.hint, error.exit_code)
    _settle(job, pending, context)
    rotation = rotate(job, pending.destination, context)
    return Delivery(pending.archive, pending.destination, place.label, rotation=rotation)


def adopt(job: Job, context: Context) -> None:
    """Let every destination wait for the staged archives that none waits for.

    A kill between two steps leaves such, and so does the loss of the journal. One that a destination already has is
    recognised there.
    """
    staging, known = job.state_dir / "staging", {one.archive for one in context.history.pending(job.name)}
    now = context.clock.now()
    for name in filter(None, (ArchiveName.parse(path.name) for path in sorted(staging.glob(f"{job.name}-*")))):
        if (name.job, name.host) == (job.name, job.host) and str(name) not in known:
            for place in job.destinations:
                context.history.expect(Pending(job.name, str(name), place, now, 0, now, ""))


def keep_within_bound(job: Job, context: Context) -> list[str]:
    """Drop the oldest waiting archives until all of them take at most the bound; the newest always stays.

    Gives the names of what was dropped; each is on record as a failed run.
    """
    names = sorted({one.archive for one in context.history.pending(job.name)}, reverse=True)
    room, dropped = job.staging_bytes, []
    for number, name in enumerate(names):
        path = job.state_dir / "staging" / name
        room -= path.stat().st_size if path.exists() else 0
        if room < 0 and number > 0:
            dropped.append(name)
    for one in context.history.pending(job.name):
        if one.archive in dropped:
            _give_up(job, one, context, "was dropped: the staging directory is full")
    return dropped


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as staged:
            yield staged
    except OSError as error:  # a destination's own trouble is never an OSError
        raise EcmError(f"The staged archive {path} cannot be read: {error.strerror}.") from error


def _put_and_prove(place: Destination, name: ArchiveName, staged: BinaryIO, proved: Verified, context: Context) -> None:
    context.progress.stage(f"Copying to {place.label}", 0)
    ours = True
    try:
        place.put(name, staged)
    except AlreadyExists:  # perhaps an earlier attempt got through without anybody hearing of it; reading back tells
        ours = False
    try:
        verify_copy(place, name, context, original=staged, proved=proved)
    except (ArchiveInvalid, DecryptionFailed):
        if ours:  # what arrived is not what was sent: it must not stand in a good copy's way
            with suppress(EcmError):
                place.delete(name)
        raise


def _give_up(job: Job, pending: Pending, context: Context, why: str = "") -> Delivery:
    reason = why or "can no longer be sent: its destination or the staged file is gone"
    message = f"{pending.archive} for {pending.destination} {reason}."
    now = context.clock.now()
    context.history.record_run(Run(job.name, "send", now, now, EcmError.exit_code, message))
    _settle(job, pending, context)
    return Delivery(pending.archive, pending.destination, pending.destination, message, "", EcmError.exit_code)


def _settle(job: Job, pending: Pending, context: Context) -> None:
    """Strike a destination off, and remove the staged file when nobody waits for it any more."""
    context.history.settle(job.name, pending.archive, pending.destination)
    if all(one.archive != pending.archive for one in context.history.pending(job.name)):
        (job.state_dir / "staging" / pending.archive).unlink(missing_ok=True)
