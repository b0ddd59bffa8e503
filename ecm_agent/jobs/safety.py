"""The safety archive: what a store holds is kept, and read back, before anything else takes its place."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from ecm_agent.atomic import new_file, private_directory
from ecm_agent.errors import EcmError
from ecm_agent.jobs.export import export
from ecm_agent.jobs.verify import verify
from ecm_agent.model.manifest import Selection
from ecm_agent.model.names import ArchiveName

if TYPE_CHECKING:
    from datetime import datetime

    from ecm_agent.jobs.job import Context
    from ecm_agent.store.base import MemoryStore


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


def _is_empty(store: MemoryStore) -> bool:
    with store.snapshot(Selection(), "") as snapshot:
        return not any(snapshot.manifest.counts().values())
