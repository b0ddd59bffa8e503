"""Without any configuration: the commands in the order in which somebody new would type them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import builders
import pytest
from program import Program

from ecm_agent.jobs.compare import differences
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARCHIVE = r"default-[A-Za-z0-9._-]+-\d{8}T\d{6}Z\.ecm"


def test_no_configuration_is_needed(bare: Program, modes: Callable[[Path], dict[str, str]]) -> None:
    """In an empty home, init, backup, list, verify, restore and status do what they say, and leave private files."""
    ended = bare.run("init")
    assert (ended.code, ended.out) == (0, f"Made an empty memory store at {bare.store} (schema version 2).\n")
    builders.fill(SqliteStore(bare.store), builders.memory())

    ended = bare.run("backup")
    assert ended.code == 0
    assert re.match(rf"default: {ARCHIVE}, 5 chunks, 4 edges, 3 clusters, .* KiB\n", ended.out)
    assert f"proved  local:{bare.backups}: stored, read back, decrypted, every record counted\n" in ended.out
    (archive,) = bare.backups.iterdir()
    assert re.fullmatch(ARCHIVE, archive.name)

    ended = bare.run("list")
    assert ended.code == 0
    assert re.search(rf"^local +{re.escape(archive.name)} +\S+ \S+ +\S+ KiB +20\d\d-", ended.out, re.MULTILINE)

    ended = bare.run("verify")
    assert ended.code == 0
    assert ended.out.startswith(f"Good: {archive.name} in local:{bare.backups}, ")

    before = builders.rows_of(bare.store)
    builders.execute(bare.store, "DELETE FROM chunks WHERE id = 'c1'")
    ended = bare.run("restore")
    assert ended.code == 0
    assert f"Restored {archive.name} in local:{bare.backups} into {bare.store}: 5 chunks" in ended.out
    assert builders.rows_of(bare.store) == before
    undo = re.search(r"To undo: ecm-agent (.*)", ended.out)
    assert undo
    assert bare.run(*undo[1].split()).code == 0
    assert SqliteStore(bare.store).chunk_count() == 4

    ended = bare.run("status")
    assert ended.code == 0
    assert re.search(r"^job default\n  schedule .* next run .*\n  last run .* ok\n  last success  20\d\d-", ended.out)
    assert re.search(r": 1 archive, \S+ KiB, newest proved 20\d\d-", ended.out)

    found = modes(bare.home)
    assert {
        path: mode for path, mode in found.items() if mode != ("700" if (bare.home / path).is_dir() else "600")
    } == {}


def test_an_archive_of_nothing_is_not_restored_in_silence(bare: Program) -> None:
    """Where the latest archive is of an empty memory, the report says so, and where an older one may be."""
    assert bare.run("init").code == 0
    assert bare.run("backup").code == 0
    ended = bare.run("restore")
    assert ended.code == 0
    assert re.search(r"^warning: .* holds no chunks; an older archive may: ecm-agent list$", ended.err, re.MULTILINE)


def test_to_another_machine_with_a_file_and_the_password(program: Program, tmp_path: Path) -> None:
    """An export imported in another home makes a store there that equals the first, record by record."""
    assert program.run("export", "--output", "memory.ecm").code == 0
    archive = program.home / "memory.ecm"
    assert archive.stat().st_mode & 0o777 == 0o600
    there = Program(tmp_path / "there")
    there.home.mkdir()
    ended = there.run("import", str(archive))
    assert (ended.code, ended.err) == (0, "")
    assert differences(SqliteStore(program.store), SqliteStore(there.store)) == {}
    assert there.store.stat().st_mode & 0o777 == 0o600


def test_a_plain_export_needs_no_password(program: Program) -> None:
    """With --no-encrypt the archive is JSON, said not to be encrypted, and comes back without a password."""
    ended = program.run("export", "-o", "memory.json", "--no-encrypt", ECM_EXPORT_PASSWORD=None)
    assert ended.code == 0
    assert "NOT encrypted" in ended.out
    ended = program.run("import", "memory.json", "--store", "again.db", ECM_EXPORT_PASSWORD=None)
    assert ended.code == 0
    assert differences(SqliteStore(program.store), SqliteStore(program.home / "again.db")) == {}


def test_the_demonstration_proves_itself_and_leaves_nothing(bare: Program) -> None:
    """The demo ends well, leaves the temporary directory and the home as they were, and minds no configuration."""
    temporary = bare.home / "tmp"
    temporary.mkdir()
    (bare.home / "ecm-agent.yaml").write_text("no such key: 1\n")
    ended = bare.run("demo", TMPDIR=str(temporary), ECM_EXPORT_PASSWORD="", ECM_AGENT_STORE__PATH="/nowhere")
    assert ended.code == 0, ended.err
    assert "all 400 chunks" in ended.out
    assert list(temporary.iterdir()) == []
    assert sorted(path.name for path in bare.home.iterdir()) == ["ecm-agent.yaml", "tmp"]


@pytest.mark.parametrize(("asked", "version"), [([], 2), (["--schema", "ecm"], 2), (["--schema", "causantic"], 16)])
def test_a_store_of_either_generation_is_made(bare: Program, asked: list[str], version: int) -> None:
    """`init` makes ECM's unless Causantic's is asked for, says which, and the store is one that exports."""
    (told,) = bare.run("init", *asked, "--store", "new.db", "--json").objects
    assert told["schema_version"] == version
    *_, made = bare.run("export", "--no-encrypt", "-o", "new.json", "--store", "new.db", "--json").objects
    assert made["manifest"]["schemaVersion"] == version


def test_init_makes_no_store_of_a_generation_unheard_of(bare: Program) -> None:
    """A schema that there is not is exit code 2, and names those there are."""
    ended = bare.run("init", "--schema", "v3")
    assert (ended.code, bare.store.exists()) == (2, False)
    assert "causantic" in ended.err
