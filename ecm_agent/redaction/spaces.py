"""Where a path ends that goes on behind a space: at a closing quote, where it is cut off, or not at the first word.

No more than some hundred characters behind a path are looked at, or none twice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ecm_agent.redaction.extents import BODY, OUTSIDE, trimmed

if TYPE_CHECKING:
    from ecm_agent.redaction.extents import Run

_QUOTES = "\"'`"
_LONGEST_QUOTED = 260
_NOT_QUOTED = re.compile(r"[\n\r<>|;$={}]| -|\\[nrt]|://|\[REDACTED_")
_LINE_END = re.compile(r"[\n\r\"`]|\\[nrt]|\[REDACTED_")
_SENTENCE = re.compile(r"[.!?,:] ")
_MOST_WORDS = 3
_ABSOLUTE = re.compile(r"\\?/|~|\$|%\w|file:|[A-Za-z]:|\\\\")
_EXTENSION = re.compile(r"\.[A-Za-z]\w{0,7}\Z")
_CAPITALISED = re.compile(rf"(?P<words>(?: [^\W\d_]\w{{0,40}}){{1,3}})/(?P<next>[^{OUTSIDE}/\\]*+){BODY}")


def spaced_end(text: str, run: Run) -> int:
    """Give the end of a path that may go on behind a space."""
    mark = text[run.start - 1 : run.start]
    if mark and mark in _QUOTES and (end := _quoted_end(text, run, mark)):
        return end
    return _over_spaces(text, run) if run.end == run.resume and text[run.start] in "/~" else run.end


def _quoted_end(text: str, run: Run, mark: str) -> int | None:
    """Give the end of what is in quotes: the closing one or, if it is cut off, the end of the line or the text."""
    furthest = run.resume + _LONGEST_QUOTED
    close = text.find(mark, run.resume, furthest)
    if close < 0 or _NOT_QUOTED.search(text, run.resume, close):
        cut = _LINE_END.search(text, run.resume, furthest)
        close = cut.start() if cut else len(text)
        if close > furthest or text[close : close + 1] == mark or _SENTENCE.search(text, run.resume, close):
            return None
        if _NOT_QUOTED.search(text, run.resume, close):
            return None
    close -= text[close - 1] == "\\"
    rest = text[run.resume : close]
    goes_on = "/" in rest or "\\" in rest or _EXTENSION.search(rest[-9:]) is not None
    if goes_on or (_ABSOLUTE.match(text, run.start) and rest.count(" ") <= _MOST_WORDS):
        return close
    return None


def _over_spaces(text: str, run: Run) -> int:
    """Give the end of a path whose folders have capitalised names of several words: `/Volumes/My Disk/x`.

    Small words behind a space are rather the sentence that goes on: `copied /etc/hosts and src/a.py`.
    """
    end = run.end
    while found := _CAPITALISED.match(text, end):
        name = text[text.rfind("/", run.start, end) + 1 : end]
        words = found["words"].split()
        is_shouted = words[-1].isupper() and found["next"].isupper()
        if not (name[:1].isupper() and name.isalnum()) or is_shouted or not all(word[0].isupper() for word in words):
            break
        end = trimmed(text, end, found.end())
        if end < found.end():
            break
    return end
