"""Export → import is the identity, bit for bit, on whatever SQLite lets into the columns of a memory."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from builders import Trip, contents, execute, fill, memory, row_numbers, rows_of, through_archive
from hypothesis import given, settings
from hypothesis import strategies as st

from ecm_agent.errors import StoreUnreadable
from ecm_agent.model.records import Chunk, Cluster, Edge, Membership
from ecm_agent.sample import Shape, batches
from ecm_agent.store import connection
from ecm_agent.store.generations import ECM
from ecm_agent.store.schema import MEMBERSHIPS, TABLES
from ecm_agent.store.snapshot import MAX_ODDITIES
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecm_agent.store.encryption import Encryption
    from ecm_agent.store.schema import Table

ONE_ROW = {
    "chunks": "c5",
    "edges": "e1",
    "clusters": "k3",
    "chunk_clusters": "c1",
    "vector_clocks": "agent::ui",
    "vectors": "gone",
}
"""A row of each table, by what names it in messages; nothing refers to it."""

KEY = {table.name: "chunk_id" if table is MEMBERSHIPS else "id" for table in TABLES}

SURROGATE = "CAST(x'534543524554eda080' AS TEXT)"
HUGE = "9" * 5000

ODD = [
    ("chunks", "id", "NULL"),
    ("chunks", "id", SURROGATE),
    ("chunks", "id", "x'534543524554'"),
    ("chunks", "session_slug", SURROGATE),
    ("chunks", "session_slug", "x'534543524554'"),
    ("chunks", "content", SURROGATE),
    ("chunks", "content", "CAST(x'5345435245540000ff' AS TEXT)"),
    ("chunks", "content", "x'534543524554'"),
    ("chunks", "content", "x''"),
    ("chunks", "content", "NULL"),
    ("chunks", "session_id", SURROGATE),
    ("chunks", "created_at", "x'00'"),
    ("chunks", "agent_id", SURROGATE),
    ("chunks", "spawn_depth", "'SECRET'"),
    ("chunks", "spawn_depth", "1.5"),
    ("chunks", "spawn_depth", "1e300"),
    ("chunks", "spawn_depth", "9e999"),
    ("chunks", "approx_tokens", "x'00'"),
    ("chunks", "turn_indices", "NULL"),
    ("chunks", "turn_indices", "''"),
    ("chunks", "turn_indices", "'SECRET'"),
    ("chunks", "turn_indices", "'[0, 1]'"),
    ("chunks", "turn_indices", "'[0,1]' || char(10)"),
    ("chunks", "turn_indices", "'[0,1]' || char(0)"),
    ("chunks", "turn_indices", "'[0,1.5]'"),
    ("chunks", "turn_indices", "'[1e400]'"),
    ("chunks", "turn_indices", "'null'"),
    ("chunks", "turn_indices", "'{}'"),
    ("chunks", "turn_indices", f"'[{HUGE}]'"),
    ("chunks", "turn_indices", f"'{'[' * 100_000}'"),
    ("chunks", "turn_indices", f"'{'[' * 1500}{']' * 1500}'"),
    ("chunks", "turn_indices", "x'5b5d'"),
    ("chunks", "vector_clock", "'SECRET'"),
    ("chunks", "vector_clock", """'{"a": 1}'"""),
    ("chunks", "vector_clock", """'{"a":1,"a":2}'"""),
    ("chunks", "vector_clock", """'{"a":"SECRET"}'"""),
    ("chunks", "vector_clock", """'{"a":null}'"""),
    ("chunks", "vector_clock", """'{"\\u0061":1}'"""),
    ("chunks", "vector_clock", """'{"\\ud800":1}'"""),
    ("chunks", "vector_clock", "CAST(x'7b22ff223a317d' AS TEXT)"),
    ("chunks", "vector_clock", "x'7b22ff223a317d'"),
    ("edges", "id", "NULL"),
    ("edges", "id", SURROGATE),
    ("edges", "edge_type", "x'00'"),
    ("edges", "reference_type", SURROGATE),
    ("edges", "initial_weight", "9e999"),
    ("edges", "initial_weight", "-9e999"),
    ("edges", "initial_weight", "'SECRET'"),
    ("edges", "initial_weight", SURROGATE),
    ("edges", "initial_weight", "x'00'"),
    ("edges", "link_count", "2.5"),
    ("edges", "vector_clock", "'[]'"),
    ("clusters", "id", "NULL"),
    ("clusters", "name", SURROGATE),
    ("clusters", "description", "x'00'"),
    ("clusters", "centroid", "'SECRET'"),
    ("clusters", "centroid", SURROGATE),
    ("clusters", "centroid", "1.5"),
    ("clusters", "centroid", "-9e999"),
    ("clusters", "exemplar_ids", "'SECRET'"),
    ("clusters", "exemplar_ids", """'["a", "b"]'"""),
    ("clusters", "exemplar_ids", """'{"a":"b"}'"""),
    ("clusters", "exemplar_ids", "CAST(x'5b22ff225d' AS TEXT)"),
    ("chunk_clusters", "distance", "9e999"),
    ("chunk_clusters", "distance", "'SECRET'"),
    ("vector_clocks", "id", "NULL"),
    ("vector_clocks", "project_slug", SURROGATE),
    ("vector_clocks", "clock_data", "'SECRET'"),
    ("vector_clocks", "clock_data", "x'7b7d'"),
    ("vector_clocks", "updated_at", SURROGATE),
    ("vectors", "id", "NULL"),
    ("vectors", "id", SURROGATE),
    ("vectors", "embedding", "'SECRET'"),
    ("vectors", "embedding", SURROGATE),
    ("vectors", "embedding", "7"),
    ("vectors", "embedding", "NULL"),
]

REGULAR = [
    ("chunks", "content", "''"),
    ("chunks", "content", "'a' || char(0) || 'b'"),
    ("chunks", "content", "char(0x2028, 0x2029, 0x7f, 0x85, 0xfeff, 0xfffe, 0xffff, 0x10ffff, 9, 10, 13, 27, 34, 92)"),
    ("chunks", "session_slug", "''"),
    ("chunks", "created_at", "NULL"),
    ("chunks", "agent_id", "NULL"),
    ("chunks", "vector_clock", "NULL"),
    ("chunks", "vector_clock", "'{}'"),
    ("chunks", "vector_clock", "'{\"é' || char(0x2028) || '\":1}'"),
    ("chunks", "vector_clock", f"""'{{"a":{HUGE[:40]}}}'"""),
    ("chunks", "turn_indices", "'[]'"),
    ("chunks", "turn_indices", f"'[-1,{2**63},{HUGE[:40]}]'"),
    ("chunks", "spawn_depth", "9223372036854775807"),
    ("chunks", "spawn_depth", "-9223372036854775807 - 1"),
    ("chunks", "approx_tokens", "NULL"),
    ("edges", "initial_weight", "0.1"),
    ("edges", "initial_weight", "-0.0"),
    ("edges", "initial_weight", "1e16"),
    ("edges", "initial_weight", "5e-324"),
    ("edges", "initial_weight", "-1.7976931348623157e308"),
    ("edges", "initial_weight", "2.2250738585072011e-308"),
    ("edges", "initial_weight", "123456789012345680"),
    ("edges", "reference_type", "NULL"),
    ("edges", "link_count", "NULL"),
    ("clusters", "centroid", "NULL"),
    ("clusters", "centroid", "x''"),
    ("clusters", "exemplar_ids", "NULL"),
    ("clusters", "exemplar_ids", "'[\"\\u0000\"]'"),
    ("clusters", "description", "''"),
    ("vector_clocks", "project_slug", "''"),
    ("vectors", "embedding", "x''"),
    ("vectors", "embedding", "x'010203'"),
    ("vectors", "embedding", "x'0000c07f0000c0ff010080ff0000807f000080ff00000080'"),
]

UNCHECKED = ECM.ddl.replace(" NOT NULL", "")


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Hundreds of stores are written here, and none has to outlive a power cut."""
    opened = connection._connection

    def hasty(path: Path, how: str, encryption: Encryption) -> sqlite3.Connection:
        database = opened(path, how, encryption)
        database.execute("PRAGMA synchronous = OFF")
        return database

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(connection, "_connection", hasty)
        yield


