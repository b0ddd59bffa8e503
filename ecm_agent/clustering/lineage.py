"""Which of the topics found is which of those there were before."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

Old: TypeAlias = "Mapping[str, Collection[str]]"
"""The members of each cluster there was, by the cluster's id."""

MOSTLY = 0.5
"""What part of either one's members the other must share."""


def heirs(old: Old, new: Sequence[Collection[str]]) -> dict[int, str]:
    """Say which new cluster, by its place in `new`, is the heir of which old one.

    A new cluster can be an old one's heir when they share at least half the members of either: an old one that grew
    shares most of its own, one that shrank or was split most of the new one's. Each has one heir at most: pairs that
    are most alike (shared ÷ all members of both) go first, then those that share more, then by old id and place.
    """
    shared = _shared(old, new)
    likeness = [
        (-common / (len(old[name]) + len(new[place]) - common), -common, name, place)
        for (name, place), common in shared.items()
        if common >= MOSTLY * min(len(old[name]), len(new[place]))
    ]
    found: dict[int, str] = {}
    taken: set[str] = set()
    for *_, name, place in sorted(likeness):
        if place not in found and name not in taken:
            found[place] = name
            taken.add(name)
    return found


def _shared(old: Old, new: Sequence[Collection[str]]) -> Counter[tuple[str, int]]:
    """Count the members each old and each new cluster have in common, where they have any."""
    places = {member: place for place, members in enumerate(new) for member in members}
    return Counter((name, places[member]) for name, members in old.items() for member in members if member in places)
