"""Bytes → records: open a file, authenticate it, and hand its records out, trusting nothing it says unproven."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, BinaryIO

from ecm_agent.archive.compression import GZIP_MAGIC, ZSTD_MAGIC, decompressed
from ecm_agent.archive.container import MAGIC, SealedReader
from ecm_agent.archive.lines import LineDocument, OtherLayout
from ecm_agent.archive.tree import TreeDocument
from ecm_agent.errors import ArchiveInvalid, PasswordMissing
from ecm_agent.model.records import RECORD_TYPES, Batch, Cluster, Membership

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ecm_agent.archive.container import ByteSource
    from ecm_agent.archive.layout import Part
    from ecm_agent.model.manifest import Manifest
    from ecm_agent.secret import Secret


def is_encrypted(file: BinaryIO) -> bool:
    """Whether an open file begins as an encrypted archive does."""
    file.seek(0)
    return file.read(len(MAGIC)) == MAGIC


class Archive:
    """An open archive whose seal has been checked. Its records can be read any number of times."""

    def __init__(self, plaintext: Callable[[], ByteSource], *, encrypted: bool) -> None:
        self._plaintext = plaintext
        self.encrypted = encrypted
        self.manifest: Manifest = self._read_manifest()

    def batches(self) -> Iterator[Batch]:
        """Give every record, a batch at a time, sections in the order they stand in.

        The archive is proved good only when the last batch has been taken: counts, digests and, for an encrypted one,
        the seal again are checked at the end. Raises `ArchiveInvalid`; whoever writes records somewhere commits after.
        Clusters of an archive that announces no memberships are followed by those they imply (distance 0).
        """
        counts: Counter[type] = Counter()
        for _section, batch in self._parts():
            counts[type(batch[0])] += len(batch)
            yield batch
            if isinstance(batch[0], Cluster) and self.manifest.membership_count is None:
                yield from _implied_memberships(batch)
        for kind in RECORD_TYPES:
            announced = self.manifest.count(kind) or 0
            if announced != counts[kind]:
                raise ArchiveInvalid(
                    f"Archive is damaged: it announces {announced} {kind.section} and holds {counts[kind]}."
                )

    def _read_manifest(self) -> Manifest:
        try:
            return LineDocument(self._document()).manifest()
        except OtherLayout:
            return TreeDocument(self._document()).manifest()

    def _parts(self) -> Iterator[Part]:
        given: Counter[str] = Counter()
        try:
            for section, batch in LineDocument(self._document()).parts():
                given[section] += len(batch)
                yield section, batch
        except OtherLayout:
            yield from _without(given, TreeDocument(self._document()).parts())

    def _document(self) -> ByteSource:
        return decompressed(self._plaintext())


def open_archive(file: BinaryIO, password: Secret | None) -> Archive:
    """Open an archive in a seekable file, recognised by its content.

    Raises `PasswordMissing` when it is encrypted and no password is given, `DecryptionFailed` for a wrong one, and
    `ArchiveInvalid` for anything that is no archive of ours or a damaged one.
    """
    file.seek(0)
    begin = file.read(4)
    if begin == MAGIC:
        if password is None:
            raise PasswordMissing("Archive is encrypted. Please provide a password.")
        return Archive(SealedReader.authenticate(file, password).plaintext, encrypted=True)
    if not begin:
        raise ArchiveInvalid("Invalid archive format: the file is empty.")
    text = begin.lstrip(b" \t\r\n")
    if text and not text.startswith((b"{", GZIP_MAGIC, ZSTD_MAGIC)):
        raise ArchiveInvalid("Invalid archive format: neither an ECM archive nor a JSON object.")
    return Archive(lambda: _rewound(file), encrypted=False)


def _rewound(file: BinaryIO) -> ByteSource:
    file.seek(0)
    return file


def _without(given: Counter[str], parts: Iterator[Part]) -> Iterator[Part]:
    """Leave out the first records of each section: those that the fast reader had given before it had to stop."""
    for section, batch in parts:
        known = min(given[section], len(batch))
        given[section] -= known
        if batch[known:]:
            yield section, batch[known:]


def _implied_memberships(clusters: list[Cluster]) -> Iterator[list[Membership]]:
    for cluster in clusters:
        if cluster.member_chunk_ids:
            yield [
                Membership(chunk_id=chunk, cluster_id=cluster.id, distance=0.0) for chunk in cluster.member_chunk_ids
            ]
