"""A tool's arguments: the strings of its JSON that hold code, or all of it where it is no JSON."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from ecm_agent.redaction.tokens import CODE

if TYPE_CHECKING:
    from collections.abc import Iterator

STRING = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"(\s{0,8}+:)?', re.DOTALL)
KEYS = frozenset(
    """
    body cell_source cmd code command commands content contents diff edits expression file_text find html input
    insert_text javascript js new_code new_content new_source new_str new_string old_code old_content old_source
    old_str old_string patch program python query_code replace replacement script snippet source source_code sql
    stdin text
    """.split()  # noqa: SIM905 - a list of words, one item a line, would be a page
)
DECODER = json.JSONDecoder()


def spans(text: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Give the code in arguments between two places: insides of strings, and (True) what is no JSON."""
    while start < end and text[start].isspace():
        start += 1
    if start == end:
        return
    stop = json_end(text, start, end)
    if stop is None:
        yield start, end, True
        return
    yield from ((*span, False) for span in strings(text, start, stop))
    if text[stop:end].strip():
        yield stop, end, True


def json_end(text: str, start: int, end: int) -> int | None:
    """Tell where the JSON object ends that starts at `start`; None where there is none, or it is cut off."""
    if text[start] != "{":
        return None
    try:
        _, stop = DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):  # numbers may be too long for Python, too
        return None
    return stop if stop <= end else None


def strings(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    key = ""
    for match in STRING.finditer(text, start, end):
        value = match[1]
        if match[2]:
            key = value.lower()
        elif value and value != CODE and (key in KEYS or "```" in value or "~~~" in value):
            yield match.span(1)
