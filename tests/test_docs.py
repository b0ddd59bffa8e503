"""Claims that the documentation makes, held against the program."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.main import get_command

from ecm_agent import errors
from ecm_agent.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("ecm_agent/**/*.md")]


def section(title: str) -> str:
    """Give the text below a heading of the README, up to the next."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def commands() -> Iterator[str]:
    """Name every command, the subcommands with their group's name."""
    root = get_command(app)
    for name, command in vars(root)["commands"].items():
        below = vars(command).get("commands")
        yield from (f"{name} {child}" for child in below) if below else [name]


def exit_codes() -> set[int]:
    classes = [errors.EcmError]
    for one in classes:
        classes += one.__subclasses__()
    return {one.exit_code for one in classes if one.__module__ == errors.__name__}


@pytest.mark.parametrize("command", sorted(commands()))
def test_the_readme_has_every_command(command: str) -> None:
    """The table of commands names each command of the program."""
    assert re.search(rf"`{command}[ `]", section("Commands"))


def test_the_readme_has_every_exit_code() -> None:
    """The table of exit codes lists the code of every error."""
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", section("Exit codes"), re.MULTILINE)}
    assert exit_codes() <= listed


def test_the_picture_of_the_house_is_the_one_the_linter_holds() -> None:
    """The layers in the README are the layers of the import contract, in order."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    picture = section("The house").split("```")[1].strip().splitlines()
    assert [re.split(r"\s{2,}", line)[0] for line in picture] == layers


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file that exists."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
