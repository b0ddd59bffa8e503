"""drill: restore an archive into a scratch store, compare the two record by record, and time it."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct

from ecm_agent.archive import open_archive
from ecm_agent.atomic import private_directory
from ecm_agent.errors import ArchiveInvalid, DecryptionFailed, EcmError
from ecm_agent.history import Run
from ecm_agent.jobs.progress import followed
from ecm_agent.jobs.verify import opened_stored, record_fault, record_good, refuse_another_time
from ecm_agent.model.manifest import Manifest, Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ecm_agent.jobs.job import Context, Job
    from ecm_agent.jobs.locate import Located
    from ecm_agent.model.records import AnyRecord, Batch
    from ecm_agent.store.base import MemoryStore

_SCRATCH = "drill-"


class Drilled(Struct, frozen=True):
    """A restore that worked: `seconds` from asking the destination for the archive to a usable, checked store."""

    archive: str
    label: str
    manifest: Manifest
    seconds: float


def drill(job: Job, located: Located, context: Context) -> Drilled:
    """Restore an archive from where it is kept into a private scratch store, which is removed afterwards.

    The finding goes on record, good or bad. Raises `DecryptionFailed`, and `ArchiveInvalid` for an archive that does
    not give back the store it claims to hold. The caller holds the job's lock: scratch stores of killed drills are
    swept here.
    """
    started, began = context.clock.now(), context.clock.monotonic()
    label, name = located.destination.label, located.name
    try:
        with _scratch(job) as scratch, opened_stored(located.destination, name) as file:
            manifest = _restore_and_compare(file, job.store.at(scratch / "memory.db"), context)
            size = file.seek(0, 2)
        refuse_another_time(manifest, name)
    except EcmError as error:
        if isinstance(error, (ArchiveInvalid, DecryptionFailed)):
            record_fault(located.destination, name, error, context)
        run = Run(job.name, "drill", started, context.clock.now(), error.exit_code, f"{located}: {error.message}")
        context.history.record_run(run)
        raise
    seconds = context.clock.monotonic() - began
    record_good(located.destination, name, manifest, size, context)
    context.history.record_run(Run(job.name, "drill", started, context.clock.now(), 0, f"{located}: {seconds:.1f} s"))
    return Drilled(str(name), label, manifest, seconds)


def _restore_and_compare(file: BinaryIO, scratch: MemoryStore, context: Context) -> Manifest:
    archive = open_archive(file, context.password)
    batches = followed(context.progress, "Drill: restoring", archive.manifest, archive.batches())
    if no_place := scratch.replace(archive.manifest, batches).no_place:
        raise EcmError(
            f"This archive cannot be drilled: a store made by this version has no place for {', '.join(no_place)}.",
            hint="It can still be proved by reading every record: ecm-agent verify",
        )
    if problems := scratch.problems():
        raise ArchiveInvalid(f"The restored store is not sound: {problems[0]}.")
    with scratch.snapshot(Selection(), archive.manifest.created) as snapshot:
        batches = followed(context.progress, "Drill: comparing", archive.manifest, archive.batches())
        for restored, archived in zip_longest(_records(snapshot.batches()), _records(batches)):
            if restored != archived:
                section = (restored or archived).section
                raise ArchiveInvalid(f"The restored store does not hold what the archive holds: its {section} differ.")
    return archive.manifest


def _records(batches: Iterable[Batch]) -> Iterator[AnyRecord]:
    for batch in batches:
        yield from batch


@contextmanager
def _scratch(job: Job) -> Iterator[Path]:
    """Give a private directory that is gone afterwards; what killed drills of this job have left behind goes first."""
    staging, prefix = job.state_dir / "staging", f"{_SCRATCH}{job.name}-"  # another job's drill may be at work
    try:
        for leftover in private_directory(staging).glob(f"{prefix}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        with TemporaryDirectory(prefix=prefix, dir=staging, ignore_cleanup_errors=True) as scratch:
            yield Path(scratch)
    except OSError as error:
        raise EcmError(
            f"There is no place for a drill in {staging}: {error.strerror}.",
            hint="Make room there, or name another place with the key state_dir.",
        ) from error
