"""Restore from anywhere: an archive and the password are enough, and a damaged copy is not the end."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import builders
import pytest
from program import Program

from ecm_agent.model.names import ArchiveName
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import RcloneServer

    from ecm_agent.model.records import AnyRecord

STRANGE_NAMES = ["photo.jpg", "latest", "a b\n", "default-laptop-20250301T000000Z.ecm.bak", "-", "ключ"]


@pytest.fixture
def new_machine(tmp_path: Path) -> Program:
    """Give another machine, on which nothing is but the password in somebody's head."""
    home = tmp_path / "new machine"
    home.mkdir()
    program = Program(home)
    program.variables["ECM_AGENT_HOST"] = "new"
    return program


@pytest.fixture
def two_places(program: Program) -> Program:
    """Give a home with a memory and two destinations, the archive of one backup in each, and an older one in one."""
    config = {"destinations": {name: {"type": "local", "path": name} for name in ("one", "two")}}
    (program.home / "ecm-agent.yaml").write_text(json.dumps(config))
    assert program.run("backup", ECM_AGENT_HOST="laptop").code == 0
    program.variables["ECM_AGENT_HOST"] = "laptop"
    return program


def held(place: Path) -> list[Path]:
    return sorted(place.iterdir())


def records(store: Path) -> list[AnyRecord]:
    return builders.contents(SqliteStore(store))


