"""The small language of expressions: what can be said in it, how it is written, and what cannot be said."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecm_agent.store.expressions import Unspeakable, spoken
from ecm_agent.store.tokens import tokens

COLUMNS = ("a", "B", "select", "odd name", "date")


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("1", "1"),
        ("'it''s'", "'it''s'"),
        ("x'00ff'", "x'00ff'"),
        ("-  1", "- 1"),
        ("a>0 and B<=A", '"a" > 0 and "B" <= "A"'),
        ("select > 1", '"select" > 1'),
        ('"odd name" IS NOT NULL', '"odd name" IS NOT NULL'),
        ("a /* not -- seen */ + 1", '"a" + 1'),
        ("(a)", '("a")'),
        ("length(a) IN (1, 2)", 'length("a") IN (1, 2)'),
        ("date", '"date"'),
        ("date('now')", "date('now')"),
        ("lower(hex(randomblob(16)))", "lower(hex(randomblob(16)))"),
        ("a LIKE 'x!%' ESCAPE '!'", "\"a\" LIKE 'x!%' ESCAPE '!'"),
        ("CAST(a AS INTEGER)", 'CAST ("a" AS INTEGER)'),
        ("CASE WHEN a THEN 1 ELSE NULL END", 'CASE WHEN "a" THEN 1 ELSE NULL END'),
        ("a COLLATE nocase", '"a" COLLATE nocase'),
        ("a ->> '$.x'", "\"a\" ->> '$.x'"),
        ("a - -1", '"a" - - 1'),
    ],
)
def test_what_is_spoken_is_written_anew(said: str, written: str) -> None:
    """Columns are quoted, comments gone, blanks single; SQLite takes what was written for the same expression."""
    assert spoken(said, COLUMNS) == written
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute('CREATE TABLE t (a, B, "select", "odd name", date)')
        database.execute(f"SELECT {written} FROM t")


@pytest.mark.parametrize(
    "said",
    [
        "",
        "  -- nothing",
        "(SELECT 1)",
        "EXISTS (SELECT 1 FROM t)",
        "a IN t",
        "1; DROP TABLE t",
        "t.a",
        "?",
        ":name",
        "@x",
        "$x",
        "unknown",
        '"no column"',
        "[b c]",
        "load_extension('x')",
        "readfile('x')",
        "writefile('x', 'y')",
        "fts3_tokenizer('x')",
        "zeroblob(1000000000)",
        "printf('%1000000000s', '')",
        "randomblob(1000000000)",
        "randomblob(4 * 1000000)",
        "randomblob(a)",
        "randomblob()",
        "total(a) OVER ()",
        "(1",
        "1)",
        ")(",
        "1) , (2",
        "'open",
        '"open',
        "'a\0b'",
        "a REGEXP 'x'",
        "a COLLATE custom",
        "RAISE(ABORT, 'x')",
        "\u0131nteger",
        "ab\u017f(1)",
        "#",
        "{",
        "\\",
    ],
)
def test_what_is_no_expression_of_ours_is_refused(said: str) -> None:
    """No sub-query, no second statement, no parameter, no name or function but those listed, no loose parenthesis."""
    with pytest.raises(Unspeakable):
        spoken(said, ("a", "B"))


def test_a_column_called_select_is_a_name_and_selects_nothing() -> None:
    """A keyword that is a column's name goes into a statement in quotes, wherever it stands."""
    assert spoken("(SELECT 1)", COLUMNS) == '("SELECT" 1)'


_WORDS = ("a", "B", "select", "x", "abs", "lower", "IN", "CASE", "END", "NULL", "COLLATE", "NOCASE")
_SIGNS = ("(", ")", ",", "-", "*", "/", "--", ";", ".", "->>", "|", "'", '"', "/*", "?", "\n")
_PIECES = st.sampled_from((*_WORDS, *_SIGNS, '"select"', "'t'", "x'0f'", "1", "1.e5", ".5"))


@given(
    st.lists(_PIECES, max_size=12).map(" ".join) | st.lists(_PIECES, max_size=12).map("".join) | st.text(max_size=20)
)
def test_speaking_twice_says_the_same(said: str) -> None:
    """Whatever is given, what is spoken holds allowed tokens only, is balanced, and is spoken as it is written."""
    try:
        once = spoken(said, COLUMNS)
    except Unspeakable:
        return
    found = tokens(once)
    assert spoken(once, COLUMNS) == once
    assert not {token.kind for token in found} & {"unknown"}
    assert not {token.text for token in found if token.kind == "sign"} & {";", "."}
    assert not {token.text.upper() for token in found if token.kind == "word"} & {"SELECT", "FROM"}
    assert sum(token.is_sign("(") for token in found) == sum(token.is_sign(")") for token in found)
