"""The seam to a memory store.

The protocols' docstrings are the contract; one suite of tests holds every implementation to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

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


class Dropped(Struct, frozen=True):
    """Records of an archive that refer to records it does not hold: how many, by section, and the first ones."""

    records: dict[str, int] = {}
    examples: list[Oddity] = []


class Replaced(Struct, frozen=True):
    """What a replacement wrote, by section, and what the store had no place for, by `table` or `table.column`."""

    records: dict[str, int]
    no_place: dict[str, int]
    dropped: Dropped = Dropped()
    not_made: list[str] = []
    """What of the store that the archive describes could not be made: a view, a trigger, a virtual table."""


OnConflict: TypeAlias = Literal["ours", "theirs", "fail"]
"""What becomes of a conflict: the store's record stays, the archive's takes its place, or nothing is merged at all."""

Fate: TypeAlias = Literal["added", "updated", "skipped", "folded", "conflicts", "dropped", "removed"]
"""What becomes of a record of the archive; every one has exactly one fate.

added: the store had none like it. updated: the store's became what both know; in a replacement, it may be that only its
row number changes. skipped: the store knew as much or more.
folded: an edge that the store has under another id became one with it. conflicts: both have it, and differ, and nothing
tells which is later. dropped: it refers to a record that is nowhere. removed is what becomes of a record of the store
that a replacement does not find in the archive.
"""


class Tally(Struct, omit_defaults=True):
    """How many records of a section, and of a project where they belong to one, met which fate."""

    section: str
    project: str | None
    added: int = 0
    updated: int = 0
    skipped: int = 0
    folded: int = 0
    conflicts: int = 0
    dropped: int = 0
    removed: int = 0


class Conflict(Struct, frozen=True):
    """A record on which store and archive differ: its section, its id, and which columns; never what they hold."""

    section: str
    record: str
    columns: list[str]
    project: str | None = None


class Changes(Struct, frozen=True):
    """What a merge did, or a merge or a replacement would do."""

    tallies: list[Tally]
    conflicts: list[Conflict]
    """The first ones; the tallies count all."""
    dropped: list[Oddity]
    """The first ones."""
    no_place: dict[str, int]
    """Values the store has no place for, by `table` or `table.column`."""
    none: bool
    """Whether the store is, or would be, as it was."""
    not_made: list[str] = []
    """As in `Replaced`."""
    dangling: int = 0
    """How many records were dropped because they refer to some that are nowhere; `dropped` names the first."""

    def total(self, fate: Fate, section: str | None = None) -> int:
        """Count the records that met a fate, in one section or in all."""
        return sum(getattr(one, fate) for one in self.tallies if section in {None, one.section})


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

    def vectors_without_chunk(self) -> tuple[int, list[str]]:
        """Count the vectors of a whole export whose chunk is not there, and name the first of them.

        The memory program leaves such behind, so they are not odd; whoever relies on the memory may want to know.
        """


class MemoryStore(Protocol):
    """Where records live. The memory program owns it; we are guests."""

    path: Path

    def exists(self) -> bool:
        """Whether there is anything at its place. Raises `StoreUnreadable` where one may not look."""

    def at(self, path: Path) -> MemoryStore:
        """Give a store of the same kind at another place, which may not exist yet: encrypted where this one is."""

    def encrypted(self) -> bool:
        """Whether what it holds lies encrypted on disk; never so while it does not exist."""

    def problems(self) -> list[str]:
        """Check the store's own integrity and its references; empty when all is well. Raises `StoreUnreadable`."""

    def chunk_count(self) -> int:
        """How many chunks it holds; 0 when it does not exist. Raises `StoreUnreadable`."""

    def snapshot(self, selection: Selection, created: str) -> AbstractContextManager[Snapshot]:
        """Open a consistent view without writing a byte; `created` goes into its manifest.

        Raises `StoreUnreadable`, and `UsageError` for a project that is not in the store.
        """

    def replace(
        self,
        manifest: Manifest,
        batches: Iterable[Batch],
        prepare: Callable[[], object] = nothing,
        finish: Callable[[], object] = nothing,
    ) -> Replaced:
        """Make the store hold exactly these records, all at once; on any error it stays as it was.

        `prepare` is called when nobody else can write any more and nothing is changed yet: what a snapshot shows in
        it is all that is replaced. `finish` is called when everything has been done, right before it takes effect.
        A store that does not exist is created. An error raised by any of the arguments comes through unchanged.
        Raises `StoreUnreadable`, and `ArchiveInvalid` for records that cannot stand together (an edge without its
        chunks, two records of one id). Edges and memberships of an archive that a memory program wrote
        (`manifest.original`) are dropped and counted where they refer to records that are not in it.
        """

    def merge(
        self,
        manifest: Manifest,
        batches: Iterable[Batch],
        on_conflict: OnConflict = "ours",
        *,
        prepare: Callable[[], object] = nothing,
        finish: Callable[[], object] = nothing,
        dry_run: bool = False,
    ) -> Changes:
        """Let the store know what it and these records know together, all at once; on any error it stays as it was.

        docs/merge.md has the rules. `prepare` and `finish` are as in `replace`; where nothing is changed, or with
        `dry_run`, nothing is finished. A store that does not exist is created. With
        `dry_run` everything is done, and undone in the end.
        Raises as `replace` does, except that records which refer to records that are nowhere are dropped and counted;
        and `MergeConflicts` when there are any and `on_conflict` is "fail" and this is no dry run.
        """

    def compare(self, manifest: Manifest, batches: Iterable[Batch]) -> Changes:
        """Say what `replace` would change, and drop, without writing a byte. Raises `StoreUnreadable`."""

    def recluster(
        self,
        clusters: Iterable[Batch],
        memberships: Iterable[Batch],
        prepare: Callable[[], object] = nothing,
        finish: Callable[[], object] = nothing,
    ) -> Reclustered:
        """Make these the store's clusters and memberships, all at once; on any error it stays as it was.

        A cluster whose id the store has is changed in place: it keeps its name, its description, its times, and
        whatever a record leaves `UNSET`. Others are added, and clusters that are not given removed. A membership whose
        chunk is not there (any more) is left out. No other record is touched.
        `prepare` and `finish` are as for `replace`. Raises `StoreUnreadable`, also for a store that does not exist.
        """

    def create(self) -> None:
        """Make an empty store. Raises `EcmError` when there is something at its place already."""
