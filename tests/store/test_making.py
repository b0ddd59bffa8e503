"""A schema made from its description: the same again, or named as not made, and nothing smuggled."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from msgspec.structs import replace

from ecm_agent.model.schema import Column, ForeignKey, FullText, Index, Part, Schema, Table, Trigger
from ecm_agent.store.describing import describe
from ecm_agent.store.making import Making

REAL = [
    """
CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, b)
""",
    """
CREATE TABLE a (id INTEGER PRIMARY KEY DESC, b)
""",
    """
CREATE TABLE a (id INTEGER, b, PRIMARY KEY (id DESC))
""",
    """
CREATE TABLE a (id INT PRIMARY KEY, b)
""",
    """
CREATE TABLE a (k TEXT COLLATE NOCASE, b INT, PRIMARY KEY (k, b DESC)) WITHOUT ROWID
""",
    """
CREATE TABLE a (k TEXT PRIMARY KEY COLLATE RTRIM, b ANY) STRICT, WITHOUT ROWID
""",
    """
CREATE TABLE a (x, y, PRIMARY KEY (x, y, x)) WITHOUT ROWID
""",
    """
CREATE TABLE a (x TEXT PRIMARY KEY UNIQUE, y UNIQUE, UNIQUE (y), UNIQUE (x, y))
""",
    """
CREATE TABLE a (x INT, y INT GENERATED ALWAYS AS (x*2) VIRTUAL, z as (x || 'a;b') stored NOT NULL)
""",
    """
CREATE TABLE a (x INT CHECK (x > 0 AND x < 10), y DEFAULT 'it''s',
  CONSTRAINT c CHECK (length(y) < 5), UNIQUE (y))
""",
    """
CREATE TABLE a (id TEXT PRIMARY KEY NOT NULL, x INT NOT NULL DEFAULT 0 CHECK (x >= 0) UNIQUE)
""",
    """
CREATE TABLE a (x CHECK (CASE WHEN x BETWEEN 1 AND 3 THEN 1 ELSE x IN (7, 8) END), j CHECK (json_valid(j)))
""",
    """
CREATE TABLE a (l CHECK (l LIKE 'a!%' ESCAPE '!' OR l GLOB '*x*'), c CHECK (CAST(c AS INT) = c))
""",
    """
CREATE TABLE p (a, b, PRIMARY KEY (a, b));
CREATE TABLE c (a, b, d REFERENCES c ON DELETE SET NULL ON UPDATE CASCADE,
  FOREIGN KEY (a, b) REFERENCES p ON DELETE CASCADE,
  FOREIGN KEY (b, a) REFERENCES nowhere (b, a))
""",
    """
CREATE TABLE a (x, y);
CREATE UNIQUE INDEX i ON a (lower(x) COLLATE NOCASE DESC, y DESC) WHERE y <> "done";
CREATE INDEX j ON a (y COLLATE RTRIM)
""",
    """
CREATE TABLE a (a DEFAULT 1, b DEFAULT -1.5e-3, c DEFAULT 'x',
  d DEFAULT "x y", e DEFAULT hello, f DEFAULT NULL,
  g DEFAULT CURRENT_TIMESTAMP, h DEFAULT (datetime('now', '-1 day')), i DEFAULT x'00ff', j DEFAULT true)
""",
    """
CREATE TABLE a (a DEFAULT text, b DEFAULT (lower(hex(randomblob(16)))), c DEFAULT (1 + 2 * (3 - 4)),
  d DEFAULT 0x1F)
""",
    """
CREATE TABLE "select" ("from" TEXT, "a b" INT, "q""uote" REAL, [br], `tick`, 'text', "日本" DEFAULT '値', "")
""",
    """
CREATE TABLE Ünï (é INT CHECK (é > 0), É INT CHECK (É > 1), a INT CHECK (A > 0 AND "A" < 3))
""",
    """
CREATE TABLE a (x VARCHAR(255), y DECIMAL(10, 2), z DOUBLE PRECISION, u VARCHAR ( 10 ), t 'it''s', v "CHECK(0)")
""",
    """
CREATE TABLE a (x -- the x; really
, y /* ( */ INT)
""",
    """
CREATE TABLE a AS SELECT 1 AS x, 'a' AS y
""",
    """
CREATE TABLE "t(1)" ("c(2)" INT, c3 INT);
CREATE INDEX "i(3)" ON "t(1)" ("c(2)" + 1)
""",
    """
CREATE VIRTUAL TABLE f USING fts5(x, "y z", detail = column, prefix='2 3', columnsize=0)
""",
    """
