"""A search index that knows the memory's rows by their numbers finds the same ones, whatever is done with archives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import builders
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from program import Program

INDEX = """
CREATE VIRTUAL TABLE chunk_search USING fts5(content);
INSERT INTO chunk_search (rowid, content) SELECT rowid, 'about ' || id FROM chunks;
DELETE FROM edges;
DELETE FROM chunk_clusters WHERE chunk_id = 'c3';
DELETE FROM chunk_search WHERE rowid = 1;
DELETE FROM chunks WHERE rowid = 1;
CREATE TABLE marks (chunk INTEGER, note TEXT);
INSERT INTO marks SELECT rowid, id FROM chunks;
DELETE FROM marks WHERE note = 'c2';
"""
FOUND = (
    "SELECT c.id, m.note FROM chunk_search s JOIN chunks c ON c.rowid = s.rowid LEFT JOIN marks m ON m.chunk = c.rowid"
)


def found(store: Path) -> list[tuple[object, ...]]:
    return builders.query(store, f"{FOUND} WHERE chunk_search MATCH 'c4'")


@pytest.fixture
def indexed(program: Program) -> Program:
    """Give a home whose memory has an index with a row number that is gone."""
    builders.execute(program.store, INDEX)
    assert found(program.store) == [("c4", "c4")]
    return program


def test_an_index_by_row_number_finds_the_same_rows(indexed: Program) -> None:
    """After a restore beside the store, a restore in its place, and an undo."""
    numbers = builders.row_numbers(indexed.store)
    assert indexed.run("backup").code == 0
    assert indexed.run("drill").code == 0
    new = indexed.home / "new.db"
    assert indexed.run("restore", "latest", "--into", str(new)).code == 0
    assert found(new) == [("c4", "c4")]
    assert builders.row_numbers(new) == numbers
    builders.execute(indexed.store, "UPDATE chunks SET rowid = rowid + 50")
    renumbered = builders.row_numbers(indexed.store)
    assert indexed.run("restore", "latest").code == 0
    assert found(indexed.store) == [("c4", "c4")]
    assert builders.row_numbers(indexed.store) == numbers
    assert indexed.run("undo").code == 0
    assert builders.row_numbers(indexed.store) == renumbered
