"""import and restore: an archive's records take the place of a store's, and nothing that was there is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from ecm_agent.archive import open_archive
from ecm_agent.errors import MergeConflicts, UsageError
from ecm_agent.jobs.oddness import Oddness
from ecm_agent.jobs.progress import followed
from ecm_agent.jobs.safety import Kept, undoable
from ecm_agent.jobs.verify import refuse_another_time
from ecm_agent.model.manifest import Manifest
from ecm_agent.model.records import Vector
from ecm_agent.store.base import Changes, OnConflict, Replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecm_agent.archive import Archive
    from ecm_agent.jobs.job import Context
    from ecm_agent.jobs.safety import Safety, Undoable
    from ecm_agent.model.names import ArchiveName
    from ecm_agent.model.records import Batch
    from ecm_agent.store.base import MemoryStore


class Terms(Struct, frozen=True):
    """How an archive is to come into a store: in its place, or with `merge` joined with it.

    `force` lets an archive that is less than all of a store take its place. With `dry_run` nothing is changed.
    """

    merge: bool = False
    on_conflict: OnConflict = "ours"
    force: bool = False
    dry_run: bool = False


class Restored(Struct, frozen=True):
    """What a restore did, or with `dry_run` would do.

    `replaced` says what a replacement wrote; `changes` what a merge did, or what either would do.
    """

    manifest: Manifest
    merge: bool
    dry_run: bool
    chunks_before: int
    replaced: Replaced | None = None
    changes: Changes | None = None
    kept: Kept = Kept()
    new: bool = False
    """Whether there was no store before."""
    unread: dict[str, int] = {}
    """Sections of the archive that this program has no record for, and how many each holds."""
    warnings: list[str] = []
    """What is odd in the archive's vectors; they come into the store as they are."""

    @property
    def no_place(self) -> dict[str, int]:
        """Values the store has no place for, by `table` or `table.column`."""
        found = self.replaced or self.changes
        return found.no_place if found else {}

    @property
    def not_made(self) -> list[str]:
        """What of the store that the archive describes could not be made in a new one."""
        found = self.replaced or self.changes
        return found.not_made if found else []

    @property
    def dropped(self) -> int:
        """How many records refer to records that are nowhere, or belong in a table that the store lacks."""
        if self.replaced:
            return sum(self.replaced.dropped.records.values())
        return self.changes.total("dropped") if self.changes else 0

    @property
    def partial(self) -> bool:
        """Whether the store does not hold all that the archive does."""
        return bool(self.no_place or self.not_made or self.dropped or self.unread)


def restore(
    file: BinaryIO,
    store: MemoryStore,
    safety: Safety,
    context: Context,
    terms: Terms,
    *,
    source: str,
    name: ArchiveName | None = None,
) -> Restored:
    """Let what an archive holds take the place of what a store holds, or join it.

    In order: the archive is authenticated, the store is locked against other writers, a safety archive of it is made
    and proved, and one transaction changes everything: nothing can be written to the store between the two. Whatever
    fails, the store is as it was. `source` is what the archive is called on record; `name` is the one it lies under in
    a destination, which must fit it.
    Raises `DecryptionFailed`, `ArchiveInvalid`, `StoreUnreadable`, `MergeConflicts`, and `UsageError` for a replacement
    by an archive that holds less than its store did, unless `force`.
    """
    archive = open_archive(file, context.password)
    if name:
        refuse_another_time(archive.manifest, name)
    before, new = store.chunk_count(), not store.exists()
    if before and not terms.force:
        _refuse_lesser(archive.manifest, before, terms)
    odd = Oddness()
    batches = odd.watched(archive.batches())
    done = Restored(archive.manifest, terms.merge, terms.dry_run, before, new=new)
    if terms.dry_run:
        done = replace(done, changes=_planned(archive, batches, store, terms, context))
    else:
        what = f"{'merge' if terms.merge else 'restore'} of {source}"
        with undoable(store, what, safety, context) as change:
            replaced, changes = _carried_out(archive, batches, store, terms, context, change)
        done = replace(done, replaced=replaced, changes=changes, kept=change.kept)
    return replace(done, unread=archive.unknown, warnings=list(odd.warnings()))


def _planned(archive: Archive, records: Iterator[Batch], store: MemoryStore, terms: Terms, context: Context) -> Changes:
    batches = followed(context.progress, f"Comparing with {store.path}", archive.manifest, records)
    if terms.merge:
        return store.merge(archive.manifest, batches, terms.on_conflict, dry_run=True)
    return store.compare(archive.manifest, batches)


def _carried_out(
    archive: Archive,
    records: Iterator[Batch],
    store: MemoryStore,
    terms: Terms,
    context: Context,
    change: Undoable,
) -> tuple[Replaced | None, Changes | None]:
    if not terms.merge:
        batches = followed(context.progress, f"Restoring {store.path}", archive.manifest, records)
        return store.replace(archive.manifest, batches, change.prepare, change.finish), None
    batches = followed(context.progress, f"Merging into {store.path}", archive.manifest, records)
    try:
        changes = store.merge(
            archive.manifest, batches, terms.on_conflict, prepare=change.prepare, finish=change.finish
        )
    except MergeConflicts:
        change.drop()
        raise
    if changes.none:
        change.drop()
    return None, changes


def _refuse_lesser(manifest: Manifest, before: int, terms: Terms) -> None:
    """Refuse to replace a store, or texts of it, by an archive that was never meant to be all of one."""
    if terms.merge:
        if manifest.redacted and terms.on_conflict == "theirs":
            raise UsageError(
                f"The archive is redacted ({', '.join(manifest.redacted)}): with --on-conflict theirs its texts would "
                "take the place of whole ones.",
                hint="Keep the store's with --on-conflict ours, or insist with --force.",
            )
        return
    if manifest.chunk_count == 0:
        why = "the archive is empty"
    elif manifest.selected_projects is not None:
        why = f"the archive holds only the projects {', '.join(map(repr, manifest.selected_projects))}"
    elif manifest.redacted:
        why = f"the archive is redacted ({', '.join(manifest.redacted)})"
    elif Vector.section in manifest.left_out:  # other tables that it leaves out stay as they are
        why = "the archive leaves out vectors"
    else:
        return
    raise UsageError(
        f"The store holds {before} chunks, and {why}: replacing one by the other would lose memory.",
        hint="Join the two with --merge, restore beside it with --into PATH, or insist with --force.",
    )
