"""Find code in a conversation: fenced, indented, a tool's output, and the code in a tool's arguments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ecm_agent.redaction import arguments, blocks, fences, indents
from ecm_agent.redaction.tokens import FENCED_CODE

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 50_000  # fences in a text; one with more was made to be slow to read, and is all code
DONE = re.compile(rf"(?:\s*+{re.escape(FENCED_CODE)})++\s*+")


def spans(text: str) -> list[tuple[int, int, bool]]:
    """Give where code stands in `text`: sorted, half-open, apart from each other.

    True marks a block, whole lines that a fenced token replaces; False the inside of a JSON string.
    """
    if text.count("```") + text.count("~~~") - 2 * text.count(FENCED_CODE) > MOST:
        return [(0, len(text), True)]
    parts = blocks.split(text)
    found = [(start, end, True) for start, end in fences.spans(text, parts)]
    for part in parts:
        found += in_part(text, part)
    return [span for span in united(trimmed(text, found)) if not is_done(text, *span)]


def in_part(text: str, part: blocks.Block) -> Iterator[tuple[int, int, bool]]:
    if part.marker == "[Result]":
        yield part.body, part.end, True
    elif part.is_prose:
        yield from ((start, end, True) for start, end in indents.spans(text, part.body, part.end))
    else:
        yield from arguments.spans(text, part.body, part.end)


def trimmed(text: str, found: list[tuple[int, int, bool]]) -> Iterator[tuple[int, int, bool]]:
    for start, end, is_block in found:
        first, last = lines(text, start, end) if is_block else (start, end)
        if first < last:
            yield first, last, is_block


def lines(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave the blank lines around a block where they are; a carriage return at its end goes with it."""
    while start < end and text[end - 1].isspace():
        end -= 1
    while start < end and text[start] in "\r\n":
        start += 1
    return start, end + text.startswith("\r\n", end)


def united(found: Iterator[tuple[int, int, bool]]) -> list[tuple[int, int, bool]]:
    apart: list[tuple[int, int, bool]] = []
    for start, end, block in sorted(found):
        if apart and start < apart[-1][1]:
            before = apart.pop()
            apart.append((before[0], max(before[1], end), block or before[2]))
        else:
            apart.append((start, end, block))
    return apart


def is_done(text: str, start: int, end: int, is_block: bool) -> bool:
    return is_block and bool(DONE.fullmatch(text, start, end))
