"""drill: restore an archive into a scratch store, compare the two record by record, and time it."""

from __future__ import annotations

from datetime import timedelta
from itertools import zip_longest
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct

from ecm_agent.archive import open_archive
from ecm_agent.errors import ArchiveInvalid, DecryptionFailed, EcmError
from ecm_agent.jobs.oddness import Oddness
from ecm_agent.jobs.progress import followed
from ecm_agent.jobs.scratch import NO_JOB, scratch
from ecm_agent.jobs.verify import opened_stored, record_fault, record_good, refuse_another_time
from ecm_agent.model.journal import Run
from ecm_agent.model.manifest import Manifest, Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from ecm_agent.archive import Archive
    from ecm_agent.jobs.job import Context, Job
    from ecm_agent.jobs.locate import Located
    from ecm_agent.model.records import AnyRecord, Batch
    from ecm_agent.store.base import MemoryStore


class Drilled(Struct, frozen=True):
    """A restore that worked: `seconds` from asking the destination for the archive to a usable, checked store."""

    archive: str
    label: str
    """The destination's; empty for a file."""
    manifest: Manifest
    seconds: float
    warnings: list[str]
    """What is odd in the memory itself and no fault of the archive, and what of the archive is not known."""


def drill(job: Job, located: Located, context: Context) -> Drilled:
    """Restore an archive from where it is kept into a private scratch store, which is removed afterwards.

    The finding goes on record, good or bad; as a run of the job only for an archive of its own. Raises
    `DecryptionFailed`, `ArchiveInvalid` for an archive that does not give back the store it claims to hold, and
    `EcmError` for one that cannot be drilled.
    The caller holds the job's lock: scratch stores of killed drills are swept here.
    """
    started, began = context.clock.now(), context.clock.monotonic()
    place, name = located.destination, located.name
    try:
        with scratch(job.state_dir, job.name) as directory:
            context.progress.stage(f"Drill: fetching from {place.label}", 0)
            with opened_stored(place, name) as file:
                size = file.seek(0, 2)
                archive = _opened(file, size, located, context)
                refuse_another_time(archive.manifest, name)
                warnings = _restore_and_compare(archive, job.store.at(directory / "memory.db"), context)
                seconds = context.clock.monotonic() - began
    except EcmError as error:
        if isinstance(error, (ArchiveInvalid, DecryptionFailed)):
            record_fault(place, name, error, context)
        _record(job, located, started, context.clock.monotonic() - began, context, error)
        raise
    record_good(place, name, archive.manifest, size, context)
    _record(job, located, started, seconds, context)
    return Drilled(str(name), place.label, archive.manifest, seconds, warnings)


def drill_file(path: Path, file: BinaryIO, store: MemoryStore, state_dir: Path, context: Context) -> Drilled:
    """Restore an archive that lies in no destination, as `drill` does; nothing goes on record.

    `store` says of what kind the scratch store is. The caller holds the lock of `scratch.NO_JOB`.
    """
    began = context.clock.monotonic()
    with scratch(state_dir, NO_JOB) as directory:
        archive = open_archive(file, context.password)
        warnings = _restore_and_compare(archive, store.at(directory / "memory.db"), context)
        seconds = context.clock.monotonic() - began
    return Drilled(str(path), "", archive.manifest, seconds, warnings)


def _record(
    job: Job, located: Located, started: datetime, seconds: float, context: Context, error: EcmError | None = None
) -> None:
    """Put a drill on record: its end is its beginning and the seconds it took, whatever the wall clock did meanwhile.

    `jobs.status` reads the seconds from there, and `History.last_drill` the destination from the message.
    """
    if job.owns(located.name):
        code, message = (error.exit_code, f"{located}: {error.message}") if error else (0, str(located))
        ended = started + timedelta(seconds=seconds)
        context.history.record_run(Run(job.name, "drill", started, ended, code, message, str(located.name)))


def _opened(file: BinaryIO, size: int, located: Located, context: Context) -> Archive:
    """Authenticate an archive; of one that fails and is on record as larger, say that it was cut short."""
    try:
        return open_archive(file, context.password)
    except ArchiveInvalid as error:
        known = context.history.proofs(located.destination.label).get(str(located.name))
        if known is None or size >= known.bytes:
            raise
        raise ArchiveInvalid(
            f"Archive is cut short: it has {size} bytes; when it was proved it had {known.bytes}.", hint=error.hint
        ) from error


def _restore_and_compare(archive: Archive, store: MemoryStore, context: Context) -> list[str]:
    """Restore into a store that does not exist yet, and prove it; gives what is odd in the memory itself."""
    if archive.manifest.original:
        raise EcmError(
            "This archive cannot be drilled: a memory program wrote it, and a restore makes up what it leaves out.",
            hint="It can still be proved by reading every record: ecm-agent verify",
        )
    if archive.manifest.with_dangling:
        raise EcmError(
            "This archive cannot be drilled: it keeps references that lead nowhere, as the store had them.",
            hint="It can still be proved by reading every record: ecm-agent verify",
        )
    batches = followed(context.progress, "Drill: restoring", archive.manifest, archive.batches())
    replaced = store.replace(archive.manifest, batches)
    if no_place := replaced.no_place:
        raise EcmError(
            f"This archive cannot be drilled: a store made by this version has no place for {', '.join(no_place)}.",
            hint="It can still be proved by reading every record: ecm-agent verify",
        )
    context.progress.stage("Drill: checking integrity", 0)
    if problems := store.problems():
        raise ArchiveInvalid(f"The restored store is not sound: {problems[0]}.")
    odd = Oddness(clocks=True)
    with store.snapshot(Selection(), archive.manifest.created) as snapshot:
        batches = followed(context.progress, "Drill: comparing", archive.manifest, odd.watched(archive.batches()))
        for restored, archived in zip_longest(_records(snapshot.batches()), _records(batches)):
            if restored is None or restored != archived:
                section = (restored or archived).section
                raise ArchiveInvalid(f"The restored store does not hold what the archive holds: its {section} differ.")
    unread = archive.unknown.items()
    return [
        *(f"a restore does not make {what}, which the archive only describes" for what in replaced.not_made),
        *(f"{count} records of section {name!r}, which this version does not know" for name, count in unread),
        *odd.warnings(),
    ]


def _records(batches: Iterable[Batch]) -> Iterator[AnyRecord]:
    for batch in batches:
        yield from batch
