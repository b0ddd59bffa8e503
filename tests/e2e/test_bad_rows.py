"""docs/bad-rows.md: every cell of its tables is what the program does."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import builders
import pytest
from msgspec.structs import replace
from vectors.generate import _causantic_1_1, _changed, _lined, _original, _without
from vectors.memory import compact, parsed
from vectors.tables import SCHEMA, whole_document

from ecm_agent.archive import open_archive
from ecm_agent.model.manifest import Selection
from ecm_agent.model.records import Chunk
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from program import Ended, Program

NOTHING = "\u2013"
PAGE = Path(__file__).parents[2] / "docs" / "bad-rows.md"


class Row(NamedTuple):
    """A row of the page: what is odd, and a cell for each command."""

    what: str
    cells: list[str]


def rows(section: str) -> list[Row]:
    lines = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [Row(first, others) for first, *others in cells[2:]]


def assert_cell(cell: str, ended: Ended, name: str) -> None:
    """Hold a command to what its cell says: the exit code, and whether the record is named."""
    assert ended.code == int(cell.split(maxsplit=1)[0]), ended
    assert (name in ended.out + ended.err) == cell.endswith(", named"), ended


def chunks(store: Path) -> int:
    with SqliteStore(store).snapshot(Selection(), "") as snapshot:
        return sum(len(batch) for batch in snapshot.batches([Chunk]))


def chunks_in(archive: Path) -> int:
    with archive.open("rb") as file:
        return sum(len(batch) for batch in open_archive(file, None).batches() if isinstance(batch[0], Chunk))


def packed(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


def setting(table: str, column: str, value: str, where: str) -> str:
    return f"PRAGMA foreign_keys = OFF; UPDATE {table} SET {column} = {value} WHERE {where}"


def blob(table: str, content: bytes, name: str) -> str:
    return setting(table, "embedding" if table == "vectors" else "centroid", f"x'{content.hex()}'", f"id = '{name}'")


NOT_UTF_8 = "CAST(x'61EDA080' AS TEXT)"
IN_A_STORE: dict[str, tuple[list[str], str]] = {
    "a text that is not UTF-8": ([setting("chunks", "content", NOT_UTF_8, "id = 'c1'")], "'c1'"),
    "an id that is not UTF-8": ([setting("chunks", "id", NOT_UTF_8, "id = 'c5'")], "'a\ufffd"),
    "an id that is NULL": ([setting("chunks", "id", "NULL", "id = 'c5'")], "id is NULL"),
    "a blob in the place of a text": ([setting("chunks", "content", "x'00ff'", "id = 'c1'")], "'c1'"),
    "a text in the place of a number": ([setting("chunks", "spawn_depth", "'two'", "id = 'c1'")], "'c1'"),
    "JSON that is none, or of another shape": (
        [setting("chunks", "turn_indices", value, "id = 'c1'") for value in ("'[1,'", "'{}'")],
        "'c1'",
    ),
    "an infinite weight of an edge": ([setting("edges", "initial_weight", "9e999", "id = 'e1'")], "'e1'"),
    "an infinite distance of a member": ([setting("chunk_clusters", "distance", "9e999", "chunk_id = 'c1'")], "'c1'"),
    "a vector with NaN or an infinity": (
        [blob("vectors", packed(number, 1.0), "c1") for number in (float("nan"), float("-inf"))],
        "'c1'",
    ),
    "a vector of other dimensions than most of its model": ([blob("vectors", packed(1.0, 2.0, 3.0), "c1")], "'c1'"),
    "a vector that is no whole number of floats": (
        [blob("vectors", bytes(7), "c1"), blob("vectors", b"", "c1")],
        "'c1'",
    ),
    "a centroid with NaN or an infinity": ([blob("clusters", packed(float("nan"), 1.0), "k1")], "'k1'"),
    "a centroid of other dimensions than the vectors": ([blob("clusters", bytes(12), "k1")], "'k1'"),
    "a vector whose chunk is gone": (["SELECT 1"], "'gone'"),
    "an edge whose chunk is gone": ([setting("edges", "target_chunk_id", "'nowhere'", "id = 'e1'")], "'e1'"),
    "a membership whose chunk is gone": (
        [setting("chunk_clusters", "chunk_id", "'nowhere'", "chunk_id = 'c1'")],
        "'nowhere'",
    ),
    "an exemplar whose chunk is gone": ([setting("clusters", "exemplar_ids", "'[\"nowhere\"]'", "id = 'k1'")], "k1"),
    "a vector clock with a number below zero": (
        [setting("chunks", "vector_clock", "'{\"ui\":-1}'", "id = 'c1'")],
        "'c1'",
    ),
    "a column missing that has a default": (["ALTER TABLE chunks DROP COLUMN approx_tokens"], "approx_tokens"),
    "a column missing that says what the memory is": (["ALTER TABLE chunks DROP COLUMN content"], "content"),
    "in another table, a text that is not UTF-8, an infinity": (
        [f"CREATE TABLE more (k PRIMARY KEY, v); INSERT INTO more VALUES ('m1', {v})" for v in (NOT_UTF_8, "9e999")],
        "'m1'",
    ),
    "in another table, a row that refers to one that is gone": (
        [
            "CREATE TABLE more (k PRIMARY KEY, c REFERENCES chunks); INSERT INTO more VALUES ('m1', 'nowhere')",
        ],
        "'m1'",
    ),
}


@pytest.mark.parametrize("row", rows("In a store"), ids=lambda row: row.what)
def test_what_is_odd_in_a_store_meets_the_fate_on_the_page(program: Program, row: Row) -> None:
    """Exports and a drill end as the page says, name the record or not, and no other record is lost."""
    sound = program.store.read_bytes()
    statements, name = IN_A_STORE[row.what]
    for number, sql in enumerate(statements):
        program.store.write_bytes(sound)
        builders.execute(program.store, sql)
        ours, theirs = f"m{number}.json", f"m{number}.causantic"
        export = program.run("export", "--no-encrypt", "-o", ours)
        assert_cell(row.cells[0], export, name)
        other = program.run("export", "--no-encrypt", "--format", "causantic-1.1", "-o", theirs)
        assert_cell(row.cells[1], other, name)
        if row.cells[2] == NOTHING:
            assert not (program.home / ours).exists()
            continue
        assert_cell(row.cells[2], program.run("drill", ours), name)
        lost = "an id" in row.what and row.cells[1].startswith("3 left out")
        assert (chunks_in(program.home / ours), chunks_in(program.home / theirs)) == (5, 5 - lost)


OURS: dict[str, Any] = parsed(whole_document(replace(SCHEMA, foreign=[])))
THEIRS = _causantic_1_1()


def to(path: str, wrong: Any) -> Callable[[Any], Any]:  # noqa: ANN401 (any JSON value)
    return lambda value: _changed(value, path, wrong)


def twice(section: str, count: str) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
        copy = parsed(compact(value))
        copy[section].append(copy[section][0])
        copy["metadata"][count] += 1
        return copy

    return change


def as_bytes(*numbers: float) -> str:
    return base64.b64encode(packed(*numbers)).decode()


def both(*changes: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
        for one in changes:
            value = one(value)
        return value

    return change


def text(old: str, new: bytes) -> tuple[bytes, bytes]:
    return old.encode(), new


class Case(NamedTuple):
    """How archives are spoiled, ours and a memory program's, and how the record is named."""

    ours: list[Any]
    theirs: list[Any]
    name: str
    theirs_name: str = ""


