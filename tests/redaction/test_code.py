"""Code: a table of what is code and what is prose (code.txt), and laws that hold for every text."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecm_agent.redaction import blocks, fences, indents
from ecm_agent.redaction.code import spans

FENCED, BARE = "```\n[REDACTED_CODE]\n```", "[REDACTED_CODE]"
WRITTEN = {"¶": "\n", "⇥": "\t", "␍": "\r", "▣": FENCED, "▢": BARE}


def cases() -> list[str]:
    lines = Path(__file__).with_name("code.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("# ", "== "))]


def written(case: str) -> str:
    for sign, meaning in WRITTEN.items():
        case = case.replace(sign, meaning)
    return case


def redacted(text: str) -> str:
    """Replace as the redactor does: a block stands on lines of its own."""
    kept, at = [], 0
    for start, end, block in spans(text):
        before = "\n" if block and start and text[start - 1] != "\n" else ""
        after = "\n" if block and end < len(text) and text[end] != "\n" else ""
        kept += [text[at:start], f"{before}{FENCED}{after}" if block else BARE]
        at = end
    return "".join([*kept, text[at:]])


LINES = st.sampled_from(
    [
        *("[User]", "[Assistant]", "[Result]", "[Tool:Edit]", "text", "    x", "\tx", "", " ", "\r", "- item", "1. x"),
        *("```", "```py", "````", "~~~", "~~~ x", "> ```", "> ", "    ```", "- ```", "```a``` b", "        y", "  z"),
        *('{"content": "x = 1"}', '{"path": "a", "x": "```"}', '{"content": "x', '["a"]', FENCED, BARE),
    ]
)
TEXTS = st.lists(LINES, max_size=14).map("\n".join) | st.text(alphabet="`~ \n\r\t>-[]{}x", max_size=40)


@pytest.mark.parametrize("case", cases())
def test_code_goes_and_prose_stays(case: str) -> None:
    """What is left of each text is what the table says."""
    before, _, after = case.partition("  =>  ")
    assert redacted(written(before)) == written(after or before)


def test_the_table_is_long_enough() -> None:
    """At least fifty cases, and at least fifteen of them stay as they are."""
    assert len(cases()) >= 50
    assert sum("=>" not in case for case in cases()) >= 15


@given(TEXTS)
def test_spans_are_sorted_apart_and_inside(text: str) -> None:
    """Spans are half-open pieces of the text, in order and not empty."""
    found = [span[:2] for span in spans(text)]
    assert all(0 <= start < end <= len(text) for start, end in found)
    assert all(one[1] <= other[0] for one, other in pairwise(found))


@given(TEXTS)
def test_twice_is_once(text: str) -> None:
    """In what is left nothing is found."""
    once = redacted(text)
    assert redacted(once) == once


@given(st.dictionaries(st.sampled_from(["content", "command", "path", "edits"]), st.text() | st.lists(st.text())))
def test_a_tools_arguments_stay_json(arguments: dict[str, object]) -> None:
    """After redaction the arguments are JSON with the same keys, and the code is gone."""
    left = json.loads(redacted("[Tool:X]\n" + json.dumps(arguments)).partition("\n")[2])
    assert left.keys() == arguments.keys()
    content = left.get("content", "")
    assert set([content] if isinstance(content, str) else content) <= {"", BARE}


@pytest.mark.parametrize(
    "piece", ["```\n", "```a\n", "~~~\n[User]\n", "\n\n    x", "[Result]\n", "- x\n\n    y\n", "`"]
)
def test_a_hostile_text_is_read_once(piece: str) -> None:
    """Forty thousand repetitions give no more than that many lines, blocks and spans to look at."""
    times = 40_000
    text = piece * times
    assert len(fences.lines(text)) <= times
    assert len(blocks.split(text)) <= times + 1
    assert sum(1 for _ in indents.starts(text, 0, len(text))) <= times + 1
    assert len(spans(text)) <= times + 1


def test_a_text_of_nothing_but_fences_is_code_as_a_whole() -> None:
    """More fences than any conversation has are not read one by one; what was redacted before is no such text."""
    text = "~~~\n" * 100_000
    assert spans(text) == [(0, len(text), True)]
    assert not spans(f"{FENCED}\n" * 100_000)
