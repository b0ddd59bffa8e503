"""Archives whose description of a store tries to have something executed, or to get where it does not belong."""

from __future__ import annotations

import io
import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from builders import CREATED, execute, sqlite_store

from ecm_agent.archive import write_archive
from ecm_agent.model.manifest import Selection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Document = dict[str, Any]

NAMES = (
    'x"; CREATE TABLE smuggled (a); --',
    "x'; CREATE TABLE smuggled (a); --",
    "x]; CREATE TABLE smuggled (a); --",
    "x); CREATE TABLE smuggled (a); --",
    'n\0l"; CREATE TABLE smuggled (a); --',
    "smuggled\u0000",
)
EXPRESSIONS = (
    "1); CREATE TABLE smuggled (a); --",
    "1; CREATE TABLE smuggled (a)",
    "(SELECT smuggled FROM chunks)",
    "smuggled('x')",
    "load_extension('smuggled')",
    "writefile('smuggled', 'x')",
    "'smuggled\0'",
    "'smuggled",
    '"smuggled',
    "/* smuggled */",
)
NUMBERS = (1, 0, -1, 2**63 - 1, 2**63, -(2**63) - 1, 2**70, 1.5, None, "smuggled", {"blob": ""})
"""Row numbers, most of which cannot be those of a second row."""

RESERVED = (
    "sqlite_master",
    "sqlite_smuggled",
    "pragma_table_list",
    "pragma_smuggled",
    "json_each",
    "notes_fts_data",
    "chunks",
)


def honest(path: Path) -> Document:
    """Make a store with a table, a full-text index of it, and another with its own rows; give its archive as JSON."""
    store = sqlite_store(path)
    execute(
        path,
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, a TEXT DEFAULT 'x', b AS (a), UNIQUE (a), CHECK (a <> 'y'))",
        "CREATE INDEX notes_a ON notes (lower(a)) WHERE a IS NOT NULL",
        "CREATE VIRTUAL TABLE notes_fts USING fts5(a, content='notes', content_rowid='id')",
        "CREATE TRIGGER notes_new AFTER INSERT ON notes "
        "BEGIN INSERT INTO notes_fts(rowid, a) VALUES (new.id, new.a); END",
        "CREATE VIRTUAL TABLE own USING fts5(a)",
        "CREATE VIEW seen AS SELECT 1 AS a",
        "INSERT INTO notes (id, a) VALUES (1, 'one'); INSERT INTO own (rowid, a) VALUES (1, 'one')",
    )
    file = io.BytesIO()
    with store.snapshot(Selection(), CREATED) as snapshot:
        write_archive(file, snapshot.manifest, snapshot.batches(), seal=None, compression="none")
    document: Document = json.loads(file.getvalue())
    del document["digests"]
    return document


def _notes(document: Document) -> Any:  # noqa: ANN401 (any JSON)
    return next(table for table in document["metadata"]["schema"]["tables"] if table["name"] == "notes")


def _index(document: Document) -> Any:  # noqa: ANN401 (any JSON)
    return document["metadata"]["schema"]["fullTexts"][0]


def _set(place: Callable[[Document], Any], key: Any, value: Any) -> Callable[[Document], None]:  # noqa: ANN401 (any JSON)
    def change(document: Document) -> None:
        place(document)[key] = value

    return change


def _renamed(name: str) -> Callable[[Document], None]:
    """Give the table of notes another name, its rows with it."""

    def change(document: Document) -> None:
        _notes(document)["name"] = name
        for row in document["rows"]:
            row["table"] = name if row["table"] == "notes" else row["table"]

    return change


def _twice(document: Document) -> None:
    tables = document["metadata"]["schema"]["tables"]
    tables += [deepcopy(_notes(document)) for _ in range(3)]


def _many_columns(document: Document) -> None:
    _notes(document)["columns"] = [{"name": f"c{number}"} for number in range(5000)]
    _notes(document)["rows"] = 0
    document["rows"] = [row for row in document["rows"] if row["table"] != "notes"]
    document["metadata"]["rowCount"] = len(document["rows"])


def _chunks(**changes: Any) -> Callable[[Document], None]:  # noqa: ANN401 (any JSON)
    def change(document: Document) -> None:
        chunks = next(table for table in document["metadata"]["schema"]["tables"] if table["name"] == "chunks")
        chunks.update(changes)

    return change


def _no_content(document: Document) -> None:
    chunks = next(table for table in document["metadata"]["schema"]["tables"] if table["name"] == "chunks")
    chunks["columns"] = [column for column in chunks["columns"] if column["name"] != "content"]


def _shadowed(document: Document) -> None:
    chunks = next(table for table in document["metadata"]["schema"]["tables"] if table["name"] == "chunks")
    chunks["columns"].append({"name": "rowid", "type": "TEXT"})


def _first(document: Document) -> Any:  # noqa: ANN401 (any JSON)
    return _notes(document)["columns"][1]


