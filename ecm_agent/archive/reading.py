"""Bytes → records: open a file, authenticate it, and hand its records out, trusting nothing it says unproven."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, BinaryIO

from ecm_agent.archive.compression import GZIP_MAGIC, ZSTD_MAGIC, decompressed
from ecm_agent.archive.container import CAUSANTIC_MAGIC, HEADER_BYTES, MAGIC, MAGICS, SealedReader
from ecm_agent.archive.layout import ClusterWithMembers
from ecm_agent.archive.lines import LineDocument, OtherLayout
from ecm_agent.archive.tree import TreeDocument
from ecm_agent.errors import ArchiveInvalid, PasswordMissing
from ecm_agent.model.manifest import CAUSANTIC, FORMAT
from ecm_agent.model.records import RECORD_TYPES, Batch, Cluster, Membership, TableRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ecm_agent.archive.container import ByteSource
    from ecm_agent.archive.layout import Part
    from ecm_agent.model.manifest import Manifest
    from ecm_agent.secret import Secret


def sealed_as(file: BinaryIO) -> str | None:
    """Name the format that an open file begins as an encrypted archive of; `None` where it does not begin as one."""
    file.seek(0)
    return {MAGIC: FORMAT, CAUSANTIC_MAGIC: CAUSANTIC}.get(file.read(len(MAGIC)))


def seal_of(file: BinaryIO) -> bytes:
    """Give salt, nonce and tag of an open encrypted archive: no two archives have the same, nor has a changed one."""
    file.seek(len(MAGIC))
    return file.read(HEADER_BYTES - len(MAGIC))


def is_encrypted(file: BinaryIO) -> bool:
    """Whether an open file begins as an encrypted archive does, of whatever format."""
    return sealed_as(file) is not None


class Archive:
    """An open archive whose seal has been checked. Its records can be read any number of times."""

    def __init__(self, plaintext: Callable[[], ByteSource], *, encrypted: bool) -> None:
        self._plaintext = plaintext
        self.encrypted = encrypted
        self.manifest: Manifest = self._read_manifest()
        self.unknown: dict[str, int] = {}
        """Sections that this program has no record for, and how many each holds; known once `batches` is used up."""
        self.matched = False
        """Whether there were digests of all that is said, and they matched; known once `batches` is used up."""

    def batches(self) -> Iterator[Batch]:
        """Give every record, a batch at a time, sections in the order they stand in.

        The archive is proved good only when the last batch has been taken: counts, digests and, for an encrypted one,
        the seal again are checked at the end. Raises `ArchiveInvalid`; whoever writes records somewhere commits after.
        Clusters of an archive that announces no memberships are followed by those they imply (distance 0, where they
        do not say it).
        """
        counts: Counter[type] = Counter()
        rows = _Rows(self.manifest)
        for _section, batch in self._parts():
            plain, implied = _taken_apart(batch) if self.manifest.original else (batch, [])
            counts[type(plain[0])] += len(plain)
            rows.count(plain)
            yield plain
            yield from implied
        for kind in RECORD_TYPES:
            announced = self.manifest.count(kind) or 0
            if announced != counts[kind]:
                raise ArchiveInvalid(
                    f"Archive is damaged: it announces {announced} {kind.section} and holds {counts[kind]}."
                )
        rows.check()

    def _read_manifest(self) -> Manifest:
        try:
            return LineDocument(self._document()).manifest()
        except OtherLayout:
            return TreeDocument(self._document()).manifest()

    def _parts(self) -> Iterator[Part]:
        given: Counter[str] = Counter()
        document: LineDocument | TreeDocument = (lines := LineDocument(self._document()))
        try:
            for section, batch in lines.parts():
                given[section] += len(batch)
                yield section, batch
        except OtherLayout:
            document = TreeDocument(self._document())
            members = self.manifest.original and self.manifest.gives_distances
            yield from _without(given, document.parts(members=members))
        self.matched = lines.matched
        self.unknown = dict(document.unknown)

    def _document(self) -> ByteSource:
        return decompressed(self._plaintext())


class _Rows:
    """Holds the rows of other tables against what the manifest says of those tables."""

    def __init__(self, manifest: Manifest) -> None:
        """Raise `ArchiveInvalid` for two tables of one name."""
        described = manifest.schema.with_rows if manifest.schema else []
        names = Counter(table.name for table in described)
        if twice := next((name for name, tables in names.items() if tables > 1), None):
            raise ArchiveInvalid(f"Invalid archive format: the metadata have two tables called {twice!r}.")
        self._values = {table.name: len(table.valued) for table in described}
        self._announced = manifest.rows()
        self._found: Counter[str] = Counter()

    def count(self, batch: Batch) -> None:
        """Count rows. Raises `ArchiveInvalid` for one that is of no table there is, or not as long as its columns."""
        for row in batch:
            if not isinstance(row, TableRow):
                return
            if len(row.values) != self._values.get(row.table):
                raise ArchiveInvalid(
                    f"Invalid archive format: rows[{self._found.total()}] does not fit what the metadata say of the "
                    f"table {row.table!r}."
                )
            self._found[row.table] += 1

    def check(self) -> None:
        """Raise `ArchiveInvalid` where a table has not as many rows as were announced."""
        for table, announced in self._announced.items():
            if announced != self._found[table]:
                raise ArchiveInvalid(
                    f"Archive is damaged: it announces {announced} rows of {table!r} and holds {self._found[table]}."
                )


def open_archive(file: BinaryIO, password: Secret | None) -> Archive:
    """Open an archive in a seekable file, recognised by its content.

    Raises `PasswordMissing` when it is encrypted and no password is given, `DecryptionFailed` for a wrong one, and
    `ArchiveInvalid` for anything that is no archive of ours or a damaged one.
    """
    file.seek(0)
    begin = file.read(4)
    if begin in MAGICS:
        if password is None:
            raise PasswordMissing("Archive is encrypted. Please provide a password.")
        return Archive(SealedReader.authenticate(file, password).plaintext, encrypted=True)
    if not begin:
        raise ArchiveInvalid("Invalid archive format: the file is empty.")
    text = begin.lstrip(b" \t\r\n")
    if text and not text.startswith((b"{", GZIP_MAGIC, ZSTD_MAGIC)):
        raise ArchiveInvalid("Invalid archive format: neither an encrypted archive nor a JSON object.")
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


def _taken_apart(batch: Batch) -> tuple[Batch, list[Batch]]:
    """Part clusters from the memberships they imply, one batch for each cluster; any other records imply none."""
    clusters = [record for record in batch if isinstance(record, Cluster)]
    implied: list[Batch] = [members for cluster in clusters if (members := _implied_memberships(cluster))]
    return [_plain(cluster) for cluster in clusters] or batch, implied


def _implied_memberships(cluster: Cluster) -> list[Membership]:
    if isinstance(cluster, ClusterWithMembers):
        distances = [(member.chunk_id, member.distance) for member in cluster.members]
    else:
        distances = [(chunk, 0.0) for chunk in cluster.member_chunk_ids]
    return [Membership(chunk_id=chunk, cluster_id=cluster.id, distance=distance) for chunk, distance in distances]


def _plain(cluster: Cluster) -> Cluster:
    """Give a cluster of any format as this program's own have it."""
    if not isinstance(cluster, ClusterWithMembers):
        return cluster
    fields = {name: getattr(cluster, name) for name in Cluster.__struct_fields__}
    return Cluster(**fields | {"member_chunk_ids": [member.chunk_id for member in cluster.members]})
