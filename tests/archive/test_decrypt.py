"""docs/decrypt.py: what this program sealed opens without this program, or nothing is written."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import builders
import pytest
from vectors import generate

from ecm_agent.archive import Compression, is_encrypted, open_archive
from ecm_agent.jobs.export import export
from ecm_agent.model.manifest import Selection
from ecm_agent.model.records import Chunk
from ecm_agent.secret import Secret
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from ecm_agent.model.records import AnyRecord, Batch

SCRIPT = Path(__file__).parents[2] / "docs" / "decrypt.py"
VECTORS = Path(generate.__file__).parent
INDEX: list[dict[str, Any]] = tomllib.loads((VECTORS / generate.INDEX).read_text(encoding="utf-8"))["vector"]
SEALED = [entry for entry in INDEX if entry["file"].endswith((".ecm", ".causantic"))]
NOT_ITS_AFFAIR = {"sealed-array.ecm", "sealed-text.ecm", "sealed-object.ecm"}
"""Sealed well, but what is inside is no document: it comes out as it is."""
PASSWORD = "Grüße, 鍵 🗝"


class Done(NamedTuple):
    code: int
    out: bytes
    err: str


def decrypt(*arguments: str | Path, password: str | None = PASSWORD, folder: Path | None = None) -> Done:
    """Run the script as it would be run on another machine: with nothing of this project to import."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    environment = kept | {"LANG": "C.UTF-8"} | ({} if password is None else {"ECM_EXPORT_PASSWORD": password})
    done = subprocess.run(
        [sys.executable, "-I", SCRIPT, *arguments],
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env=environment,
        cwd=folder,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return Done(done.returncode, done.stdout, done.stderr.decode())


def sealed(path: Path, memory: list[Batch], compression: Compression = "none") -> Path:
    """Have this program make an archive."""
    store = SqliteStore(path.with_suffix(".db"))
    builders.fill(store, memory)
    with path.open("wb+") as file:
        export(
            store,
            Selection(),
            file,
            password=Secret(PASSWORD),
            compression=compression,
            created=datetime(2025, 3, 1, tzinfo=UTC),
        )
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return sealed(tmp_path / "memory.ecm", builders.memory())


def records(path: Path, password: str | None) -> list[AnyRecord]:
    with path.open("rb") as file:
        assert is_encrypted(file) == (password is not None)
        opened = open_archive(file, Secret(password) if password else None)
        return [record for batch in opened.batches() for record in batch]


@pytest.mark.parametrize("compression", get_args(Compression))
@pytest.mark.parametrize("memory", [builders.memory(), []], ids=["a memory", "an empty store"])
def test_what_comes_out_is_the_document(memory: list[Batch], compression: Compression, tmp_path: Path) -> None:
    """However it is compressed, the JSON in the new private file is an archive of the same records."""
    archive = sealed(tmp_path / "memory.ecm", memory, compression)
    done = decrypt("memory.ecm", "--output", "memory.json", folder=tmp_path)
    assert done == Done(0, b"", "")
    output = tmp_path / "memory.json"
    assert output.stat().st_mode & 0o777 == 0o600
    assert records(output, None) == records(archive, PASSWORD)
    assert output.read_bytes().startswith(b'{"format":"ecm-archive"')
    assert decrypt(archive).out == output.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["memory.db", "memory.ecm", "memory.json"]


@pytest.mark.parametrize("entry", SEALED, ids=lambda entry: f"{entry['file']} {entry['what']}")
def test_the_golden_vectors_end_as_with_this_program(entry: dict[str, Any], tmp_path: Path) -> None:
    """Each sealed vector comes out, or ends with the exit code that this program has for its defect and no file."""
    done = decrypt(VECTORS / entry["file"], "-o", tmp_path / "out.json", password=entry.get("password"))
    expected = 0 if entry["file"] in NOT_ITS_AFFAIR else entry["exit"]
    assert done.code == expected, done.err
    assert (tmp_path / "out.json").exists() == (expected == 0)
    assert (done.err == "") == (expected == 0)


def test_a_wrong_password(archive: Path, tmp_path: Path) -> None:
    """Another password: exit 12 and no file; none, or an empty one: exit 2."""
    for password, code in (("no", 12), (PASSWORD + " ", 12), ("", 2), (None, 2)):
        done = decrypt(archive, "-o", tmp_path / "out.json", password=password)
        assert done.code == code
        assert "password" in done.err
        assert PASSWORD not in done.err
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("place", ["magic", "salt", "nonce", "tag", "the first byte", "the middle", "the last byte"])
def test_a_changed_byte(place: str, archive: Path, tmp_path: Path) -> None:
    """Wherever a bit was flipped, nothing is written, to no file and not to stdout either."""
    content = bytearray(archive.read_bytes())
    middle, last = len(content) // 2, len(content) - 1
    offsets = {"magic": 1, "salt": 9, "nonce": 25, "tag": 40, "the first byte": 48, "the middle": middle}
    content[offsets.get(place, last)] ^= 1
    archive.write_bytes(content)
    done = decrypt(archive, "-o", tmp_path / "out.json")
    assert done.code == (12 if place in {"salt", "nonce", "the first byte"} else 13)
    assert decrypt(archive).out == b""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["memory.db", "memory.ecm"]


def test_what_is_cut_or_garbage(archive: Path, tmp_path: Path) -> None:
    """An archive cut anywhere, an empty file, noise and plain JSON are told from an archive: exit 13, no file."""
    content = archive.read_bytes()
    bad = [content[:size] for size in (0, 3, 4, 40, 48, 200, len(content) - 1)]
    for number, wrong in enumerate([*bad, b"\0" * 500, b"MZ" * 300, b'{"format":"ecm-archive"}']):
        archive.write_bytes(wrong)
        done = decrypt(archive, "-o", tmp_path / "out.json")
        assert (done.code, done.out) == (13, b""), number
        assert "archive" in done.err
    assert not (tmp_path / "out.json").exists()


def test_what_is_there_stays(archive: Path, tmp_path: Path) -> None:
    """An output that exists is left as it is; a missing file, a directory and a folder that is not there are named."""
    output = tmp_path / "out.json"
    output.write_text("mine")
    assert decrypt(archive, "-o", output).code == 2
    assert output.read_text() == "mine"
    assert decrypt(tmp_path / "no.ecm").code == 10
    assert decrypt(tmp_path).code == 10
    done = decrypt(archive, "-o", tmp_path / "no" / "out.json")
    assert done.code == 1
    assert "No such file or directory" in done.err


def test_the_page_on_recovery_shows_how_to_read_it(archive: Path, tmp_path: Path) -> None:
    """The lines of Python in docs/recovery.md print every conversation of the decrypted document."""
    page = SCRIPT.with_name("recovery.md").read_text(encoding="utf-8")
    lines = page.partition("```python\n")[2].partition("```")[0]
    assert decrypt(archive, "-o", tmp_path / "memory.json").code == 0
    done = subprocess.run(
        [sys.executable, "-I", "-X", "utf8", "-c", lines], cwd=tmp_path, check=True, capture_output=True
    )
    contents = [record.content for record in records(archive, PASSWORD) if isinstance(record, Chunk)]
    assert contents
    assert [content for content in contents if content not in done.stdout.decode()] == []


def test_the_password_can_be_typed(archive: Path) -> None:
    """At a terminal the password is asked for, and not shown."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-I", SCRIPT, archive, "-o", archive.with_name("out.json")],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        env={"LANG": "C.UTF-8", "PATH": os.environ["PATH"]},
    ) as process:
        os.close(terminal)
        shown = b""
        while not shown.endswith(b"password: "):
            shown += os.read(controller, 100)
        os.write(controller, PASSWORD.encode() + b"\n")
        assert process.wait(60) == 0
    os.close(controller)
    assert records(archive.with_name("out.json"), None) == records(archive, PASSWORD)
