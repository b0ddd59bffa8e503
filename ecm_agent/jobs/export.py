"""export: one snapshot of the store into one archive."""

from __future__ import annotations

from dataclasses import replace as changed
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from ecm_agent.archive import Compression, Seal, open_archive, write_archive
from ecm_agent.atomic import flushing, new_file
from ecm_agent.errors import ArchiveInvalid, EcmError, UsageError
from ecm_agent.jobs.oddness import Oddness
from ecm_agent.jobs.progress import Progress, Silent, followed
from ecm_agent.jobs.translate import translate
from ecm_agent.jobs.verify import verify
from ecm_agent.model.manifest import Manifest, Selection, timestamp
from ecm_agent.store.base import Oddity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ecm_agent.jobs.redact import RedactedSnapshot
    from ecm_agent.model.manifest import ArchiveFormat
    from ecm_agent.secret import Secret
    from ecm_agent.store.base import MemoryStore, Snapshot


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
    spoiled: int = 0
    """Rows that are not in an archive of another format, or not as they were, for values that it cannot say."""
    not_written: dict[str, int] = {}
    """What an archive of another format has no place for: rows by table, and values by `table.column`."""
    notes: list[str] = []
    """What the memory program leaves behind, and is no cause for alarm."""
    warnings: list[str] = []
    """What is odd in its vectors, and kept as it is."""

    @property
    def whole(self) -> bool:
        """Whether the archive is all that one of its format can be."""
        return not self.gaps and not self.spoiled


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
    """Write an archive into an open, empty file. Whoever is to keep it reads it back first.

    `password=None` leaves it unencrypted; `source` goes into its manifest; `key` draws the pseudonyms of a redacted
    one: not given, it is drawn and forgotten.
    Raises `StoreUnreadable`, and `UsageError` for an unknown project.
    """
    with store.snapshot(selection, timestamp(created)) as taken:
        snapshot = _redacted(taken, selection, key or token_bytes(32))
        manifest = replace(snapshot.manifest, source=source)
        odd = Oddness()
        batches = followed(progress or Silent(), f"Reading {store.path}", manifest, odd.watched(snapshot.batches()))
        seal = Seal.draw(password) if password else None
        write_archive(file, manifest, batches, seal=seal, compression=compression)
        return Exported(
            manifest=manifest,
            encrypted=password is not None,
            bytes=file.seek(0, 2),
            odd_rows=snapshot.odd_rows,
            oddities=snapshot.oddities,
            gaps=_gaps(manifest, selection),
            warnings=list(odd.warnings()),
            notes=list(_orphans(snapshot)),
        )


def export_translated(
    store: MemoryStore,
    selection: Selection,
    file: BinaryIO,
    *,
    password: Secret | None,
    created: datetime,
    progress: Progress | None = None,
) -> Exported:
    """Write an archive that Causantic imports into an open, empty file, then prove it by reading it to its end.

    What its format has no place for is in `not_written`; that is no gap. Raises as `export` does, and `EcmError` for
    more than Causantic can read.
    """
    with store.snapshot(changed(selection, orphans=False), timestamp(created)) as taken:
        dangling, rows = list(taken.oddities), taken.odd_rows  # of the odd values to come it says that they are kept
        snapshot = _redacted(taken, selection, token_bytes(32))
        told = progress or Silent()
        done = translate(snapshot, selection, file, password=password, progress=told, name=str(store.path))
        return Exported(
            manifest=done.manifest,
            encrypted=password is not None,
            bytes=done.bytes,
            odd_rows=rows + done.spoiled,
            oddities=dangling + done.examples,
            gaps={},
            spoiled=done.spoiled,
            not_written=done.not_written,
        )


def export_to(  # noqa: PLR0913 (as above)
    output: Path,
    store: MemoryStore,
    selection: Selection,
    *,
    password: Secret | None,
    compression: Compression,
    created: datetime,
    progress: Progress | None = None,
    archive_format: ArchiveFormat = "ecm",
) -> Exported:
    """Export into a file of the user's choice, replacing what is there only once the archive has been read back.

    Raises as `export` does, and `UsageError` for an output that is not to be replaced: a device, the store itself.
    """
    try:
        _refuse_output(output, store)
        with new_file(output.resolve(), overwrite=True) as file:
            if archive_format == "causantic-1.1":
                return export_translated(store, selection, file, password=password, created=created, progress=progress)
            exported = export(
                store,
                selection,
                file,
                password=password,
                compression=compression,
                created=created,
                progress=progress,
            )
            with flushing(file):
                _read_back(file, password, progress)
            return exported
    except OSError as error:
        raise EcmError(f"{output} cannot be written: {error.strerror}.", hint="Nothing was changed.") from error


def _read_back(file: BinaryIO, password: Secret | None, progress: Progress | None) -> None:
    """Prove an archive in an open file: by its seal, and one that has none by everything it says."""
    if password is not None:
        open_archive(file, password)
    elif not verify(file, None, progress).digests:
        raise ArchiveInvalid("What was written is not what is read back: its digests cannot be checked.")


def _redacted(taken: Snapshot, selection: Selection, key: bytes) -> Snapshot | RedactedSnapshot:
    """Give a snapshot as the selection asks for it. What redacts takes time to load, and is only then."""
    if not selection.redact:
        return taken
    from ecm_agent.jobs.redact import RedactedSnapshot

    return RedactedSnapshot(taken, selection, key)


def _refuse_output(output: Path, store: MemoryStore) -> None:
    if str(output) == "-":
        raise UsageError(
            "An archive cannot go to standard output: it is read back before it counts.",
            hint="Name a file.",
        )
    companions = [Path(f"{store.path.resolve()}{ending}") for ending in ("-wal", "-shm", "-journal")]
    if output.resolve() in companions:
        raise UsageError(f"{output} is a part of the memory store.", hint="Name another file.")
    if not output.exists():
        return
    if not output.is_file():
        raise UsageError(f"{output} is not a regular file.", hint="Name a file, new or to be replaced.")
    if store.exists() and output.samefile(store.path):
        raise UsageError(f"{output} is the memory store itself.", hint="Name another file.")


def _orphans(snapshot: Snapshot | RedactedSnapshot) -> Iterator[str]:
    count, names = snapshot.vectors_without_chunk()
    if count:
        more = ", …" if count > len(names) else ""
        yield f"vectors whose chunk is gone, kept as they are: {count} ({', '.join(map(repr, names))}{more})"


def _gaps(manifest: Manifest, selection: Selection) -> dict[str, int]:
    if selection.projects is not None or selection.redact or not selection.vectors:  # less than all was asked for
        return {}
    return {table: rows for table, rows in manifest.left_out.items() if table not in manifest.excluded}
