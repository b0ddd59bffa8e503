"""SQL cut into tokens: as SQLite does it, so that nothing hides in what one of the two takes for something else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecm_agent.store.tokens import Token, enclosed, folded, literal, parted, plain, quoted, tokens


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("a -- b\n+ /* c */ 1", [("word", "a"), ("sign", "+"), ("number", "1")]),
        ("a /* never ends", [("word", "a")]),
        ("'it''s' \"q\"\"\" `t``` [b]", [("text", "it's"), ("name", 'q"'), ("name", "t`"), ("name", "b")]),
        ("x'00Ff' X''", [("blob", "00Ff"), ("blob", "")]),
        ("x'0'", [("word", "x"), ("text", "0")]),
        ("1.5e-3 .5 0x1F 7.", [("number", "1.5e-3"), ("number", ".5"), ("number", "0x1F"), ("number", "7.")]),
        ("a->>'$.b'", [("word", "a"), ("sign", "->>"), ("text", "$.b")]),
        ("élan a$1", [("word", "élan"), ("word", "a$1")]),
        ("a\u00a0b", [("word", "a\u00a0b")]),
        ("'open", [("unknown", "'"), ("word", "open")]),
        (
            "?1 :a @b",
            [("unknown", "?"), ("number", "1"), ("unknown", ":"), ("word", "a"), ("unknown", "@"), ("word", "b")],
        ),
    ],
)
def test_tokens_are_those_of_sqlite(sql: str, found: list[tuple[str, str]]) -> None:
    """Comments and blanks are none, quotes come off, only ASCII blanks are blanks, and what is no token says so."""
    assert [tuple(token) for token in tokens(sql)] == found


@given(st.text())
def test_a_quoted_name_is_one_token_whatever_is_in_it(name: str) -> None:
    """Quoting a name, or a text, can be undone, and never lets anything out."""
    assert tokens(quoted(name)) == [Token("name", name)]
    assert tokens(literal(name)) == [Token("text", name)]


def test_parts_are_parted_at_commas_outside_of_parentheses() -> None:
    """A comma within parentheses belongs to its part; what parentheses enclose is found."""
    found = tokens("a, f(b, (c)), d")
    assert [[token.text for token in part] for part in parted(found)] == [
        ["a"],
        ["f", "(", "b", ",", "(", "c", ")", ")"],
        ["d"],
    ]
    assert [token.text for token in enclosed(found, 3)] == ["b", ",", "(", "c", ")"]


def test_statements_that_say_the_same_are_alike() -> None:
    """Case, quotes of names and blanks make no difference; texts do."""
    assert plain(tokens('Insert INTO "T"(a)')) == plain(tokens("insert into t ( [A] )"))
    assert plain(tokens("'A'")) != plain(tokens("'a'"))


def test_only_ascii_letters_are_folded() -> None:
    """SQLite tells Ä from ä, and takes the Kelvin sign for no K."""
    assert folded("ÄbC\u212a") == "Äbc\u212a"
    assert not Token("word", "\u0131s").is_word("IS")