@dataclass(frozen=True)
class Course:
    """Two places for stores of one schema: a full one and an empty one."""

    source: SqliteStore
    target: SqliteStore

    def run(self) -> Trip:
        """Go from the one to the other through an archive, and compare all they hold, row numbers included."""
        before = rows_of(self.source.path)
        trip = through_archive(self.source, self.target, self.source.path.with_suffix(".json"))
        assert rows_of(self.target.path) == before
        assert rows_of(self.source.path) == before
        assert row_numbers(self.target.path) == row_numbers(self.source.path)
        assert trip.replaced.no_place == {}
        return trip


@cache
def _databases(schema: str) -> tuple[bytes, bytes]:
    """Make an empty and a full database file of a schema, once."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "made.db")
        execute(path, schema)
        empty = path.read_bytes()
        fill(SqliteStore(path), memory())
        return empty, path.read_bytes()


def course(folder: Path, schema: str = UNCHECKED) -> Course:
    """Give a full store and an empty one, whose columns take NULL as well."""
    source, target = SqliteStore(folder / "source.db"), SqliteStore(folder / "target.db")
    empty, full = _databases(schema)
    source.path.write_bytes(full)
    target.path.write_bytes(empty)
    return Course(source, target)


def test_a_plain_memory_is_the_same_after_a_round_trip(tmp_path: Path) -> None:
    """Into a store that does not exist, every value of every column comes back, in the same order."""
    source, target = SqliteStore(tmp_path / "source.db"), SqliteStore(tmp_path / "target.db")
    replaced = fill(source, list(batches(Shape(chunks=400, text_bytes=300, dimensions=8))))
    trip = Course(source, target).run()
    assert trip.replaced == replaced
    assert trip.odd_rows == 0


@pytest.mark.parametrize(("table", "column", "value"), ODD)
def test_an_odd_value_is_kept_and_named(tmp_path: Path, table: str, column: str, value: str) -> None:
    """What a column should not hold comes back exactly; its row is counted and named, its value never shown."""
    there = course(tmp_path)
    row = ONE_ROW[table]
    execute(there.source.path, f"UPDATE {table} SET {column} = {value} WHERE {KEY[table]} = '{row}'")
    trip = there.run()
    assert trip.odd_rows == 1
    [oddity] = trip.oddities
    assert oddity.table == table
    assert oddity.found.startswith(f"{column} is ")
    assert "SECRET" not in oddity.found
    if column != KEY[table]:
        assert oddity.row == row


@pytest.mark.parametrize(("table", "column", "value"), REGULAR)
def test_an_extreme_value_is_kept_and_not_odd(tmp_path: Path, table: str, column: str, value: str) -> None:
    """The far ends of what a column may hold come back exactly, without a warning."""
    there = course(tmp_path)
    execute(there.source.path, f"UPDATE {table} SET {column} = {value} WHERE {KEY[table]} = '{ONE_ROW[table]}'")
    assert there.run().odd_rows == 0


@pytest.mark.parametrize("name", [SURROGATE, "x'00ff'", "char(0)", "''"], ids=["not UTF-8", "blob", "NUL", "empty"])
def test_rows_with_odd_ids_stay_linked(tmp_path: Path, name: str) -> None:
    """Edges, memberships and vectors of a chunk, and members of a cluster, find it under any id SQLite can hold."""
    there = course(tmp_path)
    execute(
        there.source.path,
        f"UPDATE chunks SET id = {name} WHERE id = 'c1'",
        f"UPDATE edges SET source_chunk_id = {name} WHERE source_chunk_id = 'c1'",
        f"UPDATE edges SET target_chunk_id = {name} WHERE target_chunk_id = 'c1'",
        f"UPDATE clusters SET id = {name} WHERE id = 'k1'",
        f"UPDATE chunk_clusters SET cluster_id = {name}, chunk_id = {name} WHERE cluster_id = 'k1'",
        f"UPDATE vectors SET id = {name} WHERE id = 'c1'",
    )
    trip = there.run()
    assert (trip.manifest.edge_count, trip.manifest.membership_count, trip.manifest.dangling) == (4, 3, {})


def test_a_plain_reader_finds_the_same_odd_id_everywhere(tmp_path: Path) -> None:
    """A reader that knows only plain fields sees one readable id for a chunk wherever it is named."""
    there = course(tmp_path)
    execute(
        there.source.path,
        f"UPDATE chunks SET id = {SURROGATE} WHERE id = 'c1'",
        f"UPDATE edges SET source_chunk_id = {SURROGATE} WHERE source_chunk_id = 'c1'",
        f"UPDATE edges SET target_chunk_id = {SURROGATE} WHERE target_chunk_id = 'c1'",
        f"UPDATE chunk_clusters SET chunk_id = {SURROGATE} WHERE chunk_id = 'c1'",
    )
    records = contents(there.source)
    plain = "SECRET" + 3 * "\ufffd"
    assert [record.id for record in records if isinstance(record, Chunk)][1] == plain
    assert [record.source for record in records if isinstance(record, Edge)][1] == plain
    assert [record.member_chunk_ids for record in records if isinstance(record, Cluster)][1] == [plain]
    assert [record.chunk_id for record in records if isinstance(record, Membership)][2] == plain


def test_rows_without_an_id_are_several(tmp_path: Path) -> None:
    """SQLite lets many rows have a NULL for their TEXT PRIMARY KEY: each comes back, and each is counted."""
    there = course(tmp_path)
    execute(there.source.path, "UPDATE vectors SET id = NULL", "UPDATE chunks SET id = NULL WHERE id IN ('c4', 'c5')")
    execute(there.source.path, "DELETE FROM edges WHERE id = 'e4'")
    assert there.run().odd_rows == 6


def test_rowids_at_both_ends_are_read(tmp_path: Path) -> None:
    """The order of the rows is that of their rowids, from the least to the greatest there can be, in a full batch."""
    there = course(tmp_path)
    copies = ", ".join("'x' || n" if name == "id" else name for name in _columns("chunks"))
    execute(
        there.source.path,
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 123)"
        f" INSERT INTO chunks SELECT {copies} FROM chunks, numbers WHERE id = 'c5'",
        "UPDATE chunks SET rowid = 9223372036854775807 WHERE id = 'c3'",
        "UPDATE chunks SET rowid = -9223372036854775807 - 1 WHERE id = 'c5'",
        "UPDATE chunks SET rowid = 0 WHERE id = 'c4'",
    )
    assert there.run().manifest.chunk_count == 128


def test_columns_nobody_has_heard_of_are_kept(tmp_path: Path) -> None:
    """Columns of a later generation come back under whatever name they have, with values of every type."""
    extra = (
        'ALTER TABLE {0} ADD COLUMN "columns"; ALTER TABLE {0} ADD COLUMN "we""ird, name) ü";'
        "ALTER TABLE {0} ADD COLUMN [select] INTEGER DEFAULT 5; ALTER TABLE {0} ADD COLUMN number REAL;"
    )
    there = course(tmp_path, UNCHECKED + "".join(extra.format(table.name) for table in TABLES))
    for table in TABLES:
        execute(
            there.source.path,
            f'UPDATE {table.name} SET "columns" = x\'00ff\', "we""ird, name) ü" = {SURROGATE}',
            f"UPDATE {table.name} SET number = 9e999, [select] = NULL WHERE rowid = 2",
            f'UPDATE {table.name} SET "columns" = 1e16, number = -0.0 WHERE rowid = 1',
        )
    assert there.run().odd_rows == 0


@pytest.mark.parametrize(
    ("table", "column"),
    [(table, field.column) for table in TABLES for field in table.fields if field.column != "member_chunk_ids"],
    ids=lambda part: part if isinstance(part, str) else part.name,
)
def test_a_store_that_lacks_a_column_is_read_or_refused(tmp_path: Path, table: Table, column: str) -> None:
    """A store of another generation comes back as it was; one without what makes a memory is refused by name."""
    columns = _columns(table.name)
    if column not in columns:
        columns.append(column)  # a column of later generations, which schema version 2 lacks anyway
    there = course(tmp_path, UNCHECKED)
    kept = ", ".join(f'"{name}"' for name in columns if name != column)
    for store in (there.source, there.target):
        execute(
            store.path,
            f"CREATE TABLE fewer AS SELECT {kept} FROM {table.name}; DROP TABLE {table.name};",
            f"ALTER TABLE fewer RENAME TO {table.name}",
        )
    if column in table.essential:
        with pytest.raises(StoreUnreadable, match=rf"no column {table.name}\.{column}"):
            there.run()
    else:
        assert there.run().odd_rows == 0


def test_every_odd_row_is_counted_and_the_first_are_named(tmp_path: Path) -> None:
    """With many odd rows the warnings stay few, and the number of all of them is still told."""
    there = course(tmp_path)
    execute(there.source.path, "DELETE FROM edges", "DELETE FROM chunk_clusters", "DELETE FROM chunks")
    with closing(sqlite3.connect(there.source.path)) as database, database:
        database.executemany(
            "INSERT INTO chunks VALUES (?, 's', 'p', ' [0]', '', '', x'00', 0, 0, 0, NULL, NULL, ' {}', 0)",
            [(f"c{number}",) for number in range(300)],
        )
    trip = there.run()
    assert trip.odd_rows == 300
    assert [oddity.row for oddity in trip.oddities] == [f"c{number}" for number in range(MAX_ODDITIES)]
    assert all("turn_indices" in oddity.found and "content" in oddity.found for oddity in trip.oddities)


def test_rows_that_refer_to_nothing_are_left_out_and_counted(tmp_path: Path) -> None:
    """Edges and memberships whose chunk or cluster is gone cannot be restored: they are named, counted and left out."""
    there = course(tmp_path)
    execute(
        there.source.path,
        "DELETE FROM chunks WHERE id = 'c2'",
        "DELETE FROM clusters WHERE id = 'k1'",
        "UPDATE edges SET id = NULL WHERE id = 'e1'",
        "UPDATE edges SET source_chunk_id = NULL WHERE id = 'e4'",
        *(f"INSERT INTO edges SELECT 'x{number}', 'gone', 'c1', '', '', 1, '', '', 1" for number in range(30)),
    )
    trip = through_archive(there.source, there.target, tmp_path / "archive.json")
    assert trip.manifest.dangling == {"edges": 33, "chunk_clusters": 2}
    assert trip.odd_rows == 35
    assert [(oddity.table, oddity.row) for oddity in trip.oddities[:3]] == [
        ("edges", "None"),
        ("edges", "e3"),
        ("edges", "e4"),
    ]
    assert [row[0][1] for row in rows_of(there.target.path)["edges"]] == [b"e2"]
    assert [row[0][1] for row in rows_of(there.target.path)["chunk_clusters"]] == [b"c3"]


def _columns(table: str) -> list[str]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(ECM.ddl)
        return [name for (name,) in database.execute("SELECT name FROM pragma_table_info(?)", (table,))]


REFERRED = {
    ("chunks", "id"),
    ("clusters", "id"),
    ("edges", "source_chunk_id"),
    ("edges", "target_chunk_id"),
    ("chunk_clusters", "chunk_id"),
    ("chunk_clusters", "cluster_id"),
}
FREE = [
    (table.name, field.column)
    for table in TABLES
    for field in table.fields
    if (table.name, field.column) not in REFERRED and field.column in _columns(table.name)
]
"""Columns that may hold anything without leaving another row in the air."""

PLACES = st.tuples(st.sampled_from(FREE), st.integers(1, 4))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSONS = st.recursive(
    st.none() | st.integers() | st.floats(allow_nan=False) | st.text("aé\u2028\0", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
).map(json.dumps)
BYTES = st.binary(max_size=20)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
PARAMETERS = (TEXTS | JSONS | BYTES | NUMBERS | st.none()).map(lambda value: ("?", value)) | BYTES.map(
    lambda raw: ("CAST(? AS TEXT)", raw)
)
"""Every value SQLite knows, and TEXT of any bytes, as an expression and its parameter."""


@settings(max_examples=120)
@given(st.dictionaries(PLACES, PARAMETERS, max_size=12), PARAMETERS, PARAMETERS)
def test_any_value_in_any_column_is_kept(
    tmp_path_factory: pytest.TempPathFactory,
    values: dict[tuple[tuple[str, str], int], tuple[str, object]],
    chunk_id: tuple[str, object],
    cluster_id: tuple[str, object],
) -> None:
    """Whatever SQLite takes, wherever it takes it, comes back bit for bit."""
    there = course(tmp_path_factory.mktemp("any"))
    with closing(sqlite3.connect(there.source.path)) as database, database:
        database.execute("PRAGMA synchronous = OFF")
        for ((table, column), row), (expression, value) in values.items():
            sql = f"UPDATE OR IGNORE {table} SET {column} = {expression} WHERE rowid = {row}"
            database.execute(sql, (value,))
        for table, row, (expression, value) in (("chunks", 3, chunk_id), ("clusters", 2, cluster_id)):
            database.execute(
                f"UPDATE OR IGNORE {table} SET id = ifnull({expression}, '') WHERE rowid = {row}", (value,)
            )
        renamed = "(SELECT id FROM chunks WHERE rowid = 3)"
        database.execute(f"UPDATE edges SET source_chunk_id = {renamed} WHERE source_chunk_id = 'c2'")
        database.execute(f"UPDATE edges SET target_chunk_id = {renamed} WHERE target_chunk_id = 'c2'")
        database.execute(f"UPDATE chunk_clusters SET chunk_id = {renamed} WHERE chunk_id = 'c2'")
        renamed = "(SELECT id FROM clusters WHERE rowid = 2)"
        database.execute(f"UPDATE chunk_clusters SET cluster_id = {renamed} WHERE cluster_id = 'k1'")
    assert there.run().manifest.dangling == {}
