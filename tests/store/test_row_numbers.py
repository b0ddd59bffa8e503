"""Row numbers that no column gives: what is known of a row by nothing else is the same row after a restore."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from builders import CREATED, execute, query, row_numbers, rows_of, sqlite_store
from vectors.generate import FOLDER, resealed

from ecm_agent.archive import open_archive, write_archive
from ecm_agent.errors import ArchiveInvalid, StoreUnreadable
from ecm_agent.model.manifest import Selection
from ecm_agent.store.base import Tally
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ecm_agent.archive import Archive
    from ecm_agent.store.base import Changes

LEAST, GREATEST = -(2**63), 2**63 - 1
OTHERS = """
CREATE TABLE plain (a);
CREATE TABLE keyed (k TEXT PRIMARY KEY, a);
CREATE TABLE shadowed (rowid TEXT, a);
CREATE TABLE twice (RowId TEXT, a, "_ROWID_" AS (a));
CREATE TABLE hidden (rowid, _rowid_, oid);
CREATE TABLE named (n INTEGER PRIMARY KEY, a);
CREATE TABLE no_name (n INTEGER PRIMARY KEY DESC, a);
CREATE TABLE without (k TEXT PRIMARY KEY) WITHOUT ROWID;
INSERT INTO plain VALUES ('x'), ('x'), ('y'), (CAST(x'ff' AS TEXT)), ('z');
INSERT INTO keyed VALUES ('a', 1), ('b', 2), ('c', 3), ('d', 4), ('e', 5);
INSERT INTO shadowed VALUES ('one', 1), ('two', 2), ('three', 3);
INSERT INTO twice VALUES ('one', 1), ('two', 2), ('three', 3);
INSERT INTO hidden VALUES (3, 2, 1), (1, 2, 3);
INSERT INTO named VALUES (5, 'a'), (7, 'b');
INSERT INTO no_name VALUES (5, 'a'), (7, 'b'), (6, 'c');
INSERT INTO without VALUES ('a'), ('b');
"""
GAPS = {
    "none": "",
    "at the beginning": "DELETE FROM chunks WHERE id = 'c5'; UPDATE chunks SET rowid = rowid + 10",
    "in the middle": "UPDATE chunks SET rowid = 70 WHERE id = 'c5'; UPDATE chunks SET rowid = 60 WHERE id = 'c4'",
    "one after the other": "UPDATE vectors SET rowid = 2 * rowid + 100",
    "zero": "UPDATE clusters SET rowid = 0 WHERE id = 'k3'",
    "negative": "UPDATE edges SET rowid = -rowid",
    "before one": "UPDATE chunk_clusters SET rowid = rowid - 4",
    "the ends": f"UPDATE vector_clocks SET rowid = {GREATEST} WHERE rowid = 1;"
    f"UPDATE vector_clocks SET rowid = {LEAST} WHERE rowid = 2",
    "all tables": "".join(
        f"UPDATE {table} SET rowid = 5 * rowid + 100;"
        for table in ("chunks", "edges", "clusters", "chunk_clusters", "vector_clocks", "vectors")
    ),
    "other tables": "UPDATE plain SET rowid = 3 * rowid - 20; UPDATE keyed SET rowid = -rowid;"
    "UPDATE shadowed SET oid = oid + 10; DELETE FROM twice WHERE oid = 2; UPDATE no_name SET rowid = 9 WHERE n = 5;"
    "DELETE FROM hidden",
    "other tables' ends": f"UPDATE plain SET rowid = {GREATEST} WHERE rowid = 4; INSERT INTO plain VALUES ('r'), ('s');"
    f"UPDATE keyed SET rowid = {LEAST} WHERE k = 'c'",
}


def changed(path: Path, sql: str) -> SqliteStore:
    store = sqlite_store(path)
    execute(path, OTHERS, sql)
    return store


def written(store: SqliteStore, selection: Selection | None = None) -> bytes:
    file = io.BytesIO()
    with store.snapshot(selection or Selection(), CREATED) as snapshot:
        write_archive(file, snapshot.manifest, snapshot.batches(), seal=None, compression="none")
    return file.getvalue()


def opened(document: bytes | dict[str, Any]) -> Archive:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return open_archive(io.BytesIO(content), None)


def numbered(content: bytes, section: str, place: int, number: int) -> bytes:
    """Let a record of an archive say a row number, without digests to contradict it."""
    lines = content.splitlines()
    at = lines.index(b'"%s":[' % section.encode()) + 1 + place
    comma = b"," * lines[at].endswith(b",")
    lines[at] = json.dumps(json.loads(lines[at].removesuffix(b",")) | {"rowNumber": number}).encode() + comma
    return resealed(b"\n".join(lines) + b"\n")


def replaced(store: SqliteStore, archive: Archive) -> None:
    store.replace(archive.manifest, archive.batches())


def merged(store: SqliteStore, archive: Archive) -> None:
    store.merge(archive.manifest, archive.batches())


def compared(store: SqliteStore, archive: Archive) -> Changes:
    return store.compare(archive.manifest, archive.batches())


def same(store: SqliteStore, other: SqliteStore) -> bool:
    return row_numbers(store.path) == row_numbers(other.path) and rows_of(store.path) == rows_of(other.path)


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("do", [replaced, merged])
def test_a_new_store_has_the_same_numbers(gap: str, do: Callable[[SqliteStore, Archive], None], tmp_path: Path) -> None:
    """Whatever gaps a table has, and wherever its numbers lie, a restore and a merge into nothing keep them."""
    store, new = changed(tmp_path / "store.db", GAPS[gap]), SqliteStore(tmp_path / "new.db")
    do(new, opened(written(store)))
    assert same(new, store)


@pytest.mark.parametrize("gap", GAPS)
def test_a_store_that_is_there_gets_the_archive_s_numbers(gap: str, tmp_path: Path) -> None:
    """What the store had before, and was numbered before, does not matter; and then a comparison finds nothing."""
    store = changed(tmp_path / "store.db", GAPS[gap])
    other = changed(tmp_path / "other.db", "UPDATE chunks SET rowid = rowid + 99; UPDATE plain SET rowid = rowid + 99")
    archive = opened(written(store))
    assert not compared(other, archive).none
    replaced(other, archive)
    assert same(other, store)
    assert compared(other, archive).none


def test_a_merge_into_tables_without_rows_keeps_the_numbers(tmp_path: Path) -> None:
    """Table by table: one that has rows goes on with its own numbering, and is told by none of the archive's."""
    empties = "".join(f"DELETE FROM {table};" for table in ("edges", "chunk_clusters", "clusters", "vectors", "plain"))
    store = changed(tmp_path / "store.db", GAPS["all tables"] + GAPS["other tables"])
    other = changed(
        tmp_path / "other.db", f"{empties} DELETE FROM chunks WHERE id <> 'c4'; DELETE FROM keyed WHERE a > 1"
    )
    merged(other, opened(written(store)))
    theirs, ours = row_numbers(store.path), row_numbers(other.path)
    assert {table: ours[table] for table in ours if ours[table] == theirs[table]}.keys() >= {
        "edges",
        "clusters",
        "plain",
    }
    assert ours["chunks"] == [4, 5, 6, 7, 8]
    assert ours["keyed"] == [1, 2, 3, 4, 5]


