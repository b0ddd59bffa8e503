"""The golden vectors: the files are what the generator writes, and each leads to what the index says."""

from __future__ import annotations

import io
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from vectors import generate
from vectors.memory import CHUNKS, MEMORY, document

from ecm_agent.archive import Archive, open_archive
from ecm_agent.errors import ArchiveInvalid, EcmError
from ecm_agent.secret import Secret
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from typing import Any, BinaryIO

FOLDER = Path(generate.__file__).parent
WRITTEN_BY_HAND = {"generate.py", "memory.py", "tables.py", "README.md", ".gitattributes", "__pycache__"}
INDEX: list[dict[str, Any]] = tomllib.loads((FOLDER / generate.INDEX).read_text(encoding="utf-8"))["vector"]


def opened(entry: dict[str, Any], file: BinaryIO) -> Archive:
    return open_archive(file, Secret(entry["password"]) if "password" in entry else None)


def counted(archive: Archive) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for batch in archive.batches():
        counts[batch[0].section] += len(batch)
    return dict(counts)


def name(entry: dict[str, Any]) -> str:
    return f"{entry['file']} {entry['what']}"


SOUND = [entry for entry in INDEX if "counts" in entry and "restore" not in entry]
UNSOUND = [entry for entry in INDEX if "error" in entry]
SENSELESS = [entry for entry in INDEX if "restore" in entry]


def test_the_generator_writes_the_files_that_are_here() -> None:
    """Every vector and the index are, byte for byte, what the generator makes of the program as it is now."""
    here = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.name not in WRITTEN_BY_HAND}
    made = generate.files()
    assert here.keys() == made.keys()
    assert [file for file in made if here[file] != made[file]] == []


@pytest.mark.parametrize("entry", SOUND, ids=name)
def test_a_sound_vector_opens_with_the_counts_of_the_index(entry: dict[str, Any]) -> None:
    """A sound archive opens, in whatever layout, and holds as many records of each kind as the index says."""
    with (FOLDER / entry["file"]).open("rb") as file:
        archive = opened(entry, file)
        assert counted(archive) == entry["counts"]
    if "unread" in entry:
        assert archive.unknown == entry["unread"]


@pytest.mark.parametrize("entry", SOUND, ids=name)
def test_a_sound_vector_is_restored(entry: dict[str, Any], tmp_path: Path) -> None:
    """A sound archive can be restored into a new store, but for what refers to nothing and is counted."""
    dropped = entry.get("dropped", {})
    store = SqliteStore(tmp_path / "memory.db")
    with (FOLDER / entry["file"]).open("rb") as file:
        archive = opened(entry, file)
        replaced = store.replace(archive.manifest, archive.batches())
    assert replaced.dropped.records == dropped
    assert len(replaced.dropped.examples) == sum(dropped.values())
    assert replaced.records == {section: count - dropped.get(section, 0) for section, count in entry["counts"].items()}
    assert replaced.not_made == entry.get("not_made", [])
    assert store.chunk_count() == entry["counts"].get("chunks", 0)


@pytest.mark.parametrize("entry", UNSOUND, ids=name)
def test_an_unsound_vector_gives_its_error(entry: dict[str, Any]) -> None:
    """One defect leads to one kind of error with its exit code, which names the record and field where there is one."""
    with (FOLDER / entry["file"]).open("rb") as file, pytest.raises(EcmError) as raised:
        counted(opened(entry, file))
    assert (raised.value.kind, raised.value.exit_code) == (entry["error"], entry["exit"])
    assert entry.get("at", "") in raised.value.message


@pytest.mark.parametrize("entry", SENSELESS, ids=name)
def test_records_that_cannot_stand_together_are_refused_on_restore(entry: dict[str, Any], tmp_path: Path) -> None:
    """An archive that is sound in itself but makes no sense opens, is refused on restore, and leaves no store."""
    store = SqliteStore(tmp_path / "memory.db")
    with (FOLDER / entry["file"]).open("rb") as file:
        archive = opened(entry, file)
        assert counted(archive) == entry["counts"]
        with pytest.raises(EcmError) as raised:
            store.replace(archive.manifest, archive.batches())
    assert raised.value.kind == entry["restore"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("opening", [b"[", b'{"a":'], ids=["arrays", "objects"])
@pytest.mark.parametrize("minified", [False, True], ids=["our layout", "on one line"])
@pytest.mark.parametrize("before", [b'"content"', b'"chunks"'], ids=["in a record", "at the top"])
def test_a_document_that_nests_too_deeply_is_refused(opening: bytes, before: bytes, minified: bool) -> None:
    """A hundred thousand levels lead to an error, not to a crash, wherever they are and however they are laid out."""
    bomb = b'"later":' + opening * 100_000 + (b"1" if opening != b"[" else b"")
    closing = (b"]" if opening == b"[" else b"}") * 100_000 + b","
    content = document(MEMORY).replace(before, bomb + closing + before, 1)
    with pytest.raises(ArchiveInvalid, match="nests deeper"):
        counted(open_archive(io.BytesIO(content.replace(b"\n", b"") if minified else content), None))


@pytest.mark.parametrize(("megabytes", "minified"), [(300, False), (100, True)], ids=["our layout", "on one line"])
def test_a_record_of_hundreds_of_megabytes_opens(megabytes: int, minified: bool, tmp_path: Path) -> None:
    """A single string of 300 MB (100 MB where there is no line to go by) is sound: it is read, once, as one record."""
    before, _, after = generate.resealed(document([CHUNKS], projects=["garden"])).partition(b"Water")
    path = tmp_path / "long.json"
    with path.open("wb") as file:
        file.write(before.replace(b"\n", b"") if minified else before)
        file.writelines([b"Water" * 200_000] * megabytes)
        file.write(after)
    with path.open("rb") as file:
        found = [(record.id, len(record.content)) for batch in open_archive(file, None).batches() for record in batch]  # type: ignore[union-attr] # all of them are chunks
    assert [chunk for chunk, _ in found] == [chunk.id for chunk in CHUNKS]
    assert found[0][1] == megabytes * 1_000_000 + len(" the beans.\n")
