"""Rows that refer to nothing are found, whichever way they are looked for."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecm_agent.store.dangling import all_found, dangles
from ecm_agent.store.schema import CHUNKS, EDGES

KEYS = st.none() | st.integers(0, 2) | st.sampled_from(["a", "A", "b", "1", "1.0", "a ", b"a", b"1", 1.0, 0.5])
COLUMNS = st.sampled_from(["TEXT", "TEXT COLLATE NOCASE", "TEXT COLLATE RTRIM", "INTEGER", "BLOB", "REAL", ""])


def memory(ids: list[object], ends: list[object], *, of: str = "TEXT", to: str = "TEXT") -> sqlite3.Connection:
    """Give chunks of these ids, and an edge from each of `ends` to itself; keys are declared as `of` and `to` say."""
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE chunks (id {to})")
    connection.execute(f"CREATE TABLE edges (source_chunk_id {of}, target_chunk_id {of})")
    connection.executescript("CREATE INDEX by_id ON chunks(id); CREATE INDEX by_source ON edges(source_chunk_id)")
    connection.executemany("INSERT INTO chunks VALUES (?)", [(key,) for key in ids])
    connection.executemany("INSERT INTO edges VALUES (?, ?)", [(key, key) for key in ends])
    return connection


def any_dangles(connection: sqlite3.Connection) -> bool:
    return connection.execute(f"SELECT 1 FROM edges t WHERE {dangles(EDGES)} LIMIT 1").fetchone() is not None


@given(ids=st.lists(KEYS), ends=st.lists(KEYS), of=COLUMNS, to=COLUMNS)
def test_nothing_dangles_where_all_is_found(ids: list[object], ends: list[object], of: str, to: str) -> None:
    """The quick look never says that all is there when a row refers to nothing, whatever types columns may have."""
    with closing(memory(ids, ends, of=of, to=to)) as connection:
        assert not (all_found(connection, EDGES, "source_chunk_id", CHUNKS) and any_dangles(connection))


@given(ids=st.lists(KEYS), ends=st.lists(KEYS))
def test_the_quick_look_is_right_about_a_memory(ids: list[object], ends: list[object]) -> None:
    """With columns as the memory program declares them, the quick look and the thorough one agree."""
    with closing(memory(ids, ends)) as connection:
        assert all_found(connection, EDGES, "source_chunk_id", CHUNKS) is not any_dangles(connection)


@pytest.mark.parametrize("ends", [[None], ["a", None]])
def test_nothing_is_no_reference(ends: list[object]) -> None:
    """A row without a key does not refer to a chunk without one."""
    with closing(memory(["a", None], ends)) as connection:
        assert not all_found(connection, EDGES, "source_chunk_id", CHUNKS)
        assert any_dangles(connection)


def test_without_an_index_there_is_no_quick_look() -> None:
    """A column without one would have to be sorted, which takes memory: all may be there, but that is not said."""
    with closing(memory(["a"], ["a"])) as connection:
        assert all_found(connection, EDGES, "source_chunk_id", CHUNKS)
        assert not all_found(connection, EDGES, "target_chunk_id", CHUNKS)
        connection.execute("DROP INDEX by_id")
        assert not all_found(connection, EDGES, "source_chunk_id", CHUNKS)
