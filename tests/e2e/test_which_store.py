"""Which store is meant where nothing names one: the only one there is, and never a guess between two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import builders
import pytest

from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from program import Program


def of_causantic(program: Program) -> Path:
    return program.home / ".causantic" / "memory.db"


@pytest.fixture
def two(program: Program) -> Program:
    """Give a home with a store in each of the usual places, and an archive of one in the destination."""
    assert program.run("backup").code == 0
    assert program.run("export", "-o", "memory.ecm").code == 0
    assert program.run("init", "--schema", "causantic").code == 0
    return program


def test_causantics_store_is_found(bare: Program) -> None:
    """Where only Causantic's is there, it is backed up, found sound and restored into, without any configuration."""
    assert bare.run("init", "--schema", "causantic").code == 0
    store = of_causantic(bare)
    assert (store.exists(), store.stat().st_mode & 0o777, bare.store.exists()) == (True, 0o600, False)
    builders.fill(SqliteStore(store), builders.memory())
    assert bare.run("config", "check").code == 0
    shown = bare.run("config", "show").out.splitlines()
    assert [line.split()[1:] for line in shown if line.startswith("store.path ")] == [
        [str(store), "default", "(found)"]
    ]
    assert bare.run("backup").code == 0
    assert bare.run("run", "--once").code == 0
    builders.execute(store, "DELETE FROM edges")
    ended = bare.run("restore", "latest")
    assert (ended.code, str(store) in ended.out) == (0, True)
    assert bare.run("undo").code == 0
    assert (bare.backups.is_dir(), bare.store.exists()) == (True, False)


@pytest.mark.parametrize(
    "command",
    [
        "backup",
        "export -o again.ecm",
        "export --preview 1 --redact-paths",
        "import memory.ecm --dry-run",
        "import memory.ecm --merge",
        "restore latest",
        "undo",
        "recluster",
        "run",
        "run --once",
        "config check",
    ],
)
def test_between_two_stores_nothing_is_guessed(two: Program, command: str) -> None:
    """What needs a store ends with 2, names both and how to choose, and changes neither."""
    before = [path.read_bytes() for path in (two.store, of_causantic(two))]
    ended = two.run(*command.split())
    assert ended.code == 2
    assert f"There is a memory store at {two.store} and another at {of_causantic(two)}." in ended.err
    assert "--store PATH" in ended.err
    assert [path.read_bytes() for path in (two.store, of_causantic(two))] == before
    assert not (two.home / "again.ecm").exists()


@pytest.mark.parametrize(
    "command",
    [
        "--version",
        "--help",
        "inspect memory.ecm",
        "list",
        "verify latest",
        "verify memory.ecm",
        "rotate --dry-run",
        "drill memory.ecm",
        "drill",
        "status",
        "config show",
        "config schema",
        "destination test",
        "restore latest --into beside.db",
        "backup --store ~/.ecm/memory.db",
    ],
)
def test_what_needs_no_store_does_not_ask_for_one(two: Program, command: str) -> None:
    """Looking at archives and at the configuration, and whatever names its store, works as with one."""
    ended = two.run(*command.replace("~", str(two.home)).split())
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize("how", ["--store", "ECM_AGENT_STORE__PATH", "file"])
def test_naming_one_settles_it(two: Program, how: str) -> None:
    """By option, variable or file, the one that is named is exported, and the other left alone."""
    if how == "file":
        (two.home / "ecm-agent.yaml").write_text("store: {path: .causantic/memory.db}\n")
    words = ["--store", ".causantic/memory.db"] if how == "--store" else []
    variables = {how: ".causantic/memory.db"} if how.startswith("ECM") else {}
    *_, told = two.run("export", "--no-encrypt", "-o", "one.json", "--json", *words, **variables).objects
    assert told["manifest"]["schemaVersion"] == 16


def test_init_makes_the_store_that_is_not_there_yet(bare: Program) -> None:
    """Each generation in its usual place; the second time it is refused, and a named store is where it was named."""
    for schema, store in (("causantic", of_causantic(bare)), ("ecm", bare.store)):
        ended = bare.run("init", "--schema", schema)
        assert (ended.code, str(store) in ended.out, store.exists()) == (0, True, True)
        again = bare.run("init", "--schema", schema)
        assert (again.code, f"There is something at {store} already." in again.err) == (1, True)
    (bare.home / "ecm-agent.yaml").write_text("store: {path: named.db}\n")
    assert bare.run("init", "--schema", "causantic").code == 0
    assert (bare.home / "named.db").exists()


def test_a_second_store_is_told_of_when_it_is_made(bare: Program) -> None:
    """`init` beside another usual store says that from now on one has to be named."""
    assert "--store" not in bare.run("init").err
    ended = bare.run("init", "--schema", "causantic")
    assert (ended.code, str(bare.store) in ended.err, "--store" in ended.err) == (0, True, True)
