"""Find secrets in text: tokens, private keys, passwords where a name or a place gives them away, e-mail addresses."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from ecm_agent.redaction import addresses, assignments, keys, providers
from ecm_agent.redaction.tokens import MARK, SECRET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROUNDS = 5  # what a secret hid from the first search, another finds; a text made to need more is left to itself


def spans(text: str) -> list[tuple[int, int]]:
    """Give where secrets stand in `text`: sorted, half-open, apart from each other; names and quotes stay outside.

    In the text without them nothing more is found: it was searched again.
    """
    found = search(text)
    for _ in range(ROUNDS):
        more = search(without(text, found)) if found else []
        if not more:
            break
        found = united([*found, *restored(found, more)])
    return found


def search(text: str) -> list[tuple[int, int]]:
    plain = text.encode("latin-1", "replace")  # one byte per character: much faster to search, and places stay
    found = chain(addresses.spans(text), providers.spans(text, plain), assignments.spans(text, plain))
    return united(chain(keys.spans(text), (span for span in found if MARK not in text[slice(*span)])))


def united(found: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sort spans, and make one of those that overlap or touch."""
    apart: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if apart and start <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(apart[-1][1], end))
        elif start < end:
            apart.append((start, end))
    return apart


def without(text: str, found: list[tuple[int, int]]) -> str:
    kept, at = [], 0
    for start, end in found:
        kept += [text[at:start], SECRET]
        at = end
    return "".join([*kept, text[at:]])


def restored(found: list[tuple[int, int]], more: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Give the places in the whole text of spans in the text without what was found before."""
    removed, following = 0, iter(found)
    ahead = next(following, None)
    for start, end in more:
        while ahead and ahead[0] < start + removed:
            removed += ahead[1] - ahead[0] - len(SECRET)
            ahead = next(following, None)
        yield start + removed, end + removed
