"""The seam to a memory store.

The protocols' docstrings are the contract; one suite of tests holds every implementation to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ecm_agent.model.manifest import Manifest, Selection
    from ecm_agent.model.records import Batch


def nothing() -> None:
    """Prepare nothing."""


class Oddity(Struct, frozen=True):
    """A row worth a warning: it holds a value of a kind its column should not, or refers to a row that is missing."""

    table: str
    row: str
    """Its id."""
    found: str
    """What is odd about it and what became of it; never a value, which is somebody's memory."""


class Replaced(Struct, frozen=True):
    """What a replacement wrote, by section, and what the store had no place for, by `table` or `table.column`."""

    records: dict[str, int]
    no_place: dict[str, int]


class Snapshot(Protocol):
    """The store at one instant, whatever its owner writes meanwhile."""

    manifest: Manifest
    oddities: list[Oddity]
    """The first odd rows met while reading; complete once `batches` is used up."""
    odd_rows: int
    """How many rows were odd in all."""

    def batches(self) -> Iterator[Batch]:
        """Give every selected record, in the order of `RECORD_TYPES`, within a kind in the order they were written.

        Edges come with both ends or not at all, clusters with the members that are selected.
        """


class MemoryStore(Protocol):
    """Where records live. The memory program owns it; we are guests."""

    path: Path

    def exists(self) -> bool:
        """Whether there is anything at its place. Raises `StoreUnreadable` where one may not look."""

    def at(self, path: Path) -> MemoryStore:
        """Give a store of the same kind at another place, which may not exist yet."""

    def problems(self) -> list[str]:
        """Check the store's own integrity and its references; empty when all is well. Raises `StoreUnreadable`."""

    def chunk_count(self) -> int:
        """How many chunks it holds; 0 when it does not exist. Raises `StoreUnreadable`."""

    def snapshot(self, selection: Selection, created: str) -> AbstractContextManager[Snapshot]:
        """Open a consistent view without writing a byte; `created` goes into its manifest.

        Raises `StoreUnreadable`, and `UsageError` for a project that is not in the store.
        """

    def replace(
        self, manifest: Manifest, batches: Iterable[Batch], prepare: Callable[[], object] = nothing
    ) -> Replaced:
        """Make the store hold exactly these records, all at once; on any error it stays as it was.

        `prepare` is called when nobody else can write any more and nothing is changed yet: what a snapshot shows in
        it is all that is replaced. A store that does not exist is created. An error raised by `prepare` or by
        `batches` comes through unchanged.
        Raises `StoreUnreadable`, and `ArchiveInvalid` for records that cannot stand together (an edge without its
        chunks, two records of one id).
        """

    def create(self) -> None:
        """Make an empty store. Raises `EcmError` when there is something at its place already."""
