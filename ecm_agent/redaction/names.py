r"""Names that are given secrets (`password =`, `API_KEY=`, `\"token\":`, `--secret`), and where the value starts."""

from __future__ import annotations

import re
from typing import NamedTuple

from ecm_agent.redaction.tokens import MARK

STRONG = {
    "passw": "ord|d",
    "passphrase": "",
    "pwd": "",
    "secret": "",
    "credential": "",
    "psk": "",
    "bearer": "",
    "_pass": "",
    "_pw": "",
}
DOUBTFUL = {"token": "", "auth": "orization|", "sess": "ion|id", "cookie": "", "key": ""}
WORDS = (*STRONG, *DOUBTFUL)

REST = r"(?P<rest>[\w-]{0,40}+)(?:(?:\\{0,3}+[\"'`*]{1,3}+)?\]?(?:\[\d{0,4}+\])?)"
SEPARATORS = (
    r"[ \t]{0,8}+(?P<sign>=>|={1,3}|!==?|:=|:(?!:))\*{0,3}+[ \t]{0,8}+"
    r"|[\s,]{1,40}+(?:\\{0,3}+[\"'])?value(?:\\{0,3}+[\"'])?[ ]?[:=][ ]?"  # {"name": "TOKEN", "value": "…"}
    r"|(?P<loose>,[ ]?|[ ]{0,3}\|[ ]{0,8}+|[ ]?>(?=[^<\n]{1,200}</)|[ ]+(?:is|was|to)(?: set to| now)?:?[ ]+"
    r"|[ ](?=[\"'`])|\((?=[\"'`\\]))"
)
AFTER = {
    word: re.compile(rf"(?i:{ending}){REST}(?:{SEPARATORS}{'|(?P<blank>[ ]+)' if word == 'bearer' else ''})")
    for word, ending in (STRONG | DOUBTFUL).items()
}
AFTER_OPTION = re.compile(r"(?P<rest>[\w-]{0,40}+)[ ]++(?=[^\s-])")
OPTION = re.compile(r"(?<![\w-])(?:--?|ENV )[\w-]*\Z")
ANNOTATION = re.compile(r"[A-Za-z][\w.\[\], |?<>]{0,60}?(?: =(?!=) |=(?=[\"']))")
BEFORE = 24  # characters of a name before its suspicious word
NO_SECRET = re.compile(
    r"(?:[\w-]*?[_-]|[\w-]*?(?<![A-Z])(?=[A-Z]))(?i:count|counts|length|len|min|max|size|ttl|exp|expiry|expires|expiration|expired|type|types|name|names|field|label"
    r"|url|uri|path|file|dir|policy|reset|limit|limits|usage|used|prompt|hint|required|enabled|regex|pattern|validator"
    r"|format|rotation|manager|provider|error|column|input|schema|strength|changed|updated|created|at|by|kind|budget"
    r"|less|position|index|class|ref|version|placeholder|scopes?|store|handler|middleware|config|options|endpoint|mode|variable|var|env)"
)
STRONG_KEYS = tuple(
    """
    api access private secret encryption encrypt signing master account license auth crypto aes hmac jwt storage webhook
    deploy service app ssh admin consumer client
    """.split()  # noqa: SIM905 - a list of words, one item a line, would be a page
)


class Named(NamedTuple):
    """A suspicious name, and where the value it is given starts."""

    word: str
    strong: bool  # whatever it is given is a secret, unless it is plainly something else
    shouted: bool  # NAME=value without blanks, as an environment is set
    sign: str  # "=", ":" and the like; "option"; "" where only the order of words tells
    start: int
    value: int


class Names:
    """The suspicious names of a text."""

    def __init__(self, text: str, plain: bytes) -> None:
        """Take the text, and it once more at one byte per character."""
        self._text = text
        self._lowered = plain.lower()
        self._has_options = "--" in text or "ENV " in text

    def first(self, word: str, at: int) -> Named | None:
        """Give the first name with `word` from `at` on that could be given a secret."""
        needle = word.encode()
        while (start := self._lowered.find(needle, at)) >= 0:
            at = start + len(needle)
            if (found := AFTER[word].match(self._text, at)) and (named := assigned(self._text, word, start, found)):
                return named
            if not found and self._has_options and (named := option(self._text, word, start, at)):
                return named
        return None


def option(text: str, word: str, start: int, end: int) -> Named | None:
    found = AFTER_OPTION.match(text, end)
    if found is None or not OPTION.search(text, max(0, start - BEFORE), start):
        return None
    return Named(word, strong=True, shouted=False, sign="option", value=found.end(), start=start)


def assigned(text: str, word: str, start: int, found: re.Match[str]) -> Named | None:
    rest, sign, loose = found["rest"], found["sign"] or "", found["loose"]
    value = found.end()
    if rest and not is_name(word, rest, text[found.start("rest") - 1]):
        return None
    if text.startswith(MARK, max(0, start - len(MARK))):
        return None
    if sign == ":" and (annotation := ANNOTATION.match(text, value)):
        sign, value = "=", annotation.end()
    elif not sign and not loose:
        sign = "option" if word == "bearer" else "value"
    if word == "token" and is_given_one(text, start, sign):
        return Named(word, strong=True, shouted=False, sign="option", value=value, start=start)
    shouted = sign == "=" and text[value - 1] == "=" and text[start : start + 2].isupper()
    strong = word in STRONG or shouted or (word == "key" and is_strong_key(text[max(0, start - BEFORE) : start]))
    return Named(word, strong, shouted, sign, start, value)


def is_given_one(text: str, start: int, sign: str) -> bool:
    """Tell whether the word is the last one of an option (`--token=`) or of a header (`X-Auth-Token:`)."""
    if sign == "=":
        return bool(OPTION.search(text, max(0, start - BEFORE), start))
    return sign == ":" and text[start].isupper() and text[max(0, start - 1) : start] == "-"


def is_strong_key(before: str) -> bool:
    return before.lower().rstrip("_-").endswith(STRONG_KEYS)


def is_name(word: str, rest: str, last: str) -> bool:
    """Tell whether the word is one in a name that can hold a secret: no "tokenizer", no "password_length"."""
    if rest[0].isalpha() and rest[0].islower() == last.islower():
        return rest.lower() in {"s", "id"} and word in STRONG
    return not NO_SECRET.fullmatch(rest)