def _row(document: Document) -> Any:  # noqa: ANN401 (any JSON)
    return next(row for row in document["rows"] if row["table"] == "notes")


def _chunk(document: Document) -> Any:  # noqa: ANN401 (any JSON)
    return document["chunks"][1]


def _schema(document: Document) -> Any:  # noqa: ANN401 (any JSON)
    return document["metadata"]["schema"]


ATTEMPTS: dict[str, Callable[[Document], None]] = {
    "nothing": lambda _: None,
    **{f"table {name!r}": _renamed(name) for name in (*NAMES, *RESERVED, "seen", "sqlite_sequence", "")},
    **{f"column {name!r}": _set(_first, "name", name) for name in NAMES},
    **{f"type {name!r}": _set(_first, "type", name) for name in (*NAMES, "INT CHECK (smuggled)", "AS(1)")},
    **{f"default {text!r}": _set(_first, "default", text) for text in EXPRESSIONS},
    **{f"generated {text!r}": _set(lambda it: _notes(it)["columns"][2], "generated", text) for text in EXPRESSIONS},
    **{f"collation {name!r}": _set(_first, "collation", name) for name in NAMES},
    **{f"check {text!r}": _set(_notes, "checks", [text]) for text in EXPRESSIONS},
    **{
        f"index {text!r}": _set(_notes, "indexes", [{"parts": [{"expression": text}], "name": text, "where": text}])
        for text in (*NAMES, *EXPRESSIONS)
    },
    **{
        f"foreign key {name!r}": _set(
            _notes, "foreignKeys", [{"columns": ["a"], "table": name, "to": [name], "onDelete": "CASCADE"}]
        )
        for name in NAMES
    },
    "action": _set(
        _notes, "foreignKeys", [{"columns": ["a"], "table": "p", "onUpdate": "CASCADE; CREATE TABLE smuggled (a)"}]
    ),
    "mistaken foreign key": _set(
        _notes, "foreignKeys", [{"columns": ["a"], "table": "edges", "to": ["id", "edge_type"]}]
    ),
    "key": _set(_notes, "primaryKey", [{"expression": "(SELECT smuggled)"}]),
    **{f"full text {name!r}": _set(_index, "name", name) for name in (*NAMES, "sqlite_smuggled", "notes", "chunks")},
    **{
        f"content {name!r}": _set(_index, "content", name)
        for name in (*NAMES, "sqlite_master", "sqlite_sequence", "seen")
    },
    **{
        f"option {key} {name!r}": _set(_index, "options", {key: name})
        for key in ("tokenize", "content_rowid", "prefix", "content", "smuggled")
        for name in NAMES[:4]
    },
    **{
        f"trigger {name!r}": _set(_index, "triggers", [{"name": name, "event": "INSERT", "of": [name]}])
        for name in NAMES
    },
    "event": _set(_index, "triggers", [{"name": "x", "event": "INSERT; CREATE TABLE smuggled (a)"}]),
    "foreign": _set(_schema, "foreign", [{"kind": "view", "name": "v", "sql": "CREATE TABLE smuggled (a)"}]),
    "long version": _set(_schema, "versionRows", [[2, "x", 3, 4]]),
    "short version": _set(_schema, "versionRows", [[2]]),
    "large version": _set(_schema, "versionRows", [[2**70, "x"]]),
    "version as text": _set(_schema, "userVersion", "1; CREATE TABLE smuggled (a)"),
    "version beyond the header": _set(_schema, "userVersion", 2**31),
    "application beyond the header": _set(_schema, "applicationId", -(2**31) - 1),
    "version without number": _set(_schema, "versionRows", [["smuggled", None], [2, None], [2, None]]),
    "table twice": _twice,
    "many columns": _many_columns,
    "large number": _set(lambda it: _row(it)["values"], 0, 2**70),
    "no number": _set(lambda it: _row(it)["values"], 0, {"real": "smuggled"}),
    "text as row number": _set(lambda it: _row(it)["values"], 0, "smuggled"),
    "short row": _set(_row, "values", [1]),
    "row number of a row": _set(_row, "rowNumber", 7),
    **{f"row number {number!r} of the second chunk": _set(_chunk, "rowNumber", number) for number in NUMBERS},
    "sequence": _set(_notes, "sequence", 2**70),
    "other announcement": _set(_notes, "rows", 7),
    "unannounced": _set(_row, "table", "chunks"),
    "chunks without row numbers": _chunks(withoutRowid=True, primaryKey=[{"column": "id"}]),
    "chunks that check": _chunks(checks=["0"]),
    "chunks under a lock": _chunks(indexes=[{"parts": [{"column": "content"}], "unique": True}]),
    "chunks without content": _no_content,
    "chunks with a rowid": _shadowed,
    "no tables": _set(_schema, "tables", []),
    "no schema": lambda document: document["metadata"].pop("schema"),
}
"""By name: what is done to the JSON of an honest archive."""
