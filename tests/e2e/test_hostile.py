"""Archives that try to have something executed, from the command line: a plain word, an exit code, and no harm."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from builders import rows_of
from smuggling import ATTEMPTS, honest

if TYPE_CHECKING:
    from pathlib import Path

    from program import Program


ROW_NUMBER = "row number 1 of the second chunk"


def archive(folder: Path, attempt: str, place: Path) -> str:
    document = honest(folder / "honest.db")
    ATTEMPTS[attempt](document)
    place.write_text(json.dumps(document), encoding="utf-8")
    return str(place)


@pytest.mark.parametrize("attempt", ["long version", "short row", "large number", ROW_NUMBER])
def test_an_archive_that_does_not_fit_what_it_says_is_refused(attempt: str, bare: Program, tmp_path: Path) -> None:
    """Exit code 13, one line that says why, and no store: not even the beginning of one."""
    ended = bare.run("import", archive(tmp_path, attempt, bare.home / "some.json"))
    assert (ended.code, ended.out) == (13, "")
    assert "rchive" in ended.err.splitlines()[0]
    assert not list(bare.store.parent.glob("memory*"))


@pytest.mark.parametrize(
    "attempt", ["table 'x\"; CREATE TABLE smuggled (a); --'", "check '1; CREATE TABLE smuggled (a)'"]
)
def test_what_is_smuggled_in_is_a_name_or_nothing(attempt: str, bare: Program, tmp_path: Path) -> None:
    """The memory is imported; a table may have any name, and what cannot be said is not made."""
    ended = bare.run("import", archive(tmp_path, attempt, bare.home / "some.json"))
    assert ended.code in {0, 3}, ended.err
    assert "smuggled" not in rows_of(bare.store)
    assert len(rows_of(bare.store)["chunks"]) == 5


@pytest.mark.parametrize("attempt", ["large number", ROW_NUMBER])
@pytest.mark.parametrize("how", [["--merge"], [], ["--dry-run"]])
def test_an_existing_memory_is_left_as_it_is(how: list[str], attempt: str, program: Program, tmp_path: Path) -> None:
    """What is refused half-way has changed nothing."""
    file = archive(tmp_path, attempt, program.home / "some.json")
    before = program.store.read_bytes()
    assert program.run("import", *how, file).code == 13
    assert program.store.read_bytes() == before
