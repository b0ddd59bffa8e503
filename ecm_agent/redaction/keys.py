"""Private keys: the whole block, on lines or escaped in a string, cut off at either end or not."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 32_768  # characters between BEGIN and END; a 16,384-bit RSA key takes 13,000
BREAK = r"(?:\\{1,4}+[rn]|\r?\n)"
GUTTER = r"(?:[ \t>|+\-]{0,40}+(?:\d{1,6}+[ \t→:|]{1,4}+)?[ \t\"'`+]{0,8}+)"
HEADER = rf"(?:[A-Z][A-Za-z-]{{2,24}}+: [^\n\\]{{1,200}}+{BREAK}{GUTTER})"
LINE = r"[A-Za-z0-9+/]{24,}+={0,2}+[ \t\"'`,;+]{0,8}+"
LAST = r"[A-Za-z0-9+/]{1,76}+={0,2}+(?![^\s\\\"'`,;])"
CHECK = rf"(?:{BREAK}{GUTTER}=[A-Za-z0-9+/]{{4}})?"

KIND = r"(?:[A-Z0-9]{2,12}+ ){0,3}?(?:PRIVATE|SECRET) KEY(?: BLOCK)?-----"
SSH2 = "SSH2 ENCRYPTED PRIVATE KEY ----"
BEGIN = re.compile(rf"-----BEGIN {KIND}|---- BEGIN {SSH2}")
END = re.compile(rf"-----END {KIND}|---- END {SSH2}")
BODY = re.compile(
    rf"(?:{BREAK}{GUTTER}|[ \t]++)?{HEADER}{{0,8}}+"
    rf"(?:{BREAK}{GUTTER})*+(?:{LINE}(?:{BREAK}{GUTTER})?)*+(?:{LAST})?{CHECK}"
)
BREAKS = re.compile(BREAK)
ALONE = re.compile(rf"{GUTTER}[A-Za-z0-9+/]{{1,76}}+={{0,2}}+[ \t\"'`,;+]{{0,8}}+")
AROUND = " \t\r\n\"'`,;+"
PUTTY = re.compile(r"Private-Lines: \d++")


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Give every private key, with its BEGIN and END lines where it has them."""
    if "PRIVATE KEY" in text or "SECRET KEY" in text:
        yield from blocks(text)
    if "Private-Lines: " in text:
        for match in PUTTY.finditer(text):
            yield match.end(), filled(text, match.end())


def blocks(text: str) -> Iterator[tuple[int, int]]:
    ends = [match.span() for match in END.finditer(text)]
    begins = [match.span() for match in BEGIN.finditer(text)]
    marks = sorted([(span, True) for span in begins] + [(span, False) for span in ends])
    done = 0
    for ((start, stop), opens), following in zip_longest(marks, marks[1:]):
        if opens and following and not following[1] and following[0][0] - stop <= LONGEST:
            done = following[0][1]
            yield start, done
        elif opens:
            done = filled(text, stop)
            yield start, done
        elif start >= done:
            yield headless(text, max(done, start - LONGEST), start), stop
            done = stop


def filled(text: str, start: int) -> int:
    """Tell where the lines of a key that has no end stop."""
    match = BODY.match(text, start)
    return start + len(match[0].rstrip(AROUND)) if match else start


def headless(text: str, start: int, end: int) -> int:
    """Tell where the lines of a key that has no beginning start, seen from its END line."""
    first = end
    before = end
    for found in reversed([*BREAKS.finditer(text, start, end)]):
        if before < end and not ALONE.fullmatch(text, found.end(), before):
            return first
        first = found.end()
        before = found.start()
    return start if before < end and ALONE.fullmatch(text, start, before) else first
