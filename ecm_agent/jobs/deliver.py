"""deliver: bring a staged archive to a destination, prove it there, rotate; what cannot arrive now waits on disk."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from ecm_agent.errors import AlreadyExists, ArchiveInvalid, DecryptionFailed, DestinationRefused, EcmError
from ecm_agent.jobs.rotate import Rotation, rotate
from ecm_agent.jobs.staged import note_staged, opened_staged, proved_again
from ecm_agent.jobs.verify import Verified, verify_copy, verify_same
from ecm_agent.model.journal import Pending, Run, Staged
from ecm_agent.model.names import ArchiveName
from ecm_agent.schedule import retry_wait

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from ecm_agent.destination.base import Destination
    from ecm_agent.jobs.job import Context, Job


class Delivery(Struct, frozen=True):
    """What became of an archive in one destination: `error` is empty when it was read back there and proved."""

    archive: str
    destination: str
    label: str
    error: str = ""
    hint: str = ""
    exit_code: int = 0
    rotation: Rotation | None = None
    decrypted: bool = True
    """Whether it was decrypted there; one sealed with an earlier password was held against its bytes instead."""

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
    """Send a freshly staged archive everywhere; one destination's failure never stops another's, nor the journal's."""
    now = context.clock.now()
    waiting = [Pending(job.name, str(name), place, now, 0, now, "") for place in job.destinations]
    with suppress(EcmError):  # where one fails, its delivery notes that it waits, or says that this could not be noted
        for one in waiting:
            context.history.expect(one)
    deliveries = [deliver(job, one, context, proved) for one in waiting]
    if all(one.verified for one in deliveries):
        staged_path(job, name).unlink(missing_ok=True)
    return deliveries


def send_waiting(job: Job, context: Context, places: Iterable[str] | None = None) -> list[Delivery]:
    """Send what waits from earlier runs, oldest first, to some destinations or to all, even those no longer there.

    A destination that did not take one archive is not asked to take the next. Raises `EcmError` where the journal does
    not say what waits.
    """
    chosen = None if places is None else set(places)
    sent: list[Delivery] = []
    for one in context.history.pending(job.name):
        closed = {delivery.destination for delivery in sent if delivery.exit_code == DestinationRefused.exit_code}
        if one.destination not in closed and (chosen is None or one.destination in chosen):
            sent.append(deliver(job, one, context))
    _clear(job, {delivery.archive for delivery in sent}, context)
    return sent


def send(job: Job, context: Context) -> Sent:
    """Send everything that waits, and put on record how it went; the caller holds the job's lock.

    Raises as `send_waiting`.
    """
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
    return pending.last_attempt + retry_wait(pending.attempts)


def deliver(job: Job, pending: Pending, context: Context, proved: Verified | None = None) -> Delivery:
    """Send one waiting archive to one destination, and put on record how it went. Raises no `EcmError`.

    `proved` is what the staged file was found to hold just now; one that has been lying is proved again first. What
    cannot be put on record counts as failed, and is sent, or recognised there, another time. The staged file stays.
    """
    place = job.destinations.get(pending.destination)
    name = ArchiveName.parse(pending.archive)
    if place is None or name is None or not (path := staged_path(job, name)).exists():
        return _give_up(job, pending, context)
    known: Verified | Staged | None = proved
    try:
        with opened_staged(path) as staged:
            known = known or proved_again(staged, path, context)
            staged.seek(0)
            _put_and_prove(place, name, staged, known, context)
        context.history.settle(job.name, pending.archive, pending.destination)
    except EcmError as error:
        said = _wait_on(pending, path, known, error, context)
        return Delivery(pending.archive, pending.destination, place.label, said, error.hint, error.exit_code)
    rotation, decrypted = rotate(job, pending.destination, context), isinstance(known, Verified)
    return Delivery(pending.archive, pending.destination, place.label, rotation=rotation, decrypted=decrypted)


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
    waiting = context.history.pending(job.name)
    room, dropped = job.staging_bytes, []
    for number, name in enumerate(dict.fromkeys(one.archive for one in reversed(waiting))):
        path = job.state_dir / "staging" / name
        room -= path.stat().st_size if path.exists() else 0
        if room < 0 and number > 0:
            dropped.append(name)
    for one in waiting:
        if one.archive in dropped:
            _give_up(job, one, context, "was dropped: the staging directory is full")
    _clear(job, dropped, context)
    return dropped


def _put_and_prove(
    place: Destination, name: ArchiveName, staged: BinaryIO, proved: Verified | Staged, context: Context
) -> None:
    context.progress.stage(f"Copying to {place.label}", 0)
    ours = True
    try:
        place.put(name, staged)
    except AlreadyExists:  # perhaps an earlier attempt got through without anybody hearing of it; reading back tells
        ours = False
    try:
        if isinstance(proved, Staged):
            verify_same(place, name, context, proved)
        else:
            verify_copy(place, name, context, original=staged, proved=proved)
    except (ArchiveInvalid, DecryptionFailed):
        if ours:  # what arrived is not what was sent: it must not stand in a good copy's way
            with suppress(EcmError):
                place.delete(name)
        raise


def _give_up(job: Job, pending: Pending, context: Context, why: str = "") -> Delivery:
    reason = why or "can no longer be sent: its destination or the staged file is gone"
    said, now = f"{pending.archive} for {pending.destination} {reason}.", context.clock.now()
    try:
        context.history.record_run(Run(job.name, "send", now, now, EcmError.exit_code, said))
        context.history.settle(job.name, pending.archive, pending.destination)
    except EcmError as unnoted:
        said = f"{said} {unnoted.message}"
    return Delivery(pending.archive, pending.destination, pending.destination, said, "", EcmError.exit_code)


def _wait_on(pending: Pending, path: Path, known: Verified | Staged | None, error: EcmError, context: Context) -> str:
    """Note that an archive could not be sent, and what it is; gives what to say, and that it could not be noted."""
    failed = replace(pending, attempts=pending.attempts + 1, last_attempt=context.clock.now(), error=error.message)
    try:
        context.history.expect(failed)
        if isinstance(known, Verified):
            note_staged(path, known, context)
    except EcmError as unnoted:
        return error.message if unnoted.message == error.message else f"{error.message} {unnoted.message}"
    return error.message


def _clear(job: Job, archives: Iterable[str], context: Context) -> None:
    """Remove the staged files that nobody waits for any more."""
    with suppress(EcmError):  # one that stays is found by the next run, and recognised where it has arrived
        waited_for = {one.archive for one in context.history.pending(job.name)}
        for archive in set(archives) - waited_for:
            (job.state_dir / "staging" / archive).unlink(missing_ok=True)
