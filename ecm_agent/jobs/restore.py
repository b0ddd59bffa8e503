"""import and restore: an archive's records take the place of a store's, and nothing that was there is lost."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct

from ecm_agent.archive import open_archive
from ecm_agent.errors import UsageError
from ecm_agent.jobs.progress import followed
from ecm_agent.jobs.verify import refuse_another_time
from ecm_agent.model.manifest import Manifest
from ecm_agent.store.base import Replaced

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ecm_agent.jobs.job import Context
    from ecm_agent.jobs.safety import Safety
    from ecm_agent.model.names import ArchiveName
    from ecm_agent.model.records import Batch
    from ecm_agent.store.base import MemoryStore


class Restored(Struct, frozen=True):
    """What a restore did, or with `dry_run` would do."""

    manifest: Manifest
    replaced: Replaced
    chunks_before: int
    safety_archive: str | None
    dry_run: bool


def restore(
    file: BinaryIO,
    store: MemoryStore,
    safety: Safety,
    context: Context,
    *,
    force: bool,
    dry_run: bool,
    name: ArchiveName | None = None,
) -> Restored:
    """Replace what a store holds by what an archive holds.

    In order: the archive is authenticated, the store is locked against other writers, a safety archive of it is made
    and proved, and one transaction replaces everything: nothing can be written to the store between the two. Whatever
    fails, the store is as it was. `name` is the one the archive lies under in a destination, which must fit it.
    Raises `DecryptionFailed`, `ArchiveInvalid`, `StoreUnreadable`, and `UsageError` for an archive that holds less
    than its store did, unless `force`.
    """
    archive = open_archive(file, context.password)
    if name:
        refuse_another_time(archive.manifest, name)
    before = store.chunk_count()
    if before and not force:
        _refuse_lesser(archive.manifest, before)
    batches = followed(context.progress, f"Restoring {store.path}", archive.manifest, archive.batches())
    if dry_run:
        return Restored(archive.manifest, _counted(batches), before, None, dry_run)
    saved: list[str] = []
    replaced = store.replace(archive.manifest, batches, lambda: saved.extend(safety.save(store, context)))
    return Restored(archive.manifest, replaced, before, saved[0] if saved else None, dry_run)


def _refuse_lesser(manifest: Manifest, before: int) -> None:
    """Refuse to replace a store by an archive that was never meant to be all of one."""
    if manifest.chunk_count == 0:
        why = "the archive is empty"
    elif manifest.selected_projects is not None:
        why = f"the archive holds only the projects {', '.join(map(repr, manifest.selected_projects))}"
    elif manifest.left_out:
        why = f"the archive leaves out {', '.join(sorted(manifest.left_out))}"
    else:
        return
    raise UsageError(
        f"The store holds {before} chunks, and {why}: replacing one by the other would lose memory.",
        hint="Restore into a new store with --store PATH, or insist with --force.",
    )


def _counted(batches: Iterable[Batch]) -> Replaced:
    rows: Counter[str] = Counter()
    for batch in batches:
        rows[batch[0].section] += len(batch)
    return Replaced(dict(rows), {})
