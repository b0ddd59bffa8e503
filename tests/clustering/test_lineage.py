"""Which new cluster is the heir of which old one."""

from __future__ import annotations

import pytest

from ecm_agent.clustering import heirs


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"k": "abcd"}, ["abcd"], {0: "k"}),
        ({"k": "abcd"}, ["abcdefghijklmnop"], {0: "k"}),
        ({"k": "abcdefghijklmnop"}, ["abcd"], {0: "k"}),
        ({"k": "abcdef"}, ["abc", "def"], {0: "k"}),
        ({"k": "abcdef"}, ["ab", "cdef"], {1: "k"}),
        ({"j": "abc", "k": "defg"}, ["abcdefg"], {0: "k"}),
        ({"j": "abc", "k": "abc"}, ["abc"], {0: "j"}),
        ({"k": "abcdef"}, ["abxyzw"], {}),
        ({"k": "abcd"}, ["wxyz"], {}),
        ({"k": "", "j": "a"}, ["b"], {}),
        ({"j": "abc", "k": "def"}, ["def", "abc", "xyz"], {0: "k", 1: "j"}),
        ({}, ["abc"], {}),
        ({"k": "abc"}, [], {}),
    ],
    ids=[
        *("the same", "grown", "shrunk", "split evenly", "split", "joined", "two alike", "a third", "another"),
        *("empty", "several", "none before", "none now"),
    ],
)
def test_heirs(old: dict[str, str], new: list[str], found: dict[int, str]) -> None:
    """Sharing at least half the members of either makes an heir; each has one, the most alike first."""
    assert heirs({name: set(chunks) for name, chunks in old.items()}, [set(chunks) for chunks in new]) == found


def test_the_most_alike_come_first() -> None:
    """A cluster goes on as the one most like it, even where a smaller one shares all of its members with it."""
    old = {"small": set("ab"), "large": set("abcdefgh")}
    assert heirs(old, [set("abcdefghi"), set("ab")]) == {0: "large", 1: "small"}
