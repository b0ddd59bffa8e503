"""A memory that is encrypted at rest, from end to end: nothing of it is ever on disk in plain."""

from __future__ import annotations

import builders
import pytest
from program import Program

from ecm_agent.jobs.compare import differences
from ecm_agent.secret import Secret
from ecm_agent.store.encryption import Encryption
from ecm_agent.store.sqlite import SqliteStore

KEY = "a 'key' \"with\" quotes"
MARK = "high water at 04:12"
PLAIN = b"SQLite format 3\0"


def memory(program: Program, name: str = ".ecm/memory.db", *, key: str = KEY) -> SqliteStore:
    return SqliteStore(program.home / name, Encryption(lambda: [Secret(key)], new=True))


@pytest.fixture
def sealed(bare: Program) -> Program:
    """Give a home with an encrypted memory, and its key in the environment."""
    builders.fill(memory(bare), builders.memory())
    return Program(bare.home, {**bare.variables, "ECM_DB_KEY": KEY})


def plain_files(program: Program) -> list[str]:
    """Name the files that hold a text of the memory, its key, or an unencrypted store."""
    contents = {path: path.read_bytes() for path in program.home.rglob("*") if path.is_file()}
    return [
        str(path.relative_to(program.home))
        for path, content in contents.items()
        if any(secret.encode() in content for secret in (MARK, KEY))
        or (content.startswith(PLAIN) and path.name != "history.db")
    ]


def test_all_that_is_done_with_a_memory_is_done_with_an_encrypted_one(sealed: Program) -> None:
    """Backup, verification, drill, restore, merge, undo, recluster and a copy elsewhere: encrypted all the way."""
    store = memory(sealed)
    before = builders.contents(store)
    for words in ("backup", "verify", "drill", "status", "restore latest", "undo", "restore latest --merge"):
        done = sealed.run(*words.split())
        assert done.code == 0, (words, done.err)
        assert KEY not in done.out + done.err
    assert sealed.run("recluster", "--dry-run").code == 0
    assert builders.contents(store) == before
    assert sealed.run("restore", "latest", "--into", str(sealed.home / "copy.db")).code == 0
    assert differences(store, memory(sealed, "copy.db")) == {}
    assert plain_files(sealed) == []


def test_a_new_machine_gets_an_encrypted_store(sealed: Program) -> None:
    """Where there is no store, the one that is made is encrypted: a key is configured."""
    assert sealed.run("backup").code == 0
    sealed.store.unlink()
    assert sealed.run("drill").code == 0
    assert sealed.run("restore", "latest").code == 0
    assert memory(sealed).chunk_count() == 5
    assert sealed.run("init", "--store", str(sealed.home / "empty.db")).code == 0
    assert memory(sealed, "empty.db").chunk_count() == 0
    assert plain_files(sealed) == []


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ECM_DB_KEY": None}, "there is no key to it"),
        ({"ECM_DB_KEY": "hunter2"}, "the key does not open it"),
        ({"ECM_DB_KEY": None, "ECM_DB_KEY_FILE": "/nowhere"}, "Could not read the key file /nowhere"),
    ],
    ids=["none", "wrong", "no file"],
)
def test_what_is_missing_is_said(sealed: Program, variables: dict[str, str | None], message: str) -> None:
    """Exit code 14, and where a key may come from."""
    done = sealed.run("export", "--output", "a.ecm", **variables)
    assert (done.code, done.out) == (14, "")
    assert message in done.err
    assert "hunter2" not in done.err


def test_a_hook_does_not_get_the_key(sealed: Program) -> None:
    """Neither under its own name nor under one that the configuration gives it."""
    listing = sealed.home / "environment"
    config = sealed.home / "config.yaml"
    config.write_text(
        f"store: {{path: {sealed.store}, key: {{env: SAFE}}}}\n"
        f"jobs: {{nightly: {{hooks: {{before: [[sh, -c, 'env > {listing}']]}}}}}}\n"
    )
    done = sealed.run("backup", "--config", str(config), SAFE=KEY)
    assert done.code == 0, done.err
    assert "PATH=" in listing.read_text()
    assert KEY not in listing.read_text()


def test_a_plain_memory_is_backed_up_whatever_the_key(bare: Program) -> None:
    """A key in the environment, even a bad one, is nothing to a store that is not encrypted; no command is run."""
    builders.fill(SqliteStore(bare.store), builders.memory())
    config = bare.home / "config.yaml"
    ran = bare.home / "ran"
    config.write_text(f"store: {{path: {bare.store}, key: {{command: [touch, {ran}]}}}}\n")
    for words in ("backup", "drill", "restore latest"):
        done = bare.run(*words.split(), "--config", str(config))
        assert done.code == 0, done.err
    assert not ran.exists()
    assert bare.store.read_bytes().startswith(PLAIN)
