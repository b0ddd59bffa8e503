"""The expressions a schema may hold: defaults, checks, generated columns, parts of an index. A small language.

An archive may come from anyone, so its expressions are not SQL to be executed: each is cut into tokens, every token
must be one of those below, and what goes into a statement is written anew from them. There are no sub-queries, no
parameters, no functions that read, write or load anything. How large a value can become is limited by SQLite only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecm_agent.store.tokens import Token, folded, literal, quoted, tokens

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

COLLATIONS = frozenset(("BINARY", "NOCASE", "RTRIM"))

_KEYWORDS = (
    "AND AS BETWEEN BLOB CASE CAST COLLATE CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP ELSE END ESCAPE FALSE GLOB IN "
    "INT INTEGER IS ISNULL LIKE NOT NOTNULL NULL NUMERIC OR REAL TEXT THEN TRUE WHEN"
)
_WORDS = COLLATIONS | set(_KEYWORDS.split())
_CALLED = (
    "abs coalesce date datetime hex ifnull iif instr json json_array_length json_extract json_type json_valid "
    "julianday length likelihood likely lower ltrim max min nullif quote random randomblob replace round rtrim sign "
    "strftime substr substring time trim typeof unicode unixepoch unlikely upper"
)
_FUNCTIONS = frozenset(_CALLED.split())
_NO_SIGNS = frozenset(".;")
_RANDOM_BYTES = 4096
"""More of them than a key has need of would only fill the disk."""


class Unspeakable(Exception):
    """An expression, or a name, that this language has no words for."""


def spoken(expression: str, columns: Collection[str]) -> str:
    """Write an expression anew. Raises `Unspeakable` where it holds anything but what is listed here and `columns`."""
    found = tokens(expression)
    known = set(map(folded, columns))
    depth = 0
    for place, token in enumerate(found):
        depth += token.is_sign("(") - token.is_sign(")")
        _check(found, place, known)
        if depth < 0:
            break
    if depth or not found:
        raise Unspeakable(expression)
    return written(found, known)


def _is_keyword(token: Token) -> bool:
    """Whether a token is a word of the language that names nothing."""
    return token.is_word(*_WORDS)


def written(found: Sequence[Token], columns: Collection[str] = ()) -> str:
    """Write tokens, names quoted (and the words that are names of columns), as SQLite itself would space them."""
    text = ""
    for place, token in enumerate(found):
        glued = token.is_sign(")", ",") or (token.is_sign("(") and _calls(found, place - 1))
        after = place and found[place - 1].is_sign("(")
        text += ("" if glued or after or not text else " ") + _form(token, columns, called=_calls(found, place))
    return text


def _check(found: Sequence[Token], place: int, columns: Collection[str]) -> None:
    token = found[place]
    if token.kind == "unknown" or (token.kind == "sign" and token.text in _NO_SIGNS) or "\0" in token.text:
        raise Unspeakable(token.text)
    if token.kind == "name" and folded(token.text) not in columns:
        raise Unspeakable(token.text)
    if token.kind == "word":
        known = folded(token.text) in (_FUNCTIONS if _calls(found, place) else columns)
        if not (known or _is_keyword(token)):
            raise Unspeakable(token.text)
        if token.is_word("RANDOMBLOB") and _calls(found, place):
            _check_random(found[place + 2 : place + 4])


def _check_random(argument: Sequence[Token]) -> None:
    """Let random bytes be asked for by their number only, and not many."""
    number, *after = argument or (Token("unknown", ""),)
    few = number.kind == "number" and number.text.isdecimal() and int(number.text) <= _RANDOM_BYTES
    if not (few and after and after[0].is_sign(")")):
        raise Unspeakable(number.text)


def _calls(found: Sequence[Token], place: int) -> bool:
    """Whether the token at `place` is the name of a function that is called there."""
    if not 0 <= place < len(found) - 1 or found[place].kind != "word" or not found[place + 1].is_sign("("):
        return False
    return not _is_keyword(found[place]) or folded(found[place].text) in _FUNCTIONS


def _form(token: Token, columns: Collection[str], *, called: bool) -> str:
    if token.kind == "text":
        return literal(token.text)
    if token.kind == "blob":
        return f"x'{token.text}'"
    is_column = token.kind == "word" and not called and folded(token.text) in columns and not _is_keyword(token)
    return quoted(token.text) if token.kind == "name" or is_column else token.text
