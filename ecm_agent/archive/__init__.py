"""The archive: one sealed snapshot in a file, complete in itself. FORMAT.md beside this file is normative."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from ecm_agent.archive.behind import Behind
from ecm_agent.archive.causantic import Plan, ReadRecords, plan_causantic, write_causantic
from ecm_agent.archive.causantic_forms import Loss, Losses
from ecm_agent.archive.compression import CompressedWriter, Compression
from ecm_agent.archive.container import ByteSink, Seal, SealedWriter, fingerprint
from ecm_agent.archive.reading import Archive, is_encrypted, open_archive, seal_of, sealed_as
from ecm_agent.archive.writing import write_document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ecm_agent.model.manifest import Manifest
    from ecm_agent.model.records import Batch

__all__ = [
    "Archive",
    "Compression",
    "Loss",
    "Losses",
    "Plan",
    "ReadRecords",
    "Seal",
    "fingerprint",
    "is_encrypted",
    "open_archive",
    "plan_causantic",
    "seal_of",
    "sealed_as",
    "write_archive",
    "write_causantic",
]


def write_archive(
    file: BinaryIO,
    manifest: Manifest,
    batches: Iterable[Batch],
    *,
    seal: Seal | None,
    compression: Compression,
) -> None:
    """Write a whole archive into an open, empty, seekable file; `seal=None` leaves it unencrypted.

    Memory use does not grow with the number of records. Raises `EcmError` when the records do not match the manifest
    or outgrow what one archive can hold; the file is then worthless and must not be published.
    """
    sealed = SealedWriter(file, seal) if seal else None
    sink: ByteSink = sealed or file
    compressed = None if compression == "none" else CompressedWriter(sink, compression)
    with Behind() as behind:
        write_document(compressed or sink, manifest, batches, behind)
    if compressed:
        compressed.finish()
    if sealed:
        sealed.finish()
