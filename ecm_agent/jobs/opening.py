"""Opening the first healthy one of several archives, with a word on each that had to be passed over."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct

from ecm_agent.archive import open_archive
from ecm_agent.clock import is_ahead
from ecm_agent.errors import ArchiveInvalid, DecryptionFailed, DestinationRefused, NotFound
from ecm_agent.jobs.verify import opened_stored, record_fault, refuse_another_time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ecm_agent.errors import EcmError
    from ecm_agent.jobs.job import Context
    from ecm_agent.jobs.locate import Candidates, Located

_UNHEALTHY = (DestinationRefused, NotFound, ArchiveInvalid, DecryptionFailed)


class PassedOver(Struct, frozen=True):
    """A copy of an archive that was not used, by its name and its destination's label, and why."""

    archive: str
    destination: str
    why: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A healthy archive, its open file, and which copies were tried in vain or are newer and were not tried."""

    located: Located
    file: BinaryIO
    passed_over: list[PassedOver]


@contextmanager
def first_healthy(candidates: Candidates, context: Context) -> Iterator[Opened]:
    """Open the first candidate that can be fetched, is authentic, and is what its name says.

    Where a password did not open some copy of an archive, no older archive is taken in its place: the password is to
    be put right first. Raises the first error met when no candidate is left, `NotFound` only when there was no other;
    its message names every copy tried. Faults go on record.
    """
    failed: list[tuple[Located, EcmError]] = []
    for one in candidates.copies:
        if _another_password_is_wanted(failed, one):
            break
        with ExitStack() as stack:
            try:
                file = stack.enter_context(_healthy(one, context))
            except _UNHEALTHY as error:
                failed.append((one, error))
                continue
            untried = candidates.copies[len(failed) + 1 :]
            now = context.clock.now()
            yield Opened(one, file, _passed_over(failed, one) + list(_not_trusted(untried, one, now)))
            return
    raise _none_left(failed, candidates)


@contextmanager
def _healthy(one: Located, context: Context) -> Iterator[BinaryIO]:
    with ExitStack() as stack:
        try:
            file = stack.enter_context(opened_stored(one.destination, one.name))
            refuse_another_time(open_archive(file, context.password).manifest, one.name)
        except ArchiveInvalid as error:
            record_fault(one.destination, one.name, error, context)
            raise
        except DecryptionFailed as error:
            if one.verified:  # of one that was never proved it says nothing: the password may be the wrong one
                record_fault(one.destination, one.name, error, context)
            raise
        yield file


def _another_password_is_wanted(failed: list[tuple[Located, EcmError]], next_one: Located) -> bool:
    wrong = any(isinstance(error, DecryptionFailed) for _, error in failed)
    return wrong and failed[-1][0].name != next_one.name


def _passed_over(failed: list[tuple[Located, EcmError]], chosen: Located) -> list[PassedOver]:
    """Tell of every copy tried; a place that holds none of the archive was never passed over."""
    return [
        PassedOver(str(one.name), one.destination.label, error.message)
        for one, error in failed
        if not (isinstance(error, NotFound) and one.name == chosen.name)
    ]


def _not_trusted(untried: list[Located], chosen: Located, now: datetime) -> Iterator[PassedOver]:
    """Tell of newer archives whose turn had not come."""
    for one in untried:
        if one.name.created > chosen.name.created:
            why = "It is dated in the future." if is_ahead(one.name.created, now) else "It was never proved."
            yield PassedOver(str(one.name), one.destination.label, one.fault or why)


def _none_left(failed: list[tuple[Located, EcmError]], candidates: Candidates) -> EcmError:
    telling = [(one, error) for one, error in failed if not isinstance(error, NotFound)]
    if not telling:
        places = ", ".join(one.destination.label for one, _ in failed)
        return NotFound(f"There is no archive {failed[0][0].name} in {places}.", hint="See: ecm-agent list")
    tried = [f"{one}: {error.message}" for one, error in telling] + [error.message for error in candidates.unasked]
    first = telling[0][1]
    message = tried[0] if len(tried) == 1 else f"No copy can be used. {' '.join(map(_sentence, tried))}"
    return type(first)(message, hint=f"{first.hint} {_other_archives(failed, candidates)}".strip())


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _other_archives(failed: list[tuple[Located, EcmError]], candidates: Candidates) -> str:
    untried = candidates.copies[len(failed) :]
    return f"Another archive, such as {untried[0].name}, is restored only when it is named." if untried else ""
