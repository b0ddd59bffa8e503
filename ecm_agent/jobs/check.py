"""check: the scheduled verification of what is kept; the newest archive every time, the older ones in shares."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct

from ecm_agent.archive import sealed_as
from ecm_agent.clock import is_ahead
from ecm_agent.errors import ArchiveInvalid, EcmError
from ecm_agent.jobs.drill import drill
from ecm_agent.jobs.locate import Located
from ecm_agent.jobs.verify import key_of, verify_stored
from ecm_agent.model.journal import Proof, Run
from ecm_agent.model.manifest import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ecm_agent.destination.base import Destination, Stored
    from ecm_agent.jobs.job import Context, Job, Level

_NEVER = datetime.min.replace(tzinfo=UTC)
_NOT_READ = "sealed with an earlier password, and proved with it: looked at, not read"

_Depth: TypeAlias = 'Level | Literal["size"]'


class Finding(Struct, frozen=True):
    """What a check found of one archive (`archive` is empty when a destination could not even be listed).

    `note` says why an archive was not read in which no fault was found.
    """

    archive: str
    label: str
    error: str = ""
    exit_code: int = 0
    note: str = ""


class Checked(Struct, frozen=True):
    """What a scheduled verification found."""

    job: str
    level: str
    findings: list[Finding]
    seconds: float

    @property
    def exit_code(self) -> int:
        """0 when all is well, else the code of the first thing that is not."""
        return next((finding.exit_code for finding in self.findings if finding.error), 0)

    @property
    def faults(self) -> str:
        """What is not well, and after it what could not be read though nothing is wrong with it, in one line."""
        faults = [f"{one.archive or one.label}: {one.error}" for one in self.findings if one.error]
        notes = [f"{one.archive}: {one.note}" for one in self.findings if one.note and not one.error]
        return "; ".join([*faults, *notes])


def check(job: Job, context: Context, level: Level, *, share: float) -> Checked:
    """Verify a job's archives in every destination; the caller holds its lock. What is wrong becomes a finding.

    `share` is the part of a destination's older archives to look at this time, in (0, 1]; those that were tried the
    longest ago come first, however that ended, so that after 1/share checks every one has had its turn.

    An older archive that was proved with another password than today's can only be looked at, as `quick` does: that
    is noted, and no failure. The newest has to open with today's.
    """
    started, began = context.clock.now(), context.clock.monotonic()
    findings = [one for place in job.destinations.values() for one in _findings(job, place, context, level, share)]
    checked = Checked(job.name, level, findings, context.clock.monotonic() - began)
    run = Run(job.name, "verify", started, context.clock.now(), checked.exit_code, checked.faults)
    context.history.record_run(run)
    return checked


def _findings(job: Job, place: Destination, context: Context, level: Level, share: float) -> list[Finding]:
    try:
        own = [one for one in place.list() if (one.name.job, one.name.host) == (job.name, job.host)]
        proofs, tries = context.history.proofs(place.label), context.history.tries(place.label)
        sealed_otherwise = _sealed_otherwise(proofs, context)
    except EcmError as error:
        return [Finding("", place.label, error.message, error.exit_code)]
    chosen = turn(own, last_tried(proofs, tries), share, context.clock.now())
    findings = []
    for one in chosen:
        newest = one is chosen[0]
        if newest or level == "quick":
            findings.append(_finding(job, place, one, context, level))
        elif str(one.name) in sealed_otherwise:
            findings.append(_finding(job, place, one, context, "quick", note=_NOT_READ))
        else:
            findings.append(_finding(job, place, one, context, "decrypt"))
        with suppress(EcmError):  # the record of the check itself says when the journal cannot be used
            context.history.record_try(place.label, one.name, context.clock.now())
    if level == "quick":  # a size costs nothing to look at
        findings += [_finding(job, place, one, context, "size") for one in own if one not in chosen]
    return findings


def _sealed_otherwise(proofs: Mapping[str, Proof], context: Context) -> set[str]:
    """Name the archives that were proved with another password than the one at hand."""
    if context.password is None:
        return set()
    own = key_of(context)
    return {name for name, proof in proofs.items() if proof.good and proof.key not in {"", own}}


def last_tried(proofs: Mapping[str, Proof], tries: Mapping[str, datetime]) -> dict[str, datetime]:
    """Say when each archive was last tried: at its turn in a check, or when anything else said how it is."""
    proved = {name: proof.checked_at for name, proof in proofs.items()}
    return {name: max(proved.get(name, _NEVER), tries.get(name, _NEVER)) for name in {*proved, *tries}}


def turn(own: Sequence[Stored], tried: Mapping[str, datetime], share: float, now: datetime) -> list[Stored]:
    """Choose what to look at: first the newest, and of the others the share that has waited longest.

    One that is dated in the future is the newest only where there is no other.
    """
    if not own:
        return []
    *older, newest = sorted(own, key=lambda one: not is_ahead(one.name.created, now))
    waited = sorted(older, key=lambda one: tried.get(str(one.name), _NEVER))
    return [newest, *waited[: math.ceil(len(older) * share)]]


def share_of(interval: timedelta, cover: timedelta) -> float:
    """Say which part of the older archives each check must look at, so that all are covered within `cover`."""
    return min(1.0, interval / cover)


def _finding(job: Job, place: Destination, one: Stored, context: Context, depth: _Depth, note: str = "") -> Finding:
    try:
        if depth in {"quick", "size"}:
            _look(place, one, context, inside=depth == "quick")
        elif depth == "drill":
            drill(job, Located(one.name, place, verified=False), context)
        else:
            verify_stored(place, one.name, context)
    except EcmError as error:
        return Finding(str(one.name), place.label, error.message, error.exit_code)
    return Finding(str(one.name), place.label, note=note)


def _look(place: Destination, one: Stored, context: Context, *, inside: bool) -> None:
    """Compare an archive's size with the one it was proved with, and look at its first bytes.

    A fault takes the proof away, so that no rotation counts on the archive; only reading all of it gives it back.
    """
    proof = context.history.proofs(place.label).get(str(one.name))
    fault = ""
    if proof and proof.bytes and proof.bytes != one.size:
        fault = f"It has {one.size} bytes; when it was proved it had {proof.bytes}."
    elif inside:
        with place.open(one.name) as file:
            fault = "" if sealed_as(file) == FORMAT else "Invalid archive format: it does not begin as an archive does."
    if fault:
        proved_bytes = proof.bytes if proof else 0
        context.history.record_proof(place.label, one.name, Proof(context.clock.now(), fault, proved_bytes))
        raise ArchiveInvalid(fault)
