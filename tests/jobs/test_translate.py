"""export --format causantic-1.1: what goes in, what cannot, and what becomes of values that JSON cannot say."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import builders
import pytest
from causantic_validator import faults, parsed

from ecm_agent.archive import causantic
from ecm_agent.errors import EcmError, UsageError
from ecm_agent.jobs.export import Exported, export_to
from ecm_agent.model.manifest import Selection
from ecm_agent.sample import Shape, batches
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from workplace import Workplace

NAMELESS = """
CREATE TEMP TABLE one AS SELECT * FROM chunks LIMIT 1;
UPDATE one SET id = NULL;
INSERT INTO chunks SELECT * FROM one;
"""
SPOILT: dict[str, tuple[str, str, str, list[str]]] = {
    "half a character": (
        "UPDATE chunks SET content = CAST(x'61EDA08062' AS TEXT) WHERE id = 'c1'",
        "chunks",
        "content is text that is not UTF-8; written as the nearest text",
        ["chunks.c1.content=a\ufffd\ufffd\ufffdb"],
    ),
    "a blob for a text": (
        "UPDATE chunks SET session_id = x'6162' WHERE id = 'c1'",
        "chunks",
        "session_id is a blob; written as the nearest text",
        ["chunks.c1.sessionId=ab"],
    ),
    "turns that are no list": (
        "UPDATE chunks SET turn_indices = '{' WHERE id = 'c1'",
        "chunks",
        "turn_indices is unexpected text; written as []",
        ["chunks.c1.turnIndices=[]"],
    ),
    "an infinite weight": (
        "UPDATE edges SET initial_weight = 9e999 WHERE id = 'e1'",
        "edges",
        "initial_weight is inf; written as 1.0",
        ["edges.e1.weight=1.0"],
    ),
    "links that are no number": (
        "UPDATE edges SET link_count = 'many' WHERE id = 'e1'",
        "edges",
        "link_count is unexpected text; written as 1",
        ["edges.e1.linkCount=1"],
    ),
    "an edge without a name": (
        "UPDATE edges SET id = NULL WHERE id = 'e1'",
        "edges",
        "id is NULL; given another",
        ["edges=4"],
    ),
    "a distance that is none": (
        "UPDATE chunk_clusters SET distance = -9e999 WHERE chunk_id = 'c1'",
        "chunk_clusters",
        "distance is -inf; written as 1.0",
        ["clusters.k1.members=[{'chunkId': 'c1', 'distance': 1.0}]"],
    ),
    "exemplars that are no list": (
        "UPDATE clusters SET exemplar_ids = '[1]' WHERE id = 'k1'",
        "clusters",
        "exemplar_ids is unexpected text; written as null",
        ["clusters.k1.exemplarIds=None"],
    ),
    "a centroid that is none": (
        "UPDATE clusters SET centroid = x'000000' WHERE id = 'k1'",
        "clusters",
        "centroid is not 2 finite 32-bit floats; written as null",
        ["clusters.k1.centroid=None", "clusters=3"],
    ),
    "a centroid that is text": (
        "UPDATE clusters SET centroid = '0123' WHERE id = 'k1'",
        "clusters",
        "centroid is unexpected text; written as null",
        ["clusters.k1.centroid=None"],
    ),
    "a vector with a number that is none": (
        f"UPDATE vectors SET embedding = x'{struct.pack('<2f', 1.0, float('nan')).hex()}' WHERE id = 'c1'",
        "vectors",
        "embedding is not 2 finite 32-bit floats; left out",
        ["vectors=2"],
    ),
    "a vector that is cut": (
        "UPDATE vectors SET embedding = x'00000000000000' WHERE id = 'c1'",
        "vectors",
        "embedding is not 2 finite 32-bit floats; left out",
        ["vectors=2"],
    ),
    "a vector of another length": (
        f"UPDATE vectors SET embedding = x'{struct.pack('<3f', 1.0, 0.0, 0.0).hex()}' WHERE id = 'c3'",
        "vectors",
        "embedding is not 2 finite 32-bit floats; left out",
        ["vectors=2"],
    ),
    "a vector of nothing": (
        "UPDATE vectors SET embedding = x'' WHERE id = 'c1'",
        "vectors",
        "embedding is not 2 finite 32-bit floats; left out",
        ["vectors=2"],
    ),
    "a chunk without a name": (
        NAMELESS,
        "chunks",
        "id is NULL; left out",
        ["chunks=5"],
    ),
}


def run(at: Workplace, selection: Selection | None = None) -> tuple[Exported, Path]:
    output = at.home / "out" / "memory.causantic"
    output.parent.mkdir(exist_ok=True)
    return export_from(at.store, output, selection), output


def export_from(store: SqliteStore, output: Path, selection: Selection | None = None) -> Exported:
    return export_to(
        output,
        store,
        selection or Selection(),
        password=None,
        compression="none",
        created=datetime(2025, 3, 1, tzinfo=UTC),
        archive_format="causantic-1.1",
    )


def said(document: dict[str, Any], path: str) -> str:
    """Say what stands at `section.id.key`, or how many records a section has."""
    section, *rest = path.split(".")
    if not rest:
        return str(len(document[section]))
    (record,) = [record for record in document[section] if record.get("id") == rest[0]]
    return str(record[rest[1]])


@pytest.mark.parametrize("case", SPOILT)
def test_a_value_that_cannot_be_said_is_named(at: Workplace, case: str) -> None:
    """It is left out with its record or replaced, as FORMAT.md says; the row is named and the rest is sound."""
    sql, table, found, expected = SPOILT[case]
    builders.execute(at.store.path, sql)
    result, output = run(at)
    assert faults(output.read_bytes()) == []
    document = parsed(output.read_bytes())
    for expectation in expected:
        path, _, value = expectation.partition("=")
        assert said(document, path) == value
    assert (result.spoiled, result.whole) == (1, False)
    assert [one.found for one in result.oddities if one.table == table and "exist" not in one.found] == [found]


def test_what_refers_to_a_record_that_is_left_out_goes_with_it(at: Workplace) -> None:
    """A chunk whose id is no text takes its edges, memberships and vector along, and a cluster its memberships."""
    broken = "CAST(x'6331ED' AS TEXT)"
    builders.execute(
        at.store.path,
        f"UPDATE chunks SET id = {broken} WHERE id = 'c1'",
        f"UPDATE edges SET source_chunk_id = {broken} WHERE source_chunk_id = 'c1'",
        f"UPDATE edges SET target_chunk_id = {broken} WHERE target_chunk_id = 'c1'",
        f"UPDATE chunk_clusters SET chunk_id = {broken} WHERE chunk_id = 'c1'",
        f"UPDATE vectors SET id = {broken} WHERE id = 'c1'",
        "UPDATE clusters SET id = x'6b32' WHERE id = 'k2'",
        "UPDATE chunk_clusters SET cluster_id = x'6b32' WHERE cluster_id = 'k2'",
    )
    result, output = run(at)
    # k1 names c1 as an exemplar, as such archives may: the validator is told.
    assert faults(output.read_bytes(), foreign_exemplars=True) == []
    document = parsed(output.read_bytes())
    assert [len(document[section]) for section in ("chunks", "edges", "clusters", "vectors")] == [4, 2, 2, 2]
    assert [cluster["members"] for cluster in document["clusters"]] == [[], []]
    assert result.spoiled == 1 + 2 + 1 + 3 + 1
    assert {one.found for one in result.oddities if one.table == "chunk_clusters"} == {
        "chunk_id is text that is not UTF-8; left out",
        "cluster_id is a blob; left out",
    }


def test_edges_and_members_of_nothing_are_left_out(at: Workplace) -> None:
    """What refers to chunks that do not exist is counted and named as ever; that is no fault of the format's."""
    builders.execute(
        at.store.path,
        "PRAGMA foreign_keys = OFF; UPDATE edges SET source_chunk_id = 'gone' WHERE id = 'e1'",
        "PRAGMA foreign_keys = OFF; UPDATE chunk_clusters SET chunk_id = 'gone' WHERE chunk_id = 'c1'",
    )
    result, output = run(at)
    assert faults(output.read_bytes()) == []
    assert result.manifest.dangling == {"edges": 1, "chunk_clusters": 1, "vectors": 1}
    assert (result.spoiled, result.whole) == (0, True)


