r"""Values given to a suspicious name: `password = "…"`, `API_KEY=…`, `\"token\": \"…\"`, `--secret …`, `Bearer …`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ecm_agent.redaction import values

if TYPE_CHECKING:
    from collections.abc import Iterator

STRONG = ("password", "passwd", "passphrase", "passcode", "pwd", "secret", "credential", "bearer")
DOUBTFUL = ("token", "auth", "session", "sessid", "cookie")
WEAK = ("key",)

NAME_END = re.compile(r"([\w-]{0,40}+)((?:\\{0,3}+[\"'`*]{1,3}+)?\]?(?:\[\d{0,4}+\])?)")
SEPARATOR = re.compile(
    r"[ \t]{0,8}+(?P<equals>={1,3}|!==?|:=|=>|:(?!:))\*{0,3}+[ \t]{0,8}+"
    r"|[\s,]{1,40}+(?:\\{0,3}+[\"'])?value(?:\\{0,3}+[\"'])?[ ]?[:=][ ]?"  # {"name": "TOKEN", "value": "…"}
    r"|(?P<listed>,[ ]?|[ ]{0,3}\|[ ]{0,8}+|[ ]?>(?=[^<\n]{1,200}</)|[ ]+(?:is|was)(?: set to| now)?:?[ ]+|[ ]+to[ ]+|[ ](?=[\"'`])|\((?=[\"'`\\]))"
    r"|(?P<space>[ ]+)"
)
ANNOTATION = re.compile(r"[A-Za-z][\w.\[\], |?<>]{0,60}?[ ]?=(?!=)[ ]?")
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
NO_SECRET = re.compile(
    r".*?(?:count|counts|length|len|min|max|size|ttl|exp|expiry|expires|expiration|expired|type|types|name|names|field|label"
    r"|url|uri|path|file|dir|policy|reset|limit|limits|usage|used|prompt|hint|required|enabled|regex|pattern|validator"
    r"|format|rotation|manager|provider|error|column|input|schema|strength|changed|updated|created|at|by|kind|budget"
    r"|less|position|index|class|ref|version|placeholder|scopes?|store|handler|middleware|config|options|endpoint|mode)",
    re.IGNORECASE,
)
STRONG_KEYS = re.compile(
    r".*(?:api|access|private|secret|encryption|encrypt|signing|master|account|license|auth|crypto|aes|hmac|jwt|storage"
    r"|webhook|deploy|service|app|ssh|admin|consumer|client)[_-]?",
    re.IGNORECASE,
)


class Named(NamedTuple):
    """A suspicious name, and where what it is given starts."""

    word: str  # as found, in lower case
    strong: bool
    shouted: bool  # NAME=value without blanks, as an environment is set
    separator: str
    start: int
    value: int


def spans(text: str) -> Iterator[tuple[int, int]]:
    lowered = text.encode("latin-1", "replace").lower()  # one byte per character, so that places stay
    for word in (*STRONG, *DOUBTFUL, *WEAK):
        needle = word.encode()
        at = lowered.find(needle)
        while at >= 0:
            end = at + len(needle)
            if found := value_after(text, word, at, end):
                yield found
                end = max(end, found[1])
            at = lowered.find(needle, end)


def value_after(text: str, word: str, start: int, end: int) -> tuple[int, int] | None:
    """Give the secret that the name with `word` at `start` is given, if it is one."""
    named = name_at(text, word, start, end)
    if named is None:
        return None
    quote = QUOTE.match(text, named.value)
    found = quoted(text, named, quote) if quote else bare(text, named)
    return found


def name_at(text: str, word: str, start: int, end: int) -> Named | None:
    tail = NAME_END.match(text, end)
    if tail is None:  # cannot be, it matches nothing too
        return None
    if not is_name(text, word, tail[1], end):
        return None
    separator = SEPARATOR.match(text, tail.end())
    if separator is None:
        return None
    before = text[max(0, start - 24) : start]
    kind = separator["equals"] or (separator["listed"] and "listed") or "value"
    if separator["space"]:
        if word == "bearer":
            kind = "flag"
        elif re.search(r"(?<![\w-])--?[\w-]*\Z", before):
            kind = "flag"
        else:
            return None
    value = separator.end()
    if kind == ":" and (annotation := ANNOTATION.match(text, value)):
        value, kind = annotation.end(), "="
    shouted = separator[0] == "=" and text[start:end].isupper()
    strong = (
        word in STRONG
        or shouted
        or kind == "flag"
        or (word == "key" and bool(STRONG_KEYS.fullmatch(before.rpartition("\n")[2])))
    )
    return Named(word, strong, shouted, kind, start, value)


def is_name(text: str, word: str, rest: str, end: int) -> bool:
    """Tell whether the word is one in a name that can hold a secret: no "tokenizer", no "password_length"."""
    if rest and rest[0].isalpha() and rest[0].islower() == text[end - 1].islower():
        if word == "auth" and rest.lower() == "orization":
            return True
        return rest in {"s", "id", "S", "ID", "v"} and word not in {"token", "key", "bearer", "auth"}
    return not NO_SECRET.fullmatch(rest)


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


LONGEST = 4_096  # characters of a value in escaped or triple quotes


def is_quoted_secret(named: Named, value: str) -> bool:
    lower = value.lower().strip()
    if lower in values.WORDS or lower == named.word or (" " in lower and named.word in lower):
        return False
    if named.separator == "listed":
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
        named = named._replace(strong=True, separator="flag")
    shape = COOKIES if named.word == "cookie" and named.separator == ":" else BARE
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
    if named.separator == "listed":
        return values.is_mixed(value) and not values.NUMBERED.fullmatch(value) and len(value) >= values.SHORTEST
    if not named.strong:
        return values.is_random(value) and not (named.word == "key" and values.GENERATED.fullmatch(value))
    if len(value) < values.SHORTEST:
        return False
    if named.shouted or named.separator == "flag":
        return True
    if not values.IDENTIFIER.fullmatch(value) or values.is_mixed(value):
        return not values.NUMBERED.fullmatch(value) or named.separator != ":" or True
    if named.word in value.lower() or text[end : end + 1] in {",", ")", ";", "(", "["} and named.separator != "=":
        return False
    if named.separator == ":":
        return is_line(text, named, end)
    return text[end : end + 1] not in {",", ")"}


def is_line(text: str, named: Named, end: int) -> bool:
    """Tell whether the name and its value have a line to themselves, as in a settings file."""
    line = text.rfind("\n", max(0, named.start - 200), named.start) + 1
    return bool(LINE_START.fullmatch(text, line, named.start)) and (end == len(text) or text[end] in "\r\n")
