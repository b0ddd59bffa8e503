"""Fenced code, under every reading that a reader could have: what is code under one of them is code."""

from __future__ import annotations

import re
from bisect import bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ecm_agent.redaction.blocks import Block

RUNS = (re.compile(r"```[^\n]*+"), re.compile(r"~~~[^\n]*+"))
PREFIX = re.compile(r"(?:[ \t>]|(?:[-*+]|\d{1,9}+[.)])[ \t])*+")
ON_ONE_LINE = re.compile(r"(`{3,}+)[^`\n]++\1")
BEGINS = ("`", "~", "[", ">")  # what at the start of a line could be more than text
DEEPER = 3  # columns that a closing fence may stand right of its opening one


class Fence(NamedTuple):
    """A line that opens or closes fenced code."""

    start: int  # of the line
    end: int  # of the line, before its newline
    mark: str  # its run of backticks or tildes
    info: bool  # something follows, so that it can only open
    prefix: str

    @property
    def is_quoted(self) -> bool:
        return ">" in self.prefix

    def closes(self, opening: Fence) -> bool:
        return (
            not self.info
            and self.mark.startswith(opening.mark)
            and self.prefix.strip(" \t>") == ""
            and len(self.prefix) <= len(opening.prefix) + DEEPER
        )


def spans(text: str, blocks: Sequence[Block]) -> Iterator[tuple[int, int]]:
    """Give the fenced code of `text`, fences included, whole lines; in no order, and overlapping between readings."""
    fenced = lines(text)
    if not fenced:
        return
    groups: dict[int, list[Fence]] = {}
    starts = [block.start for block in blocks]
    for line, match in fenced:
        block = bisect_right(starts, match.start()) - 1
        if not blocks[block].is_prose:
            continue
        if "`" in match[0].lstrip("`") and match[0][0] == "`":
            if single := ON_ONE_LINE.match(text, match.start()):
                rest = text[single.end() : match.end()].lstrip()
                yield line, match.end() if rest[:1] in BEGINS else single.end()
            continue
        groups.setdefault(block, []).append(fence(match, line))
    for block, group in groups.items():
        yield from in_block(group, blocks[block].end)
    yield from across(groups.values())


def lines(text: str) -> list[tuple[int, re.Match[str]]]:
    """Give each run of fence characters that begins a line, after where its line starts."""
    found = []
    for pattern in RUNS:
        before = 0
        for match in pattern.finditer(text):
            start = match.start()
            line = text.rfind("\n", before, start) + 1 or before
            before = match.end()
            if line == start or PREFIX.fullmatch(text, line, start):
                found.append((line, match))
    return sorted(found, key=itemgetter(0))


def fence(match: re.Match[str], line: int) -> Fence:
    run = match[0]
    mark = run[: len(run) - len(run.lstrip(run[0]))]
    return Fence(line, match.end(), mark, bool(run[len(mark) :].strip()), match.string[line : match.start()])


def read(fences: Iterable[Fence], stack: list[Fence], *, nests: bool) -> Iterator[tuple[int, int]]:
    """Give the code between fences, from the outermost ones in `stack` on, where those that stay open are left.

    With `nests`, a fence with an info string inside fenced code opens again and needs its own end.
    """
    for each in fences:
        if stack and stack[0].is_quoted and not each.is_quoted:  # the quotation is over, and its code with it
            yield stack[0].start, each.start - 1
            stack.clear()
        if stack and each.closes(stack[-1]):
            opening = stack.pop()
            if not stack:
                yield opening.start, each.end
        elif not stack or (nests and each.info):
            stack.append(each)


def in_block(fences: Sequence[Fence], end: int) -> Iterator[tuple[int, int]]:
    """Read a block of the conversation for itself, as Markdown is read, and as one that nests."""
    plain: list[Fence] = []
    nested: list[Fence] = []
    as_markdown = list(read(fences, plain, nests=False))
    yield from read(fences, nested, nests=True)
    if plain and not nested:  # every fence has its end only if they nest: so they do
        return
    yield from as_markdown
    yield from ((stack[0].start, end) for stack in (plain, nested) if stack)


def across(groups: Iterable[Sequence[Fence]]) -> Iterator[tuple[int, int]]:
    """Read what looks like a marker inside fenced code as code.

    Where the next fence opens, or none comes, the one before the marker was just never closed.
    """
    stack: list[Fence] = []
    for fences in groups:
        if stack:
            opening = stack[0]
            following = next((each for each in fences if each.info or each.closes(opening)), None)
            if following and following.info:
                stack.clear()
        if stack or not nests(fences):
            yield from read(fences, stack, nests=False)


def nests(fences: Sequence[Fence]) -> bool:
    stack: list[Fence] = []
    for _ in read(fences, stack, nests=True):
        pass
    return not stack
