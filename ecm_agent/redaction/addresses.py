"""People's addresses: e-mail addresses, and the user and password of a URL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ecm_agent.redaction.values import is_reference

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAIN = r"[^\s/?#\"'<>\\`@\[\]]"
USERINFO = re.compile(rf"://(?!git@)((?:{PLAIN}{{0,2048}}+@){{1,4}}+)(?=[^\s/?#\"'@])")
ODD_PASSWORD = re.compile(  # with a slash or another character that a URL would have escaped
    r"://([^\s:/@\"'<>\[]{1,64}+:(?![0-9]{1,5}/)[^\s\"'<>@\[]{1,128}@)(?=[A-Za-z0-9.-]{1,253}+(?:[:/?#\s\"'`,;)\\]|\Z))"
)
HOST = r"(?!v?\d++\.\d|\dx\.)(?:\w[\w-]{0,62}+\.){1,8}(?:[^\W\d_]{2,24}|xn--[\w-]{2,59})(?![\w(-])"
UNITS = ("service", "timer", "socket", "target", "mount", "path", "slice", "scope", "conf")  # of systemd: x@y.service
EMAIL = re.compile(rf"@(?<=[\w.+%'-]@){HOST}")
ESCAPED_EMAIL = re.compile(rf"%40(?<=[\w.+-]%40){HOST}")
LOCAL = re.compile(r"(?<![\w.+%-])[\w.+%-]++\Z")
LONGEST_LOCAL = 128  # characters; the standard allows 64
ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[nrtbf])")


def spans(text: str) -> Iterator[tuple[int, int]]:
    hosts: set[int] = set()
    if "@" in text:
        if "://" in text:
            found = [*userinfo(text, USERINFO), *userinfo(text, ODD_PASSWORD)]
            hosts = {end for _, end in found}  # user@host looks like an e-mail address, and the host stays
            yield from found
        yield from emails(text, EMAIL, hosts)
    if "%40" in text:
        yield from emails(text, ESCAPED_EMAIL, hosts)


def userinfo(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    for match in pattern.finditer(text):
        start, end = match.start(1), match.end(1) - 1
        if not all(is_reference(part) for part in text[start:end].split(":")):
            yield start, end


def emails(text: str, pattern: re.Pattern[str], hosts: set[int]) -> Iterator[tuple[int, int]]:
    for match in pattern.finditer(text):
        at, end = match.span()
        if match[0].endswith(UNITS):
            continue
        local = LOCAL.search(text, max(0, at - LONGEST_LOCAL), at) if at not in hosts else None
        if local and not (local[0] in {"git", "hg", "svn"} and text[end : end + 1] in {":", "/"}):
            yield after_escape(text, local.start()), end


def after_escape(text: str, start: int) -> int:
    r"""Step over the letter of a `\n` before a word: what is left of a JSON string must still be one."""
    escape = ESCAPE.match(text, start - 1) if start else None
    return escape.end() if escape else start