def test_lists_in_another_layout_are_no_loss(at: Workplace) -> None:
    """JSON that the memory program laid out with spaces says the same without them."""
    builders.execute(
        at.store.path,
        "UPDATE chunks SET turn_indices = '[0, 1]' WHERE id = 'c1'",
        "UPDATE clusters SET exemplar_ids = '[ \"c1\" ]' WHERE id = 'k1'",
    )
    result, output = run(at)
    document = parsed(output.read_bytes())
    assert said(document, "chunks.c1.turnIndices") == "[0, 1]"
    assert said(document, "clusters.k1.exemplarIds") == "['c1']"
    assert result.spoiled == 0


def test_what_is_null_is_no_loss_and_no_link_is_one(at: Workplace) -> None:
    """A NULL in a column without a key is not counted; a number of links that is NULL is Causantic's own 1."""
    builders.execute(
        at.store.path,
        "UPDATE chunks SET agent_id = NULL, vector_clock = NULL; UPDATE edges SET link_count = NULL WHERE id = 'e1'",
        "ALTER TABLE edges ADD COLUMN mood; UPDATE edges SET mood = 'glad' WHERE id = 'e2'",
        "CREATE TABLE notes (text); INSERT INTO notes VALUES ('x')",
    )
    result, output = run(at)
    assert said(parsed(output.read_bytes()), "edges.e1.linkCount") == "1"
    assert {"chunks.agent_id", "chunks.vector_clock"} & result.not_written.keys() == set()
    assert (
        result.not_written.items() >= {"edges.mood": 1, "notes": 1, "vector_clocks": 2, "edges.vector_clock": 4}.items()
    )
    assert (result.spoiled, result.whole) == (0, True)


