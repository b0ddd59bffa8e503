"""export: one snapshot of the store into one file, whole or not at all."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import builders
import pytest
from workplace import PASSWORD

from ecm_agent import atomic
from ecm_agent.archive import write_archive
from ecm_agent.errors import ArchiveInvalid, DecryptionFailed, EcmError, StoreUnreadable, UsageError
from ecm_agent.jobs import export as export_module
from ecm_agent.jobs.export import Exported, export, export_to
from ecm_agent.jobs.verify import verify
from ecm_agent.model.manifest import Selection, timestamp

if TYPE_CHECKING:
    from workplace import Workplace

    from ecm_agent.archive import Compression
    from ecm_agent.secret import Secret

ALL = Selection()


def run(
    at: Workplace,
    output: Path,
    selection: Selection = ALL,
    compression: Compression = "none",
    password: Secret | None = PASSWORD,
) -> Exported:
    now = datetime(2025, 3, 1, tzinfo=UTC)
    return export_to(output, at.store, selection, password=password, compression=compression, created=now)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_the_report_says_what_was_written(at: Workplace, compression: Compression) -> None:
    """Size, counts and encryption in the report are those of the file; the file is private."""
    output = at.home / "memory.ecm"
    result = run(at, output, compression=compression)
    with output.open("rb") as file:
        verified = verify(file, PASSWORD)
    assert (verified.manifest, verified.bytes, verified.encrypted) == (result.manifest, result.bytes, result.encrypted)
    assert result.bytes == output.stat().st_size
    assert output.stat().st_mode & 0o777 == 0o600


def test_a_failing_export_leaves_the_old_file(at: Workplace) -> None:
    """When the store cannot be read, what lay at the output stays byte for byte, and nothing lies beside it."""
    output = at.home / "out" / "memory.ecm"
    output.parent.mkdir()
    output.write_bytes(b"last week's")
    at.store.path.write_bytes(b"no database")
    with pytest.raises(StoreUnreadable):
        run(at, output)
    assert [(path.name, path.read_bytes()) for path in output.parent.iterdir()] == [("memory.ecm", b"last week's")]


@pytest.mark.parametrize("password", [PASSWORD, None], ids=["encrypted", "plain"])
@pytest.mark.parametrize("changed", [b"tide-tables", b'"digests"', b'"chunkCount"'])
def test_what_was_damaged_as_it_was_written_takes_no_name(
    at: Workplace, monkeypatch: pytest.MonkeyPatch, password: Secret | None, changed: bytes
) -> None:
    """An archive counts once it has been read back, encrypted or not: the old file stays where that fails."""

    def faulty(file: BinaryIO, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 (whatever it is given)
        write_archive(file, *arguments, **options)
        file.seek(0)
        content = file.read()
        place = content.find(changed) + 2 if password is None else len(content) // 2
        file.seek(place)
        file.write(bytes([content[place] ^ 1]))

    monkeypatch.setattr(export_module, "write_archive", faulty)
    output = at.home / "memory.ecm"
    output.write_bytes(b"last week's")
    with pytest.raises((ArchiveInvalid, DecryptionFailed)):
        run(at, output, password=password)
    assert output.read_bytes() == b"last week's"


def test_an_unknown_project_writes_nothing(at: Workplace) -> None:
    """A misspelt project is an error that names the nearest one, and no file is made."""
    output = at.home / "out" / "memory.ecm"
    output.parent.mkdir()
    with pytest.raises(UsageError, match="'tide-table'") as caught:
        run(at, output, Selection(("tide-table",)))
    assert "'tide-tables'" in caught.value.hint
    assert list(output.parent.iterdir()) == []


def test_the_store_is_never_the_output(at: Workplace) -> None:
    """An export into the store itself, by its own path or another name for it, is refused."""
    other_name = at.home / "link.ecm"
    other_name.symlink_to(at.store.path)
    before = at.store.path.read_bytes()
    for output in (at.store.path, other_name, at.home / "." / "memory.db"):
        with pytest.raises(UsageError, match="store itself"):
            run(at, output)
    assert at.store.path.read_bytes() == before


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_what_belongs_to_the_store_is_never_the_output(at: Workplace, ending: str) -> None:
    """Nor is what SQLite keeps beside it, whichever way the two are named."""
    (at.home / "real").mkdir()
    (at.home / "link").symlink_to("real")
    at.store = builders.sqlite_store(at.home / "link" / "memory.db")
    for folder in ("real", "link"):
        with pytest.raises(UsageError, match="part of the memory store"):
            run(at, at.home / folder / f"memory.db{ending}")


def test_only_a_file_is_replaced(at: Workplace) -> None:
    """A directory, a pipe or a device in the output's place stays what it is."""
    pipe = at.home / "pipe"
    os.mkfifo(pipe)
    for output in (at.home, pipe):
        with pytest.raises(UsageError, match="not a regular file"):
            run(at, output)
    assert pipe.is_fifo()