def test_a_merge_counts_every_new_row_whatever_its_number(tmp_path: Path) -> None:
    """Also those below zero, down to the least."""
    store, new = (
        changed(tmp_path / "store.db", GAPS["negative"] + ";" + GAPS["the ends"]),
        SqliteStore(tmp_path / "n.db"),
    )
    archive = opened(written(store))
    changes = new.merge(archive.manifest, archive.batches())
    assert changes.total("added") == sum(archive.manifest.counts().values())


def test_a_table_whose_numbers_are_used_up_takes_no_new_rows(tmp_path: Path) -> None:
    """Merged with what it knows already, nothing is to do; for what is new there is no number, and that is said."""
    store = changed(tmp_path / "store.db", GAPS["the ends"] + f"; UPDATE chunks SET rowid = {GREATEST} WHERE id = 'c5'")
    archive = opened(written(store))
    assert compared(store, archive).none
    assert store.merge(archive.manifest, archive.batches()).none
    other = changed(tmp_path / "other.db", "UPDATE chunks SET id = 'c6' WHERE id = 'c5'")
    before = store.path.read_bytes()
    with pytest.raises(StoreUnreadable, match="chunks has used up its row numbers"):
        merged(store, opened(written(other)))
    assert store.path.read_bytes() == before


def test_only_numbers_out_of_sequence_are_said(tmp_path: Path) -> None:
    """Without gaps an archive has none of it; after a gap one row says its number, and those that follow do not."""
    _, records = written(changed(tmp_path / "plain.db", "")).split(b'"chunks":[')
    assert b"rowNumber" not in records
    sql = "UPDATE chunks SET rowid = rowid + 10 WHERE rowid > 2; UPDATE plain SET rowid = rowid + 10 WHERE rowid > 2"
    document = json.loads(written(changed(tmp_path / "gaps.db", sql)))
    assert [chunk.get("rowNumber") for chunk in document["chunks"]] == [None, None, 13, None, None]
    plain = [row.get("rowNumber") for row in document["rows"] if row["table"] == "plain"]
    assert plain == [None, None, 13, None, None]
    assert not [row for row in document["rows"] if row["table"] != "plain" and "rowNumber" in row]


