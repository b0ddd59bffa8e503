"""Other tables than the memory's own: their description, and rows with every kind of value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vectors.memory import MEMORY, document

from ecm_agent.model.records import Exact, TableRow
from ecm_agent.model.schema import (
    Column,
    Foreign,
    ForeignKey,
    FullText,
    Index,
    Part,
    Schema,
    Table,
    Trigger,
)

if TYPE_CHECKING:
    from ecm_agent.model.records import Batch


def _memory_table(name: str, columns: str, key: str = "id") -> Table:
    """Describe a table with the memory's own columns, which are TEXT but for those written `column:TYPE`."""
    typed = (column.partition(":") for column in columns.split())
    found = [Column(column, type_ or "TEXT", not_null=column in key.split()) for column, _, type_ in typed]
    return Table(name, found, primary_key=[Part(column) for column in key.split()])


MEMORY_SCHEMA = [
    _memory_table(
        "chunks",
        "id session_id session_slug turn_indices start_time end_time content code_block_count:INTEGER "
        "tool_use_count:INTEGER approx_tokens:INTEGER created_at agent_id vector_clock spawn_depth:INTEGER",
    ),
    _memory_table(
        "edges",
        "id source_chunk_id target_chunk_id edge_type reference_type initial_weight:REAL created_at vector_clock "
        "link_count:INTEGER",
    ),
    _memory_table("clusters", "id name description centroid:BLOB exemplar_ids membership_hash created_at refreshed_at"),
    _memory_table("chunk_clusters", "chunk_id cluster_id distance:REAL", "chunk_id cluster_id"),
    _memory_table("vector_clocks", "id project_slug clock_data updated_at"),
    _memory_table("vectors", "id embedding:BLOB orphaned_at model_id"),
    _memory_table("schema_version", "version:INTEGER applied_at", "version"),
]
NOTES = Table(
    "notes",
    [
        Column("id", "INTEGER"),
        Column("chunk_id", "TEXT"),
        Column("body", "TEXT", not_null=True, default="''", collation="NOCASE"),
        Column("size", "INTEGER", generated='length("body")', stored=True),
    ],
    rows=2,
    primary_key=[Part("id")],
    row_number=True,
    sequence=9,
    foreign_keys=[ForeignKey(["chunk_id"], "chunks", ["id"], on_delete="CASCADE")],
    indexes=[
        Index([Part("chunk_id"), Part("body", collation="NOCASE")]),
        Index([Part(expression='lower("body")', descending=True)], "notes_by_body", where="\"body\" <> ''"),
    ],
    checks=['length("body") < 1000'],
)
ANYTHING = Table("any thing", [Column("a"), Column("b", "BLOB"), Column("c", "REAL")], rows=6)
PAIRS = Table(
    "pairs",
    [Column("x", "INTEGER", not_null=True), Column("y", "TEXT", not_null=True)],
    rows=1,
    primary_key=[Part("x", descending=True), Part("y")],
    without_rowid=True,
    strict=True,
)
EMPTY = Table("empty", [Column("x", "TEXT")], rows=0)
LEFT_OUT = Table("cache", [Column("x", "TEXT")])
FULL_TEXTS = [
    FullText(
        "notes_fts",
        ["body"],
        content="notes",
        options={"content_rowid": "id"},
        triggers=[Trigger("notes_in", "INSERT"), Trigger("notes_out", "DELETE"), Trigger("notes_new", "UPDATE")],
    ),
    FullText("journal", ["day", "says"], ["day"], options={"tokenize": "porter unicode61"}, rows=2),
]
FOREIGN = [Foreign("view", "short_notes", "CREATE VIEW short_notes AS SELECT * FROM notes WHERE size < 80")]
SCHEMA = Schema(
    [*MEMORY_SCHEMA, NOTES, ANYTHING, PAIRS, EMPTY, LEFT_OUT],
    FULL_TEXTS,
    FOREIGN,
    [[2, "2025-02-28T08:00:00.000Z"]],
)

ROWS = [
    TableRow(table="notes", values=[3, "s0-chunk-0", "Käfer \U0001f41e"]),
    TableRow(table="notes", values=[7, None, Exact(text=b"half \xed\xa0\x80 a character")]),
    TableRow(table="any thing", values=[1 - 2**63, 2**63 - 1, 0.1]),
    TableRow(table="any thing", values=[-0.0, 5e-324, Exact(real="-inf")]),
    TableRow(table="any thing", values=["", "\u2028\u2029\x00\x7f", Exact(real="inf")]),
    TableRow(table="any thing", values=[Exact(blob=b""), Exact(blob=b"\x00\xff"), None]),
    TableRow(table="any thing", values=["1", 1, 1.0]),
    TableRow(table="any thing", values=["1", 1, 1.0]),
    TableRow(table="pairs", values=[1, "one"]),
    TableRow(table="journal", values=[1, "Monday", "Sowed beans."]),
    TableRow(table="journal", values=[5, "Tuesday", None]),
]

HOSTILE = Schema(
    [
        *MEMORY_SCHEMA,
        Table(
            "notes",
            [Column("id", "INTEGER"), Column("body", "TEXT", default="load_extension('x')")],
            rows=1,
            indexes=[Index([Part(expression="(SELECT 1)")], "notes_x")],
            checks=["1) ; DROP TABLE chunks; --"],
        ),
        Table("sqlite_x", [Column("x", "TEXT")]),
        Table("typed", [Column("x", "TEXT) AS SELECT 1; --")]),
    ],
    [FullText("seen", ["x"], content="elsewhere")],
    [Foreign("trigger", "t", "CREATE TRIGGER t AFTER INSERT ON chunks BEGIN DELETE FROM chunks; END")],
)
HOSTILE_ROWS = [TableRow(table="notes", values=[1, "'); DROP TABLE chunks; --"])]
NOT_MADE = (
    "trigger t",
    "default of column notes.body",
    "check of table notes",
    "index notes_x",
    "table sqlite_x",
    "virtual table seen",
)


def whole_document(schema: Schema = SCHEMA, rows: Batch = ROWS, **more: Any) -> bytes:  # noqa: ANN401 (any field of a manifest)
    """Give the document of the memory with rows of other tables."""
    return document([*MEMORY, rows], schema=schema, row_count=len(rows), **more)
