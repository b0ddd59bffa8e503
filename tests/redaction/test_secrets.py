"""Secrets: a table of what is one and what is none (secrets.txt), and laws that hold for every text."""

from __future__ import annotations

import re
import string
from itertools import cycle, islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecm_agent.redaction import assignments, keys, providers
from ecm_agent.redaction.secrets import spans

LETTERS = "q7Zk2mXv9Rw4Tb8Lp3Hd6Nf5Jc"
ALPHABETS = {"": LETTERS, "hex": "3f9a07c5e1d8b264", "UP": "Q7ZK2MXV9RW4TB8L"}
FILLED = re.compile(r"\{(hex|UP|)(\d+)\}")
TOKEN = "[REDACTED_SECRET]"


def cases() -> list[str]:
    lines = Path(__file__).with_name("secrets.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("# ", "== "))]


def filled(case: str) -> str:
    """Give a case with its newlines, and made-up characters where it says how many."""
    case = FILLED.sub(lambda match: "".join(islice(cycle(ALPHABETS[match[1]]), int(match[2]))), case)
    return case.replace("¶", "\n")


def redacted(text: str) -> str:
    kept, at = [], 0
    for start, end in spans(text):
        kept += [text[at:start], TOKEN]
        at = end
    return "".join([*kept, text[at:]])


PIECES = st.sampled_from(
    [*(filled(case).replace("«", "").replace("»", "") for case in cases()), *"=:\"'\\@/.-_ \n;&,|[]", "\\n", TOKEN, "é"]
)
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=8).map("".join)


@pytest.mark.parametrize("case", cases())
def test_exactly_the_secret_goes(case: str) -> None:
    """What stands in guillemets goes, and nothing else; a line without them stays."""
    text = filled(case)
    assert redacted(re.sub("[«»]", "", text)) == re.sub("«[^»]*(»|$)", TOKEN, text)


def test_the_table_is_long_enough() -> None:
    """At least eighty cases, and at least forty of them are no secrets."""
    assert len(cases()) >= 80
    assert sum("«" not in case for case in cases()) >= 40


@given(TEXTS)
def test_spans_are_sorted_apart_and_inside(text: str) -> None:
    """Spans are half-open pieces of the text, in order, not empty, and do not touch."""
    found = spans(text)
    assert all(0 <= start < end <= len(text) for start, end in found)
    assert all(one[1] < other[0] for one, other in pairwise(found))


@given(TEXTS)
def test_twice_is_once(text: str) -> None:
    """In what is left nothing is found."""
    once = redacted(text)
    assert redacted(once) == once


@given(st.sampled_from(["password=", "-----BEGIN PRIVATE KEY-----\n", "://a:", "eyJ", "a@b.", "ghp_", "=", "\\"]))
def test_a_hostile_text_is_read_once(piece: str) -> None:
    """A hundred thousand repetitions are no more than that many names, runs and blocks to look at."""
    times = 100_000
    text = piece * times
    plain = text.encode("latin-1", "replace")
    assert sum(1 for _ in assignments.spans(text, plain)) <= times
    assert sum(1 for _ in keys.spans(text)) <= times
    assert len(providers.long_runs(text, plain)) <= len(text)
    assert len(spans(text)) <= times


def test_what_a_value_is_cut_off_from_stays_a_json_string() -> None:
    """A secret right after an escaped newline leaves the escape whole."""
    text = r'{"a": "x\nada@example.com", "b": "x\n' + "ghp_" + string.ascii_letters[:36] + '"}'
    assert redacted(text) == rf'{{"a": "x\n{TOKEN}", "b": "x\n{TOKEN}"}}'
