"""rotate: let go of the archives the retention policy no longer keeps, in one destination."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from ecm_agent.errors import EcmError, Retained
from ecm_agent.lock import held
from ecm_agent.model.names import ArchiveName
from ecm_agent.retention import Candidate, Decision, plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ecm_agent.destination.base import Destination
    from ecm_agent.history import History
    from ecm_agent.jobs.job import Context, Job


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
    candidates = [
        Candidate(str(name), name.created, verified=str(name) in proofs and proofs[str(name)].good)
        for name in job.archives_in(destination)
    ]
    return plan(candidates, job.policy, now=now, timezone=job.timezone)


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
            context.history.forget(place.label, name)
            removed.append(str(name))
        except Retained as error:
            retained[str(name)] = error.message
        except EcmError as error:
            failures[str(name)] = error.message
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
