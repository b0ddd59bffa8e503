"""The fast reader: a document in this program's own layout, one record a line, decoded a block of lines at a time."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from ecm_agent.archive.behind import Behind
from ecm_agent.archive.container import BLOCK
from ecm_agent.archive.layout import (
    HEAD_KEYS,
    MAX_RECORD_BYTES,
    REQUIRED,
    SECTIONS,
    Digests,
    Head,
    Part,
    decode_manifest,
    decode_records,
    too_long,
)
from ecm_agent.errors import ArchiveInvalid
from ecm_agent.model.manifest import FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecm_agent.archive.container import ByteSource, Data
    from ecm_agent.model.manifest import Manifest


_LONGEST_HEAD = 1 << 12
"""The first line is short: a document of another program, which may be one line, is told by that at once."""

_LONGEST_HEADING = 16 * BLOCK
"""Lines outside the sections are at most this long: a document that is one line must not be gathered in memory."""

_BETWEEN, _LAST = b",\n", b"\n"
"""What stands after a record: between it and another, and before the end of its section."""

_SECTION_END = b"\n],\n"

_NOT_OURS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class OtherLayout(Exception):
    """The document is laid out differently from here on; it may be valid all the same, for the general reader."""


class LineDocument:
    """One reading of a document from its start. Raises `OtherLayout` where it stops looking like our own."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._buffer = b""
        self.unknown: Counter[str] = Counter()
        """How many records the sections of unknown name hold; complete once `parts` is used up."""
        self.matched = False
        """Whether there were digests of all that is said, and they matched; known once `parts` is used up."""

    def manifest(self) -> Manifest:
        """Read the first two lines."""
        return self._head()[0]

    def _head(self) -> tuple[Manifest, str]:
        first = self._line(b",", longest=_LONGEST_HEAD)
        try:
            head = msgspec.json.decode(first + b"}", type=Head)
            if head.format != FORMAT:
                raise OtherLayout
            head.check()
            second = self._line(b",")
            manifest = decode_manifest(head, self._value(b'"metadata":', second))
        except _NOT_OURS:
            raise OtherLayout from None
        return manifest, hashlib.sha256(b"%s,\n%s,\n" % (first, second)).hexdigest()

    def parts(self) -> Iterator[Part]:
        """Read what follows: every section, then the digests, checking them against what was read."""
        _, head = self._head()
        found: dict[str, str] = {}
        with Behind() as behind:
            while (line := self._line()).endswith(b":["):
                section = self._name(line)
                if section in HEAD_KEYS or section in found:
                    raise OtherLayout
                digest = hashlib.sha256()
                yield from self._records(section, digest, behind)
                behind.wait()
                found[section] = digest.hexdigest()
                if self._line() != b"],":
                    raise OtherLayout
        if not found.keys() >= set(REQUIRED):
            raise OtherLayout
        self._end(line, head, found)

    def _records(self, section: str, digest: hashlib._Hash, behind: Behind) -> Iterator[Part]:
        first = 0
        for lines, ending in self._section_blocks():
            behind.do(digest.update, lines)
            batch = self._decode(section, lines[: -len(ending)], first)
            if not batch:
                raise OtherLayout
            if section in SECTIONS:
                yield section, batch
            else:
                self.unknown[section] += len(batch)
            first += len(batch)

    @staticmethod
    def _decode(section: str, records: Data, first: int) -> list:  # type: ignore[type-arg] # see Batch
        try:
            return decode_records(section, b"".join((b"[", records, b"]")), first)
        except _NOT_OURS:
            raise OtherLayout from None

    def _section_blocks(self) -> Iterator[tuple[memoryview, bytes]]:
        """Give the lines of a section in blocks of whole lines, and how the last of each ends; stop before its `]`.

        What does not belong to a section any more makes a block that is no JSON.
        """
        while not self._buffer:
            self._more()
        if self._buffer.startswith(b"]"):
            return
        while (end := self._buffer.find(_SECTION_END)) < 0:
            if (cut := self._buffer.rfind(_BETWEEN)) >= 0:
                yield self._taken(cut + len(_BETWEEN)), _BETWEEN
            self._more()
        yield self._taken(end + len(_LAST)), _LAST

    def _taken(self, size: int) -> memoryview:
        taken, self._buffer = memoryview(self._buffer)[:size], self._buffer[size:]
        return taken

    def _end(self, line: bytes, head: str, found: dict[str, str]) -> None:
        try:
            digests = msgspec.json.decode(self._value(b'"digests":', line), type=Digests)
        except _NOT_OURS:
            raise OtherLayout from None
        if self._line() != b"}" or self._buffer or self._source.read(1):
            raise OtherLayout
        if digests.algorithm != "sha256":
            raise ArchiveInvalid(f"Archive is damaged: its digests are by {digests.algorithm!r}, which is not known.")
        if digests.head not in {"", head}:
            raise ArchiveInvalid("Archive is damaged: the metadata do not match their digest.")
        for section, digest in digests.sections.items():
            if found.get(section) != digest:
                raise ArchiveInvalid(f"Archive is damaged: the {section} do not match their digest.")
        self.matched = bool(digests.head) and digests.sections.keys() == found.keys()

    def _line(self, ending: bytes = b"", *, longest: int = _LONGEST_HEADING) -> bytes:
        while b"\n" not in self._buffer:
            if len(self._buffer) >= longest:
                raise OtherLayout
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\n")
        if not line.endswith(ending):
            raise OtherLayout
        return line.removesuffix(ending)

    def _more(self) -> None:
        """Read another block; within a long record ever larger ones, so that a long one is not copied too often."""
        if len(self._buffer) > MAX_RECORD_BYTES:
            raise too_long()
        block = self._source.read(max(BLOCK, len(self._buffer)))
        if not block:
            raise OtherLayout
        self._buffer += block

    @staticmethod
    def _value(key: bytes, line: bytes) -> bytes:
        if not line.startswith(key):
            raise OtherLayout
        return line.removeprefix(key)

    @staticmethod
    def _name(line: bytes) -> str:
        try:
            return msgspec.json.decode(line.removesuffix(b":["), type=str)
        except _NOT_OURS:
            raise OtherLayout from None
