"""What is said of a store's schema: all that the statements say that made it, or that something is not said."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from ecm_agent.model.schema import Column, ForeignKey, FullText, Index, Part, Schema, Table, Trigger
from ecm_agent.store.cells import lenient_text
from ecm_agent.store.describing import describe


def described(*statements: str) -> Schema:
    with closing(sqlite3.connect(":memory:")) as database:
        for sql in statements:
            database.execute(sql)
        return describe(database)


def table(*statements: str) -> Table:
    return described(*statements).tables[-1]


def test_columns_are_described_with_all_they_are_made_of() -> None:
    """Type, NOT NULL, default, collation, and what a column is generated from, kept in the row or not."""
    assert table(
        "CREATE TABLE t (a VARCHAR(10) NOT NULL DEFAULT 'x' COLLATE nocase, b, "
        "c INT GENERATED ALWAYS AS (b + 1) STORED, d generated always as (c) virtual, e AS (upper(b)))"
    ).columns == [
        Column("a", "VARCHAR(10)", not_null=True, default="'x'", collation="nocase"),
        Column("b"),
        Column("c", "INT", generated='"b" + 1', stored=True),
        Column("d", generated='"c"'),
        Column("e", generated='upper("b")'),
    ]


@pytest.mark.parametrize(
    ("default", "said"),
    [
        ("hello", "'hello'"),
        ('"it\'s"', "'it''s'"),
        ("text", "'text'"),
        ("[a b]", "'a b'"),
        ("true", "true"),
        ("NULL", "NULL"),
        ("current_timestamp", "current_timestamp"),
        ('"current_timestamp"', "'current_timestamp'"),
        ("-  1.5", "- 1.5"),
        ("(datetime('now'))", "datetime('now')"),
    ],
)
def test_a_default_that_is_a_bare_name_is_a_text(default: str, said: str) -> None:
    """So SQLite takes it, whatever its quotes; words that mean a value stay what they are."""
    assert table(f"CREATE TABLE t (a DEFAULT {default})").columns[0].default == said


def test_names_in_double_quotes_that_are_no_columns_are_texts() -> None:
    """Checks and indexes written so mean texts, and are described as meaning them."""
    found = table('CREATE TABLE t (a CHECK ("A" <> "none"))', 'CREATE INDEX i ON t (a) WHERE a = "done"')
    assert found.checks == ["\"A\" <> 'none'"]
    assert found.indexes[0].where == "\"a\" = 'done'"


@pytest.mark.parametrize(
    ("sql", "key", "row_number", "sequence"),
    [
        ("a INTEGER PRIMARY KEY", [Part("a")], True, None),
        ("a INTEGER PRIMARY KEY AUTOINCREMENT", [Part("a")], True, 0),
        ("a INTEGER PRIMARY KEY DESC", [Part("a", descending=True)], False, None),
        ("a INTEGER, PRIMARY KEY (a DESC)", [Part("a")], True, None),
        ("a INT PRIMARY KEY", [Part("a")], False, None),
        (
            "a TEXT COLLATE NOCASE, b, PRIMARY KEY (b DESC, a)",
            [Part("b", descending=True), Part("a", collation="NOCASE")],
            False,
            None,
        ),
    ],
)
def test_keys_say_whether_they_are_the_row_number(
    sql: str, key: list[Part], row_number: bool, sequence: int | None
) -> None:
    """INTEGER PRIMARY KEY is another name of SQLite's row number, with one old exception."""
    found = table(f"CREATE TABLE t ({sql})")
    assert (found.primary_key, found.row_number, found.sequence) == (key, row_number, sequence)


def test_the_highest_number_given_out_is_described() -> None:
    """AUTOINCREMENT goes on from it, also where the row is gone."""
    made = "CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT)"
    assert table(made, "INSERT INTO t VALUES (41)", "DELETE FROM t").sequence == 41


def test_indexes_are_described_part_by_part() -> None:
    """Expressions, order, collations, conditions; a UNIQUE constraint is an index without a name."""
    found = table(
        "CREATE TABLE t (a, b, UNIQUE (b, a))",
        'CREATE UNIQUE INDEX "the (index)" ON t (lower(a) COLLATE NOCASE DESC, b) WHERE b IS NOT NULL',
    )
    first = Part(expression='lower("a") COLLATE NOCASE', descending=True, collation="NOCASE")
    assert found.indexes == [
        Index([Part("b"), Part("a")], unique=True),
        Index([first, Part("b")], "the (index)", unique=True, where='"b" IS NOT NULL'),
    ]


def test_foreign_keys_are_described_with_what_they_do() -> None:
    """Composite, to the primary key, and with actions."""
    found = table("CREATE TABLE p (x, y)", "CREATE TABLE t (a REFERENCES p ON DELETE CASCADE, b, "
                  "FOREIGN KEY (a, b) REFERENCES p (y, x) ON UPDATE SET NULL)")  # fmt: skip
    assert found.foreign_keys == [
        ForeignKey(["a"], "p", on_delete="CASCADE"),
        ForeignKey(["a", "b"], "p", ["y", "x"], on_update="SET NULL"),
    ]


def test_full_text_tables_are_described_with_their_triggers() -> None:
    """Options, columns that are not indexed, and what keeps the table in step."""
    schema = described(
        "CREATE TABLE t (a, b)",
        "CREATE VIRTUAL TABLE f USING fts5(a, b UNINDEXED, content=t, tokenize = \"unicode61 tokenchars '-'\")",
        "CREATE TRIGGER f_new AFTER INSERT ON t BEGIN INSERT INTO f(rowid, a, b) VALUES (new.rowid, new.a, new.b); END",
    )
    options = {"tokenize": "unicode61 tokenchars '-'"}
    assert schema.full_texts == [FullText("f", ["a", "b"], ["b"], "t", options, [Trigger("f_new", "INSERT")])]
    assert schema.foreign == []


def test_what_cannot_be_described_is_named_with_its_statement() -> None:
    """A view, another trigger, a virtual table of another kind, and clauses there are no words for."""
    statements = {
        ("view", "v"): "CREATE VIEW v AS SELECT 1",
        ("virtual table", "r"): "CREATE VIRTUAL TABLE r USING rtree(id, a, b)",
        ("virtual table", "g"): "CREATE VIRTUAL TABLE g USING fts5(a, content='')",
        ("clause in table", "t"): "CREATE TABLE t (a UNIQUE ON CONFLICT REPLACE)",
        ("clause in table", "u"): "CREATE TABLE u (a REFERENCES t (a) DEFERRABLE INITIALLY DEFERRED)",
        ("trigger", "x"): "CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM t; END",
    }
    found = described(*statements.values())
    assert {(one.kind, one.name): one.sql for one in found.foreign} == statements
    assert [one.name for one in found.tables] == ["t", "u"]


def test_version_rows_are_read_whatever_they_hold() -> None:
    """A text that is not UTF-8 is kept, and reading it changes nothing for others."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied_at TEXT)")
        database.execute("INSERT INTO schema_version VALUES (2, CAST(x'ff' AS TEXT))")
        ((version, applied),) = describe(database).version_rows
        assert (version, getattr(applied, "text", None)) == (2, b"\xff")
        assert database.text_factory is not lenient_text
