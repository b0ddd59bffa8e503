"""Indented code: lines set in by four columns after a blank line, which a list does not explain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = 4  # columns
BOUNDARY = re.compile(r"\n[ \t\r]*+\n(?= {0,3}+(?: |\t)[ \t]*+[^\s])")
INDENT = re.compile(r"[ \t]*+")
ITEM = re.compile(r"[ \t>]*+(?:[-*+•]|\d{1,9}+[.)]|[a-zA-Z][.)])[ \t]++")
LOOK_BACK = 12  # lines, for the list item that a line belongs to


def spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Give the indented code between two places, whole lines, without the blank lines around it."""
    done = start
    for place in starts(text, start, end):
        if place < done:
            continue
        needed = list_indent(text, start, place) + CODE
        if columns(text, place) >= needed and not ITEM.match(text, place):
            done = stop(text, place, end, needed)
            yield place, done


def starts(text: str, start: int, end: int) -> Iterator[int]:
    """Give the starts of lines before which a block can begin."""
    yield start
    for match in BOUNDARY.finditer(text, max(0, start - 1), end):
        yield match.end()


def columns(text: str, place: int) -> int:
    """Tell how far the line that starts at `place` is set in."""
    indent = INDENT.match(text, place)
    return len(indent[0].expandtabs(CODE)) if indent else 0


def stop(text: str, place: int, end: int, needed: int) -> int:
    """Tell where the last line of the code ends that starts at `place`."""
    last = place
    while place < end:
        newline = text.find("\n", place, end)
        newline = newline if newline >= 0 else end
        if text[place:newline].strip():
            if columns(text, place) < needed:
                break
            last = newline
        place = newline + 1
    return last


def list_indent(text: str, start: int, place: int) -> int:
    """Tell how far the text of the list item is set in that the line at `place` goes on with; 0 without a list."""
    for _ in range(LOOK_BACK):
        newline = text.rfind("\n", start, max(start, place - 1))
        line, place = text[newline + 1 if newline >= 0 else start : max(start, place - 1)], newline + 1
        if item := ITEM.match(line):
            return len(item[0].expandtabs(CODE))
        if newline < 0 or (line.strip() and line[0] not in " \t"):
            return 0
    return 0
