"""How far a path reaches: what surrounds a separator in a text, from the first character of the path to its last.

Each function is given the place of a separator and looks at no character before `floor` (with the exception of a
drive's letter and a scheme), so that characters are visited once however many separators a text has.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from ecm_agent.redaction.shapes import TYPOGRAPHIC, looks_like_list, looks_like_path
from ecm_agent.redaction.tokens import MARK


class Run(NamedTuple):
    """Characters around a separator: `[start, end)` may be a path; the text is to be searched on from `resume`."""

    start: int
    end: int
    resume: int
    is_path: bool
    is_url: bool = False


OUTSIDE = "\\s\\x00-\\x1f\"'`<>|,;:()\\[\\]{}" + TYPOGRAPHIC
"""What no path holds, as far as can be told; brackets are let in again in pairs."""
_BEFORE = frozenset(
    " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2028\u2029\u202f\u3000\"'`<>|,;:()[]{}=*?!&^" + TYPOGRAPHIC
)
"""What ends the search for a first component, going backwards."""

_SIGN = r"(?:00(?:[01]|2[27]|3[CcEe]|[Aa][0Bb]|[Bb]{2})|20[0-6]|250|30[01]|[Ff]{2}[01])"
LETTER = rf"u(?!{_SIGN})[0-9A-Fa-f]{{4}}"
r"""A letter as JSON may write it, behind its backslash (`\u00eb`): no quote and no other sign that ends a path."""
_PUNCTUATION = re.compile(rf"\\{{1,4}}+u(?={_SIGN})[0-9A-Fa-f]{{4}}")
_INNER = r"[^\s\"'`<>()\[\]{}\\]*+"
_PAIR = rf"(?:\({_INNER}\)|\[(?!REDACTED_){_INNER}\]|\{{{_INNER}\}})"
_FLAT_PAIR = _PAIR.replace("[^", "[^/")
"""A pair of brackets with no path in it, which could be replaced and would leave the pair open."""
BODY = rf"[^{OUTSIDE}\\]*+(?:(?:\\{{1,4}}+(?:[ ()'&/\]]|\[(?!REDACTED_)|{LETTER})|{_PAIR})[^{OUTSIDE}\\]*+)*+"
SEPARATOR = rf"/{BODY}|\\(?![\"'\s]|\\{{0,3}}{LETTER})|%2[Ff]|%5[Cc]"
"""A separator and, after a slash, the rest of the run."""

_POSIX = re.compile(BODY)
_MIXED = re.compile(rf"[^{OUTSIDE}]*+(?:{_PAIR}[^{OUTSIDE}]*+)*+")
_SINGLE = re.compile(rf"[^{OUTSIDE}/]*+(?:{_FLAT_PAIR}[^{OUTSIDE}/]*+)*+")
_DOUBLED = re.compile(rf"(?:\\\\)++[^{OUTSIDE}\\]*+(?:(?:(?:\\\\)++|\\{LETTER}|{_PAIR})[^{OUTSIDE}\\]*+)*+")
_ENCODED = re.compile(rf"(?:[^{OUTSIDE}&=?\\$]|\$(?!\{{))*+")
_URL = re.compile(rf"[^{OUTSIDE}\\:]*+(?:(?:\\/|:|{_FLAT_PAIR.replace('/', '/%')})[^{OUTSIDE}\\:]*+)*+")
_LOCAL_URL = re.compile(rf"(?:\\?/){{2,5}}(?:[A-Za-z](?::|%3[Aa]|\|))?{BODY}")
_BRACKET = re.compile(r"\$?[(\[{]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9]*\Z")
_LOCAL_SCHEMES = frozenset(
    ("cursor", "editor", "file", "idea", "insiders", "sqlite", "txmt", "unix", "vim", "vscode", "webstorm")
)
_LONGEST_SCHEME = 24

_SHARE = re.compile(r"\\\\(?:[?.]\\(?!\\)|[\w.$-]{2,255}\\(?:(?!\\)[\w$]|\Z))")
_SHARE_DOUBLED = re.compile(r"\\\\\\\\(?:[?.]\\\\(?!\\)|[\w.$-]{2,255}\\\\(?:(?!\\)[\w$]|\Z))")
_DEVICE = re.compile(r"(?:\\\\[?.]\\|\\\\\\\\[?.]\\\\)(?:[A-Za-z]:)?")
_WORD = r" [\w()+&@~#$'-]{1,40}"
_SPACED = re.compile(rf"(?:{_WORD}(?:\.[\w-]{{1,40}})*){{1,4}}(?=[\\/])|(?:{_WORD}){{1,4}}\.[A-Za-z]\w{{1,4}}(?![\w.])")
_WITH_EXTENSION = re.compile(r".{0,255}\.[A-Za-z]\w{0,4}\Z")
_WORTH_REMEMBERING = 256
_LONGEST_NAME = 255
_POSITION = re.compile(r"(?:\(\d{1,9}(?:,\d{1,9})?\)|#L\d{1,9}(?:-L?\d{1,9})?)\Z")
_TRAILING = ".!?&$%#"
_ESCAPES = ("\\n", "\\r", "\\t")
_WITHIN_PATH = frozenset("/\\.-_~@")
_VARIABLE = re.compile(r"\$\{\w{1,60}\}\Z")
_SHELL_VARIABLE = "$env:"
_LINE_HEAD = re.compile(r"(?:\A|\n|\\[nrt])[ \t\u2500-\u257f]*(?:[A-Za-z?]{1,2}[ \t]+)?\Z")
_LONGEST_HEAD = 64
_ANCHOR = re.compile(r"\.{1,2}\Z|~|%\w+%\Z|\$\{?\w")


def run_at(text: str, at: int, end: int, floor: int) -> Run:
    """Measure and judge the run around the separator at `at`, `end` being where `SEPARATOR` stopped."""
    separator = text[at]
    if separator == "\\":
        return _at_backslash(text, at, floor)
    start = _first_component(text, at, floor)
    if separator == "%":
        end = _ENCODED.match(text, at).end()  # type: ignore[union-attr] # it matches the empty text at least
        return _judged(text, start, end)
    if start == at and at:
        before = text[at - 1]
        if before == ":":
            return _after_colon(text, at, end, floor)
        if before == "<" and text.find("/", at + 1, end) < 0:
            return Run(start, end, end, is_path=False)
        if before == "}":
            start = _variable_before(text, at, floor)
    elif text[start] in "+-":
        # `-I/usr/include`, and the first column of a diff
        is_option = text[start + 1 : at].isalpha() and start + 1 == at - 1
        start = at if is_option else start + 1
    return _judged(text, start, end)


def _judged(text: str, start: int, end: int) -> Run:
    stop = trimmed(text, start, end)
    judge = _remembered if stop - start < _WORTH_REMEMBERING else looks_like_path
    token = text[start:stop]
    is_path = judge(token) and (token[:1] == "/" or not looks_like_list(token) or _has_line(text, start, stop))
    return Run(start, stop, end, is_path)


_remembered = lru_cache(maxsize=1 << 14)(looks_like_path)
"""The same paths come again and again."""


def _has_line(text: str, start: int, end: int) -> bool:
    """Say whether a run has a line for itself, as in a listing, if behind a letter or two that mark it."""
    if text[end : end + 1] not in "\r\n" and not text.startswith((*_ESCAPES, "</"), end):
        return False
    head = _LINE_HEAD.search(text, max(0, start - _LONGEST_HEAD), start)
    return head is not None and (end < len(text) or not head[0] or head[0][0] in "\\\n")


def path_end(text: str, end: int) -> int:
    """Give the end of a path of which the part before `end` is known already."""
    found = _MIXED.match(text, end)
    return trimmed(text, end, found.end()) if found and found.end() > end else end


def trimmed(text: str, start: int, end: int) -> int:
    """Give the end of a run without the punctuation after it and without a line number."""
    if text.startswith(("\\", MARK), end):
        return end
    stop = start + len(text[start:end].rstrip(_TRAILING)) if text[end - 1] in _TRAILING else end
    if text[stop - 1] == "*" and text[max(start - 1, 0)] == "*":
        stop = start + len(text[start:stop].rstrip("*"))
    if text[stop - 1] in ")0123456789" and (found := _POSITION.search(text, max(start, stop - 24), stop)):
        stop = found.start()
    return stop


def _first_component(text: str, at: int, floor: int) -> int:
    start = at
    while start > floor and (text[start - 1] not in _BEFORE or text[max(floor, start - 2) : start] == "\\ "):
        start -= 1
    return start


def _variable_before(text: str, at: int, floor: int) -> int:
    found = _VARIABLE.search(text, max(floor, text.rfind("$", max(floor, at - 64), at)), at)
    return found.start() if found else at


def _drive_before(text: str, at: int, floor: int) -> int | None:
    """Give the place of the letter of `C:` right before `at`, if it stands alone."""
    if at < 2 or text[at - 1] != ":" or not (text[at - 2].isascii() and text[at - 2].isalpha()):  # noqa: PLR2004 - a letter and a colon
        return None
    if at - 2 < floor and text[max(0, at - 4) : at - 2] not in _ESCAPES:
        return None
    return at - 2 if is_boundary(text, at - 2) and text[at - 3 : at - 2] not in _WITHIN_PATH else None


def is_boundary(text: str, at: int) -> bool:
    r"""Say whether a word can start at `at`: after no letter or digit, or after an escape (`\n`, `%2F`)."""
    if at == 0 or not text[at - 1].isalnum():
        return True
    return (at > 1 and text[at - 2] == "\\") or (at > 2 and text[at - 3] == "%")  # noqa: PLR2004 - `%2F` is three characters


def _after_colon(text: str, at: int, end: int, floor: int) -> Run:
    """Measure what follows `C:`, `https:` or `host:`."""
    drive = _drive_before(text, at, floor)
    if text.startswith(("//", "\\/\\/"), at):
        return _at_url(text, at, floor)
    if drive is not None:
        return _judged(text, drive, _spaced(text, drive, end))
    return _judged(text, at, end)


def _at_url(text: str, at: int, floor: int) -> Run:
    scheme = _SCHEME.search(text, max(floor, at - 1 - _LONGEST_SCHEME), at - 1)
    is_local = scheme is not None and scheme[0].lower() in _LOCAL_SCHEMES
    hostless = text.startswith(("///", "\\/\\/\\/"), at)
    if (is_local or hostless) and (found := _LOCAL_URL.match(text, at)):
        start = scheme.start() if scheme and is_local else at
        return Run(start, trimmed(text, at, found.end()), found.end(), is_path=True)
    end = _URL.match(text, at).end()  # type: ignore[union-attr] # it matches the empty text at least
    end = max(end, at + 1)
    return Run(at, trimmed(text, at, end), end, is_path=False, is_url=True)


def _at_backslash(text: str, at: int, floor: int) -> Run:
    following = text[at + 1 : at + 2]
    if following == "/":
        return _at_escaped_slash(text, at, floor)
    if punctuation := _PUNCTUATION.match(text, at):
        return Run(at, at, punctuation.end(), is_path=False)
    start = _first_component(text, at, floor)
    drive = _drive_before(text, at, floor) if start == at else None
    if drive is None and start == at and (share := _share(text, at)):
        return share
    if (
        drive is None
        and start - len(_SHELL_VARIABLE) >= floor
        and text.startswith(_SHELL_VARIABLE, start - len(_SHELL_VARIABLE))
    ):
        start -= len(_SHELL_VARIABLE)
    is_anchored = drive is not None or _ANCHOR.match(text, start, at) is not None
    if following == "\\":
        end = _DOUBLED.match(text, at).end()  # type: ignore[union-attr] # there are two
    elif not is_anchored and start == at and following in "nrt":
        return Run(at, at, at + 1 + len(following), is_path=False)
    else:
        return _at_single(text, start if drive is None else drive, at, is_anchored=is_anchored)
    start = start if drive is None else drive
    return _judged(text, start, end if drive is None else _spaced(text, drive, end))


def _at_escaped_slash(text: str, at: int, floor: int) -> Run:
    r"""Measure a path of JSON with `\/` for slashes."""
    if text[at - 1 : at] == ":" and text.startswith("\\/\\/", at):
        return _at_url(text, at, floor)
    end = _POSIX.match(text, at + 2).end()  # type: ignore[union-attr] # it matches the empty text at least
    return _judged(text, _first_component(text, at, floor), end)


def _share(text: str, at: int) -> Run | None:
    if not (_SHARE.match(text, at) or _SHARE_DOUBLED.match(text, at)):
        return None
    device = _DEVICE.match(text, at)
    body = device.end() if device else at
    end = _MIXED.match(text, body).end()  # type: ignore[union-attr] # it matches the empty text at least
    end = _spaced(text, at, end)
    return Run(at, trimmed(text, at, end), end, is_path=True)


def _at_single(text: str, start: int, at: int, *, is_anchored: bool) -> Run:
    r"""Measure a run with single backslashes, any of which may be an escape: `src\new.py`, or `one\ntwo` in JSON."""
    end = _SINGLE.match(text, at).end()  # type: ignore[union-attr] # it matches the empty text at least
    if is_anchored:
        end = _MIXED.match(text, end).end() if text[end : end + 1] == "/" else end  # type: ignore[union-attr] # as above
        return _judged(text, start, _spaced(text, start, end) if text[start + 1] == ":" else end)
    resume = end
    if text.startswith(("/", MARK), end):
        cut = max(text.rfind(escape, at, end) for escape in _ESCAPES)
        if cut < 0:
            end = resume = _MIXED.match(text, end).end()  # type: ignore[union-attr] # as above
        else:
            end, resume = cut, cut + 2
    while end - 2 >= at and text[end - 2 : end] in _ESCAPES:
        end -= 2
    if end > at and (run := _judged(text, start, end)).is_path:
        return run._replace(resume=resume)
    # What comes after a line's escaped end is another line, and looked at for itself; so is what is in brackets.
    cut = max(text.rfind(escape, at, resume) for escape in _ESCAPES)
    bracket = _BRACKET.search(text, at, end)
    for stop in (bracket.start() if bracket else -1, cut):
        if stop > at and (run := _judged(text, start, stop)).is_path:
            return run._replace(resume=stop)
    return Run(start, end, max(resume, at + 1), is_path=False) if cut < 0 else Run(start, cut, cut + 2, is_path=False)


def _spaced(text: str, start: int, end: int) -> int:
    r"""Extend a Windows path over spaces: as far as a separator or, from a name without one, an extension follows."""
    while text[end : end + 1] in (" ", "("):
        name = max(
            text.rfind("\\", max(start, end - _LONGEST_NAME), end),
            text.rfind("/", max(start, end - _LONGEST_NAME), end),
        )
        found = _SPACED.match(text, end)
        if not found or _WITH_EXTENSION.match(text, name, end):
            break
        end = found.end()
        if text[end : end + 1] in ("\\", "/"):
            end = _MIXED.match(text, end).end()  # type: ignore[union-attr] # it matches the empty text at least
    return end
