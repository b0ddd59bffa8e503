"""export: one snapshot of the store into one archive."""

from __future__ import annotations

from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from ecm_agent.archive import Compression, Seal, open_archive, write_archive
from ecm_agent.atomic import new_file
from ecm_agent.errors import EcmError, UsageError
from ecm_agent.jobs.progress import Progress, Silent, followed
from ecm_agent.jobs.redact import RedactedSnapshot
from ecm_agent.model.manifest import Manifest, Selection, timestamp
from ecm_agent.store.base import Oddity

if TYPE_CHECKING:
    from datetime import datetime

    from ecm_agent.secret import Secret
    from ecm_agent.store.base import MemoryStore


class Exported(Struct, frozen=True):
    """What went into an archive, and what is worth knowing about it."""

    manifest: Manifest
    encrypted: bool
    bytes: int
    odd_rows: int
    oddities: list[Oddity]
    """The first of them by name."""
    gaps: dict[str, int]
    """Virtual tables of a kind this program cannot archive, with their numbers of rows."""


def export(  # noqa: PLR0913 (what goes into an archive, each by name)
    store: MemoryStore,
    selection: Selection,
    file: BinaryIO,
    *,
    password: Secret | None,
    compression: Compression,
    created: datetime,
    progress: Progress | None = None,
    source: str | None = None,
    key: bytes | None = None,
) -> Exported:
    """Write an archive into an open, empty file, then check its seal by reading it again.

    `password=None` leaves it unencrypted; `source` goes into its manifest; `key` draws the pseudonyms of a redacted
    one: not given, it is drawn and forgotten.
    Raises `StoreUnreadable`, and `UsageError` for an unknown project.
    """
    with store.snapshot(selection, timestamp(created)) as taken:
        snapshot = RedactedSnapshot(taken, selection, key or token_bytes(32)) if selection.redact else taken
        manifest = replace(snapshot.manifest, source=source)
        batches = followed(progress or Silent(), f"Reading {store.path}", manifest, snapshot.batches())
        seal = Seal.draw(password) if password else None
        write_archive(file, manifest, batches, seal=seal, compression=compression)
        open_archive(file, password)
        return Exported(
            manifest=manifest,
            encrypted=password is not None,
            bytes=file.seek(0, 2),
            odd_rows=snapshot.odd_rows,
            oddities=snapshot.oddities,
            gaps=_gaps(manifest, selection),
        )


def export_to(
    output: Path,
    store: MemoryStore,
    selection: Selection,
    *,
    password: Secret | None,
    compression: Compression,
    created: datetime,
    progress: Progress | None = None,
) -> Exported:
    """Export into a file of the user's choice, replacing what is there only once the archive is complete.

    Raises as `export` does, and `UsageError` for an output that is not to be replaced: a device, the store itself.
    """
    try:
        _refuse_output(output, store)
        with new_file(output.resolve(), overwrite=True) as file:
            return export(
                store,
                selection,
                file,
                password=password,
                compression=compression,
                created=created,
                progress=progress,
            )
    except OSError as error:
        raise EcmError(f"{output} cannot be written: {error.strerror}.", hint="Nothing was changed.") from error


def _refuse_output(output: Path, store: MemoryStore) -> None:
    companions = [Path(f"{store.path}{ending}").absolute() for ending in ("-wal", "-shm", "-journal")]
    if output.absolute() in companions:
        raise UsageError(f"{output} is a part of the memory store.", hint="Name another file.")
    if not output.exists():
        return
    if not output.is_file():
        raise UsageError(f"{output} is not a regular file.", hint="Name a file, new or to be replaced.")
    if store.exists() and output.samefile(store.path):
        raise UsageError(f"{output} is the memory store itself.", hint="Name another file.")


def _gaps(manifest: Manifest, selection: Selection) -> dict[str, int]:
    if selection != Selection(exclude=selection.exclude):  # less than all was asked for
        return {}
    return {table: rows for table, rows in manifest.left_out.items() if table not in manifest.excluded}
