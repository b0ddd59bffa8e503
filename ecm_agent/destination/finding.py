"""What a probe of a destination has found out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecm_agent.clock import Clock
    from ecm_agent.destination.base import Destination
    from ecm_agent.model.names import ArchiveName

Outcome: TypeAlias = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried: how it went, what was found, and what to do about it ("" for nothing)."""

    check: str
    outcome: Outcome
    found: str
    advice: str = ""


class Probing(Protocol):
    """How one kind of destination is probed."""

    @property
    def scratch(self) -> Destination:
        """A place of the same kind below the destination, whose archives are never listed in the destination."""

    def peculiarities(self, name: ArchiveName, clock: Clock) -> Iterator[Finding]:
        """Try what only this kind has, while an archive of that name is in the scratch place.

        May raise as a destination does; the check that was next then counts as failed.
        """

    def clean(self) -> None:
        """Remove the scratch place and all in it. Raises as a destination does."""
