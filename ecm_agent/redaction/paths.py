"""Where the paths in a text are, and the names of the people whose paths they are.

A text is read once, from separator to separator (`/`, a backslash, `%2F`, `%5C`): `extents` measures the run of
characters around each, `shapes` judges it. What was measured is never measured again, so the time is linear whatever
the text. Line numbers after a path (`:12:3`, `(12,3)`, `#L12`) and punctuation stay. Of a URL, and of anything else
with slashes that is no path, only what a known name, a home directory or a project begins is taken, to its end.
"""

from __future__ import annotations

import re
import unicodedata
from operator import itemgetter
from typing import TYPE_CHECKING
from urllib.parse import quote

from ecm_agent.redaction.extents import SEPARATOR, Run, is_boundary, path_end, run_at, trimmed
from ecm_agent.redaction.known import AMBIGUOUS, casings, slugs, writings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ecm_agent.redaction.known import Known

Span = tuple[int, int]

_TOKEN = "[REDACTED_PATH]"  # noqa: S105 - what stands for a path
_QUOTES = "\"'`"
_LONGEST_QUOTED = 260
_NOT_QUOTED = re.compile(r"[\n\r<>|;$={}]| -|\\[nrt]|://|\[REDACTED_")
_MOST_WORDS = 3
_ABSOLUTE = re.compile(r"\\?/|~|\$|%\w|file:|[A-Za-z]:|\\\\")
_EXTENSION = re.compile(r"\.[A-Za-z]\w{0,7}\Z")
_HOMES = ("Users", "home")
_SLUG_TAIL = re.compile(r"[\w.~+@%-]*+")


class PathFinder:
    """Finds paths and names. `known` is read once, here: what it learns later is not found."""

    def __init__(self, known: Known) -> None:
        self._names = _any_of({variant for name in known.names for variant in _variants(name)})
        self._slugs = frozenset(slug for path in known.paths for slug in slugs(path) if len(slug) > len("-x-"))
        first = {slug.split("-")[1] for slug in self._slugs if slug.startswith("-")} - {*_HOMES, ""}
        self._slug = re.compile(rf"-({'|'.join([*_HOMES, *map(re.escape, sorted(first))])})-")
        forms = {form for path in known.paths for form in writings(path)}
        self._in_url = re.compile("|".join([r"(?:/|%2[Ff])(?:home|Users)(?:/|%2[Ff])[^/%]", *_longest_first(forms)]))
        self._longer = _by_run(forms)

    def spans(self, text: str) -> list[Span]:
        """Give the places of paths and names: half-open, sorted, apart from each other."""
        hits = sorted(self._hits(text))
        spans = list(hits)
        search, longer = SEPARATOR.search, self._longer
        position = passed = taken = 0
        while found := search(text, position):
            run = run_at(text, found.start(), found.end(), position)
            if longer and (end := self._known_end(text, run)):
                run = Run(run.start, end, end, is_path=True)
            if run.is_path:
                end = _quoted_end(text, run) if text[run.resume : run.resume + 1] in (" ", ",", "(") else run.end
                # A drive's letter and a scheme are looked for in what came before, which may have been a path.
                spans.append((max(run.start, taken), end))
                taken = end
                position = max(run.resume, end)
                continue
            position = run.resume
            if run.is_url and (part := self._in_url.search(text, run.start, run.end)):
                spans.append((part.start(), _rest_end(text, run)))
            while passed < len(hits) and hits[passed][0] < run.start:
                passed += 1
            if passed < len(hits) and hits[passed][0] < run.end:
                spans.append((hits[passed][0] if run.is_url else run.start, _rest_end(text, run)))
        return _merged(spans) if hits else spans

    def _hits(self, text: str) -> Iterator[Span]:
        """Find the names and slugs, whatever stands around them."""
        if self._names:
            for found in self._names.finditer(text):
                start, end = found.span()
                if _stands_alone(text, start, end) and (found[0].lower() not in AMBIGUOUS or _is_account(text, start, end)):
                    yield start, end
        passed = 0
        for found in self._slug.finditer(text):
            if found.start() >= passed and (slug := self._slug_span(text, found)):
                passed = slug[1]
                yield slug

    def _slug_span(self, text: str, head: re.Match[str]) -> Span | None:
        start = head.start()
        if start > 1 and text[start - 1] == "-" and text[start - 2].isalpha() and is_boundary(text, start - 2):
            start -= 2
        elif start and not _may_begin_slug(text, start):
            return None
        is_home = head[1] in _HOMES
        if not is_home and not any(text.startswith(slug, start) for slug in self._slugs):
            return None
        end = _SLUG_TAIL.match(text, head.end()).end()  # type: ignore[union-attr] # it matches the empty text at least
        return start, trimmed(text, start, end)

    def _known_end(self, text: str, run: Run) -> int | None:
        """Give the end of a known path of which the run is only the beginning: a path that holds spaces, for example."""
        for form in self._longer.get(text[run.start : run.resume], ()):
            if text.startswith(form, run.start):
                end = run.start + len(form)
                if not text[end : end + 1].isalnum():
                    return path_end(text, end)
        return None


def _rest_end(text: str, run: Run) -> int:
    """Give the end of what a name begins: punctuation stays behind only where nothing follows it."""
    return run.end if text[run.resume : run.resume + 1].strip() == "" else run.resume


def _quoted_end(text: str, run: Run) -> int:
    """Give the end of a path in quotes that goes on behind a space, to the closing quote."""
    mark = text[run.start - 1 : run.start]
    if not mark or mark not in _QUOTES:
        return run.end
    close = text.find(mark, run.resume, run.resume + _LONGEST_QUOTED)
    if close < 0 or _NOT_QUOTED.search(text, run.resume, close):
        return run.end
    close -= text[close - 1] == "\\"
    rest = text[run.resume : close]
    goes_on = "/" in rest or "\\" in rest or _EXTENSION.search(rest[-9:]) is not None
    if goes_on or (_ABSOLUTE.match(text, run.start) and rest.count(" ") <= _MOST_WORDS):
        return close
    return run.end


def _may_begin_slug(text: str, at: int) -> bool:
    if text[at - 1].isalnum():
        return text[max(0, at - 2) : at - 1] == "\\"
    return text[at - 1] != "-" and not text.endswith(_TOKEN, 0, at)


def _stands_alone(text: str, start: int, end: int) -> bool:
    return is_boundary(text, start) and not text[end : end + 1].isalnum()


def _is_account(text: str, start: int, end: int) -> bool:
    return text[max(0, start - 1) : start] == "~" or text[end : end + 1] == "@"


def _variants(name: str) -> Iterator[str]:
    for variant in casings(name):
        yield variant
        yield unicodedata.normalize("NFC", variant)
        yield unicodedata.normalize("NFD", variant)
        yield quote(variant, safe="")


def _longest_first(literals: Iterable[str]) -> list[str]:
    return [re.escape(literal) for literal in sorted(literals, key=lambda literal: (-len(literal), literal))]


def _any_of(literals: set[str]) -> re.Pattern[str] | None:
    return re.compile("(?:" + "|".join(_longest_first(literals)) + ")") if literals else None


def _by_run(forms: set[str]) -> dict[str, list[str]]:
    """Sort known paths that are no single run by the run they begin with, the longest first."""
    longer: dict[str, list[str]] = {}
    for form in sorted(forms, key=len, reverse=True):
        found = SEPARATOR.search(form)
        if found and (run := run_at(form, found.start(), found.end(), 0)).resume < len(form):
            longer.setdefault(form[run.start : run.resume], []).append(form)
    return longer


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans, key=itemgetter(0)):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
