"""Where the paths in a text are, and the names of the people whose paths they are.

A text is read once, from separator to separator (`/`, a backslash, `%2F`, `%5C`): `extents` measures the run of
characters around each, `shapes` judges it. What was measured is never measured again, so the time is linear whatever
the text. Line numbers after a path (`:12:3`, `(12,3)`, `#L12`) and punctuation stay. Of a URL only
what a known name, a home directory or a project begins is taken, to its end.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import quote

from ecm_agent.redaction.extents import LETTER, SEPARATOR, Run, is_boundary, path_end, run_at, trimmed
from ecm_agent.redaction.known import AMBIGUOUS, casings, slugs, writings
from ecm_agent.redaction.spaces import spaced_end
from ecm_agent.redaction.tokens import PATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ecm_agent.redaction.known import Known

Span = tuple[int, int]

MOST_STARTS = 100_000
"""Real conversations have some thousands in a million characters; this many take less than half a second."""

_SEPARATORS = frozenset("/\\%")
_GOES_ON = frozenset(" ,(")
_HOME_IN_URL = r"/(?:home|Users)(?:/|%2[Ff])[^/%]|%2[Ff](?:home|Users)(?:/|%2[Ff])[^/%]|-(?:Users|home)-|file:/"
_HOMES = ("Users", "home")
_SLUG_TAIL = re.compile(rf"(?:[\w.~+@%-]|\\{{1,4}}{LETTER})*+")


class PathFinder:
    """Finds paths and names. `known` is read once, here: what it learns later is not found."""

    def __init__(self, known: Known) -> None:
        names = _longest_first({variant for name in known.names for variant in _variants(name)})
        self._slugs = tuple(sorted({slug for path in known.paths for slug in slugs(path) if slug[:1] == "-"}))
        folders = sorted({slug.split("-")[1] for slug in self._slugs} - {*_HOMES, ""})
        heads = [f"-{re.escape(folder)}-" for folder in [*_HOMES, *folders]]
        self._named = re.compile("|".join([*heads, *names]))
        # Every branch starts with a literal, so that `re` looks for their first characters in one sweep.
        self._start = re.compile("|".join([SEPARATOR, *heads, *names]))
        forms = {form for path in known.paths for form in writings(path)}
        self._in_url = re.compile("|".join([_HOME_IN_URL, *_longest_first(forms), *names]))
        self._longer = _by_run(forms)

    def spans(self, text: str) -> list[Span]:
        """Give the places of paths and names: half-open, sorted, apart from each other.

        In a text with more than `MOST_STARTS` places where a path could be, which no conversation is, all that comes
        after them is one span.
        """
        spans: list[Span] = []
        search = self._start.search
        position = floor = starts = 0
        while found := search(text, position):
            at, position = found.span()
            if text[at] in _SEPARATORS:
                run = run_at(text, at, position, floor)
                position = floor = self._take(text, at, run, spans)
            elif hit := self._hit(text, at, position):
                _append(spans, *hit)
                position = hit[1]
            starts += 1
            if starts >= MOST_STARTS:
                _append(spans, position, len(text))
                break
        return spans

    def _take(self, text: str, at: int, run: Run, spans: list[Span]) -> int:
        """Add what of a run has to go to the spans; give the place to search on from."""
        if self._longer and (end := self._known_end(text, run)):
            run = Run(run.start, end, end, is_path=True)
        if run.is_path:
            end = spaced_end(text, run) if text[run.resume : run.resume + 1] in _GOES_ON else run.end
            _append(spans, run.start, end)
            return max(run.resume, end)
        if run.is_url:
            if part := self._in_url.search(text, at, run.end):
                _append(spans, part.start(), _rest_end(text, run))
        else:
            return self._take_names(text, at, run, spans)
        return run.resume

    def _take_names(self, text: str, at: int, run: Run, spans: list[Span]) -> int:
        """Take the whole of a run that is no path but names somebody; give the place to search on from."""
        if spans and spans[-1][1] > run.start:
            _append(spans, run.start, _rest_end(text, run))
        for found in self._named.finditer(text, at, run.end):
            if hit := self._hit(text, *found.span()):
                _append(spans, run.start, max(hit[1], _rest_end(text, run)))
        return max(run.resume, spans[-1][1]) if spans else run.resume

    def _hit(self, text: str, start: int, end: int) -> Span | None:
        """Give the span of a name, or of the slug whose head this is."""
        if text[start] == "-":
            return self._slug_span(text, start, end)
        return (start, end) if _names_someone(text, start, end) else None

    def _slug_span(self, text: str, start: int, end: int) -> Span | None:
        """Give the whole of a slug such as `-Users-mira-acme` or `C--Users-mira`, of which only the head is known."""
        is_home = text[start + 1 : end - 1] in _HOMES
        if not is_home and not text.startswith(self._slugs, start):
            return None
        if start > 1 and text[start - 1] == "-" and text[start - 2].isalpha() and _is_drive(text, start - 2):
            start -= 2
        elif start and not _may_begin_slug(text, start):
            return None
        end = _SLUG_TAIL.match(text, end).end()  # type: ignore[union-attr] # it matches the empty text at least
        return start, trimmed(text, start, end)

    def _known_end(self, text: str, run: Run) -> int | None:
        """Give the end of a known path of which the run is only the beginning, having spaces."""
        for form in self._longer.get(text[run.start : run.resume], ()):
            if text.startswith(form, run.start):
                end = run.start + len(form)
                if not text[end : end + 1].isalnum():
                    return path_end(text, end)
        return None


def _rest_end(text: str, run: Run) -> int:
    """Give the end of what a name begins: punctuation stays behind only where nothing follows it."""
    return run.end if text[run.resume : run.resume + 1].strip() == "" else run.resume


def _is_drive(text: str, at: int) -> bool:
    return is_boundary(text, at) and text[max(0, at - 1) : at] != "\\"


def _may_begin_slug(text: str, at: int) -> bool:
    if text[at - 1].isalnum():
        return text[max(0, at - 2) : at - 1] == "\\"
    return text[at - 1] != "-" and not text.endswith(PATH, 0, at)


def _names_someone(text: str, start: int, end: int) -> bool:
    """Say whether a name stands alone as a word, or as an account if it is an ordinary word as well."""
    if text[end : end + 1].isalnum() or not is_boundary(text, start):
        return False
    return text[start:end].lower() not in AMBIGUOUS or _is_account(text, start, end)


def _is_account(text: str, start: int, end: int) -> bool:
    return text[max(0, start - 1) : start] == "~" or text[end : end + 1] == "@"


def _variants(name: str) -> Iterator[str]:
    for variant in casings(name):
        yield variant
        yield unicodedata.normalize("NFC", variant)
        yield unicodedata.normalize("NFD", variant)
        yield quote(variant, safe="")
        yield json.dumps(variant)[1:-1]


def _longest_first(literals: Iterable[str]) -> list[str]:
    return [re.escape(literal) for literal in sorted(literals, key=lambda literal: (-len(literal), literal))]


def _by_run(forms: set[str]) -> dict[str, list[str]]:
    """Sort known paths that are no single run by the run they begin with, the longest first."""
    longer: dict[str, list[str]] = {}
    separator = re.compile(SEPARATOR)
    for form in sorted(forms, key=len, reverse=True):
        found = separator.search(form)
        if found and (run := run_at(form, found.start(), found.end(), 0)).resume < len(form):
            longer.setdefault(form[run.start : run.resume], []).append(form)
    return longer


def _append(spans: list[Span], start: int, end: int) -> None:
    """Add a span; one that begins before the last one ends becomes one with it."""
    while spans and spans[-1][1] > start:
        last_start, last_end = spans.pop()
        start, end = min(start, last_start), max(end, last_end)
    if end > start:
        spans.append((start, end))