def test_what_an_export_leaves_out_is_a_gap(tmp_path: Path) -> None:
    """The rows of a project are restored under the numbers they have in the store."""
    store, new = changed(tmp_path / "store.db", ""), SqliteStore(tmp_path / "new.db")
    replaced(new, opened(written(store, Selection(projects=("café-kiosk",)))))
    assert query(new.path, "SELECT rowid, id FROM chunks ORDER BY rowid") == [(4, "c4"), (5, "c5")]
    assert query(store.path, "SELECT rowid, id FROM chunks WHERE rowid > 3") == [(4, "c4"), (5, "c5")]


def test_the_golden_vector_has_its_numbers(tmp_path: Path) -> None:
    """Restored into a new store, its rows are numbered as the format's page says."""
    store = SqliteStore(tmp_path / "new.db")
    replaced(store, opened(FOLDER.joinpath("row-numbers.json").read_bytes()))
    numbers = row_numbers(store.path)
    assert (numbers["chunks"], numbers["edges"], numbers["vectors"]) == ([3, 4, 9], [-7, -6], [1, 2**53])
    assert numbers["any thing"] == [1, 2, 12, 13, 14, 15]


def test_a_gap_is_kept_over_many_batches(tmp_path: Path) -> None:
    """Rows in the thousands, with gaps within batches and between them, and long stretches without."""
    make = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
        "INSERT INTO {} SELECT i FROM n; DELETE FROM {} WHERE {}rowid % 1000 = 0 OR rowid BETWEEN 2050 AND 2200;"
    )
    vectors = make.replace("INTO {}", "INTO vectors (id, embedding)").replace("SELECT i", "SELECT 'v' || i, x''", 2)
    vectors = vectors.replace("SELECT 'v' || i, x'' +", "SELECT i +").replace("{}rowid", "id >= 'v' AND rowid")
    store = changed(tmp_path / "store.db", make.format("plain", "plain", "") + vectors.format("vectors"))
    new = SqliteStore(tmp_path / "new.db")
    replaced(new, opened(written(store)))
    assert len(row_numbers(store.path)["plain"]) > 4000
    assert same(new, store)


@pytest.mark.parametrize(
    ("sql", "section"),
    [
        ("UPDATE chunks SET rowid = 9 WHERE id = 'c4'", "chunks"),
        ("UPDATE plain SET rowid = 9 WHERE a = 'z'", "plain"),
        ("UPDATE keyed SET rowid = 9 WHERE k = 'c'", "keyed"),
        ("UPDATE shadowed SET oid = 9 WHERE a = 3", "shadowed"),
    ],
)
def test_a_comparison_notices_another_number(sql: str, section: str, tmp_path: Path) -> None:
    """A row that a replacement would give another number is one that it would change."""
    archive = opened(written(changed(tmp_path / "store.db", "")))
    changes = compared(changed(tmp_path / "other.db", sql), archive)
    assert not changes.none
    assert changes.total("updated") == changes.total("updated", section) == 1
    assert (changes.total("added"), changes.total("removed")) == (0, 0)


