"""The command line's own texts: every command and option explains itself, and none takes a password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from ecm_agent import __version__
from ecm_agent.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDER = [
    *("init", "export", "import", "inspect", "backup", "list", "verify", "rotate", "status", "drill", "restore"),
    *("undo", "recluster", "run", "demo", "config check", "config show", "config schema", "destination test"),
]


def commands() -> Iterator[tuple[str, Any]]:
    """Give every command with its name, the subcommands with their group's name."""
    for name, command in vars(get_command(app))["commands"].items():
        below = vars(command).get("commands", {})
        yield from ((f"{name} {child}", each) for child, each in below.items()) if below else [(name, command)]


COMMANDS = dict(commands())


def shown(*words: str) -> str:
    result = CliRunner().invoke(app, words, prog_name="ecm-agent", env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exit_code == 0
    assert result.stderr == ""
    return result.stdout


def test_the_commands_stand_in_the_order_of_use() -> None:
    """The overview lists every command, in the order in which somebody meets them, and how to get more help."""
    assert list(COMMANDS) == ORDER
    overview = shown("--help")
    names = list(dict.fromkeys(name.split()[0] for name in ORDER))
    assert [
        line.split()[1] for line in overview.splitlines() if line.startswith("│ ") and line.split()[1] in names
    ] == names


@pytest.mark.parametrize("name", ORDER)
def test_every_command_explains_itself(name: str) -> None:
    """--help and -h say what the command does and what each of its options and arguments is for."""
    text = shown(*name.split(), "--help")
    assert shown(*name.split(), "-h") == text
    assert f"Usage: ecm-agent {name} " in text
    for parameter in COMMANDS[name].params:
        assert parameter.help, f"{name}: {parameter.name} has no help"
        for option in [*parameter.opts, *parameter.secondary_opts]:
            assert option.startswith("-") is False or option in text


@pytest.mark.parametrize("name", ORDER)
def test_no_option_takes_a_password(name: str) -> None:
    """A password on the command line would show to every user of the machine: there is no way to give one."""
    names = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    names -= {"--redact-secrets"}  # a flag
    assert not [option for option in names if "pass" in option or "secret" in option or "key" in option]


def test_the_version_is_printed() -> None:
    """--version names the program and its version."""
    assert shown("--version") == f"ecm-agent {__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bakup"], "backup"),
        (["backup", "--jsn"], "--json"),
        (["export"], "--output"),
        (["export", "-o", "m.ecm", "--compress", "rar"], "gzip"),
        (["import"], "FILE"),
    ],
)
def test_a_slip_on_the_command_line_is_named(words: list[str], said: str) -> None:
    """An unknown command, option or choice, and a missing one, ends with 2 and names what is right."""
    result = CliRunner().invoke(app, words, prog_name="ecm-agent", env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in result.stderr
