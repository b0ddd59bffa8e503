"""backup: snapshot → staged file → proved → put → read back and proved there → on record → only then rotated."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from ecm_agent.atomic import flushing, new_file, private_directory
from ecm_agent.errors import PARTIAL, EcmError, PasswordMissing
from ecm_agent.jobs.deliver import Delivery, adopt, deliver_new, keep_within_bound, send_waiting, staged_path
from ecm_agent.jobs.export import Exported, export
from ecm_agent.jobs.scratch import sweep
from ecm_agent.jobs.verify import Verified, verify
from ecm_agent.model.journal import Run
from ecm_agent.redaction.pseudonyms import Pseudonyms

if TYPE_CHECKING:
    from datetime import datetime

    from ecm_agent.jobs.job import Context, Job
    from ecm_agent.model.names import ArchiveName


class BackedUp(Struct, frozen=True):
    """The proven result of a run. `caught_up` are deliveries of earlier archives that had been waiting."""

    job: str
    archive: str
    exported: Exported
    deliveries: list[Delivery]
    caught_up: list[Delivery]
    dropped: list[str]
    seconds: float

    @property
    def exit_code(self) -> int:
        """0 when everything is proven; the failure's own code when nothing is; 3 between the two."""
        verified = [delivery for delivery in self.deliveries if delivery.verified]
        if not verified:
            return self.deliveries[0].exit_code
        rotations = [delivery.rotation for delivery in verified if delivery.rotation]
        unremoved = any(rotation.error or rotation.failures for rotation in rotations)
        return PARTIAL if self.exported.gaps or unremoved or len(verified) < len(self.deliveries) else 0

    @property
    def faults(self) -> str:
        """What went wrong, in one line."""
        gaps = [f"Not archived: {', '.join(sorted(self.exported.gaps))}."] if self.exported.gaps else []
        return "; ".join([*gaps, *(one.error for one in self.deliveries if one.error)])


def backup(job: Job, context: Context) -> BackedUp:
    """Back one job up; the caller holds its lock.

    An archive that cannot be delivered now waits on disk; a destination's failure is reported. Raises `EcmError` when
    there is no archive to deliver, and `PasswordMissing` without a password: what lies in a destination is always
    encrypted.
    """
    if context.password is None:
        raise PasswordMissing("There is no password to encrypt the archive with.")
    started, began = context.clock.now(), context.clock.monotonic()
    sweep(job.state_dir, job.name)
    adopt(job, context)
    name = job.free_name(started, context.history)
    try:
        exported, proved = _stage(job, name, context)
    except EcmError as error:
        with suppress(EcmError):  # on a disk that is full the journal fails as well; what came first is said
            _record(job, context, started, error.exit_code, error.message)
        raise
    deliveries = deliver_new(job, name, proved, context)
    reached = [one.destination for one in deliveries if one.verified]
    caught_up = [one for one in send_waiting(job, context, reached) if one.archive != str(name)]
    dropped = keep_within_bound(job, context)
    seconds = context.clock.monotonic() - began
    result = BackedUp(job.name, str(name), exported, deliveries, caught_up, dropped, seconds)
    _record(job, context, started, result.exit_code, result.faults, result.archive)
    return result


def _stage(job: Job, name: ArchiveName, context: Context) -> tuple[Exported, Verified]:
    """Export into the staging directory; the file takes its name only once it has been read back whole."""
    path, key = staged_path(job, name), context.history.salt()
    try:
        with new_file(private_directory(path.parent) / path.name, overwrite=True) as file:
            exported = export(
                job.store,
                job.selection,
                file,
                password=context.password,
                compression=job.compression,
                created=name.created,
                progress=context.progress,
                source=_source(job, key),
                key=key,
            )
            with flushing(file):
                proved = verify(file, context.password, context.progress, title="Checking the archive")
    except OSError as error:
        raise EcmError(
            f"The archive cannot be staged in {path.parent}: {error.strerror}.",
            hint="Make room there, or name another place with the key state_dir.",
        ) from error
    return exported, proved


def _source(job: Job, key: bytes) -> str:
    """Tell the store from others; in an archive to be shared, by a name that nobody can check a guess against."""
    return Pseudonyms(key).of(job.source, "store") if job.selection.redact else job.source


def _record(job: Job, context: Context, started: datetime, exit_code: int, message: str, archive: str = "") -> None:
    run = Run(job.name, "backup", started, context.clock.now(), exit_code, message, archive)
    context.history.record_run(run)
