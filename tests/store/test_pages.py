"""A table is read in pages: all of it, in order, however its rows are numbered and however large they are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecm_agent.store.cells import BrokenText
from ecm_agent.store.pages import pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecm_agent.store.reading import Row

SELECTED = "t.value, t.rowid FROM main.things t"
HALF_A_MEGABYTE = 1 << 19


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(table({})) as connection:
        yield connection


def table(rows: dict[int, object]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE things (value)")
    fill(connection, rows)
    return connection


def fill(connection: sqlite3.Connection, rows: dict[int, object]) -> None:
    connection.executemany("INSERT INTO things (rowid, value) VALUES (?, ?)", rows.items())


def read(connection: sqlite3.Connection, wanted: str = "1") -> list[list[Row]]:
    return list(pages(connection, SELECTED, wanted))


@given(numbers=st.sets(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 200)))
def test_every_row_comes_once_in_order(numbers: set[int]) -> None:
    """Whatever numbers rows have, the least and the greatest there can be among them."""
    with closing(table(dict.fromkeys(numbers, "x"))) as connection:
        assert [row for page in read(connection) for row in page] == [("x", number) for number in sorted(numbers)]


def test_what_is_not_wanted_is_passed_over(connection: sqlite3.Connection) -> None:
    """Only rows for which the condition holds are given, and a table of none gives no page."""
    fill(connection, {number: number for number in range(1, 5000)})
    assert [row[0] for page in read(connection, "t.value % 7 = 0") for row in page] == list(range(7, 5000, 7))
    assert read(connection, "t.value < 0") == []


@pytest.mark.parametrize("size", [10, 1_000, 10_000, 1_000_000])
def test_a_page_is_as_large_whatever_its_rows_are(connection: sqlite3.Connection, size: int) -> None:
    """Of small rows a page has a thousand, of rows of ten kilobytes some fifty, of huge ones a single one."""
    most = max(1, min(1024, HALF_A_MEGABYTE // size))
    fill(connection, dict.fromkeys(range(1, 33 + 3 * most), "x" * size))
    lengths = [len(page) for page in read(connection)]
    assert lengths[0] == min(32, sum(lengths))
    assert all(0.4 * most <= length <= most for length in lengths[1:-1])


def test_text_that_is_not_utf_8_costs_one_page(connection: sqlite3.Connection) -> None:
    """It comes as the bytes that it is, and all other text as text."""
    fill(connection, dict.fromkeys(range(1, 3000), "text"))
    connection.execute("UPDATE things SET value = CAST(X'EDA080' AS TEXT) WHERE rowid = 500")
    rows = [row for page in read(connection) for row in page]
    assert rows[499] == (BrokenText(b"\xed\xa0\x80"), 500)
    assert {value for value, _ in rows[:499] + rows[500:]} == {"text"}
    assert connection.text_factory is str
