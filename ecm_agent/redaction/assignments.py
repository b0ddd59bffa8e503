"""Values given to a suspicious name, where they look like secrets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ecm_agent.redaction import values
from ecm_agent.redaction.names import WORDS, Named, Names

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
BETWEEN = (" ", ")", ",", ";", "+")  # the quote before it closed a string, as in ask("Password: ")
OPEN = ("(", "[", "{", "|", "=", "-")
LINE_START = re.compile(r"[ \t>+*\-|]*+(?:export |set |env |ENV |ARG )?[\w.\-\"'`*]*+")
LONGEST_LINE = 200  # characters before a name that a setting can have
LONGEST = 4_096  # characters of a value in escaped or triple quotes


class Value(NamedTuple):
    """What a name is given."""

    named: Named
    text: str
    start: int
    is_quoted: bool
    run: str  # the value with the punctuation behind it
    after: str  # the character behind it; "" at the end

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def spans(text: str, plain: bytes) -> Iterator[tuple[int, int]]:
    """Give the secrets that names in `text` are given, in no order; `plain` is it at one byte per character."""
    names = Names(text, plain)
    for word in WORDS:
        at = 0
        while named := names.first(word, at):
            value = value_of(text, named)
            at = max(named.value, value.start + len(value.run))  # names in a value were looked at with it
            if is_secret(text, value):
                yield value.start, value.end


def value_of(text: str, named: Named) -> Value:
    quote = QUOTE.match(text, named.value)
    start = quote.end() if quote else named.value
    if scheme := SCHEME.match(text, start):
        start = scheme.end()
        named = named._replace(strong=True, sign="option")
    if quote:
        end = max(start, closing(text, quote))
        return Value(named, text[start:end], start, is_quoted=True, run=text[start:end], after="")
    match = (COOKIES if named.word == "cookie" and named.sign == ":" else BARE).match(text, start)
    run = match[0] if match else ""
    value = run.rstrip(TRAILING)
    end = start + len(value)
    return Value(named, value, start, is_quoted=False, run=run, after=text[end : end + 1])


def closing(text: str, quote: re.Match[str]) -> int:
    """Tell where a quoted value ends: at the same quote, or with its line."""
    escapes, mark = quote.groups()
    if not escapes and len(mark) == 1:
        inside = INSIDE[mark].match(text, quote.end())
        return inside.end() if inside else quote.end()
    stop = min(quote.end() + LONGEST, len(text))
    if len(mark) == 1:
        line = text.find("\n", quote.end(), stop)
        stop = line if line >= 0 else stop
    end = text.find(escapes + mark, quote.end(), stop)
    while end > 0 and escapes and text[end - 1] == "\\":
        end = text.find(escapes + mark, end + 1, stop)
    return end if end >= 0 else stop


def is_secret(text: str, value: Value) -> bool:
    if values.is_reference(value.text) or value.text.lower().strip() in values.WORDS:
        return False
    if value.named.word == "cookie" and "=" in value.text:
        return True
    return is_quoted_secret(value) if value.is_quoted else is_bare_secret(text, value)


def is_quoted_secret(value: Value) -> bool:
    word, lower = value.named.word, value.text.lower()
    if (lower.startswith(word) and lower.isalpha()) or (" " in lower and word in lower):
        return False
    if lower.startswith(BETWEEN) or (word in lower and values.VARIABLE.fullmatch(value.text)):
        return False
    if not value.named.sign and value.named.strong:
        return values.is_mixed(value.text)
    if value.named.strong:
        return len(lower) >= values.SHORTEST
    return is_doubtful_secret(value) and " " not in lower


def is_doubtful_secret(value: Value) -> bool:
    """Tell whether what a name such as "token" or "key" is given looks like more than a name or a number itself."""
    if value.named.word == "key" and values.GENERATED.fullmatch(value.text):
        return False
    return values.is_random(value.text) or (
        value.is_quoted and value.named.word != "key" and values.is_token(value.text)
    )


def is_bare_secret(text: str, value: Value) -> bool:
    if value.text.startswith(OPEN) or values.is_reference(value.run) or values.is_code(value.run):
        return False
    if not value.named.strong:
        return is_doubtful_secret(value)
    return len(value.text) >= values.SHORTEST and is_bare_password(text, value)


def is_bare_password(text: str, value: Value) -> bool:
    """Tell whether what a name that leaves no doubt is given, without quotes, is no word that happens to follow it."""
    named, is_mixed = value.named, values.is_mixed(value.text)
    if not named.sign:
        return is_mixed
    if named.word == "bearer":
        return is_mixed or len(value.text) >= values.RANDOM
    if named.shouted or named.sign == "option" or is_mixed or values.is_random(value.text):
        return True
    return not values.IDENTIFIER.fullmatch(value.text) or is_setting(text, value)


def is_setting(text: str, value: Value) -> bool:
    """Tell whether a bare word is what the name is set to, and no variable, type or word of a sentence."""
    if value.named.word in value.text.lower() or value.after in {",", ")", ";", "(", "["}:
        return False
    return value.named.sign != ":" or is_line(text, value)


def is_line(text: str, value: Value) -> bool:
    """Tell whether the name and its value have a line to themselves, as in a settings file."""
    start = value.named.start
    line = text.rfind("\n", max(0, start - LONGEST_LINE), start) + 1
    return bool(LINE_START.fullmatch(text, line, start)) and value.after in {"", "\r", "\n"}
