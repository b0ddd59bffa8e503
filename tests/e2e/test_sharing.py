"""Sharing a memory: what the flags take out, what the commands say of it, and what a redacted archive is good for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import builders
import pytest

from ecm_agent.model.records import Chunk
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from program import Program

KEY = "AKIAQYLPMN5HFIQR7XYA"
SAID = f"The key {KEY} stood in /home/ada/tide-tables/moon.py:\n\n```py\nphase = moon(today)\n```\n\nIt is gone."
ALL = ("--redact-paths", "--redact-code", "--redact-secrets")
HIDDEN = (KEY, "/home", "tide-tables", "moon.py", "phase = moon", "café-kiosk")
FILE = """
host: laptop
jobs:
  shared: {destinations: [local], redact: [paths, code, secrets], retention: {keep_last: 1}}
"""


@pytest.fixture
def sharer(bare: Program) -> Program:
    """Give a home with a memory in which one text holds a path, code and a key."""
    batches = builders.memory()
    batches[0] = [builders.chunk("c3", content=SAID), builders.chunk("c1")]
    builders.fill(SqliteStore(bare.store), batches)
    return bare


def share(program: Program, *flags: str) -> Path:
    ended = program.run("export", "-o", "shared.json", "--no-encrypt", *(flags or ALL))
    assert ended.code == 0, ended.err
    return program.home / "shared.json"


def test_what_is_shared_says_so_wherever_it_goes(sharer: Program) -> None:
    """Export, inspect and import say what was taken out and how often, and none of it is in the file."""
    ended = sharer.run("export", "-o", "shared.json", "--no-encrypt", *ALL)
    assert (ended.code, ended.err) == (0, "")
    said = ended.out.partition("redacted: ")[2].partition("\n")[0]
    assert said == "code (1 time), paths (1 time), secrets (1 time); names of projects are pseudonyms"
    assert [word for word in HIDDEN if word in (sharer.home / "shared.json").read_text(encoding="utf-8")] == []
    assert f"REDACTED   {said}\n" in sharer.run("inspect", "shared.json").out
    ended = sharer.run("import", "shared.json", "--store", "there.db")
    assert ended.code == 0
    assert f"the archive is redacted: {said}\n" in ended.out


def test_programs_are_told_what_was_redacted(sharer: Program) -> None:
    """With --json, export, inspect and import give the kinds and their counts."""
    for words in ("export -o s.ecm", "inspect s.ecm", "import s.ecm --store there.db"):
        flags = ALL if words.startswith("export") else ()
        manifest = sharer.run(*words.split(), *flags, "--json").objects[-1]["manifest"]
        assert manifest["redacted"] == ["code", "paths", "secrets"]
        assert manifest["redactions"] == {"code": 1, "paths": 1, "secrets": 1}


def test_a_redacted_archive_takes_no_stores_place_unasked(sharer: Program) -> None:
    """Replacing a memory by a redacted archive needs --force; merged into one it leaves whole texts alone."""
    archive = share(sharer)
    ended = sharer.run("import", str(archive))
    assert ended.code == 2
    assert "the archive is redacted (code, paths, secrets)" in ended.err
    ended = sharer.run("import", str(archive), "--merge", "--on-conflict", "theirs")
    assert ended.code == 2
    assert "the archive is redacted" in ended.err.lower()
    assert sharer.run("import", str(archive), "--merge").code == 0
    kept = [record for record in builders.contents(SqliteStore(sharer.store)) if isinstance(record, Chunk)]
    assert SAID in [chunk.content for chunk in kept]
    assert sharer.run("import", str(archive), "--force").code == 0


def test_what_was_shared_merges_into_another_memory_and_is_shared_again(sharer: Program) -> None:
    """A redacted archive merges into a store that holds something else; an export of both holds both, and no secret."""
    archive = share(sharer)
    other = SqliteStore(sharer.home / "other.db")
    builders.fill(other, [[builders.chunk("c9", "kites", content="the kite flew off")]])
    assert sharer.run("import", str(archive), "--merge", "--store", "other.db").code == 0
    assert other.chunk_count() == 6
    assert sharer.run("import", str(archive), "--merge", "--store", "other.db").code == 0
    assert other.chunk_count() == 6
    ended = sharer.run("export", "-o", "again.json", "--no-encrypt", *ALL, "--store", "other.db")
    assert ended.code == 0
    again = (sharer.home / "again.json").read_text(encoding="utf-8")
    assert [word for word in (*HIDDEN, "kites") if word in again] == []
    assert "the kite flew off" in again
    assert json.loads(again)["metadata"]["redactions"] == {"code": 0, "paths": 0, "secrets": 0}


def test_a_preview_shows_and_writes_nothing(sharer: Program) -> None:
    """A preview shows the texts in which something was found, before and after, and leaves every file as it was."""
    before = sharer.files()
    ended = sharer.run("export", "--preview", "5", *ALL)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("chunk c3\n") == ended.out.count("chunk ") == 1
    assert f"-The key {KEY} stood in /home/ada/tide-tables/moon.py:\n" in ended.out
    assert "+The key [REDACTED_SECRET] stood in [REDACTED_PATH]:\n" in ended.out
    assert "+[REDACTED_CODE]\n" in ended.out
    shown, last = sharer.run("export", "--preview", "5", "--redact-secrets", "--json").objects
    assert (last["command"], last["previewed"]) == ("export", 1)
    assert (shown["command"], shown["chunk"], shown["before"]) == ("preview", "c3", SAID)
    assert shown["after"] == SAID.replace(KEY, "[REDACTED_SECRET]")
    assert sharer.files() == before


def test_a_preview_shows_no_more_than_asked(sharer: Program) -> None:
    """Of two texts with something in them, --preview 1 shows one; with --json, one object each and one for the end."""
    builders.execute(sharer.store, "UPDATE chunks SET content = 'it is in /home/ada/x/y.py' WHERE id = 'c1'")
    assert len(sharer.run("export", "--preview", "1", "--redact-paths", "--json").objects) == 1 + 1
    assert len(sharer.run("export", "--preview", "9", "--redact-paths", "--json").objects) == 2 + 1


def test_a_preview_steers_no_terminal(sharer: Program) -> None:
    """Control characters of a text are shown as escapes, and lines that look like a diff's own are shown as well."""
    text = "-- \x1b[31m/home/ada/x/y.py\x1b[0m\x07 café\t→"
    builders.execute(sharer.store, f"UPDATE chunks SET content = '{text}' WHERE id = 'c3'")
    ended = sharer.run("export", "--preview", "1", "--redact-paths")
    assert "  --- \\x1b[31m/home/ada/x/y.py\\x1b[0m\\x07 café\t→\n" in ended.out
    assert not any(letter in ended.out for letter in "\x1b\x07")


