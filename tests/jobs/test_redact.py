"""redact: what is shared of a store tells nothing of what was to be taken out, and still is a memory."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import builders
import pytest
from causantic_validator import faults
from redaction.detector import Detector
from redaction.planted import LATER_COLUMNS, PlantedStore
from redaction.sharing import ALL, document, exported

from ecm_agent.archive import open_archive
from ecm_agent.clock import SystemClock
from ecm_agent.jobs.backup import backup
from ecm_agent.jobs.export import export_translated
from ecm_agent.jobs.redact import RedactedSnapshot
from ecm_agent.model.manifest import Selection
from ecm_agent.model.records import Chunk
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from redaction.corpus import Kind
    from workplace import Workplace

    from ecm_agent.model.manifest import Redaction


@pytest.fixture(params=[False, True], ids=["version 2", "later columns"])
def planted(request: pytest.FixtureRequest, tmp_path: Path) -> PlantedStore:
    return PlantedStore(tmp_path / "memory.db", later=request.param)


def imported(archive: bytes, path: Path, *, later: bool) -> SqliteStore:
    """Import an archive into a new store."""
    store, opened = SqliteStore(path), open_archive(io.BytesIO(archive), None)
    store.create()
    if later:
        builders.execute(path, LATER_COLUMNS)
    replaced = store.replace(opened.manifest, opened.batches())
    assert replaced.no_place == {}
    return store


def column(store: SqliteStore, table: str, name: str) -> list[object]:
    with closing(sqlite3.connect(store.path)) as connection:
        connection.text_factory = bytes
        return [value for (value,) in connection.execute(f"SELECT {name} FROM {table} ORDER BY rowid")]


def test_everything_planted_is_in_what_is_not_redacted(planted: PlantedStore) -> None:
    """Without redaction the archive holds every plant."""
    found = {leak.form for leak in Detector(exported(planted.store, (), vectors=True)).leaks(planted.plants)}
    assert {plant.form for plant in planted.plants} - found == set()
    assert len(found) > 200


def test_nothing_planted_is_in_any_field(planted: PlantedStore) -> None:
    """No byte of the archive is a key, a token, a path or a name that stood in any column of any table."""
    leaks = Detector(exported(planted.store)).leaks(planted.plants)
    assert leaks == []


def test_with_vectors_nothing_planted_is_in_any_text(planted: PlantedStore) -> None:
    """With vectors, only vectors and centroids themselves are as they were, whatever they hold."""
    leaks = Detector(exported(planted.store, vectors=True)).leaks(planted.without_what_guesses())
    assert leaks == []


@pytest.mark.parametrize(("redact", "kinds"), [("paths", ("path", "name")), ("secrets", ("secret",))])
def test_one_kind_alone_is_in_no_field(planted: PlantedStore, redact: Redaction, kinds: tuple[Kind, ...]) -> None:
    """Paths and names alone, or secrets alone, are taken out of every field as well."""
    plants = [plant for plant in planted.plants if plant.kind in kinds]
    assert Detector(exported(planted.store, (redact,))).leaks(plants) == []


@pytest.mark.parametrize("vectors", [False, True])
def test_nothing_planted_is_in_an_export_for_causantic(planted: PlantedStore, *, vectors: bool) -> None:
    """The other format says less, and nothing else; its references lead where they should, pseudonyms or not."""
    file = io.BytesIO()
    selection = Selection(vectors=vectors, redact=ALL)
    export_translated(planted.store, selection, file, password=None, created=SystemClock().now())
    said = gzip.decompress(file.getvalue())
    assert Detector(said).leaks(planted.without_what_guesses() if vectors else planted.plants) == []
    assert [fault for fault in faults(file.getvalue()) if "is no time" not in fault] == []


def test_a_redacted_snapshot_names_its_chunks_as_it_gives_them(planted: PlantedStore) -> None:
    """Ids asked for alone are those of the chunks that are given, as far as ids are text."""
    selection = Selection(redact=ALL)
    with planted.store.snapshot(selection, "") as taken:
        snapshot = RedactedSnapshot(taken, selection, b"key")
        chunks = [record for record in builders.flat(snapshot.batches((Chunk,))) if isinstance(record, Chunk)]
        given = [chunk.id for chunk in chunks if "id" not in (chunk.columns or {})]
        assert sorted(snapshot.chunk_ids()) == sorted(given)
        assert len(given) == len(chunks) - 3


@pytest.mark.parametrize("vectors", [False, True])
def test_what_was_redacted_is_still_a_memory(planted: PlantedStore, tmp_path: Path, *, vectors: bool) -> None:
    """The archive of a store with something in every id imports; every record refers to what it referred to."""
    there = imported(exported(planted.store, vectors=vectors), tmp_path / "there.db", later=planted.later)
    assert there.problems() == []
    before, after = builders.rows_of(planted.store.path), builders.rows_of(there.path)
    references = {
        "chunks": [("edges", "source_chunk_id"), ("edges", "target_chunk_id"), ("chunk_clusters", "chunk_id")],
        "clusters": [("chunk_clusters", "cluster_id")],
    }
    if vectors:
        references["chunks"].append(("vectors", "id"))
    else:
        del before["vectors"], after["vectors"]
    assert {table: len(rows) for table, rows in after.items()} == {table: len(rows) for table, rows in before.items()}
    for parent, children in references.items():
        renamed = dict(zip(column(planted.store, parent, "id"), column(there, parent, "id"), strict=True))
        assert len(set(renamed.values())) == len(renamed)
        for table, name in children:
            assert column(there, table, name) == [renamed[one] for one in column(planted.store, table, name)]
    exemplars = [json.loads(one) for one in column(there, "clusters", "exemplar_ids")[-2:]]  # type: ignore[arg-type] # text
    assert exemplars == [[one.decode()] for one in column(there, "chunks", "id")[-2:]]  # type: ignore[attr-defined] # text
    clocks = [json.loads(one) for one in column(there, "vector_clocks", "clock_data")[-2:]]  # type: ignore[arg-type] # text
    assert [list(clock.values()) for clock in clocks] == [[1], [1]]


def test_without_vectors_there_is_no_vector_and_no_centroid(planted: PlantedStore) -> None:
    """What is redacted announces no vectors, has none, and has no centroid in any cluster."""
    said = document(exported(planted.store, ALL))
    assert "vectors" not in said
    assert "vectorCount" not in said["metadata"]
    assert {one["centroid"] for one in said["clusters"]} == {None}
    assert {json.dumps(one.get("columns", {}).get("centroid")) for one in said["clusters"]} == {"null"}


def test_a_redacted_archive_stands_in_for_redacted_ones_only(at: Workplace) -> None:
    """A redacted archive lets an older one of its kind go, never a whole one, and never one redacted otherwise."""
    whole = at.job()
    shared, otherwise = (
        replace(whole, selection=Selection(vectors=False, redact=redact)) for redact in (("paths",), ("code",))
    )
    kept = []
    for job in (whole, otherwise, shared, shared):
        at.clock.advance(timedelta(days=1))
        made = backup(job, at.context())
        assert made.exit_code == 0
        kept.append(made.archive)
    assert sorted(map(str, at.memory.archives)) == [kept[0], kept[1], kept[3]]


def test_a_redacted_archive_of_a_job_names_neither_store_nor_project(at: Workplace) -> None:
    """What tells stores apart in a redacted archive is no name that anybody could check a guess against."""
    made = backup(replace(at.job(), selection=Selection(("tide-tables",), False, ("paths",))), at.context())
    manifest = made.exported.manifest
    assert manifest.source not in {None, at.job().source}
    assert manifest.selected_projects == manifest.projects
    assert [one.startswith("project-") for one in manifest.projects] == [True]
    again = backup(replace(at.job(), selection=Selection(("tide-tables",), False, ("paths",))), at.context())
    assert again.exported.manifest.kin == manifest.kin


def test_what_is_counted_is_what_is_given(tmp_path: Path) -> None:
    """The counts in the manifest are those of the replacements that stand in the texts of the archive."""
    said = document(exported(PlantedStore(tmp_path / "memory.db", later=False).store, ("secrets",)))
    assert said["metadata"]["redacted"] == ["secrets"]
    assert said["metadata"]["redactions"] == {"secrets": json.dumps(said).count("[REDACTED_SECRET]")}


def test_row_numbers_are_no_secret(at: Workplace) -> None:
    """What is left of a row stands where it stood: a redacted archive says its number as any other does."""
    builders.execute(at.store.path, "UPDATE chunks SET rowid = 3 * rowid + 20; UPDATE edges SET rowid = -rowid")
    store = imported(exported(at.store, ALL), at.home / "shared.db", later=False)
    numbers, before = builders.row_numbers(store.path), builders.row_numbers(at.store.path)
    assert (numbers["chunks"], numbers["edges"]) == (before["chunks"], before["edges"])
