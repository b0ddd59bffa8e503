"""SQL → tokens, as SQLite cuts them; comments and white space are none."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Token(NamedTuple):
    """`text` is a word or a sign as written, a name or a text without its quotes, a blob's hexadecimal digits."""

    kind: Literal["word", "name", "text", "blob", "number", "sign", "unknown"]
    text: str

    def is_word(self, *words: str) -> bool:
        """Whether this is one of these keywords (given in upper case)."""
        return self.kind == "word" and self.text.isascii() and self.text.upper() in words

    def is_sign(self, *signs: str) -> bool:
        return self.kind == "sign" and self.text in signs


_TOKEN = re.compile(
    r"""
    (?P<blank>[ \t\n\f\r]+|--[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<blob>[xX]'(?:[0-9a-fA-F]{2})*')
    |(?P<text>'(?:[^']|'')*')
    |(?P<name>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
    |(?P<number>0[xX][0-9a-fA-F]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<word>[A-Za-z_\x80-\U0010FFFF][A-Za-z0-9_$\x80-\U0010FFFF]*)
    |(?P<sign>->>|->|\|\||<<|>>|<>|<=|>=|==|!=|[-+*/%&|~<>=(),.;])
    |(?P<unknown>.)
    """,
    re.VERBOSE | re.DOTALL,
)


_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def folded(name: str) -> str:
    """Give a name as SQLite compares it: without regard to case, where the letters are ASCII."""
    return name.translate(_LOWER)


def tokens(sql: str) -> list[Token]:
    """Cut SQL into tokens. What is none is of kind "unknown"."""
    return [
        Token(match.lastgroup, _bare(match.lastgroup, match[0]))  # type: ignore[arg-type] # the groups are the kinds
        for match in _TOKEN.finditer(sql)
        if match.lastgroup and match.lastgroup != "blank"
    ]


def _bare(kind: str, text: str) -> str:
    if kind == "blob":
        return text[2:-1]
    if kind == "text" or (kind == "name" and text[0] != "["):
        return text[1:-1].replace(text[0] * 2, text[0])
    return text[1:-1] if kind == "name" else text


def plain(found: Sequence[Token]) -> list[tuple[str, str]]:
    """Give tokens in a form in which two statements that say the same are equal: names are alike, quoted or not."""
    return [
        ("name", folded(token.text)) if token.kind in {"word", "name"} else (token.kind, token.text) for token in found
    ]


def parted(found: Sequence[Token]) -> Iterator[list[Token]]:
    """Part tokens at the commas that stand in no parentheses."""
    depth = 0
    part: list[Token] = []
    for token in found:
        depth += token.is_sign("(") - token.is_sign(")")
        if token.is_sign(",") and not depth:
            yield part
            part = []
        else:
            part.append(token)
    yield part


def enclosed(found: Sequence[Token], start: int) -> list[Token]:
    """Give what stands between the parenthesis at `start` and the one that closes it."""
    depth = 0
    for place in range(start, len(found)):
        depth += found[place].is_sign("(") - found[place].is_sign(")")
        if not depth:
            return list(found[start + 1 : place])
    return list(found[start + 1 :])


def quoted(identifier: str) -> str:
    """Make any name a SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Make any text a SQL literal."""
    return "'" + text.replace("'", "''") + "'"