def alike(name: str, *changes: Any) -> Case:  # noqa: ANN401 (a change of the document, or of its text)
    return Case(list(changes), list(changes), name)


IN_AN_ARCHIVE: dict[str, Case] = {
    "bytes that are not UTF-8": alike("chunks[0]", text("beans", b"\xff")),
    "half of a surrogate pair": alike("chunks[", text("beans", rb"\ud83d")),
    "`NaN`, `Infinity`, `1e400` for a number": alike(
        "edges[0]", *(text('"weight":0.875', b'"weight":' + number) for number in (b"NaN", b"Infinity", b"1e400"))
    ),
    "`null` for a number": alike("edges[0].weight", to("edges[0].weight", None)),
    "`null` in an embedding": alike("vectors[0].embedding[1]", to("vectors[0].embedding", [0.5, None])),
    "a value of a wrong type": alike("chunks[1].content", to("chunks[1].content", 7)),
    "a required key missing": alike("chunks[1]", _without("chunks[1].content")),
    "another key missing": alike("s1-chunk-0", _without("chunks[1].sessionId")),
    "more announced than there are": alike("4 chunks", to("metadata.chunkCount", 4)),
    "an integer beyond 64 bits": Case(
        [to("chunks[0].spawnDepth", 2**63)], [to("edges[0].linkCount", 2**63)], "s0-chunk-0", "edges[0]"
    ),
    "a number beyond 32-bit floats in an embedding": alike("s0-chunk-0", to("vectors[0].embedding", [1e39, 1, 2])),
    "a vector with NaN or an infinity": Case(
        [to("vectors[0].embedding", as_bytes(number)) for number in (float("nan"), float("inf"))], [], "'s0-chunk-0'"
    ),
    "a vector of other dimensions": Case(
        [both(to("vectors[1].embedding", as_bytes(1.0, 2.0)), to("vectors[1].modelId", "m"))],
        [to("vectors[1].embedding", [1, 2])],
        "'gone'",
        "'s1-chunk-0'",
    ),
    "a vector without numbers": Case(
        [to("vectors[0].embedding", "")], [to("vectors[0].embedding", [])], "'s0-chunk-0'"
    ),
    "a centroid of other dimensions": Case(
        [to("clusters[0].centroid", as_bytes(1.0))], [to("clusters[0].centroid", [1])], "'c0'"
    ),
    "a vector whose chunk is not there": alike("nowhere", to("vectors[0].chunkId", "nowhere")),
    "an edge whose chunk is not there": alike("e0", to("edges[0].target", "nowhere")),
    "a membership whose chunk is not there": Case(
        [to("memberships[0].chunkId", "nowhere")], [to("clusters[0].members[0].chunkId", "nowhere")], "nowhere"
    ),
    "an exemplar that is not there": alike("nowhere", to("clusters[0].exemplarIds", ["nowhere"])),
    "two chunks of one id": alike("s0-chunk-0", twice("chunks", "chunkCount")),
    "two edges of one id": alike("e0", twice("edges", "edgeCount")),
    "two vectors of one chunk": alike("s0-chunk-0", twice("vectors", "vectorCount")),
    "two memberships of one chunk in a cluster": Case(
        [twice("memberships", "membershipCount")],
        [to("clusters[0].members[1]", THEIRS["clusters"][0]["members"][0])],
        "s0-chunk-0",
    ),
    "a vector clock with a number below zero": Case(
        [to("chunks[0].vectorClock", {"main": -1})],
        [lambda _: _changed(_original(), "chunks[0].vectorClock", {"main": -1})],
        "s0-chunk-0",
    ),
    "a section nobody knows": alike("later", lambda value: value | {"later": [1]}),
    "a row of a table that the metadata lack": Case([to("rows[8].table", "nowhere")], [], "rows[8]"),
    "a row with too few values": Case([to("rows[8].values", [1])], [], "rows[8]"),
    "a row that its table refuses": Case([to("rows[8].values", [None, "one"])], [], "pairs"),
    "two rows of one key": Case([to("rows[1].values", [3, None, "other"])], [], "notes"),
    "a row that refers to one that is not there": Case([to("rows[0].values", [3, "nowhere", "x"])], [], "notes 3"),
}