def damage(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[-1] ^= 1
    archive.write_bytes(content)


@pytest.mark.parametrize("name", STRANGE_NAMES)
def test_a_file_and_the_password_are_enough(program: Program, new_machine: Program, name: str) -> None:
    """On a bare machine, under whatever name, an archive is inspected, verified, imported, and restored."""
    assert program.run("export", "-o", "memory.ecm").code == 0
    shutil.copy(program.home / "memory.ecm", new_machine.home / name)
    path = f"./{name}"
    ended = new_machine.run("inspect", path)
    assert (ended.code, ended.err) == (0, "")
    assert "5 chunks" in ended.out
    ended = new_machine.run("verify", path)
    assert (ended.code, ended.err) == (0, "")
    for command, store in (("import", "imported.db"), ("restore", "restored.db")):
        ended = new_machine.run(command, path, "--store", store)
        assert (ended.code, ended.err) == (0, "")
        assert records(new_machine.home / store) == records(program.store)
    (told,) = new_machine.run("restore", path, "--dry-run", "--json").objects
    assert (told["archive"], told["destination"], told["passed_over"]) == (path, None, [])
    assert not new_machine.state.exists()


def test_a_directory_of_archives_is_enough(two_places: Program, new_machine: Program) -> None:
    """Archives of another host, put where backups go, are found by `latest`, by time and by name, without a journal."""
    shutil.copytree(two_places.home / "one", new_machine.backups)
    (archive,) = held(new_machine.backups)
    for words in ([], ["latest"], ["--at", "0s"], [archive.name]):
        ended = new_machine.run("restore", *words, "--store", "m.db", "--force")
        assert (ended.code, ended.err) == (0, ""), words
        assert records(new_machine.home / "m.db") == records(two_places.store)
        shutil.rmtree(new_machine.state)
    assert new_machine.run("verify").code == 0


def test_another_jobs_archives_are_pointed_out(two_places: Program, new_machine: Program) -> None:
    """On a machine that knows nothing of the old job, the error says whose archives there are; by name they restore."""
    new_machine.backups.mkdir(parents=True)
    (archive,) = held(two_places.home / "one")
    renamed = new_machine.backups / archive.name.replace("default-", "nightly-", 1)
    shutil.copy(archive, renamed)
    ended = new_machine.run("restore")
    assert ended.code == 10
    assert "'nightly'; restore one by its name" in ended.err
    assert new_machine.run("restore", renamed.name).code == 0
    assert records(new_machine.store) == records(two_places.store)


def test_a_damaged_copy_is_passed_over(two_places: Program) -> None:
    """The other destination's copy is used, and the report says so, to people and to programs."""
    (archive,) = held(two_places.home / "one")
    damage(archive)
    ended = two_places.run("restore", "--dry-run")
    assert ended.code == 0
    one, two = (f"local:{two_places.home / place}" for place in ("one", "two"))
    assert f"Used {archive.name} in {two}; not used:\n    another copy of it in {one}: Archive is damaged" in ended.out
    (two_places.state / "history.db").unlink()
    (told,) = two_places.run("restore", "--json").objects
    assert (told["archive"], told["destination"]) == (archive.name, two)
    assert [(each["archive"], each["destination"]) for each in told["passed_over"]] == [(archive.name, one)]
    assert "NO: Archive is damaged" in two_places.run("list").out
    ended = two_places.run("restore", "--from", "one")
    assert ended.code == 13
    assert f"{archive.name} in {one}: Archive is damaged" in ended.err


def test_an_older_archive_is_used_and_named(two_places: Program) -> None:
    """With every copy of the newest archive damaged, the older one is restored, and the report says why."""
    (older,) = held(two_places.home / "one")
    name = ArchiveName.parse(older.name)
    assert name
    assert two_places.run("backup", ECM_AGENT_JOBS__DEFAULT__RETENTION__KEEP_LAST="5").code == 0
    _, newer = held(two_places.home / "one")
    for place in ("one", "two"):
        damage(two_places.home / place / newer.name)
    ended = two_places.run("restore")
    assert ended.code == 0
    assert f"Restored {older.name} in local:" in ended.out
    assert f"the newer {newer.name} in local:{two_places.home / 'one'}: Archive is damaged" in ended.out
    ended = two_places.run("restore", ECM_EXPORT_PASSWORD="wrong")
    assert ended.code == 12
    before = name.created.isoformat()
    (told,) = two_places.run("restore", "--dry-run", "--at", before, "--json").objects
    assert (told["archive"], told["passed_over"]) == (older.name, [])


def test_a_disk_that_is_not_mounted(two_places: Program) -> None:
    """A destination that is gone is warned of, and the archive comes from the other."""
    (two_places.home / "one").rename(two_places.home / "unmounted")
    ended = two_places.run("restore")
    assert ended.code == 0
    assert "/one is missing, though archives were stored there. It was not asked, and may hold a newer" in ended.err
    assert two_places.run("verify").code == 15
    assert two_places.run("restore", "--from", "one").code == 15
    (archive,) = held(two_places.home / "two")
    ended = two_places.run("restore", archive.name)
    assert (ended.code, ended.err) == (0, "")
    damage(archive)
    ended = two_places.run("restore", archive.name)
    assert ended.code == 15
    assert "/one is missing" in ended.err
    assert f"{archive.name} in local:{two_places.home / 'two'}: Archive is damaged" in ended.err


def test_the_bucket_stands_in_for_the_disk(with_offsite: Program, offsite: RcloneServer) -> None:
    """With the copy on the disk damaged the bucket's is used; with the bucket down, the disk's, and a warning."""
    assert with_offsite.run("backup").code == 0
    (archive,) = held(with_offsite.backups)
    good = archive.read_bytes()
    damage(archive)
    (told,) = with_offsite.run("restore", "--json").objects
    assert (told["archive"], [one["archive"] for one in told["passed_over"]]) == (archive.name, [archive.name])
    assert told["destination"].startswith("s3://")
    archive.write_bytes(good)
    offsite.kill()
    ended = with_offsite.run("restore")
    assert ended.code == 0
    assert "It was not asked, and may hold a newer archive." in ended.err
    assert f"Restored {archive.name} in local:" in ended.out
    damage(archive)
    ended = with_offsite.run("restore", archive.name)
    assert ended.code == 15
    assert f"{archive.name} in local:" in ended.err
    assert f"{archive.name} in s3:" in ended.err


def test_an_unusable_journal_stops_no_restore(two_places: Program) -> None:
    """With a state directory that cannot be, verify and restore do their work and warn."""
    (two_places.home / "file").touch()
    for words in (["verify"], ["verify", "--all"], ["restore", "--no-safety-archive"]):
        ended = two_places.run(*words, ECM_AGENT_STATE_DIR="file/below")
        assert ended.code == 0
        assert ended.err.startswith("warning: The agent's journal ")
        assert ended.err.count("warning") == 1
    ended = two_places.run("restore", ECM_AGENT_STATE_DIR="file/below")
    assert ended.code == 1
    assert "--no-safety-archive" in ended.err


@pytest.mark.parametrize("command", ["restore", "verify"])
def test_a_time_that_makes_no_sense(two_places: Program, command: str) -> None:
    """No time, a time beside a name or a path: exit 2; a time before the first archive: exit 10, naming that one."""
    (archive,) = held(two_places.home / "one")
    for words in (["--at", "bla"], ["--at", "3d", archive.name], ["--at", "3d", "./memory.ecm"]):
        ended = two_places.run(command, *words)
        assert ended.code == 2, words
        assert "hint: " in ended.err
    ended = two_places.run(command, "--at", f"{datetime(2020, 1, 1, tzinfo=UTC):%Y-%m-%d}")
    assert ended.code == 10
    assert f"The oldest there is {archive.name}." in ended.err
    assert two_places.run(command, "--at", "0s").code == 0


def test_a_disk_that_is_gone_is_missed_whatever_was_found_wrong_on_it(two_places: Program) -> None:
    """A fault on record does not make a destination look as if it had never been used: nothing goes beside the disk."""
    one = two_places.home / "one"
    damage(held(one)[0])
    assert two_places.run("verify", "--from", "one").code == 13
    one.rename(two_places.home / "unplugged")
    ended = two_places.run("status")
    assert (ended.code, "missing, though archives were stored there" in ended.out) == (1, True)
    assert two_places.run("backup").code == 3
    assert not one.exists()
