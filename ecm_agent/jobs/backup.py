"""backup: snapshot → staged file → proved → put → read back and proved there → on record → only then rotated."""

from __future__ import annotations

from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct

from ecm_agent.atomic import private_directory
from ecm_agent.errors import EcmError, PasswordMissing
from ecm_agent.history import Run
from ecm_agent.jobs.export import Exported, export
from ecm_agent.jobs.rotate import Rotation, rotate
from ecm_agent.jobs.verify import Verified, verify, verify_stored
from ecm_agent.lock import held

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from ecm_agent.jobs.job import Context, Job
    from ecm_agent.model.names import ArchiveName

PARTIAL = 3
"""Exit code of a run that finished, but not everything."""


class Delivery(Struct, frozen=True):
    """What became of an archive in one destination: `error` is empty when it was read back there and proved."""

    destination: str
    label: str
    error: str = ""
    hint: str = ""
    exit_code: int = 0
    rotation: Rotation | None = None

    @property
    def verified(self) -> bool:
        return not self.error


class BackedUp(Struct, frozen=True):
    """The proven result of a run."""

    job: str
    archive: str
    exported: Exported
    deliveries: list[Delivery]
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


def backup(job: Job, context: Context) -> BackedUp:
    """Back one job up. Raises `EcmError` when there is no archive to deliver; a destination's failure is reported.

    Raises `LockHeld` when the job is being worked on by another process, and `PasswordMissing` without a password:
    what lies in a destination is always encrypted.
    """
    if context.password is None:
        raise PasswordMissing("There is no password to encrypt the archive with.")
    with held(job.lock, f"job {job.name!r}"):
        started, began = context.clock.now(), context.clock.monotonic()
        try:
            result = _backup(job, context, began)
        except EcmError as error:
            _record(job, context, started, error.exit_code, error.message)
            raise
        message = "; ".join(delivery.error for delivery in result.deliveries if delivery.error)
        _record(job, context, started, result.exit_code, message)
        return result


def _backup(job: Job, context: Context, began: float) -> BackedUp:
    name = job.free_name(context.clock.now())
    with _staging_file(job.state_dir) as file:
        exported = export(
            job.store,
            job.selection,
            file,
            password=context.password,
            compression=job.compression,
            created=name.created,
            progress=context.progress,
        )
        proved = verify(file, context.password, context.progress, title="Checking the archive")
        deliveries = [_deliver(job, destination, name, file, proved, context) for destination in job.destinations]
    return BackedUp(job.name, str(name), exported, deliveries, context.clock.monotonic() - began)


def _deliver(
    job: Job, destination: str, name: ArchiveName, staged: BinaryIO, proved: Verified, context: Context
) -> Delivery:
    """Put the archive, prove it there, then rotate. Never raises `EcmError`: one destination must not stop another."""
    place = job.destinations[destination]
    try:
        staged.seek(0)
        context.progress.stage(f"Copying to {place.label}", 0)
        place.put(name, staged)
        verify_stored(place, name, context, expected=proved)
    except EcmError as error:
        return Delivery(destination, place.label, error.message, error.hint, error.exit_code)
    return Delivery(destination, place.label, rotation=rotate(job, destination, context))


@contextmanager
def _staging_file(state_dir: Path) -> Iterator[BinaryIO]:
    """Give a private file that has no name, so that nothing of it is left behind, whatever happens."""
    try:
        with TemporaryFile(dir=private_directory(state_dir / "staging")) as file:
            yield file
    except OSError as error:
        raise EcmError(
            f"The archive cannot be staged in {state_dir / 'staging'}: {error.strerror}.",
            hint="Make room there, or name another place with the key state_dir.",
        ) from error


def _record(job: Job, context: Context, started: datetime, exit_code: int, message: str) -> None:
    context.history.record_run(Run(job.name, "backup", started, context.clock.now(), exit_code, message))
