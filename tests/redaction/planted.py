"""A store with something to hide in every column of every table, in every way that SQLite can hold it."""

from __future__ import annotations

import json
import random
import sqlite3
import string
from contextlib import closing
from typing import TYPE_CHECKING

import builders
from redaction.corpus import Plant

from ecm_agent.store.schema import TABLES
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

SHAPES = ("text", "blob", "another blob", "not utf-8", "json", "loose json")
"""How a row holds its values; the last two differ only in columns meant for JSON."""

LATER_COLUMNS = """
ALTER TABLE chunks ADD COLUMN project_path TEXT;
ALTER TABLE chunks ADD COLUMN team_name TEXT;
ALTER TABLE vectors ADD COLUMN orphaned_at TEXT;
ALTER TABLE vectors ADD COLUMN last_accessed TEXT;
ALTER TABLE vectors ADD COLUMN model_id TEXT;
""" + "".join(
    f"ALTER TABLE {table.name} ADD COLUMN {column};\n"
    for table in TABLES
    for column in ("spoken TEXT", "counted INTEGER", "measured REAL", "raw BLOB", "anything")
)
"""The columns that stores of version 16 have beyond those of version 2, and some that no program has."""

_CLOCKS = {"vector_clock", "clock_data"}
_REFERENCES = {"source_chunk_id": "chunks", "target_chunk_id": "chunks", "chunk_id": "chunks", "cluster_id": "clusters"}


class PlantedStore:
    """A store in which every column of every row holds a key, a token, a path, a home directory and a user's name."""

    def __init__(self, path: Path, *, later: bool) -> None:
        self.store = SqliteStore(path)
        self.store.create()
        self.later = later
        if later:
            builders.execute(path, LATER_COLUMNS)
        self.plants = [Plant("name", "home", "/home/ada"), Plant("name", "user", "ada")]
        self._rng = random.Random(5)  # noqa: S311 (to be repeatable is the point)
        self._ids: dict[tuple[str, str], str] = {}
        with closing(sqlite3.connect(path)) as connection, connection:
            for table in TABLES:
                columns = [
                    name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", [table.name])
                ]
                for shape in SHAPES:
                    self._insert(connection, table.name, columns, shape)
            connection.execute("UPDATE schema_version SET applied_at = ?", [self._told("schema_version", "applied_at")])

    def without_what_guesses(self) -> list[Plant]:
        """Give the plants except those in vectors and centroids, which are no texts."""
        return [plant for plant in self.plants if not plant.form.startswith(("vectors.embedding", "clusters.centroid"))]

    def _insert(self, connection: sqlite3.Connection, table: str, columns: list[str], shape: str) -> None:
        values = [self._bytes(table, column, shape) for column in columns]
        place = "?" if shape.endswith("blob") else "CAST(? AS TEXT)"
        connection.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join([place] * len(columns))})", values
        )

    def _bytes(self, table: str, column: str, shape: str) -> bytes:
        text = self._text(table, column, shape)
        return b"\xff " + text.encode() if shape == "not utf-8" else text.encode()

    def _text(self, table: str, column: str, shape: str) -> str:
        if column in _REFERENCES or (table, column) == ("vectors", "id"):
            return self._ids[_REFERENCES.get(column, "chunks"), shape]
        space = " " if shape == "loose json" else ""
        if shape.endswith("json") and column == "exemplar_ids":
            return "[" + space + json.dumps(self._ids["chunks", shape]) + "]"
        text = self._told(table, column, shape)
        if column == "id":
            self._ids[table, shape] = text
        if shape.endswith("json") and column in _CLOCKS:
            return json.dumps({text: 1}, separators=(",", ":" + space))
        return text

    def _told(self, table: str, column: str, shape: str = "") -> str:
        """Make a value and note what of it may not be told; in numbers that are no text, the home is not named."""
        home = "" if column in {"embedding", "centroid"} else "/home/ada"
        key = "AKIA" + self._drawn(string.ascii_uppercase, 16)
        token, folder, file = "ghp_" + self._drawn(string.ascii_letters, 36), self._drawn(), self._drawn()
        form = f"{table}.{column}, {shape}"
        self.plants += [Plant("secret", form, key), Plant("secret", form, token)]
        self.plants += [Plant("path", form, folder), Plant("path", form, file)]
        return f"{key} {token} {home}/{folder}/{file} {'ada' if home else ''}"

    def _drawn(self, letters: str = string.ascii_lowercase, length: int = 12) -> str:
        return "".join(self._rng.choices(letters, k=length))
