"""Results as lines of text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecm_agent.cli.wording import ago, contents, counted, moment, redacted, size, table
from ecm_agent.model.manifest import CAUSANTIC
from ecm_agent.model.names import ArchiveName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from ecm_agent.cli.screen import Screen
    from ecm_agent.destination.finding import Finding
    from ecm_agent.jobs.backup import BackedUp
    from ecm_agent.jobs.deliver import Delivery
    from ecm_agent.jobs.drill import Drilled
    from ecm_agent.jobs.export import Exported
    from ecm_agent.jobs.opening import Opened, PassedOver
    from ecm_agent.jobs.rotate import Rotation
    from ecm_agent.jobs.status import DestinationStatus, JobStatus, Kept, ProvenRestore
    from ecm_agent.jobs.verify import Verified
    from ecm_agent.model.journal import Run
    from ecm_agent.model.manifest import Manifest
    from ecm_agent.retention import Decision


def warn(out: Screen, exported: Exported) -> None:
    """Say what was odd in the store, and what is not in the archive."""
    for oddity in exported.oddities:
        out.warn(f"{oddity.table} row {oddity.row!r}: {oddity.found}")
    more = exported.odd_rows - len({(oddity.table, oddity.row) for oddity in exported.oddities})
    if more > 0:
        out.warn(f"{counted(more, 'more rows')} like these")
    for name, rows in exported.manifest.dangling.items():
        out.warn(f"left out of {name}: {counted(rows, 'rows')} referring to rows that do not exist")
    for name, rows in sorted(exported.gaps.items()):
        out.warn(f"virtual table {name} ({counted(rows, 'rows')}) is not in the archive: not of a kind that can be")
    for found in exported.warnings:
        out.warn(f"{found}; kept exactly")
    if exported.manifest.redacted and exported.manifest.vector_count:
        out.warn("vectors are in the archive, and texts can be guessed from them")
    if not exported.manifest.chunk_count:
        out.warn("the store holds no chunks")


def exported(output: Path, result: Exported) -> Iterator[str]:
    how = "encrypted" if result.encrypted else "NOT encrypted"
    yield f"Wrote {output}: {contents(result.manifest)}, {size(result.bytes)}, {how}."
    if result.manifest.redacted:
        yield f"  redacted: {redacted(result.manifest)}"
    if left := [
        f"{name} ({rows})" for name, rows in sorted(result.manifest.left_out.items()) if name not in result.gaps
    ]:
        yield f"  left out, with their rows: {', '.join(left)}"
    yield from (f"  {note}" for note in result.notes)
    if result.manifest.format == CAUSANTIC:
        yield f"  {CAUSANTIC} {result.manifest.version}: for Causantic, and no backup. It has no place for:"
        yield from (f"    {counted(many, _counted_in(place))} of {place}" for place, many in result.not_written.items())


def _counted_in(place: str) -> str:
    """Say what is counted of a place: rows of a table, values of a column."""
    return "values" if "." in place else "rows"


def backed_up(result: BackedUp) -> Iterator[str]:
    yield f"{result.job}: {result.archive}, {contents(result.exported.manifest)}, {size(result.exported.bytes)}"
    yield from _no_backup(result.exported.manifest)
    for delivery in result.deliveries:
        yield from _delivered(delivery)
    for delivery in result.caught_up:
        yield f"  waiting since earlier: {delivery.archive}"
        yield from _delivered(delivery)
    for name in result.dropped:
        yield f"  DROPPED {name}: too much was waiting to be sent"
    yield f"  took {result.seconds:.1f} s"


def _delivered(delivery: Delivery) -> Iterator[str]:
    if delivery.error:
        yield from _failed(f"  FAILED  {delivery.label}", delivery.error, delivery.hint)
        yield "          the archive waits on disk and is sent with the next run"
        return
    how = "decrypted, every record counted" if delivery.decrypted else "the bytes proved with an earlier password"
    yield f"  proved  {delivery.label}: stored, read back, {how}"
    if delivery.rotation:
        yield from (f"  {line}" for line in _rotated(delivery.rotation))


def _failed(what: str, error: str, hint: str) -> Iterator[str]:
    yield f"{what}: {error}"
    if hint:
        yield f"{' ' * (len(what) - len(what.lstrip()))}hint: {hint}"


def rotated(result: Rotation, *, dry_run: bool) -> Iterator[str]:
    yield f"{result.destination}:"
    if result.decisions:
        yield from decisions(result.decisions)
    elif not result.error:
        yield "no archives"
    yield from _rotated(result)
    if dry_run and not result.error:
        yield "Nothing was removed: this was a dry run."


def _rotated(result: Rotation) -> Iterator[str]:
    if result.error:
        yield from _failed("could not rotate", result.error, result.hint)
    for name in result.removed:
        yield f"removed {name}: no rule keeps it"
    for why in result.retained.values():
        yield f"retained: {why}"
    for name, why in result.failures.items():
        yield f"could not remove {name}: {why}"


def decisions(plan: Sequence[Decision]) -> Iterator[str]:
    """Give the table of reasons, newest first."""
    rows = [
        (one.candidate.name, "keep" if one.keep else "remove", ", ".join(one.reasons) or "no rule keeps it")
        for one in plan
    ]
    return table(("ARCHIVE", "", "BECAUSE"), rows)


def probed(findings: Iterable[Finding]) -> Iterator[str]:
    for one in findings:
        yield f"  {one.outcome:<8} {one.check:<20} {one.found}"
        if one.advice:
            yield f"           {'':<20} → {one.advice}"


def listed(kept: Sequence[Kept], zone: ZoneInfo) -> Iterator[str]:
    rows = [(one.destination, one.name, moment(one.created, zone), size(one.bytes), _proof(one, zone)) for one in kept]
    return table(("DESTINATION", "ARCHIVE", "MADE", "SIZE", "PROVED"), rows)


def _proof(kept: Kept, zone: ZoneInfo) -> str:
    if kept.fault:
        return f"NO: {kept.fault}"
    return moment(kept.checked_at, zone) if kept.checked_at else "not yet"


def status(jobs: Iterable[JobStatus], zone: ZoneInfo) -> Iterator[str]:
    for job in jobs:
        yield f"job {job.job}"
        if job.next_run:
            yield f"  schedule      {job.schedule}, next run {moment(job.next_run, zone)}"
        if job.redacted:
            yield f"  REDACTED      its archives are no backup: they are without {', '.join(job.redacted)}"
        yield f"  last run      {_ended(job.last_run, zone)}"
        yield f"  last success  {moment(job.last_success.finished_at, zone) if job.last_success else 'never'}"
        if job.last_check:
            yield f"  last check    {_ended(job.last_check, zone)}"
        yield f"  last proven restore: {_proven(job.last_proven_restore)}"
        for waits in job.waiting:
            tried = f"{counted(waits.attempts, 'attempts')}: {waits.error}" if waits.attempts else "not tried yet"
            yield f"  WAITING       {waits.archive} for {waits.destination}, {tried}"
        for place in job.destinations:
            yield from _place(place, zone)


def _place(place: DestinationStatus, zone: ZoneInfo) -> Iterator[str]:
    newest = place.newest_verified
    proved = f"newest proved {moment(newest.created, zone)}" if newest else "none proved"
    if place.error:
        yield f"  OUT OF REACH  {place.error}"
        return
    yield f"  {place.label}: {counted(place.archives, 'archives')}, {size(place.bytes)}, {proved}"
    if place.overdue:
        yield f"    OVERDUE   {place.overdue}"
    yield from (f"    NOT GOOD  {name}: {fault}" for name, fault in place.faults.items())
    for name in place.ahead:
        yield f"    AHEAD     {name}: dated in the future; nothing is removed until the clock has caught up"
    if place.drill_fault:
        yield f"    NO DRILL  {place.drill_fault}"


def _proven(restore: ProvenRestore | None) -> str:
    return f"{ago(restore.age_seconds)}, {restore.seconds:.1f} s ({restore.archive})" if restore else "never"


def _ended(run: Run | None, zone: ZoneInfo) -> str:
    if run is None:
        return "never"
    ended = "ok" if run.exit_code == 0 else f"exit {run.exit_code}"
    return f"{moment(run.finished_at, zone)}  {ended}" + (f": {run.message}" if run.message else "")


def passed_over(opened: Opened) -> Iterator[str]:
    """Say which archive was used, and why no other, or no other copy."""
    if not opened.passed_over:
        return
    yield f"  Used {opened.located}; not used:"
    for one in opened.passed_over:
        yield f"    {_which(one, opened)} in {one.destination}: {one.why}"


def _which(one: PassedOver, opened: Opened) -> str:
    name, used = ArchiveName.parse(one.archive), opened.located.name
    if name == used:
        return "another copy of it"
    return f"the newer {name}" if name and name.created > used.created else one.archive


def inspected(file: Path, bytes_: int, format_: str, manifest: Manifest | None, *, encrypted: bool) -> Iterator[str]:
    how = "encrypted (AES-256-GCM, scrypt)" if encrypted else "not encrypted"
    what = "Causantic archive" if format_ == CAUSANTIC else "ECM archive"
    what += f" {manifest.version}" if manifest else ""
    yield f"{file}: {what}, {size(bytes_)}, {how}"
    if manifest is None:
        yield "  its content needs the password"
        return
    yield f"  made       {manifest.created}" + (f" by {manifest.generator}" if manifest.generator else "")
    yield f"  holds      {contents(manifest)}"
    yield f"  projects   {', '.join(map(repr, manifest.projects)) or 'none'}"
    if manifest.redacted:
        yield f"  REDACTED   {redacted(manifest)}"
    if manifest.selected_projects is not None:
        yield "  PARTIAL    only these projects were exported"
    if tables := [f"{name} ({rows})" for name, rows in sorted(manifest.rows().items()) if rows]:
        yield f"  tables     {', '.join(tables)}"
    for one in manifest.schema.foreign if manifest.schema else ():
        yield f"  described  {one.kind} {one.name}: a restore does not make it (its SQL: --json)"
    for name, rows in sorted(manifest.left_out.items()):
        yield f"  PARTIAL    table {name} ({counted(rows, 'rows')}) was left out"
    for name, rows in sorted(manifest.dangling.items()):
        yield f"  left out   {counted(rows, 'rows')} of {name} referring to rows that do not exist"


def verified(source: str, result: Verified) -> Iterator[str]:
    how = "decrypted" if result.encrypted else "not encrypted"
    yield f"Good: {source}, {size(result.bytes)}, {how}, every record read: {contents(result.manifest)}"
    if not (result.encrypted or result.digests):
        yield "  not held against digests (it has none of all it holds, or is laid out anew): a change may go unnoticed"
    yield from _no_backup(result.manifest)
    for section, records in sorted(result.unread.items()):
        yield f"  except {counted(records, 'records')} of section {section!r}, which this version does not know"


def drilled(source: str, result: Drilled) -> Iterator[str]:
    yield f"Restored: {source}, in {result.seconds:.1f} s, into a scratch store: {contents(result.manifest)}"
    yield "  integrity and references ok, every record compared with the archive; the scratch store is gone"
    yield from _no_backup(result.manifest)


def _no_backup(manifest: Manifest) -> Iterator[str]:
    """Say of a redacted archive what it is, wherever it could be taken for more."""
    if manifest.redacted:
        yield f"  REDACTED, so no backup: it is without {', '.join(manifest.redacted)}"
