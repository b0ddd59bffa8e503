"""What goes wrong: the exit code says what, the message says it in words, and nothing is harmed."""

from __future__ import annotations

import os
import random
import re
from typing import TYPE_CHECKING

import builders
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from program import Program


def snapshot(program: Program) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in program.store.parent.glob("memory.db*")}


def an_archive(program: Program, name: str = "good.ecm") -> bytes:
    assert program.run("export", "-o", name).code == 0
    return (program.home / name).read_bytes()


def noise(size: int) -> bytes:
    return random.Random(5).randbytes(size)  # noqa: S311 (the same noise each time)


NO_ARCHIVES: dict[str, Callable[[Path, bytes], object]] = {
    "other JSON": lambda path, _: path.write_text('{"name": "package", "version": "1.0.0"}'),
    "a JSON list": lambda path, _: path.write_text("[1, 2, 3]"),
    "text": lambda path, _: path.write_text("dear diary\n"),
    "noise": lambda path, _: path.write_bytes(noise(5000)),
    "an empty file": lambda path, _: path.write_bytes(b""),
    "a cut header": lambda path, good: path.write_bytes(good[:30]),
    "no content": lambda path, good: path.write_bytes(good[:48]),
    "half an archive": lambda path, good: path.write_bytes(good[: len(good) // 2]),
    "one byte short": lambda path, good: path.write_bytes(good[:-1]),
    "a flipped bit": lambda path, good: path.write_bytes(good[:-9] + bytes([good[-9] ^ 8]) + good[-8:]),
    "a directory": lambda path, _: path.mkdir(),
    "a pipe": lambda path, _: os.mkfifo(path),
    "a device": lambda path, _: path.symlink_to("/dev/null"),
}


def test_what_is_no_archive_is_not_imported(program: Program) -> None:
    """Whatever is not an archive, or no longer one, ends with 13, a message that says so, and an untouched store."""
    good = an_archive(program)
    before = snapshot(program)
    wrong = {}
    for what, make in NO_ARCHIVES.items():
        path = program.home / f"{what}.ecm"
        make(path, good)
        ended = program.run("import", path.name)
        allowed = (12, 13) if what == "no content" else (13,)
        named = re.match("ecm-agent: (Invalid archive format|Archive is damaged|Decryption failed)", ended.err)
        if ended.code not in allowed or not named or ended.out:
            wrong[what] = ended
    assert wrong == {}
    assert snapshot(program) == before


def test_a_wrong_password(program: Program) -> None:
    """The message is the one users know, the exit code 12, and the store keeps every byte."""
    an_archive(program)
    before = snapshot(program)
    ended = program.run("import", "good.ecm", ECM_EXPORT_PASSWORD="not this one")
    assert ended.code == 12
    assert ended.err.startswith("ecm-agent: Decryption failed\nhint: The password is wrong")
    assert snapshot(program) == before


@pytest.mark.parametrize("words", [["import", "good.ecm"], ["restore"], ["verify", "good.ecm"]], ids=" ".join)
def test_no_password_and_no_terminal(program: Program, words: list[str]) -> None:
    """Where nobody can be asked, the message is the one users know, with the ways to give a password; exit code 2."""
    an_archive(program)
    assert program.run("backup").code == 0
    before = snapshot(program)
    ended = program.run(*words, ECM_EXPORT_PASSWORD=None)
    assert ended.code == 2
    assert ended.err.startswith("ecm-agent: Archive is encrypted. Please provide a password.\nhint: ")
    assert "ECM_EXPORT_PASSWORD_FILE" in ended.err
    assert snapshot(program) == before


def test_nothing_is_made_without_a_password(program: Program) -> None:
    """Export and backup without a password, or with an empty one, write no file anywhere."""
    for words in (["export", "-o", "new.ecm"], ["backup"]):
        for password in (None, ""):
            ended = program.run(*words, ECM_EXPORT_PASSWORD=password)
            assert ended.code == 2
            assert "password" in ended.err or "ECM_EXPORT_PASSWORD" in ended.err
    assert not (program.home / "new.ecm").exists()
    assert not program.backups.exists()


def test_what_is_not_there(program: Program) -> None:
    """A missing file, archive, job or destination ends with 10 and is named, with what there is instead."""
    assert program.run("backup").code == 0
    for words, message in (
        (["import", "no.ecm"], "There is no file no.ecm."),
        (["inspect", "no.ecm"], "There is no file no.ecm."),
        (["restore", "default-x-20200101T000000Z.ecm"], "There is no archive default-x-20200101T000000Z.ecm in local:"),
        (["backup", "defualt"], "There is no job called 'defualt'.\nhint: Did you mean default?"),
        (["list", "--from", "nas"], "There is no destination called 'nas'.\nhint: There is: local."),
    ):
        ended = program.run(*words)
        assert ended.code == 10
        assert message in ended.err


def another_database(path: Path) -> None:
    path.unlink()
    builders.execute(path, "CREATE TABLE mine (x)")


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


NO_STORES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "text": lambda path: path.write_text("not a database\n"),
    "encrypted": lambda path: path.write_bytes(noise(8192)),
    "damaged": lambda path: path.write_bytes(path.read_bytes()[:4096] + noise(len(path.read_bytes()) - 4096)),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:10_000]),
    "another database": another_database,
    "a directory": a_directory,
}


