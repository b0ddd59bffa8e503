"""The general reader: any valid JSON document of the archive's shape, keys in any order, streamed by ijson."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from ecm_agent.archive.container import BLOCK
from ecm_agent.archive.layout import (
    HEAD_KEYS,
    MAX_DEPTH,
    MAX_RECORD_BYTES,
    REQUIRED,
    SECTIONS,
    Head,
    Part,
    decode_manifest,
    decode_records,
    not_json,
    too_deep,
    too_long,
)
from ecm_agent.errors import ArchiveInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecm_agent.archive.container import ByteSource
    from ecm_agent.model.manifest import Manifest

_Event: TypeAlias = tuple[str, Any]
_BATCH = 64
_LONGEST_ESCAPE = len(rb"\ud83d\ude00")
_WHOLE_CHARACTERS = re.compile(
    rb"(?:[^\\]++|\\(?:[^u]|u(?:[^dD]|[dD][0-7]|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})))*+", re.DOTALL
)
_OPEN, _CLOSE = ("start_map", "start_array"), ("end_map", "end_array")


class TreeDocument:
    """One reading of a document from its start."""

    def __init__(self, source: ByteSource) -> None:
        self._characters = _WholeCharacters(source)
        self._events = _events(self._characters)
        self.unknown: Counter[str] = Counter()
        """How many elements the arrays under unknown keys hold; complete once `parts` is used up."""

    def manifest(self) -> Manifest:
        """Read on until the head and the metadata are known, which may be the whole document."""
        head: dict[str, Any] = {}
        for key, event in self._keys():
            if key in HEAD_KEYS:
                head[key] = self._build(event)
            else:
                self._skip(event)
            if len(head) == len(HEAD_KEYS):
                break
        return _manifest(head)

    def parts(self, *, members: bool = False) -> Iterator[Part]:
        """Read every section, and the document to its end; `members` as for `decode_records`."""
        seen = set()
        for key, event in self._keys():
            if key in seen:
                raise ArchiveInvalid(f"Invalid archive format: {key!r} is there twice.")
            seen.add(key)
            if key in SECTIONS:
                yield from self._section(key, event, members=members)
            elif event[0] == "start_array":
                self._count(key)
            else:
                self._skip(event)
        for section in REQUIRED:
            if section not in seen:
                raise ArchiveInvalid(f"Invalid archive format: it has no {section!r}.")

    def _keys(self) -> Iterator[tuple[str, _Event]]:
        """Give each key of the document with the first event of its value, which the caller must use up."""
        if next(self._events, None) != ("start_map", None):
            raise ArchiveInvalid("Invalid archive format: not a JSON object.")
        for event, key in self._events:
            if event == "map_key":
                yield key, next(self._events)

    def _section(self, section: str, event: _Event, *, members: bool) -> Iterator[Part]:
        if event[0] != "start_array":
            raise ArchiveInvalid(f"Invalid archive format: {section!r} is not an array.")
        first = 0
        records: list[Any] = []
        elements = self._elements()
        while (record := self._next(elements, f"{section}[{first + len(records)}]")) is not None:
            records += record
            if len(records) == _BATCH:
                yield section, _typed(section, records, first, members=members)
                first, records = first + len(records), []
        if records:
            yield section, _typed(section, records, first, members=members)

    def _next(self, elements: Iterator[_Event], name: str) -> list[Any] | None:
        """Give the next element alone in a list, `None` at the end. What is no JSON is in this one, or after it."""
        try:
            return next(([self._build(item)] for item in elements), None)
        except ArchiveInvalid as error:
            message = f"{error.message.removesuffix('.')}, at {name} or after it."
            raise ArchiveInvalid(message, hint=error.hint) from None

    def _count(self, section: str) -> None:
        for item in self._elements():
            self._skip(item, levels=1)
            self.unknown[section] += 1

    def _elements(self) -> Iterator[_Event]:
        """Give the first event of each element of an array that has begun; the caller must use up the others."""
        for item in self._events:
            if item[0] == "end_array":
                return
            yield item

    def _build(self, event: _Event) -> Any:  # noqa: ANN401 (any JSON value)
        import ijson

        builder = ijson.ObjectBuilder()
        self._characters.room = MAX_RECORD_BYTES
        for item in self._value(event):
            builder.event(*item)
        return builder.value

    def _skip(self, event: _Event, *, levels: int = 0) -> None:
        for _ in self._value(event, levels=levels):
            self._characters.room = MAX_RECORD_BYTES

    def _value(self, event: _Event, *, levels: int = 0) -> Iterator[_Event]:
        """Give the events of one value, of which the first has been read already; it lies `levels` deep."""
        depth = levels
        while True:
            yield event
            depth += (event[0] in _OPEN) - (event[0] in _CLOSE)
            if depth == levels:
                return
            if depth > MAX_DEPTH:
                raise too_deep()
            event = next(self._events)


class _WholeCharacters:
    r"""A source that refuses half a surrogate pair (`\\ud800` alone), which the parser would turn into `?` unasked.

    It gives out `room` bytes and no more: who takes a record sets it anew, so that none can fill the memory. Within a
    long record the blocks grow, whatever size is asked for, since the parser copies what it has at every block.
    """

    def __init__(self, source: ByteSource) -> None:
        self.room = MAX_RECORD_BYTES
        self.ended = False
        self._source = source
        self._kept = b""

    def read(self, size: int, /) -> bytes:
        fresh = self._source.read(max(size, MAX_RECORD_BYTES - self.room))
        if b"\v" in fresh or b"\f" in fresh:  # the parser takes them for white space
            raise not_json("a control character that is no white space")
        block = self._kept + fresh
        self.room -= len(fresh)
        self.ended = not fresh
        if self.room < 0:
            raise too_long()
        good = match.end() if (match := _WHOLE_CHARACTERS.match(block)) else 0
        if len(block) - good >= _LONGEST_ESCAPE or (block[good:] and not fresh):
            raise not_json(f"{block[good : good + 6]!r} is half a character")
        self._kept = block[good:]
        # An empty answer would mean the end; a block cut within its only escape is completed first.
        return block[:good] if good or not fresh else self.read(size)


def _events(source: _WholeCharacters) -> Iterator[_Event]:
    import ijson

    try:
        yield from ijson.basic_parse(source, use_float=True, buf_size=BLOCK)
    except UnicodeDecodeError:
        raise not_json("text that is not UTF-8") from None
    except ijson.JSONError as error:
        raise not_json("it ends in the middle; was the file cut off?" if source.ended else _reason(error)) from None


def _reason(error: Exception) -> str:
    """Give the parser's words without the piece of the document it shows, which may not even be text."""
    said = error.args[0] if error.args else ""
    return (said.decode(errors="replace") if isinstance(said, bytes) else str(said)).partition("\n")[0].strip()


def _manifest(head: dict[str, Any]) -> Manifest:
    try:
        found = msgspec.convert(head, Head)
    except msgspec.ValidationError:
        raise ArchiveInvalid("Invalid archive format: it does not say what it is.") from None
    found.check()
    if "metadata" not in head:
        raise ArchiveInvalid("Invalid archive format: it has no 'metadata'.")
    return decode_manifest(found, _encode(head["metadata"], "metadata"))


def _typed(section: str, records: list[Any], first: int, *, members: bool) -> Any:  # noqa: ANN401 (see Batch)
    return decode_records(section, _encode(records, section), first, members=members)


def _encode(value: Any, where: str) -> bytes:  # noqa: ANN401 (any JSON value)
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError) as error:
        raise ArchiveInvalid(f"Invalid archive format: {where} holds a value that cannot be: {error}.") from None