def test_a_preview_of_nothing_says_so(program: Program) -> None:
    """Where nothing is found in any text, a preview says that, and with --json still ends in an object."""
    ended = program.run("export", "--preview", "5", *ALL)
    assert (ended.code, ended.out) == (0, "Nothing was found in any text.\n")
    ended = program.run("export", "--preview", "5", *ALL, "--json")
    assert ended.code == 0
    assert [(one["command"], one["previewed"]) for one in ended.objects] == [("export", 0)]


def test_vectors_come_only_when_asked_for_and_with_a_warning(sharer: Program) -> None:
    """A redacted archive has no vectors and no centroids; --with-vectors brings them and says what that means."""
    said = json.loads(share(sharer).read_text(encoding="utf-8"))
    assert "vectors" not in said
    assert {one["centroid"] for one in said["clusters"]} == {None}
    ended = sharer.run("export", "-o", "v.json", "--no-encrypt", "--redact-paths", "--with-vectors")
    assert ended.code == 0
    assert "warning: vectors are in the archive, and texts can be guessed from them" in ended.err
    said = json.loads((sharer.home / "v.json").read_text(encoding="utf-8"))
    assert len(said["vectors"]) == 4
    assert None not in {one["centroid"] for one in said["clusters"]}


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--redact-paths",
        "--redact-paths --preview 3 -o s.ecm",
        "--preview 3",
        "--with-vectors -o s.ecm",
        "--redact-paths --with-vectors --no-vectors -o s.ecm",
        "--redact-paths --preview 0",
    ],
)
def test_flags_at_odds_are_refused(sharer: Program, words: str) -> None:
    """Flags that contradict each other, or ask for nothing, end in 2 and write nothing."""
    before = sharer.files()
    assert sharer.run("export", *words.split()).code == 2
    assert sharer.files() == before


def test_a_job_may_be_redacted(sharer: Program) -> None:
    """A job's archives are redacted as its configuration says; they verify, drill, and give way to newer ones."""
    (sharer.home / "ecm-agent.yaml").write_text(FILE)
    ended = sharer.run("backup")
    assert ended.code == 0, ended.err
    (first,) = sharer.backups.iterdir()
    assert "REDACTED   code (1 time), paths (1 time), secrets (1 time)" in sharer.run("inspect", str(first)).out
    assert sharer.run("verify").code == 0
    assert sharer.run("drill").code == 0
    assert sharer.run("restore", "--into", "look.db").code == 0
    looked = SqliteStore(sharer.home / "look.db")
    assert looked.chunk_count() == 5
    ended = sharer.run("restore")
    assert ended.code == 2
    assert "the archive is redacted" in ended.err


def test_redacted_archives_of_one_store_are_kin(sharer: Program) -> None:
    """From run to run names stay the same, so that an older redacted archive gives way to a newer one."""
    (sharer.home / "ecm-agent.yaml").write_text(FILE)
    projects = []
    for _ in range(2):
        assert sharer.run("backup").code == 0
        (archive,) = sharer.backups.iterdir()
        projects.append(sharer.run("inspect", str(archive), "--json").objects[-1]["manifest"]["projects"])
    assert projects[0] == projects[1]
    assert all(one == "" or one.startswith("project-") for one in projects[0])
