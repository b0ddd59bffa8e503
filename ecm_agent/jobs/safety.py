"""The safety archive: what a store holds is kept, and read back, before anything else takes its place."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from ecm_agent.archive import open_archive
from ecm_agent.atomic import flushing, new_file, private_directory
from ecm_agent.errors import EcmError, PasswordMissing
from ecm_agent.jobs.export import export
from ecm_agent.jobs.verify import verify
from ecm_agent.model.manifest import Selection
from ecm_agent.model.names import ArchiveName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ecm_agent.jobs.job import Context
    from ecm_agent.store.base import MemoryStore


class Saved(Struct, frozen=True):
    """A safety archive; `path` is empty where there was nothing to save, or no archive was wanted."""

    path: str = ""


class Safety(Struct, frozen=True):
    """Where the copy goes that is made of a store before it is replaced; `directory=None` makes none.

    Of each store the latest `keep` stay; `None` removes none.
    """

    directory: Path | None
    host: str
    keep: int | None = None

    def save(self, store: MemoryStore, context: Context) -> Saved:
        """Write and prove an archive of the whole store: encrypted with the password at hand, else private.

        Raises `PasswordMissing` where without a password the memory of an encrypted store would lie on disk in plain.
        """
        if self.directory is None or _is_empty(store):
            return Saved()
        if context.password is None and store.encrypted():
            raise PasswordMissing(
                f"{store.path} is encrypted, and there is no password to encrypt its safety archive with; "
                "the store was not touched.",
                hint="Set ECM_EXPORT_PASSWORD or ECM_EXPORT_PASSWORD_FILE, or go without one: --no-safety-archive",
            )
        now = context.clock.now().replace(microsecond=0)
        try:
            path = self._free_path(private_directory(self.directory), now, encrypted=context.password is not None)
            with new_file(path, overwrite=False) as file:
                export(
                    store, Selection(dangling=True), file, password=context.password, compression="none", created=now
                )
                with flushing(file):
                    verify(file, context.password, context.progress, title="Checking the safety archive")
        except OSError as error:
            raise EcmError(
                f"No safety archive can be written in {self.directory}: {error.strerror}; the store was not touched.",
                hint="Make room there, let ecm-agent write there, or go without one: --no-safety-archive",
            ) from error
        return Saved(str(path))

    def _free_path(self, directory: Path, now: datetime, *, encrypted: bool) -> Path:
        """Name a safety archive made now; of two restores in one second, each keeps what it replaced."""
        names = (str(ArchiveName("safety", self.host, now + timedelta(seconds=n))) for n in count())
        paths = (directory / (name if encrypted else name.removesuffix(".ecm") + ".json") for name in names)
        return next(path for path in paths if not path.exists())


class Kept(Struct, frozen=True):
    """What a change left behind of what was there before: its safety archive, and whether `undo` knows of it."""

    safety_archive: str | None = None
    undoable: bool = False


class Undoable:
    """A change of a store that is on record, so that it can be undone."""

    def __init__(self, store: MemoryStore, what: str, safety: Safety, context: Context) -> None:
        self._store = store
        self._what = what
        self._safety = safety
        self._context = context
        self._number: int | None = None
        self.saved = Saved()

    @property
    def kept(self) -> Kept:
        return Kept(self.saved.path or None, self._number is not None)

    def prepare(self) -> None:
        """Keep what is there, if anything is. To be called when nobody else can write to the store any more.

        Where there is a journal, a store that was not there goes on record as well: `undo` must not take what came
        before for the last change.
        """
        if self._store.exists():
            self.saved = self._safety.save(self._store, self._context)
        elif not self._context.history.exists():
            return
        with suppress(EcmError):  # a restore must not fail for want of notes: the report names the archive as well
            now = self._context.clock.now()
            self._number = self._context.history.begin_restore(self._store.path, self._what, self.saved.path, now)

    def finish(self) -> None:
        """Put on record that the store was changed: right before it is, so that nothing can come between the two."""
        if self._number is not None:
            with suppress(EcmError):
                self._context.history.finish_restore(self._number, self._context.clock.now())

    def prune(self) -> None:
        """Remove the safety archives of this store that are too many, now that the store holds something else again."""
        keep, directory = self._safety.keep, self._safety.directory
        if keep is None or directory is None or self._number is None:
            return
        with suppress(EcmError, OSError):
            for path in map(Path, self._context.history.older_safety_archives(self._store.path, keep)):
                if path.parent == directory:
                    path.unlink(missing_ok=True)
                    self._context.history.forget_safety_archive(str(path))

    def cancel(self) -> None:
        """Put on record that it was not."""
        if self._number is not None:
            with suppress(EcmError):
                self._context.history.cancel_restore(self._number)
            self._number = None

    def fail(self, *, interrupted: bool) -> None:
        """Look what became of a change that ended early, and put that on record.

        The safety archive goes only when the store holds all it does, record by record. An interruption may come after
        the change is complete: then it happened, and can be undone.
        """
        is_as_it_was = None
        with suppress(EcmError, OSError):
            is_as_it_was = self._is_as_it_was()
        if is_as_it_was:
            self.drop()
        elif interrupted and is_as_it_was is False:
            self.finish()
        else:
            self.cancel()

    def _is_as_it_was(self) -> bool | None:
        """Whether the store holds what its safety archive does; `None` when there is none to tell by."""
        if not self.saved.path:
            return None
        with Path(self.saved.path).open("rb") as file:
            archive = open_archive(file, self._context.password)
            return self._store.compare(archive.manifest, archive.batches()).none

    def drop(self) -> None:
        """Forget a change that turned out to be none, and the safety archive with it."""
        self.cancel()
        if self.saved.path:
            Path(self.saved.path).unlink(missing_ok=True)
            self.saved = Saved()


@contextmanager
def undoable(store: MemoryStore, what: str, safety: Safety, context: Context) -> Iterator[Undoable]:
    """Put what the block does to a store on record, so that `undo` can take it back; `what` says which change it is.

    The block calls `prepare` of what it is given. An `Exception` that it raises means that the store was not changed.
    """
    change = Undoable(store, what, safety, context)
    try:
        yield change
    except BaseException as error:
        change.fail(interrupted=not isinstance(error, Exception))
        raise
    change.finish()
    change.prune()


def _is_empty(store: MemoryStore) -> bool:
    with store.snapshot(Selection(), "") as snapshot:
        return snapshot.manifest.empty
