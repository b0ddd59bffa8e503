"""The password from each of its sources, and no way for it to be seen."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

import pytest

from ecm_agent.config.password import find_password
from ecm_agent.config.store import PasswordSettings
from ecm_agent.errors import PasswordMissing
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT = PasswordSettings(env="ECM_EXPORT_PASSWORD")
SECRET = "correct horse"


def refused(source: PasswordSettings, *, command_timeout: float = 30.0, **environ: str) -> PasswordMissing:
    """Give the error, having seen that nothing of it shows the secret."""
    with pytest.raises(PasswordMissing) as caught:
        find_password(source, environ=environ, command_timeout=command_timeout)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert caught.value.exit_code == 2
    return caught.value


def private(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def printing(text: str) -> PasswordSettings:
    return PasswordSettings(command=[sys.executable, "-c", text])


def test_a_variable_is_taken_as_it_stands() -> None:
    """Not a character of a variable is trimmed."""
    assert find_password(DEFAULT, environ={"ECM_EXPORT_PASSWORD": f" {SECRET}\n"}) == Secret(f" {SECRET}\n")


def test_the_default_source_may_be_silent() -> None:
    """With neither variable set there is no error: a person at a terminal can be asked."""
    assert find_password(DEFAULT, environ={}) is None


def test_a_variable_that_was_configured_must_be_there() -> None:
    """Another variable is somebody's decision, and nobody is asked instead."""
    error = refused(PasswordSettings(env="MY_SECRET"))
    assert "Neither MY_SECRET nor MY_SECRET_FILE is set" in error.message


def test_an_empty_variable_is_an_error() -> None:
    """A secret that a CI job failed to set must not mean: no password."""
    assert "ECM_EXPORT_PASSWORD is set but empty" in refused(DEFAULT, ECM_EXPORT_PASSWORD="").message


@pytest.mark.parametrize("name", ["ECM_EXPORT_PASSWORD", "MY_SECRET"])
def test_the_file_twin_of_a_variable_names_a_file(tmp_path: Path, name: str) -> None:
    """As containers hand out secrets; ~ is the home directory."""
    private(tmp_path / "secret", SECRET.encode())
    environ = {f"{name}_FILE": "~/secret", "HOME": str(tmp_path)}
    assert find_password(PasswordSettings(env=name), environ=environ) == Secret(SECRET)


def test_both_twins_are_one_too_many() -> None:
    """Which of two passwords was meant nobody can tell."""
    error = refused(DEFAULT, ECM_EXPORT_PASSWORD=SECRET, ECM_EXPORT_PASSWORD_FILE="/x")
    assert "Both ECM_EXPORT_PASSWORD and ECM_EXPORT_PASSWORD_FILE are set" in error.message


@pytest.mark.parametrize("path", ["", "$HOME/secret"])
def test_the_file_twin_must_hold_a_path(path: str) -> None:
    """An empty twin is an error like an empty variable."""
    assert "The path in ECM_EXPORT_PASSWORD_FILE " in refused(DEFAULT, ECM_EXPORT_PASSWORD_FILE=path).message


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"correct horse", "correct horse"),
        (b"correct horse\n", "correct horse"),
        (b"correct horse\r\n", "correct horse"),
        (b"correct horse\n\n", "correct horse\n"),
        (b"correct horse\r", "correct horse\r"),
        (b" pa\nss \n", " pa\nss "),
        ("pässwörd\n".encode(), "pässwörd"),
    ],
)
def test_exactly_one_newline_at_the_end_is_not_part_of_it(tmp_path: Path, content: bytes, password: str) -> None:
    """Every other character is, in a file, a credential and a command's output alike."""
    file = private(tmp_path / "secret", content)
    sources = [
        PasswordSettings(file=file),
        PasswordSettings(credential="secret"),
        printing(f"import sys; sys.stdout.buffer.write({content!r})"),
    ]
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert [find_password(source, environ=environ) for source in sources] == [Secret(password)] * 3


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\r\n", "is empty"),
        (b"correct horse\xff", "not UTF-8"),
        (b"x" * 65537, "more than 65536 bytes"),
    ],
)
def test_what_cannot_be_a_password_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    """Empty, binary or endless: the file is named, and its content is not."""
    file = private(tmp_path / "secret", content)
    error = refused(PasswordSettings(file=file))
    assert why in error.message
    assert str(file) in error.message


def test_a_file_that_everyone_can_read_is_refused(tmp_path: Path) -> None:
    """The hint is the command that mends it; a group may share a file."""
    file = private(tmp_path / "secret", SECRET.encode())
    file.chmod(0o644)
    assert refused(PasswordSettings(file=file)).hint == f"chmod 600 {file}"
    file.chmod(0o640)
    assert find_password(PasswordSettings(file=file), environ={}) == Secret(SECRET)


def test_only_a_regular_file_holds_a_password(tmp_path: Path) -> None:
    """A directory, a named pipe (whose opening would wait for ever) and nothing at all are errors."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path, why in [(tmp_path, "directory"), (tmp_path / "pipe", "regular"), (tmp_path / "gone", "No such file")]:
        error = refused(PasswordSettings(file=path))
        assert why in error.message
        assert str(path) in error.message


def test_a_credential_is_a_file_of_systemds(tmp_path: Path) -> None:
    """Its directory is private, so that the mode of the file itself does not matter."""
    (tmp_path / "ecm").write_bytes(SECRET.encode())
    (tmp_path / "ecm").chmod(0o444)
    source = PasswordSettings(credential="ecm")
    assert find_password(source, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)}) == Secret(SECRET)
    assert "CREDENTIALS_DIRECTORY is not set" in refused(source).message
    assert "credential other" in refused(PasswordSettings(credential="other"), CREDENTIALS_DIRECTORY="/gone").message


def test_a_command_is_a_program_and_its_arguments(tmp_path: Path) -> None:
    """No shell looks at it, and it sees the environment it is given."""
    marker = tmp_path / "marker"
    source = PasswordSettings(
        command=[sys.executable, "-c", "import os, sys; print(os.environ['A'], sys.argv[1])", f"$(touch {marker})"]
    )
    assert find_password(source, environ={"A": SECRET}) == Secret(f"{SECRET} $(touch {marker})")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("print('correct', 'horse'); raise SystemExit(3)", "ended with status 3"),
        ("import os; print('correct', 'horse', flush=True); os.kill(os.getpid(), 9)", "died of signal 9"),
        ("pass", "is empty"),
    ],
)
def test_a_command_that_fails_gives_no_password(text: str, why: str) -> None:
    """Whatever it printed before it failed is neither used nor shown."""
    error = refused(printing(text))
    assert why in error.message
    assert sys.executable in error.message


def test_a_command_has_a_limited_time() -> None:
    """A command that waits for a person who is not there is given up."""
    waiting = "import signal; print('correct', 'horse', flush=True); signal.pause()"
    assert "longer than 0.5 seconds" in refused(printing(waiting), command_timeout=0.5).message


@pytest.mark.parametrize("program", ["/gone/program", "a\0b", "/"])
def test_a_command_that_cannot_run_says_so(program: str) -> None:
    """A missing program is an error with its name."""
    assert "Could not run the password command" in refused(PasswordSettings(command=[program, SECRET])).message
