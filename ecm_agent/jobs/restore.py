"""import and restore: an archive's records take the place of a store's, and nothing that was there is lost."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct

from ecm_agent.archive import open_archive
from ecm_agent.atomic import new_file, private_directory
from ecm_agent.errors import EcmError, UsageError
from ecm_agent.jobs.export import export
from ecm_agent.jobs.progress import followed
from ecm_agent.jobs.verify import refuse_another_time, verify
from ecm_agent.model.manifest import Manifest, Selection
from ecm_agent.model.names import ArchiveName
from ecm_agent.store.base import Replaced

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ecm_agent.jobs.job import Context
    from ecm_agent.model.records import Batch
    from ecm_agent.store.base import MemoryStore


class Restored(Struct, frozen=True):
    """What a restore did, or with `dry_run` would do."""

    manifest: Manifest
    replaced: Replaced
    chunks_before: int
    safety_archive: str | None
    dry_run: bool


class Safety(Struct, frozen=True):
    """Where the copy goes that is made of a store before it is replaced; `directory=None` makes none."""

    directory: Path | None
    host: str

    def save(self, store: MemoryStore, context: Context) -> list[str]:
        """Write and prove an archive of the whole store: encrypted with the password at hand, else private.

        Gives its path; none where there is nothing to save, or no archive is wanted.
        """
        if self.directory is None or not store.exists() or _is_empty(store):
            return []
        now = context.clock.now().replace(microsecond=0)
        try:
            path = self._free_path(private_directory(self.directory), now, encrypted=context.password is not None)
            with new_file(path, overwrite=False) as file:
                export(store, Selection(), file, password=context.password, compression="none", created=now)
                verify(file, context.password, context.progress, title="Checking the safety archive")
        except OSError as error:
            raise EcmError(
                f"No safety archive can be written in {self.directory}: {error.strerror}; the store was not touched.",
                hint="Make room there, or go without one: --no-safety-archive",
            ) from error
        return [str(path)]

    def _free_path(self, directory: Path, now: datetime, *, encrypted: bool) -> Path:
        """Name a safety archive made now; of two restores in one second, each keeps what it replaced."""
        names = (str(ArchiveName("safety", self.host, now + timedelta(seconds=n))) for n in count())
        paths = (directory / (name if encrypted else name.removesuffix(".ecm") + ".json") for name in names)
        return next(path for path in paths if not path.exists())


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


def _is_empty(store: MemoryStore) -> bool:
    with store.snapshot(Selection(), "") as snapshot:
        return not any(snapshot.manifest.counts().values())


def _counted(batches: Iterable[Batch]) -> Replaced:
    rows: Counter[str] = Counter()
    for batch in batches:
        rows[batch[0].section] += len(batch)
    return Replaced(dict(rows), {})
