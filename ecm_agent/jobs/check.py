"""check: the scheduled verification of what is kept; the newest archive every time, the older ones in shares."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from ecm_agent.archive import sealed_as
from ecm_agent.errors import ArchiveInvalid, EcmError
from ecm_agent.jobs.drill import drill
from ecm_agent.jobs.locate import Located
from ecm_agent.jobs.verify import verify_stored
from ecm_agent.model.journal import Proof, Run
from ecm_agent.model.manifest import FORMAT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ecm_agent.destination.base import Destination, Stored
    from ecm_agent.jobs.job import Context, Job, Level

_NEVER = datetime.min.replace(tzinfo=UTC)


class Finding(Struct, frozen=True):
    """What a check found of one archive (`archive` is empty when a destination could not even be listed)."""

    archive: str
    label: str
    error: str = ""
    exit_code: int = 0


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
        return "; ".join(f"{one.archive or one.label}: {one.error}" for one in self.findings if one.error)


def check(job: Job, context: Context, level: Level, *, share: float) -> Checked:
    """Verify a job's archives in every destination; the caller holds its lock. What is wrong becomes a finding.

    `share` is the part of a destination's older archives to look at this time, in (0, 1]; those whose last proof is
    the oldest come first, so that after 1/share checks every one has had its turn.
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
        proofs = context.history.proofs(place.label)
    except EcmError as error:
        return [Finding("", place.label, error.message, error.exit_code)]
    chosen = turn(own, proofs, share)
    findings = [_finding(job, place, one, context, level, newest=one is own[-1]) for one in chosen]
    if level == "quick":  # a size costs nothing to look at, and a quick look leaves no proof to tell whose turn it is
        findings += [_finding(job, place, one, context, "size", newest=False) for one in own if one not in chosen]
    return findings


def turn(own: Sequence[Stored], proofs: dict[str, Proof], share: float) -> list[Stored]:
    """Choose what to look at: the newest, and of the older ones the share that has waited longest."""
    if not own:
        return []
    *older, newest = own
    waited = sorted(older, key=lambda one: proofs[str(one.name)].checked_at if str(one.name) in proofs else _NEVER)
    return [newest, *waited[: math.ceil(len(older) * share)]]


def share_of(interval: timedelta, cover: timedelta) -> float:
    """Say which part of the older archives each check must look at, so that all are covered within `cover`."""
    return min(1.0, interval / cover)


def _finding(
    job: Job, place: Destination, one: Stored, context: Context, level: Level | Literal["size"], *, newest: bool
) -> Finding:
    try:
        if level in {"quick", "size"}:
            _look(place, one, context, inside=level == "quick")
        elif level == "drill" and newest:
            drill(job, Located(one.name, place, verified=False), context)
        else:
            verify_stored(place, one.name, context)
    except EcmError as error:
        return Finding(str(one.name), place.label, error.message, error.exit_code)
    return Finding(str(one.name), place.label)


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
