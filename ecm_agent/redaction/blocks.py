"""The blocks of a conversation, by their markers: `[User]`, `[Tool:Name]`, `[Result]` and so on, alone on a line."""

from __future__ import annotations

import re
from typing import NamedTuple

MARKER = re.compile(r"\[(?:User|Assistant|Thinking|Result|Tool:[^\]\n]{1,100}+)\][ \t]*+\r?(?=\n|\Z)")


class Block(NamedTuple):
    """A block: its marker from `start` to `body`, its text from there to `end`."""

    marker: str  # "" before the first marker
    start: int
    body: int
    end: int

    @property
    def is_prose(self) -> bool:
        return self.marker != "[Result]" and not self.marker.startswith("[Tool:")


def split(text: str) -> list[Block]:
    """Give the blocks of `text` in order; the first, perhaps empty, is what stands before any marker."""
    markers = [match for match in MARKER.finditer(text) if match.start() == 0 or text[match.start() - 1] == "\n"]
    stops = [*(match.start() for match in markers[0:]), len(text)]
    found = [Block("", 0, 0, stops[0])]
    for match, stop in zip(markers, stops[1:], strict=True):
        found.append(Block(match[0].rstrip(), match.start(), min(match.end() + 1, stop), stop))
    return found
