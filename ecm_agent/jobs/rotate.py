"""rotate: let go of the archives the retention policy no longer keeps, in one destination."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from ecm_agent.clock import is_ahead
from ecm_agent.errors import EcmError, Retained
from ecm_agent.lock import held
from ecm_agent.model.manifest import is_of_nothing
from ecm_agent.model.names import ArchiveName
from ecm_agent.retention import Candidate, Decision, plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from ecm_agent.destination.base import Destination, Stored
    from ecm_agent.history import History
    from ecm_agent.jobs.job import Context, Job
    from ecm_agent.model.journal import Proof


class Rotation(Struct, frozen=True):
    """What stays and why, what went, and what should have gone but would not."""

    destination: str
    decisions: list[Decision]
    removed: list[str]
    failures: dict[str, str]
    """Archive name → why it could not be removed."""
    error: str = ""
    """Why nothing could be decided: the archives cannot be listed, or the journal cannot be read."""
    hint: str = ""
    exit_code: int = 0
    """The error's."""
    retained: dict[str, str] = {}
    """Archive name → what locks it for now; no failure: it goes when its lock has ended."""


def rotation_plan(job: Job, destination: Destination, history: History, now: datetime) -> list[Decision]:
    """Decide about this job's archives of this host; those of others are not looked at."""
    proofs = history.proofs(destination.label)
    own = [one for one in destination.list() if job.owns(one.name)]
    proved = {one.name: proofs[str(one.name)] for one in own if _proved(one, proofs)}
    newest = _newest(proved, now)
    emptied = max((name.created for name, proof in proved.items() if is_of_nothing(proof.kin)), default=None)
    candidates = [
        Candidate(
            str(one.name),
            one.name.created,
            verified=one.name in proved,
            apart=_apart(one.name, proved[one.name], newest, emptied) if one.name in proved and newest else "",
        )
        for one in own
    ]
    return plan(candidates, job.policy, now=now, timezone=job.timezone)


def _proved(one: Stored, proofs: Mapping[str, Proof]) -> bool:
    proof = proofs.get(str(one.name))
    return proof is not None and proof.good and proof.bytes in {0, one.size}


def _newest(proved: Mapping[ArchiveName, Proof], now: datetime) -> Proof | None:
    """Give the proof of the newest archive; of one that is dated in the future only where there is no other."""
    name = max(proved, key=lambda name: (not is_ahead(name.created, now), name.created), default=None)
    return proved[name] if name else None


def _apart(name: ArchiveName, proof: Proof, newest: Proof, emptied: datetime | None) -> str:
    """Why an archive cannot be made up for by the newest one, and so is not for the rules to judge.

    `emptied` is when the store was last found without memory: what it held before, no later archive has.
    """
    if proof.key != newest.key:
        return "sealed with another password than the newest"
    if proof.kin != newest.kin:
        return f"of another kind than the newest: {proof.kin}"
    older = emptied is not None and name.created < emptied and not is_of_nothing(proof.kin)
    return "made before the store was found empty" if older else ""


def rotate(job: Job, destination: str, context: Context) -> Rotation:
    """Remove what the plan says, oldest first, so that a rotation cut short has removed what mattered least.

    Never raises `EcmError`: one destination must not stop another.
    """
    place = job.destinations[destination]
    rotation = decided(job, destination, context)
    removed, failures, retained = [], {}, {}
    for decision in reversed(rotation.decisions):
        name = ArchiveName.parse(decision.candidate.name)
        if decision.keep or name is None:
            continue
        try:
            place.delete(name)
        except Retained as error:
            retained[str(name)] = error.message
        except EcmError as error:
            failures[str(name)] = error.message
        else:
            removed.append(str(name))
            with suppress(EcmError):  # a proof of what is gone counts for nothing: no list has the archive any more
                context.history.forget(place.label, name)
    return structs.replace(rotation, removed=removed, failures=failures, retained=retained)


def decided(job: Job, destination: str, context: Context) -> Rotation:
    """Say what a rotation would do, and do nothing."""
    try:
        decisions = rotation_plan(job, job.destinations[destination], context.history, context.clock.now())
    except EcmError as error:
        return Rotation(destination, [], [], {}, error.message, error.hint, error.exit_code)
    return Rotation(destination, decisions, [], {})


def rotate_all(job: Job, context: Context, *, dry_run: bool) -> Iterator[Rotation]:
    """Rotate every destination of a job, or with `dry_run` only decide. Raises `LockHeld`."""
    with nullcontext() if dry_run else held(job.lock, f"job {job.name!r}"):
        for name in job.destinations:
            yield decided(job, name, context) if dry_run else rotate(job, name, context)
