"""The seam to a memory store.

The protocols' docstrings are the contract; one suite of tests holds every implementation to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from ecm_agent.model.records import RECORD_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ecm_agent.model.manifest import Manifest, Selection
    from ecm_agent.model.records import Batch, RecordType


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


class Reclustered(Struct, frozen=True):
    """What became of a store's clusters: how many were changed in place, added, removed; and its memberships."""

    updated: int
    added: int
    removed: int
    memberships: int
    without_chunk: int
    """How many memberships were left out, their chunk not being there."""


class Snapshot(Protocol):
    """The store at one instant, whatever its owner writes meanwhile."""

    manifest: Manifest
    oddities: list[Oddity]
    """The first odd rows met while reading; complete once `batches` is used up."""
    odd_rows: int
    """How many rows were odd in all."""

    def batches(self, kinds: Collection[RecordType] = RECORD_TYPES) -> Iterator[Batch]:
        """Give every selected record, in the order of `RECORD_TYPES`, within a kind in the order they were written.

        Edges come with both ends or not at all, clusters with the members that are selected. Of kinds that are not
        asked for nothing is read.
        """

    def chunk_ids(self) -> Iterator[str]:
        """Give the id of every selected chunk, and nothing else of it."""


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

    def recluster(
        self, clusters: Iterable[Batch], memberships: Iterable[Batch], prepare: Callable[[], object] = nothing
    ) -> Reclustered:
        """Make these the store's clusters and memberships, all at once; on any error it stays as it was.

        A cluster whose id the store has is changed in place: it keeps its name, its description, its times, and
        whatever a record leaves `UNSET`. Others are added, and clusters that are not given removed. A membership whose
        chunk is not there (any more) is left out. No other record is touched.
        `prepare` is as for `replace`. Raises `StoreUnreadable`, also for a store that does not exist.
        """

    def create(self) -> None:
        """Make an empty store. Raises `EcmError` when there is something at its place already."""