def test_a_store_that_cannot_be_read(program: Program) -> None:
    """Whatever is not a readable store ends an export with 14 and a message that names it; no archive is made."""
    good = program.store.read_bytes()
    wrong = {}
    for what, break_ in NO_STORES.items():
        path = program.home / f"{what}.db"
        path.write_bytes(good)
        break_(path)
        ended = program.run("export", "-o", "new.ecm", "--store", path.name)
        if (ended.code, ended.out) != (14, "") or path.name not in ended.err or "hint: " not in ended.err:
            wrong[what] = ended
    assert wrong == {}
    assert not (program.home / "new.ecm").exists()


def test_a_backup_of_nothing_is_on_record_as_failed(bare: Program) -> None:
    """Before there is a memory, a backup ends with 14 and says how to make one; status tells of it."""
    ended = bare.run("backup")
    assert ended.code == 14
    assert "ecm-agent init" in ended.err
    ended = bare.run("status")
    assert ended.code == 1
    assert "exit 14: There is no memory store" in ended.out
    assert "OVERDUE" in ended.out


def test_a_misspelt_project(program: Program) -> None:
    """The error names the projects that come nearest; exit code 2, and no file is written."""
    ended = program.run("export", "-o", "new.ecm", "--projects", "tide-tables,cafe-kiosk")
    assert ended.code == 2
    assert "There is no project 'cafe-kiosk' in the store." in ended.err
    assert "'café-kiosk'" in ended.err
    assert sorted(path.name for path in program.home.iterdir()) == [".ecm"]


def test_the_store_is_safe_from_its_own_export(program: Program) -> None:
    """An export into the store itself is refused."""
    before = snapshot(program)
    ended = program.run("export", "-o", str(program.store))
    assert ended.code == 2
    assert snapshot(program) == before


def test_a_failed_destination_in_the_report(program: Program) -> None:
    """With one of two destinations out of order, the other has its archive, the report names both, the code is 3."""
    (program.home / "file").touch()
    (program.home / "ecm-agent.yaml").write_text(
        "destinations:\n  good: {type: local, path: good}\n  bad: {type: local, path: file/below}\n"
    )
    ended = program.run("backup")
    assert ended.code == 3
    assert f"  proved  local:{program.home}/good: stored" in ended.out
    assert f"  FAILED  local:{program.home}/file/below: " in ended.out
    assert "  hint: " in ended.out
    assert len(list((program.home / "good").iterdir())) == 1
    ended = program.run("list")
    assert ended.code == 3
    assert "default-" in ended.out
    assert "file/below" in ended.err
    ended = program.run("status")
    assert ended.code == 1
    assert "exit 3: " in ended.out
    assert f"local:{program.home}/file/below refused" in ended.out


def test_state_that_cannot_be_kept(program: Program) -> None:
    """Where the agent's own directory cannot be made, every command that needs it says where and what to set."""
    (program.home / "file").touch()
    for words in (["backup"], ["list"], ["status"], ["rotate"]):
        ended = program.run(*words, ECM_AGENT_STATE_DIR="file/below")
        assert ended.code == 1
        assert "file/below" in ended.err
        assert "hint: " in ended.err


def test_names_that_are_not_text(program: Program) -> None:
    """A path of bytes that are no UTF-8 is named as well as can be, in text and in JSON."""
    name = os.fsdecode(b"m\xff.db")
    for words in (["backup", "--store", name], ["backup", "--store", name, "--json"]):
        ended = program.run(*words)
        assert ended.code == 14
        assert "m\\udcff.db" in ended.err + ended.out
    assert "m\\udcff.db" in program.run("status").out