CREATE TABLE a (id INTEGER PRIMARY KEY, x);
CREATE VIRTUAL TABLE f USING fts5(x, content='a', content_rowid='id')
""",
]


def made(schema: Schema) -> tuple[Schema, list[str]]:
    """Make a schema, and describe what came of it; gives that and what was not made."""
    making = Making(schema)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        database.execute("BEGIN")
        making.make(database)
        return describe(database), making.not_made


@pytest.mark.parametrize("script", REAL)
def test_what_is_made_is_what_was_described(script: str) -> None:
    """Described, made and described again, a schema is the same, whatever it is made of."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(script)
        schema = describe(database)
    assert made(schema) == (schema, [])
    assert schema.foreign == []


@pytest.mark.parametrize(
    ("table", "not_made"),
    [
        (Table("sqlite_x", [Column("a")]), "table sqlite_x"),
        (Table("SQLITE_master", [Column("a")]), "table SQLITE_master"),
        (Table("pragma_table_list", [Column("a")]), "table pragma_table_list"),
        (Table("json_each", [Column("a")]), "table json_each"),
        (Table("", [Column("a")]), "table "),
        (Table("n\0l", [Column("a")]), "table n\0l"),
        (Table("t", [Column("a\0b")]), "table t"),
        (Table("t", []), "table t"),
        (Table("t", [Column("a"), Column("A")]), "table t"),
        (Table("t", [Column(f"c{number}") for number in range(5000)]), "table t"),
        (Table("t", [Column("a", generated="load_extension('x')")]), "table t"),
        (Table("t", [Column("a", collation="custom")]), "table t"),
        (
            Table("t", [Column("a")], foreign_keys=[ForeignKey(["a"], "p", on_delete="CASCADE; DROP TABLE t")]),
            "table t",
        ),
        (Table("t", [Column("a")], foreign_keys=[ForeignKey([], "p")]), "table t"),
        (Table("t", [Column("a")], primary_key=[Part(expression="(SELECT 1)")]), "table t"),
        (Table("t", [Column("a")], strict=True), "table t"),
    ],
)
def test_a_table_that_cannot_be_is_named(table: Table, not_made: str) -> None:
    """Names of SQLite's own, names that would hide what we ask, NULs, and what SQLite refuses: left out, and said."""
    assert made(Schema([table])) == (Schema(), [not_made])


def test_what_can_be_done_without_is_left_out_alone() -> None:
    """A default, a check, an index that cannot be said is named; the table is made."""
    table = Table(
        "t",
        [Column("a", default="(SELECT 1)"), Column("b")],
        checks=["custom(a)", "a > 0"],
        indexes=[Index([Part(expression="custom(a)")], "i"), Index([Part("nowhere")], "j"), Index([Part("b")], "t")],
    )
    found, not_made = made(Schema([table]))
    assert found.tables == [Table("t", [Column("a"), Column("b")], checks=['"a" > 0'])]
    assert not_made == ["default of column t.a", "check of table t", "index i", "index j", "1 indexes of table t"]


@pytest.mark.parametrize(
    "type_", ["x); DROP TABLE t; --", "INT CHECK (0)", "CHECK(0)", "AS(1)", "DEFAULT(1)", "a'b", 'a"b']
)
def test_a_type_is_a_type_whatever_it_says(type_: str) -> None:
    """What is not made of plain words goes in as a quoted name, and comes out as it was."""
    schema = Schema([Table("t", [Column("a", type_), Column("b")])])
    assert made(schema) == (schema, [])


CONTENT = Table("t", [Column("a")])


@pytest.mark.parametrize(
    "full_text",
    [
        FullText("f", ["a"], content="sqlite_master"),
        FullText("f", ["a"], content="nowhere"),
        FullText("f", ["nothing"], content="t"),
        FullText("f", ["a"], content="t", options={"content_rowid": "(SELECT 1)"}),
        FullText("f", ["a"], options={"content": "t"}),
        FullText("f", ["a"], options={"tokenize": "nowhere '; DROP TABLE t; --'"}),
        FullText("f", ["a"], unindexed=["b"]),
        FullText("f", ["a, content='sqlite_master'", "rank"]),
        FullText("f", []),
        FullText("sqlite_f", ["a"]),
        FullText("t", ["a"]),
        FullText("f", ["a"], content="t", triggers=[Trigger("sqlite_x", "INSERT")]),
        FullText("f", ["a"], content="t", triggers=[Trigger("n\0l", "INSERT")]),
        FullText("f", ["a"], content="t", triggers=[Trigger("x", "DELETE", of=["a"])]),
    ],
)
def test_a_full_text_table_that_cannot_be_is_named(full_text: FullText) -> None:
    """It indexes a table of the archive and columns of it, or its own; its triggers are those we would write."""
    schema = Schema([CONTENT], [full_text])
    assert made(schema) == (replace(schema, full_texts=[]), [f"virtual table {full_text.name}"])


def test_a_table_that_stands_where_a_full_text_table_keeps_its_own_is_a_table() -> None:
    """The full-text table is then named as not made, and nothing is written over."""
    shadow = Table("f_data", [Column("id"), Column("block")])
    assert made(Schema([shadow], [FullText("f", ["a"])])) == (Schema([shadow]), ["virtual table f"])
