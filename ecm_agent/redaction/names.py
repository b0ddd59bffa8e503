r"""Names that are given secrets: `password =`, `API_KEY=`, `\"token\":`, `--secret`, `Bearer`, and where the value starts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

STRONG = {"passw": "ord|d", "passphrase": "", "pwd": "", "secret": "", "credential": "", "bearer": ""}
DOUBTFUL = {"token": "", "auth": "orization|", "sess": "ion|id", "cookie": "", "key": ""}

REST = r"(?P<rest>[\w-]{0,40}+)(?:(?:\\{0,3}+[\"'`*]{1,3}+)?\]?(?:\[\d{0,4}+\])?)"
SEPARATORS = (
    r"[ \t]{0,8}+(?P<sign>={1,3}|!==?|:=|=>|:(?!:))\*{0,3}+[ \t]{0,8}+"
    r"|[\s,]{1,40}+(?:\\{0,3}+[\"'])?value(?:\\{0,3}+[\"'])?[ ]?[:=][ ]?"  # {"name": "TOKEN", "value": "…"}
    r"|(?P<loose>,[ ]?|[ ]{0,3}\|[ ]{0,8}+|[ ]?>(?=[^<\n]{1,200}</)|[ ]+(?:is|was|to)(?: set to| now)?:?[ ]+"
    r"|[ ](?=[\"'`])|\((?=[\"'`\\]))"
)
AFTER = {
    word: re.compile(rf"(?i:{ending}){REST}(?:{SEPARATORS}{'|(?P<blank>[ ]+)' if word == 'bearer' else ''})")
    for word, ending in (STRONG | DOUBTFUL).items()
}
AFTER_OPTION = re.compile(r"(?P<rest>[\w-]{0,40}+)[ ]++(?=[^\s-])")
OPTION = re.compile(r"(?<![\w-])--?[\w-]*\Z")
ANNOTATION = re.compile(r"[A-Za-z][\w.\[\], |?<>]{0,60}?[ ]?=(?!=)[ ]?")
BEFORE = 24  # characters of a name before its suspicious word
NO_SECRET = re.compile(
    r".*?(?:count|counts|length|len|min|max|size|ttl|exp|expiry|expires|expiration|expired|type|types|name|names|field|label"
    r"|url|uri|path|file|dir|policy|reset|limit|limits|usage|used|prompt|hint|required|enabled|regex|pattern|validator"
    r"|format|rotation|manager|provider|error|column|input|schema|strength|changed|updated|created|at|by|kind|budget"
    r"|less|position|index|class|ref|version|placeholder|scopes?|store|handler|middleware|config|options|endpoint|mode)",
    re.IGNORECASE,
)
STRONG_KEYS = re.compile(
    r"(?:api|access|private|secret|encryption|encrypt|signing|master|account|license|auth|crypto|aes|hmac|jwt|storage"
    r"|webhook|deploy|service|app|ssh|admin|consumer|client)[_-]?\Z",
    re.IGNORECASE,
)


class Named(NamedTuple):
    """A suspicious name, and where the value it is given starts."""

    word: str
    strong: bool  # whatever it is given is a secret, unless it is plainly something else
    shouted: bool  # NAME=value without blanks, as an environment is set
    sign: str  # "=", ":" and the like; "option"; "" where only the order of words tells
    start: int
    value: int


def suspicious(text: str) -> Iterator[Named]:
    """Give every name in `text` that could be given a secret, sorted by the word that makes it suspicious."""
    lowered = text.encode("latin-1", "replace").lower()  # one byte per character, so that places stay
    options = "--" in text
    for word, after in AFTER.items():
        needle = word.encode()
        at = lowered.find(needle)
        while at >= 0:
            end = at + len(needle)
            if found := after.match(text, end):
                if named := assigned(text, word, at, found):
                    yield named
                    end = named.value
            elif options and (found := AFTER_OPTION.match(text, end)) and OPTION.search(text, max(0, at - BEFORE), at):
                yield Named(word, strong=True, shouted=False, sign="option", start=at, value=found.end())
            at = lowered.find(needle, end)


def assigned(text: str, word: str, start: int, found: re.Match[str]) -> Named | None:
    if not is_name(word, found["rest"], text[found.start("rest") - 1]):
        return None
    sign, value = found["sign"] or "", found.end()
    if sign == ":" and (annotation := ANNOTATION.match(text, value)):
        sign, value = "=", annotation.end()
    if word == "bearer" and found["blank"]:
        sign = "option"
    shouted = sign == "=" and text[value - 1] == "=" and text[start].isupper() and text[start + 1].isupper()
    strong = word in STRONG or shouted or (word == "key" and is_strong_key(text[max(0, start - BEFORE) : start]))
    if not (sign or found["loose"]):
        sign = "value"
    return Named(word, strong, shouted, sign, start, value)


def is_strong_key(before: str) -> bool:
    return bool(STRONG_KEYS.search(before))


def is_name(word: str, rest: str, last: str) -> bool:
    """Tell whether the word is one in a name that can hold a secret: no "tokenizer", no "password_length"."""
    if not rest:
        return True
    if rest[0].isalpha() and rest[0].islower() == last.islower():
        return rest.lower() in {"s", "id"} and word in STRONG
    return not NO_SECRET.fullmatch(rest)
