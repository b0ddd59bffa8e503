"""The fast reader: a document in this program's own layout, one record a line, decoded a block of lines at a time."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

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

    from ecm_agent.archive.container import ByteSource
    from ecm_agent.model.manifest import Manifest


_LONGEST_HEAD = 1 << 12
"""The first line is short: a document of another program, which may be one line, is told by that at once."""

_LONGEST_HEADING = 16 * BLOCK
"""Lines outside the sections are at most this long: a document that is one line must not be gathered in memory."""

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

    def manifest(self) -> Manifest:
        """Read the first two lines."""
        try:
            head = msgspec.json.decode(self._line(b",", longest=_LONGEST_HEAD) + b"}", type=Head)
            if head.format != FORMAT:
                raise OtherLayout
            head.check()
            return decode_manifest(head, self._value(b'"metadata":', self._line(b",")))
        except _NOT_OURS:
            raise OtherLayout from None

    def parts(self) -> Iterator[Part]:
        """Read what follows: every section, then the digests, checking them against what was read."""
        self.manifest()
        found: dict[str, str] = {}
        while (line := self._line()).endswith(b":["):
            section = self._name(line)
            if section in HEAD_KEYS or section in found:
                raise OtherLayout
            digest = hashlib.sha256()
            yield from self._records(section, digest)
            found[section] = digest.hexdigest()
            if self._line() != b"],":
                raise OtherLayout
        if not found.keys() >= set(REQUIRED):
            raise OtherLayout
        self._end(line, found)

    def _records(self, section: str, digest: hashlib._Hash) -> Iterator[Part]:
        first = 0
        for block, last in self._section_blocks():
            digest.update(block)
            if not block:
                continue
            if block.endswith(b",\n") is last:
                raise OtherLayout
            batch = self._decode(section, memoryview(block)[: -1 if last else -2], first)
            if section in SECTIONS:
                yield section, batch
            else:
                self.unknown[section] += len(batch)
            first += len(batch)

    @staticmethod
    def _decode(section: str, records: memoryview, first: int) -> list:  # type: ignore[type-arg] # see Batch
        try:
            return decode_records(section, b"".join((b"[", records, b"]")), first)
        except _NOT_OURS:
            raise OtherLayout from None

    def _section_blocks(self) -> Iterator[tuple[bytes, bool]]:
        """Give the lines of a section in blocks of whole lines, the last one marked; stop before its `]`."""
        while True:
            end = 0 if self._buffer.startswith(b"]") else self._buffer.find(b"\n]") + 1
            if end or self._buffer.startswith(b"]"):
                block, self._buffer = self._buffer[:end], self._buffer[end:]
                yield block, True
                return
            # Keep the last whole line back: whether a section ends after it is not known yet.
            cut = self._buffer.rfind(b"\n", 0, len(self._buffer) - 1) + 1
            if cut:
                block, self._buffer = self._buffer[:cut], self._buffer[cut:]
                yield block, False
            self._more()

    def _end(self, line: bytes, found: dict[str, str]) -> None:
        try:
            digests = msgspec.json.decode(self._value(b'"digests":', line), type=Digests)
        except _NOT_OURS:
            raise OtherLayout from None
        if self._line() != b"}" or self._buffer or self._source.read(1):
            raise OtherLayout
        for section, digest in digests.sections.items():
            if digests.algorithm != "sha256" or found.get(section) != digest:
                raise ArchiveInvalid(f"Archive is damaged: the {section} do not match their digest.")

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
