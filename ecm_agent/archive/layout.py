"""What the writer and both readers of a document agree on: its head, its sections, and what a fault is called."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ecm_agent.errors import ArchiveInvalid
from ecm_agent.model.manifest import CAUSANTIC, FORMAT, READABLE, Manifest
from ecm_agent.model.records import RECORD_TYPES, Batch, Chunk, Cluster, Edge, RecordType

SECTIONS: dict[str, RecordType] = {kind.section: kind for kind in RECORD_TYPES}
REQUIRED = (Chunk.section, Edge.section, Cluster.section)
"""Sections that every archive has, of whatever format."""

HEAD_KEYS = frozenset(("format", "version", "created", "metadata"))
"""What says, before the records, what a document is."""

MAX_RECORD_BYTES = 1 << 30
"""A record's JSON may be this long. SQLite by default holds no value over 10^9 bytes, so every row fits."""

MAX_DEPTH = 64
"""How deep a document may nest; its own records need five levels."""


class Head(Struct, frozen=True):
    """The first keys of a document."""

    format: str
    version: str
    created: str

    def check(self) -> None:
        """Raise `ArchiveInvalid` for a format or version this program does not read."""
        versions = [version for name, version in READABLE if name == self.format]
        if not versions:
            raise ArchiveInvalid(f"Invalid archive format: {self.format!r} is neither {FORMAT!r} nor {CAUSANTIC!r}.")
        if self.version not in versions:
            known = " or ".join(map(repr, versions))
            raise ArchiveInvalid(
                f"Invalid archive format: version {self.version!r} of {self.format!r} is not {known}, as far as known.",
                hint="A newer ecm-agent may read it.",
            )


class Digests(Struct, frozen=True, omit_defaults=True):
    """The trailing proof: SHA-256, in hexadecimal, of lines as they stand in the file."""

    algorithm: str
    sections: dict[str, str]
    """Of each section's record lines."""
    head: str = ""
    """Of the two lines before the sections. Archives of early versions have none."""


Part: TypeAlias = tuple[str, Batch]
"""A section's name and some of its records, in order."""


class Member(Struct, frozen=True, rename="camel"):
    """What `causantic-archive` 1.1 says of a cluster's member."""

    chunk_id: str
    distance: float


class ClusterWithMembers(Cluster, kw_only=True, rename="camel"):
    """A cluster as `causantic-archive` 1.1 has it."""

    members: list[Member]


_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    kind.section: msgspec.json.Decoder(list[kind])  # type: ignore[valid-type] # the kinds are known at run time only
    for kind in RECORD_TYPES
}
_WITH_MEMBERS = {Cluster.section: msgspec.json.Decoder(list[ClusterWithMembers])}
_UNKNOWN = msgspec.json.Decoder(list[msgspec.Raw])
_MANIFEST = msgspec.json.Decoder(Manifest)
_ITEM = re.compile(r"\$\[(\d+)\]")


def decode_records(section: str, json_array: bytes, first: int, *, members: bool = False) -> Batch:
    """Decode a JSON array of records, the first of which is number `first` of its section.

    The records of a section of unknown name are found to be JSON and given as they are. With `members`, clusters are
    those of `causantic-archive` 1.1.
    Raises `ArchiveInvalid` naming the record and the field that has the wrong type, and `msgspec.DecodeError` (which
    is no `ValidationError`) for bytes that are not JSON.
    """
    decoders = _DECODERS | _WITH_MEMBERS if members else _DECODERS
    try:
        batch: Batch = decoders.get(section, _UNKNOWN).decode(json_array)
    except msgspec.ValidationError as error:
        where = _ITEM.sub(lambda match: f"{section}[{first + int(match[1])}]", str(error), count=1)
        raise ArchiveInvalid(f"Invalid archive format: {where}.") from None
    except RecursionError:
        raise too_deep() from None
    return batch


def decode_manifest(head: Head, json_object: bytes) -> Manifest:
    """Decode the `metadata` object of a document that begins so. Raises as `decode_records` does."""
    try:
        manifest = _MANIFEST.decode(json_object)
    except msgspec.ValidationError as error:
        where = str(error).replace("`$", "`metadata")
        raise ArchiveInvalid(f"Invalid archive format: {where} in the metadata.") from None
    except RecursionError:
        raise too_deep() from None
    announced = manifest.membership_count if head.format == FORMAT else None
    return replace(manifest, format=head.format, version=head.version, membership_count=announced)


def too_deep() -> ArchiveInvalid:
    return ArchiveInvalid(f"Invalid archive format: it nests deeper than {MAX_DEPTH} levels.")


def too_long() -> ArchiveInvalid:
    return ArchiveInvalid(f"Invalid archive format: a record is longer than {MAX_RECORD_BYTES} bytes.")


def not_json(detail: str) -> ArchiveInvalid:
    return ArchiveInvalid(f"Invalid archive format: not JSON ({detail}).")