def test_standard_output_is_no_place(at: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes `-o -` is told so, and finds no file of that name."""
    monkeypatch.chdir(at.home)
    with pytest.raises(UsageError, match="standard output"):
        run(at, Path("-"))
    assert not Path("-").exists()


def test_a_link_is_written_through(at: Workplace) -> None:
    """Where the output is a link to a file, the file is replaced and the link stays."""
    file, link = at.home / "real.ecm", at.home / "link.ecm"
    file.write_bytes(b"last week's")
    link.symlink_to(file)
    run(at, link)
    assert link.is_symlink()
    assert file.read_bytes().startswith(b"ECM\0")


def test_a_place_that_cannot_be_written_is_named(at: Workplace) -> None:
    """A missing directory is an error that names the output."""
    output = at.home / "no" / "such" / "place.ecm"
    with pytest.raises(EcmError, match="No such file or directory") as caught:
        run(at, output)
    assert str(output) in caught.value.message


def test_vectors_left_out_on_request_are_no_gap(at: Workplace) -> None:
    """What was asked to be left out is in the manifest, but is nothing to warn of; an unknown table goes along."""
    builders.execute(at.store.path, "CREATE TABLE notes (text); INSERT INTO notes VALUES ('x')")
    result = run(at, at.home / "memory.ecm", Selection(vectors=False))
    assert result.manifest.left_out == {"vectors": 4}
    assert result.manifest.rows() == {"notes": 1}
    assert result.gaps == {}


def test_excluded_tables_are_no_gap(at: Workplace) -> None:
    """They are named in the manifest with their rows, and nobody is warned of what was asked for."""
    builders.execute(at.store.path, "CREATE TABLE notes (text); INSERT INTO notes VALUES ('x')")
    result = run(at, at.home / "memory.ecm", Selection(exclude=("notes", "unheard_of")))
    assert (result.manifest.left_out, result.manifest.excluded, result.gaps) == ({"notes": 1}, ["notes"], {})
    assert result.manifest.rows() == {}


def test_nothing_unfinished_lies_beside_the_output(at: Workplace) -> None:
    """After an export the output's directory holds the output and no temporary file."""
    out = at.home / "out"
    out.mkdir()
    run(at, out / "memory.ecm")
    assert [path.name for path in out.iterdir() if atomic.is_temporary(path.name)] == []
    assert [path.name for path in out.iterdir()] == ["memory.ecm"]


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (datetime(2025, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC), "2025-01-02T03:04:05.678Z"),
        (datetime(2025, 1, 2, 0, 30, tzinfo=timezone(timedelta(hours=1))), "2025-01-01T23:30:00.000Z"),
    ],
)
def test_times_are_written_in_utc(moment: datetime, written: str) -> None:
    """A time in any zone is written in UTC, to the millisecond."""
    assert timestamp(moment) == written


def test_the_document_says_nothing_of_where_the_store_lies(at: Workplace) -> None:
    """Stores of the same content give the same document, wherever they lie; only a job's archives tell them apart."""
    other = builders.sqlite_store(at.home / "elsewhere.db")
    documents = []
    for store in (at.store, other):
        file = io.BytesIO()
        export(store, Selection(), file, password=None, compression="none", created=datetime(2025, 2, 1, tzinfo=UTC))
        documents.append(file.getvalue())
    assert documents[0] == documents[1]
