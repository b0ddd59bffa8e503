"""At a terminal: the prompts, the password that does not show, the progress that does not get in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from program import PASSWORD

from ecm_agent.jobs.compare import differences
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from program import Program

ENTER = "Enter encryption password: "
CONFIRM = "Confirm password: "
DECRYPT = "Enter decryption password: "


@pytest.fixture
def asked(program: Program) -> Program:
    """Give a home where no password is set."""
    program.variables.clear()
    return program


def test_a_password_is_asked_for_twice_and_then_once(asked: Program) -> None:
    """Export asks twice, import once, in these words; what is typed never shows; the memory makes the round trip."""
    ended = asked.answering("export", "-o", "m.ecm", answers=[(ENTER, PASSWORD), (CONFIRM, PASSWORD)])
    assert ended.code == 0
    assert ended.out.startswith(f"{ENTER}\n{CONFIRM}\nWrote m.ecm: 5 chunks")
    assert PASSWORD not in ended.out
    ended = asked.answering("import", "m.ecm", "--store", "again.db", answers=[(DECRYPT, PASSWORD)])
    assert ended.code == 0
    assert ended.out.startswith(f"{DECRYPT}\nRestored m.ecm into ")
    assert PASSWORD not in ended.out
    assert differences(SqliteStore(asked.store), SqliteStore(asked.home / "again.db")) == {}
    assert asked.run("verify", "m.ecm", ECM_EXPORT_PASSWORD=PASSWORD).code == 0


def test_a_slip_of_the_finger_writes_nothing(asked: Program) -> None:
    """When the two differ, or nothing is typed, no file is made; exit code 2."""
    for answers in ([(ENTER, PASSWORD), (CONFIRM, PASSWORD + "!")], [(ENTER, "")]):
        for words in (["export", "-o", "m.ecm"], ["backup"]):
            ended = asked.answering(*words, answers=answers)
            assert ended.code == 2
            assert PASSWORD not in ended.out
            assert "Traceback" not in ended.out
    assert not (asked.home / "m.ecm").exists()
    assert not asked.backups.exists()


def test_no_answer_is_an_answer(asked: Program) -> None:
    """Ctrl-D at a prompt ends the command as a missing password does, Ctrl-C as an interrupt."""
    ended = asked.answering("backup", answers=[(ENTER, "\x04")])
    assert ended.code == 2
    assert "No password was given." in ended.out
    ended = asked.answering("backup", answers=[(ENTER, "\x03")])
    assert ended.code == 130
    assert "Traceback" not in ended.out


def test_inspecting_goes_without_a_password(asked: Program) -> None:
    """At the prompt of inspect an empty answer shows what shows without the password; the password shows the rest."""
    assert asked.run("export", "-o", "m.ecm", ECM_EXPORT_PASSWORD=PASSWORD).code == 0
    ended = asked.answering("inspect", "m.ecm", answers=[(DECRYPT, "")])
    assert ended.code == 0
    assert "its content needs the password" in ended.out
    assert "café-kiosk" not in ended.out
    ended = asked.answering("inspect", "m.ecm", answers=[(DECRYPT, PASSWORD)])
    assert "'café-kiosk'" in ended.out


def test_progress_shows_and_goes(program: Program) -> None:
    """On a terminal that can do it, stages are shown while they last, and the report stands alone in the end."""
    ended = program.answering("backup", answers=[], TERM="xterm", COLUMNS="120")
    assert ended.code == 0
    assert "proved  local:" in ended.out
    assert "\x1b[?25h" in ended.out
    assert "\x1b" not in program.answering("list", answers=[], TERM="xterm").out
