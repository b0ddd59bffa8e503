"""Find secrets in text: tokens, private keys, passwords where a name or a place gives them away, e-mail addresses."""

from __future__ import annotations

from itertools import chain

from ecm_agent.redaction import addresses, assignments, keys, providers


def spans(text: str) -> list[tuple[int, int]]:
    """Give where secrets stand in `text`: sorted, half-open, apart from each other; names and quotes stay outside."""
    found = sorted(chain(keys.spans(text), providers.spans(text), addresses.spans(text), assignments.spans(text)))
    apart: list[tuple[int, int]] = []
    for start, end in found:
        if apart and start <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(apart[-1][1], end))
        elif start < end:
            apart.append((start, end))
    return apart
