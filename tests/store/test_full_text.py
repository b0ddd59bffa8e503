"""Full-text tables: their triggers recognised, put aside and put back; their indexes made anew, and checked."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ecm_agent.model.schema import FullText, Trigger
from ecm_agent.store.full_text import damaged, full_text_of, rebuild, trigger_of, trigger_sql, triggers_aside

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTES = FullText("f", ["a", "b"], content="notes", options={"content_rowid": "id"})
LEARN = "INSERT INTO f(rowid, a, b) VALUES (new.id, new.a, new.b);"
FORGET = "INSERT INTO f(f, rowid, a, b) VALUES ('delete', old.id, old.a, old.b);"


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(f"""
            CREATE TABLE notes (id INTEGER PRIMARY KEY, a, b);
            CREATE VIRTUAL TABLE f USING fts5(a, b, content='notes', content_rowid='id');
            CREATE TRIGGER "the new" AFTER INSERT ON notes BEGIN {LEARN} END;
            CREATE VIEW v AS SELECT a FROM notes;
            CREATE TRIGGER "of a view" INSTEAD OF INSERT ON v BEGIN INSERT INTO notes (a) VALUES (new.a); END;
            CREATE VIRTUAL TABLE own USING fts5(a);
            INSERT INTO notes VALUES (4, 'neap', 'tide');
            INSERT INTO own VALUES ('ebb');
        """)
        yield connection


@pytest.mark.parametrize(
    ("sql", "trigger"),
    [
        (f"CREATE TRIGGER t AFTER INSERT ON notes BEGIN {LEARN} END", Trigger("t", "INSERT")),
        (f'create trigger [t] after insert on "Notes"\nfor each row -- so\nbegin {LEARN.upper()} end',
         Trigger("t", "INSERT")),
        (f"CREATE TRIGGER t AFTER DELETE ON notes BEGIN {FORGET} END", Trigger("t", "DELETE")),
        (f"CREATE TRIGGER t AFTER UPDATE ON notes BEGIN {FORGET} {LEARN} END", Trigger("t", "UPDATE")),
        (f"CREATE TRIGGER t AFTER UPDATE OF b, a ON notes BEGIN {FORGET} {LEARN} END",
         Trigger("t", "UPDATE", ["b", "a"])),
        (f"CREATE TRIGGER t AFTER UPDATE OF c ON notes FOR EACH ROW BEGIN {FORGET}{LEARN} END",
         Trigger("t", "UPDATE", ["c"])),
    ],
)  # fmt: skip
def test_a_trigger_is_known_in_any_spelling(sql: str, trigger: Trigger) -> None:
    """Case, quotes, blanks and comments aside, it does what one of ours does; ours is known as well."""
    found = trigger_of(NOTES, "t", sql)
    assert found
    assert found[1] == trigger
    assert found[0].triggers == [trigger]
    assert trigger_of(NOTES, "t", trigger_sql(NOTES, trigger)) == found


@pytest.mark.parametrize(
    "sql",
    [
        f"CREATE TRIGGER t AFTER INSERT ON notes BEGIN {LEARN} DELETE FROM notes; END",
        f"CREATE TRIGGER t AFTER INSERT ON notes WHEN new.a > 1 BEGIN {LEARN} END",
        f"CREATE TRIGGER t BEFORE INSERT ON notes BEGIN {LEARN} END",
        f"CREATE TRIGGER t AFTER INSERT ON other BEGIN {LEARN} END",
        f"CREATE TRIGGER t AFTER DELETE ON notes BEGIN {LEARN} END",
        f"CREATE TRIGGER t AFTER UPDATE ON notes BEGIN {LEARN} {FORGET} END",
        f"CREATE TRIGGER t AFTER INSERT ON notes BEGIN {LEARN.replace('new.b', 'new.a')} END",
        f"CREATE TRIGGER t AFTER INSERT ON notes BEGIN {LEARN.replace('new.id', 'random()')} END",
        f"CREATE TRIGGER t AFTER DELETE ON notes BEGIN {FORGET.replace('delete', 'DELETE')} END",
    ],
)
def test_a_trigger_that_does_anything_else_is_not_known(sql: str) -> None:
    """More, less, in another order, at another time, on another table, or with other values."""
    assert trigger_of(NOTES, "t", sql) is None


def test_a_table_with_rows_of_its_own_has_no_triggers() -> None:
    """None keeps it in step with anything."""
    assert trigger_of(FullText("f", ["a"]), "t", f"CREATE TRIGGER t AFTER INSERT ON notes BEGIN {LEARN} END") is None


@pytest.mark.parametrize("sql", ["fts5(a, content='')", "fts5(a, contentless_delete=1)", "fts4(a)", "rtree(a, b, c)"])
def test_another_virtual_table_is_none_of_ours(sql: str) -> None:
    """Of another kind, without its texts, or with an option that has yet to be heard of."""
    assert full_text_of("f", f"CREATE VIRTUAL TABLE f USING {sql}") is None


def test_no_trigger_fires_while_all_are_put_aside(database: sqlite3.Connection) -> None:
    """Afterwards they are there as they were, whatever their names and whatever they belong to."""
    listed = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    before = database.execute(listed).fetchall()
    with triggers_aside(database):
        database.execute("INSERT INTO notes VALUES (5, 'spring', 'tide')")
        assert database.execute(listed).fetchall() == []
    assert database.execute(listed).fetchall() == before
    assert database.execute("SELECT rowid FROM f WHERE f MATCH 'spring'").fetchall() == []
    database.execute("INSERT INTO v VALUES ('slack')")
    assert database.execute("SELECT a FROM f WHERE f MATCH 'slack'").fetchall() == [("slack",)]


def test_an_index_is_made_anew(database: sqlite3.Connection) -> None:
    """What it lacked is found, and its own check finds nothing amiss."""
    with triggers_aside(database):
        database.execute("INSERT INTO notes VALUES (5, 'spring', 'tide')")
    assert list(damaged(database)) == ["f"]
    rebuild(database)
    assert list(damaged(database)) == []
    assert database.execute("SELECT rowid FROM f WHERE f MATCH 'spring'").fetchall() == [(5,)]


def test_damage_that_sqlite_itself_does_not_see_is_found(database: sqlite3.Connection) -> None:
    """Also in a table that holds its own rows; the check of the file as a whole says nothing of either."""
    database.execute("UPDATE own_content SET c0 = 'flood'")
    database.execute("DELETE FROM f_docsize")
    assert list(damaged(database)) == ["f", "own"]
    assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)]
