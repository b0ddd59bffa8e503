"""Values given to a suspicious name, where they look like secrets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ecm_agent.redaction import values
from ecm_agent.redaction.names import Named, suspicious

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEME = re.compile(r"(?i:bearer|basic|token|digest|apikey|negotiate|bot)[ ]+")
QUOTE = re.compile(r"[@bfrBFRuU$]{0,2}(\\{0,3}+)(\"\"\"|'''|[\"'`])")
INSIDE = {
    '"': re.compile(r"(?:[^\"\\\n]|\\[^\n])*+"),
    "'": re.compile(r"(?:[^'\\\n]|\\[^\n])*+"),
    "`": re.compile(r"(?:[^`\\\n]|\\[^\n])*+"),
}
BARE = re.compile(r"(?:[^\s\"'`<\\;,&|]|\\(?![nrtu\"'\\])|[;,&|](?![;,&|\s\"'\\)\]}]|\Z|[\w.%-]{1,40}+[=:]))*+")
COOKIES = re.compile(r"[^\"'\n\\]*+")
TRAILING = ")]}>,;:.*"
OPEN = ("(", "[", "{", "|", "=", "-")
LINE_START = re.compile(r"[ \t>+*\-|]*+(?:export |set |env |ENV |ARG )?[\w.\-\"'`*]*+")
LONGEST = 4_096  # characters of a value in escaped or triple quotes


def spans(text: str) -> Iterator[tuple[int, int]]:
    for named in suspicious(text):
        quote = QUOTE.match(text, named.value)
        if found := quoted(text, named, quote) if quote else bare(text, named):
            yield found


def quoted(text: str, named: Named, quote: re.Match[str]) -> tuple[int, int] | None:
    start = quote.end()
    end = closing(text, quote)
    if scheme := SCHEME.match(text, start, end):
        start = scheme.end()
    value = text[start:end]
    if values.is_reference(value) or not is_quoted_secret(named, value):
        return None
    return start, end


def closing(text: str, quote: re.Match[str]) -> int:
    """Tell where a quoted value ends: at the same quote, or with its line."""
    escapes, mark = quote.groups()
    if not escapes and len(mark) == 1:
        inside = INSIDE[mark].match(text, quote.end())
        return inside.end() if inside else quote.end()
    line = text.find("\n", quote.end(), quote.end() + LONGEST) if len(mark) == 1 else -1
    stop = line if line >= 0 else quote.end() + LONGEST
    end = text.find(escapes + mark, quote.end(), stop)
    while end > 0 and escapes and text[end - 1] == "\\":
        end = text.find(escapes + mark, end + 1, stop)
    return end if end >= 0 else min(stop, len(text))


def is_quoted_secret(named: Named, value: str) -> bool:
    lower = value.lower().strip()
    if lower in values.WORDS or lower == named.word or (" " in lower and named.word in lower):
        return False
    if not named.sign:
        return values.is_mixed(value) or not values.IDENTIFIER.fullmatch(value) and " " not in value
    if named.strong:
        return len(value) >= values.SHORTEST
    if named.word == "cookie" and "=" in value:
        return True
    if " " in value:
        return False
    return (
        values.is_token(value)
        if named.word != "key"
        else values.is_random(value) and not values.GENERATED.fullmatch(value)
    )


def bare(text: str, named: Named) -> tuple[int, int] | None:
    start = named.value
    if scheme := SCHEME.match(text, start):
        start = scheme.end()
        named = named._replace(strong=True, sign="option")
    shape = COOKIES if named.word == "cookie" and named.sign == ":" else BARE
    match = shape.match(text, start)
    run = match[0] if match else ""
    value = run.rstrip(TRAILING)
    if (
        not value
        or value.startswith(OPEN)
        or values.is_reference(value)
        or values.is_reference(run)
        or value.lower() in values.WORDS
        or values.is_code(run)
    ):
        return None
    end = start + len(value)
    return (start, end) if is_bare_secret(text, named, value, run, end) else None


def is_bare_secret(text: str, named: Named, value: str, run: str, end: int) -> bool:
    if named.word == "cookie" and "=" in value:
        return True
    if not named.sign:
        return values.is_mixed(value) and not values.NUMBERED.fullmatch(value) and len(value) >= values.SHORTEST
    if not named.strong:
        return values.is_random(value) and not (named.word == "key" and values.GENERATED.fullmatch(value))
    if len(value) < values.SHORTEST:
        return False
    if named.shouted or named.sign == "option":
        return True
    if not values.IDENTIFIER.fullmatch(value) or values.is_mixed(value):
        return not values.NUMBERED.fullmatch(value) or named.sign != ":" or True
    if named.word in value.lower() or text[end : end + 1] in {",", ")", ";", "(", "["} and named.sign != "=":
        return False
    if named.sign == ":":
        return is_line(text, named, end)
    return text[end : end + 1] not in {",", ")"}


def is_line(text: str, named: Named, end: int) -> bool:
    """Tell whether the name and its value have a line to themselves, as in a settings file."""
    line = text.rfind("\n", max(0, named.start - 200), named.start) + 1
    return bool(LINE_START.fullmatch(text, line, named.start)) and (end == len(text) or text[end] in "\r\n")
