"""The seam between the agent and the places that keep its archives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from ecm_agent.model.names import ArchiveName


@dataclass(frozen=True, slots=True)
class Stored:
    """An archive that a destination holds; `size` in bytes."""

    name: ArchiveName
    size: int


Listing: TypeAlias = list[Stored]


class Destination(Protocol):
    """A flat place for archives: a directory, a bucket.

    Every method but `label` may raise `DestinationUnavailable` (trying again later may help) or
    `DestinationRefused` (it will not); so may reading from an open archive. No other error of the storage gets out.
    Methods may be called from several threads at once.
    """

    @property
    def label(self) -> str:
        """What a human reads, such as "local:/home/x/.ecm/backups". Never a credential."""

    def put(self, name: ArchiveName, source: BinaryIO) -> None:
        """Store everything from the source's current position to its end, and leave the source open.

        Nothing is visible under the name until all of it is stored for good; when anything fails on the way, the name
        stays free. Only after `DestinationUnavailable` may the archive be there in spite of the error (the answer got
        lost, not the bytes): putting again then raises `AlreadyExists`, and reading back tells which it was.

        Raises `AlreadyExists` when the name is taken; what is there stays as it is, and of several writers at once
        exactly one wins. An error of the source itself passes through unchanged.
        """

    def open(self, name: ArchiveName) -> AbstractContextManager[BinaryIO]:
        """Give an archive as a seekable file to read, and close it after the block.

        The bytes come from where they are kept, not from a memory of having written them. Raises `NotFound`.
        """

    def list(self) -> Listing:
        """Give every whole archive in time order (see `in_time_order`); foreign and unfinished files are invisible."""

    def delete(self, name: ArchiveName) -> None:
        """Make sure that no archive of that name is there; that none was there is no error."""

    def check(self) -> None:
        """Find out cheaply whether the place can be written and read just now. Leaves nothing behind."""


def in_time_order(stored: Iterable[Stored]) -> Listing:
    """Sort by the time in the name, then by the name as text, across jobs and hosts."""
    return sorted(stored, key=lambda one: (one.name.created, str(one.name)))