@pytest.mark.parametrize("members", [1, 1 << 14], ids=["cluster by cluster", "all clusters"])
def test_every_cluster_has_its_members(at: Workplace, monkeypatch: pytest.MonkeyPatch, members: int) -> None:
    """With their distances, however few clusters are looked at together; clusters without any stay."""
    monkeypatch.setattr(causantic, "_MEMBERS_AT_A_TIME", members)
    _result, output = run(at)
    document = parsed(output.read_bytes())
    assert {cluster["id"]: cluster["members"] for cluster in document["clusters"]} == {
        "k2": [{"chunkId": "c3", "distance": 0.25}, {"chunkId": "c2", "distance": 0.5}],
        "k1": [{"chunkId": "c1", "distance": 0.0}],
        "k3": [],
    }


def test_more_than_causantic_can_read_is_refused(at: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the byte, with what to do about it; what lay at the output stays, and nothing else is there."""
    _result, output = run(at)
    written = output.read_bytes()
    for room in (len(gzip.decompress(written)) - 1, 900, 0):
        monkeypatch.setattr(causantic, "MAX_JSON_BYTES", room)
        with pytest.raises(EcmError, match="512 MiB") as caught:
            run(at)
        assert caught.value.exit_code == 1
        assert "--projects" in caught.value.hint
        assert [(path.name, path.read_bytes()) for path in output.parent.iterdir()] == [(output.name, written)]
    monkeypatch.setattr(causantic, "MAX_JSON_BYTES", len(gzip.decompress(written)))
    run(at)
    assert output.read_bytes() == written


def test_an_unknown_project_writes_nothing(at: Workplace) -> None:
    """As in any other export."""
    with pytest.raises(UsageError, match="'tide-table'"):
        run(at, Selection(("tide-table",)))
    assert list((at.home / "out").iterdir()) == []


@pytest.mark.parametrize("redact", [(), ("paths",)], ids=["as it is", "redacted"])
def test_the_same_store_gives_the_same_document(at: Workplace, redact: tuple[Any, ...]) -> None:
    """But for pseudonyms, which are drawn anew; ids that had to be made up are the same every time."""
    builders.execute(at.store.path, "UPDATE edges SET id = NULL WHERE id = 'e1'")
    one, other = (parsed(run(at, Selection(redact=redact))[1].read_bytes()) for _ in range(2))
    assert [edge["id"] for edge in one["edges"]] == [edge["id"] for edge in other["edges"]]
    assert (one == other) is not bool(redact)


def test_translating_takes_constant_memory(tmp_path: Path) -> None:
    """Writing and proving ten times the records takes hardly more memory, memberships and all."""
    peaks = []
    for size in (280, 2800):
        store = SqliteStore(tmp_path / f"{size}.db")
        shape = Shape(chunks=size, text_bytes=200, dimensions=4, clusters=3, edges_per_chunk=5)
        store.replace(builders.manifest_of([]), batches(shape))
        tracemalloc.start()
        try:
            export_from(store, tmp_path / "memory.causantic")
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 2.5 * peaks[0]
    assert peaks[1] < 16 << 20
