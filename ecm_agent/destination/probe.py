"""Trying out a destination: every operation a backup, a restore and a rotation need, on archives nobody will see."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ecm_agent.destination.finding import Finding, Probing
from ecm_agent.destination.local import LocalDestination
from ecm_agent.destination.local_probe import LocalProbing
from ecm_agent.destination.retrying import RetryingDestination
from ecm_agent.destination.s3 import S3Destination
from ecm_agent.destination.s3.probing import S3Probing
from ecm_agent.errors import AlreadyExists, EcmError
from ecm_agent.model.names import ArchiveName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ecm_agent.clock import Clock
    from ecm_agent.destination.base import Destination

CONTENT = b"ecm-agent was here"


def probe(destination: Destination, clock: Clock) -> list[Finding]:
    """Try everything once and tidy up, whatever happens. Never raises `EcmError`: a failure is a finding.

    What cannot be tried because something before it failed is left out.
    """
    place = destination.inner if isinstance(destination, RetryingDestination) else destination
    findings = [_tried("reach", place.check, "it answers")]
    if findings[0].outcome == "failed":
        return findings
    probing = _probing(place)
    try:
        findings += _everything(probing, clock)
    finally:
        cleaning = _tried("clean up", probing.clean, "nothing is left behind")
    return [*findings, cleaning]


def _probing(place: Destination) -> Probing:
    match place:
        case S3Destination():
            return S3Probing(place)
        case LocalDestination():
            return LocalProbing(place)
        case _:
            raise TypeError(f"no way to probe a {type(place).__name__}")


def _everything(probing: Probing, clock: Clock) -> Iterator[Finding]:
    place = probing.scratch
    name = ArchiveName("probe", "probe", clock.now().replace(microsecond=0))
    stored = _tried("put", lambda: place.put(name, io.BytesIO(CONTENT)), "an archive can be stored")
    yield stored
    if stored.outcome == "failed":
        return
    yield _compared("list", lambda: [one.name for one in place.list()] == [name], "it is listed", "it is not listed")
    yield _compared("read", lambda: _content(place, name) == CONTENT, "it reads back", "other bytes came back")
    yield _create_only(place, name)
    try:
        yield from probing.peculiarities(name, clock)
    except EcmError as error:
        yield Finding("details", "failed", error.message, error.hint)
    yield _tried("delete", lambda: place.delete(name), "it can be deleted")


def _create_only(place: Destination, name: ArchiveName) -> Finding:
    def refused() -> bool:
        try:
            place.put(name, io.BytesIO(b"something else"))
        except AlreadyExists:
            return _content(place, name) == CONTENT
        return False

    return _compared("never overwrite", refused, "a name that is taken is refused", "an archive was overwritten")


def _content(place: Destination, name: ArchiveName) -> bytes:
    with place.open(name) as file:
        return file.read()


def _tried(check: str, operation: Callable[[], object], found: str) -> Finding:
    try:
        operation()
    except EcmError as error:
        return Finding(check, "failed", error.message, error.hint)
    return Finding(check, "ok", found)


def _compared(check: str, holds: Callable[[], bool], found: str, otherwise: str) -> Finding:
    try:
        as_it_should = holds()
    except EcmError as error:
        return Finding(check, "failed", error.message, error.hint)
    if as_it_should:
        return Finding(check, "ok", found)
    return Finding(check, "failed", otherwise, "Do not keep backups there.")