def test_an_archive_that_cannot_say_numbers_is_held_against_none(tmp_path: Path) -> None:
    """Archives of the memory programs know no row numbers: that the store has gaps is no difference to them."""
    store = sqlite_store(tmp_path / "store.db")
    document = json.loads(written(store))
    for key in ("membershipCount", "vectorClockCount", "vectorCount", "rowCount", "schema"):
        document["metadata"].pop(key, None)
    for section in ("memberships", "vectorClocks", "vectors", "rows", "digests"):
        document.pop(section, None)
    execute(store.path, "UPDATE chunks SET rowid = rowid + 10")
    tallies = compared(store, opened(document)).tallies
    assert Tally("chunks", "tide-tables", skipped=2) in tallies


DAMAGE = {
    "of a row before": ("chunks", 3, 2),
    "of the row before": ("chunks", 1, 1),
    "below that of the row before": ("edges", 1, -5),
    "beyond 64 bits": ("vectors", 3, 2**63),
    "below 64 bits": ("clusters", 0, LEAST - 1),
    "without one for the next": ("chunks", 1, GREATEST),
    "of another table's row before": ("rows", 2, 1),
    "of another table beyond 64 bits": ("rows", 1, 2**64),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("do", [replaced, merged, compared])
def test_numbers_that_cannot_be_are_refused(
    damage: str, do: Callable[[SqliteStore, Archive], None], tmp_path: Path
) -> None:
    """No row takes the place of another: the archive is refused, and the store stays as it was, to the byte."""
    store = changed(tmp_path / "store.db", "")
    section, place, number = DAMAGE[damage]
    damaged = numbered(written(store), section, place, number)
    before = store.path.read_bytes()
    with pytest.raises(ArchiveInvalid, match=f"{'plain' if section == 'rows' else section}: the row number"):
        do(store, opened(damaged))
    assert store.path.read_bytes() == before


@pytest.mark.parametrize("table", ["named", "without", "hidden"])
def test_numbers_for_what_has_none_are_passed_over(table: str, tmp_path: Path) -> None:
    """A table whose number is a column, or that has none, takes its rows as ever, whatever number they bring."""
    store, new = changed(tmp_path / "store.db", ""), SqliteStore(tmp_path / "new.db")
    document = json.loads(written(store))
    del document["digests"]
    for row in document["rows"]:
        if row["table"] == table:
            row["rowNumber"] = -7
    replaced(new, opened(document))
    assert rows_of(new.path) == rows_of(store.path)


def test_numbers_that_are_said_without_need_are_taken(tmp_path: Path) -> None:
    """A writer may say every number: it is the same archive to a restore."""
    store, new = changed(tmp_path / "store.db", GAPS["all tables"]), SqliteStore(tmp_path / "new.db")
    document = json.loads(written(store))
    del document["digests"]
    for row, number in zip(document["chunks"], row_numbers(store.path)["chunks"], strict=True):
        row["rowNumber"] = number
    replaced(new, opened(document))
    assert same(new, store)


def test_an_archive_without_numbers_numbers_from_one(tmp_path: Path) -> None:
    """As archives of earlier versions do."""
    store, new = changed(tmp_path / "store.db", GAPS["all tables"]), SqliteStore(tmp_path / "new.db")
    document = json.loads(written(store))
    del document["digests"]
    for section in ("chunks", "vectors"):
        for row in document[section]:
            row.pop("rowNumber", None)
    replaced(new, opened(document))
    assert query(new.path, "SELECT rowid, id FROM chunks ORDER BY rowid")[0] == (1, "c3")
    assert row_numbers(new.path)["vectors"] == [1, 2, 3, 4]
