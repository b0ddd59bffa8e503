"""Every command line of ours in deploy/ and docs/deploy.md is one that the program understands."""

from __future__ import annotations

import json
import plistlib
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.main import get_command

from ecm_agent.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CALL = re.compile(r"""ecm-agent"?[ ]+(?!ecm-agent)(?P<arguments>[a-z][^`]*)""")
END_OF_COMMAND = re.compile(r"\s(?:\d?>|\||;|&|#)|[);]|$")


def calls(text: str) -> list[str]:
    """Give the arguments of each `ecm-agent …` in lines of shell, up to what the shell would take."""
    found = [match["arguments"] for line in text.splitlines() for match in [CALL.search(line)] if match]
    return [END_OF_COMMAND.split(arguments, maxsplit=1)[0].strip() for arguments in found]


def uncommented(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def in_page(page: Path) -> list[str]:
    text = page.read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    return calls("\n".join([*blocks, *inline]))


def in_units() -> list[str]:
    units = [unit.read_text() for unit in ROOT.glob("deploy/systemd/*/*.service")]
    return calls(
        "\n".join(line for unit in units for line in re.findall(r"^Exec\w+=\S*/ecm-agent .*", unit, re.MULTILINE))
    )


def in_dockerfile() -> list[str]:
    lists = re.findall(r"CMD (\[.*\])", (ROOT / "deploy/docker/Dockerfile").read_text())
    return [shlex.join(word for word in json.loads(words) if word != "ecm-agent") for words in lists]


def in_cronjob() -> list[str]:
    documents = yaml.safe_load_all((ROOT / "deploy/kubernetes/cronjob.yaml").read_text())
    return [shlex.join(words) for document in documents for words in under("args", document)]


def under(key: str, tree: Any) -> Iterator[Any]:  # noqa: ANN401 (any YAML)
    """Give everything that stands under a key, however deep."""
    if isinstance(tree, dict):
        yield from (value for name, value in tree.items() if name == key)
    for child in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else []:
        yield from under(key, child)


def in_plist() -> list[str]:
    words = plistlib.loads((ROOT / "deploy/launchd/ecm-agent.plist").read_bytes())["ProgramArguments"]
    return calls("\n".join(words))


FOUND = {
    "docs/deploy.md": in_page(ROOT / "docs/deploy.md"),
    "systemd": in_units(),
    "crontab": calls(uncommented((ROOT / "deploy/cron/ecm-agent.crontab").read_text())),
    "launchd": in_plist(),
    "Dockerfile": in_dockerfile(),
    "cronjob.yaml": in_cronjob(),
    "backup.sh": calls(uncommented((ROOT / "deploy/ci/backup.sh").read_text())),
}


def understand(arguments: str) -> None:
    """Parse a command line without running it; raises as the program would."""
    command, name, words = get_command(app), "", shlex.split(arguments)
    while commands := vars(command).get("commands"):
        name, *words = words
        if name not in commands:
            raise LookupError(f"no such command: {name}")
        command = commands[name]
    command.make_context(name, words)


@pytest.mark.parametrize("arguments", sorted({each for found in FOUND.values() for each in found}))
def test_every_deployed_command_exists(arguments: str) -> None:
    """The program has the command, and the command takes these options."""
    understand(arguments)


def test_no_place_is_overlooked() -> None:
    """Each kind of file has the commands it is there for, so that none of the parameters above is lost."""
    assert {place for place, found in FOUND.items() if not found} == set()
    assert {"run", "run --once", "status"} <= set(FOUND["systemd"]) == {"run", "run --once", "status"}
    assert FOUND["crontab"] == ["run --once", "status"]
    assert (FOUND["launchd"], FOUND["Dockerfile"], FOUND["cronjob.yaml"]) == (
        ["run"],
        ["status", "run"],
        ["run --once"],
    )
    assert [arguments.split()[0] for arguments in FOUND["backup.sh"]] == ["export", "verify"]
    assert {"run", "run --once", "config check", "backup", "status"} <= set(FOUND["docs/deploy.md"])


@pytest.mark.parametrize("wrong", ["no-such-command", "status --no-such-option", "config no-such-command"])
def test_a_wrong_command_is_noticed(wrong: str) -> None:
    """The check above can fail: an unknown command, subcommand or option is an error."""
    with pytest.raises(Exception, match=r"(?i)no such"):
        understand(wrong)