def spoiled(value: dict[str, Any], change: Any, *, lines: bool) -> bytes:  # noqa: ANN401 (as in `alike`)
    lay_out = _lined if lines else compact
    if not isinstance(change, tuple):
        return lay_out(change(value))
    content = lay_out(value)
    old, new = change
    assert old in content
    return content.replace(old, new, 1)


def runs(program: Program, content: bytes) -> Iterator[Ended]:
    """Verify an archive, restore it into a new store, merge it into one: the store has all chunks, or is not there."""
    (program.home / "a.json").write_bytes(content)
    yield program.run("verify", "./a.json")
    for words, store in ((["import"], "new.db"), (["import", "--merge"], "merged.db")):
        (program.home / store).unlink(missing_ok=True)
        ended = program.run(*words, "./a.json", "--store", store)
        assert (program.home / store).exists() == (ended.code in {0, 3}), ended
        if (program.home / store).exists():
            assert chunks(program.home / store) == 3
        yield ended


@pytest.mark.parametrize("row", rows("In an archive"), ids=lambda row: row.what)
def test_what_is_odd_in_an_archive_meets_the_fate_on_the_page(bare: Program, row: Row) -> None:
    """An archive of ours and one of a memory program are verified, restored and merged as the page says."""
    case = IN_AN_ARCHIVE[row.what]
    for change in case.ours:
        for cell, ended in zip(row.cells[:3], runs(bare, spoiled(OURS, change, lines=True)), strict=True):
            assert_cell(cell, ended, case.name)
    for change in case.theirs:
        for cell, ended in zip(row.cells[3:], runs(bare, spoiled(THEIRS, change, lines=False)), strict=True):
            assert_cell(cell, ended, case.theirs_name or case.name)
    assert bool(case.theirs) == (row.cells[3] != NOTHING)


def test_the_page_has_every_case() -> None:
    """No case is run that the page does not tell of, and the page tells of none that is not run."""
    assert [row.what for row in rows("In a store")] == list(IN_A_STORE)
    assert [row.what for row in rows("In an archive")] == list(IN_AN_ARCHIVE)
