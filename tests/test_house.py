"""The rules of the house that no linter holds."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tokenize
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "ecm_agent").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

HEAVY = {"apscheduler", "boto3", "cryptography", "hdbscan", "numpy", "pydantic"}
RENAMING = {"os.link", "os.rename", "os.renames", "os.replace", "shutil.move"}
WALL_CLOCKS = {
    "date.today",
    "datetime.now",
    "datetime.today",
    "datetime.utcnow",
    "time.monotonic",
    "time.monotonic_ns",
    "time.time",
    "time.time_ns",
}
RULE_BROKEN = re.compile(r"# *(noqa|type: *ignore)")
NO_REASON = re.compile(r"noqa|type: *ignore|\[[^]]*]|[A-Z]+[0-9]+")

INVENTED_PEOPLE = "ada|alice|andr|bob|jonas|me|mira|someone|user|x|you|zo|zoë"
MACHINE_PATH = re.compile(rf"/(?:home|Users)/(?!(?:{INVENTED_PEOPLE})\b)\w+|/roo[t]/")
PACKAGE_INDEX = re.compile(r"https?://[^\s/]*(?:pypi|pythonhosted)|https?://\S+/simple\b|^--(?:find-links|.*index-url)")


def place(path: Path, line: int = 1) -> str:
    return f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}:{line}"


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))


def mentions(path: Path, forbidden: set[str]) -> list[str]:
    """Places that name one of `forbidden` ("module.name"), by attribute or by `from module import name`."""
    found = []
    for node in nodes(path):
        match node:
            case ast.Attribute():
                names = {".".join(ast.unparse(node).split(".")[-2:])}
            case ast.ImportFrom():
                names = {f"{node.module}.{alias.name}" for alias in node.names}
            case _:
                continue
        found += [f"{place(path, node.lineno)} {name}" for name in sorted(names & forbidden)]
    return found


def renames_a_path(path: Path) -> list[str]:
    """Places that call `Path.rename`, `Path.hardlink_to` or `Path.replace` (the one `replace` of a lone argument)."""
    found = []
    for node in nodes(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            lone = len(node.args) == 1 and not node.keywords
            if node.func.attr in {"rename", "hardlink_to"} or (node.func.attr == "replace" and lone):
                found.append(f"{place(path, node.lineno)} {ast.unparse(node.func)}")
    return found


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def comments(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        yield from (
            (token.start[0], token.string)
            for token in tokenize.tokenize(file.readline)
            if token.type == tokenize.COMMENT
        )


def project_files() -> list[Path]:
    """Every file of the project: what git tracks or would, or, in an unpacked tarball, what lies there unhidden."""
    if (ROOT / ".git").exists():
        git = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(git, check=True, capture_output=True, text=True).stdout
        return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name == ".ci" or not name.startswith((".", "__"))]
        found += [Path(folder, name) for name in files]
    return found


def pins(lock: str) -> dict[str, str]:
    """Give the versions a lock fixes, by package name."""
    lines = (ROOT / "requirements" / lock).read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ")[0].split("==") for line in lines if re.match(r"\w", line))


def package_names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in requirements}


def matches(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    return [
        f"{place(path, number)} {found[0]}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="ignore").splitlines(), 1)
        if (found := pattern.search(line))
    ]


@pytest.mark.parametrize(("option", "unneeded"), [("--version", HEAVY | {"typer", "rich"}), ("--help", HEAVY)])
def test_asking_for_the_version_or_for_help_loads_nothing_heavy(option: str, unneeded: set[str]) -> None:
    """`ecm-agent --version` answers without importing even what reads the command line, `--help` with little more."""
    command = [sys.executable, "-X", "importtime", "-m", "ecm_agent", option]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "ecm_agent" in loaded
    assert not loaded & unneeded


def test_only_one_module_renames_files() -> None:
    """A file gets its name in `ecm_agent/atomic.py`, durably, and nowhere else."""
    others = [path for path in MODULES if path != ROOT / "ecm_agent/atomic.py"]
    found = [line for path in others for line in mentions(path, RENAMING) + renames_a_path(path)]
    assert not found, "\n".join(found)


def test_only_one_module_reads_the_clock() -> None:
    """The time of day comes from `ecm_agent/clock.py`; everything else is given a `Clock` or the time as a value."""
    others = [path for path in MODULES if path != ROOT / "ecm_agent/clock.py"]
    found = [line for path in others for line in mentions(path, WALL_CLOCKS)]
    assert not found, "\n".join(found)


def test_the_checks_see_what_they_forbid(tmp_path: Path) -> None:
    """The two modules that may rename and read the clock are caught by these checks, and so are other spellings."""
    sample = tmp_path / "sample.py"
    sample.write_text("from os import replace\npath.replace(other)\npath.rename(other)\ntext.replace(old, new)\n")
    assert mentions(ROOT / "ecm_agent/atomic.py", RENAMING)
    assert mentions(ROOT / "ecm_agent/clock.py", WALL_CLOCKS)
    assert mentions(sample, RENAMING) == [f"{sample}:1 os.replace"]
    assert renames_a_path(sample) == [f"{sample}:2 path.replace", f"{sample}:3 path.rename"]


def test_no_module_is_longer_than_350_lines() -> None:
    """A module is one room of the house: at most 350 lines."""
    lengths = [(path, len(path.read_text(encoding="utf-8").splitlines())) for path in MODULES]
    found = [f"{place(path)} {length} lines" for path, length in lengths if length > 350]
    assert not found, "\n".join(found)


def test_no_function_is_longer_than_50_lines() -> None:
    """A function fits on a screen: at most 50 lines."""
    all_of_them = [(path, node) for path in MODULES for node in functions(path)]
    long = [(path, node) for path, node in all_of_them if (node.end_lineno or 0) - node.lineno >= 50]
    assert not long, "\n".join(f"{place(path, node.lineno)} {node.name}" for path, node in long)


def test_every_broken_rule_has_its_reason() -> None:
    """Each `noqa` and `type: ignore` says, after its code, why the rule does not hold there."""
    found = [
        f"{place(path, line)} {comment}"
        for path in MODULES + TESTS
        for line, comment in comments(path)
        if RULE_BROKEN.search(comment) and not re.search("[a-z]", NO_REASON.sub("", comment))
    ]
    assert not found, "\n".join(found)


def test_every_public_module_says_what_it_is() -> None:
    """Every module without a leading underscore opens with a docstring."""
    public = [path for path in MODULES if path.name.startswith("__") or not path.name.startswith("_")]
    found = [place(path) for path in public if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert not found, "\n".join(found)


def test_every_test_states_its_claim() -> None:
    """Every test function has a docstring."""
    tests = [(path, node) for path in TESTS for node in functions(path) if node.name.startswith("test_")]
    found = [f"{place(path, node.lineno)} {node.name}" for path, node in tests if not ast.get_docstring(node)]
    assert not found, "\n".join(found)


def test_no_file_names_a_developers_machine() -> None:
    """No home directory of a real person stands in any file (invented ones are listed in INVENTED_PEOPLE)."""
    found = matches(MACHINE_PATH, project_files())
    assert not found, "\n".join(found)


def test_no_file_names_a_package_index() -> None:
    """Where packages come from is the installing machine's affair: no file, least of all a lock, fixes an address."""
    found = matches(PACKAGE_INDEX, project_files())
    assert not found, "\n".join(found)


def test_the_locks_hold_what_the_project_asks_for() -> None:
    """Each dependency is pinned, and the tools' lock pins the program's at the same versions (`make lock` if not)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    runtime, dev = pins("runtime.lock"), pins("dev.lock")
    assert package_names(project["project"]["dependencies"]) - runtime.keys() == set()
    assert package_names(project["dependency-groups"]["dev"]) - dev.keys() == set()
    assert runtime.items() - dev.items() == set()


@pytest.mark.parametrize(
    "source",
    [
        "import pytest\n\ndef test_it():\n    pytest.skip('why')\n",
        "import pytest\n\npytest.skip('why', allow_module_level=True)\n",
    ],
    ids=["a test", "a module"],
)
def test_a_skip_fails_where_skips_are_forbidden(source: str, tmp_path: Path) -> None:
    """With NO_SKIPPED_TESTS set, as in CI, a skipped test or module fails the run; without it, it does not."""
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "."]
    base = {name: value for name, value in os.environ.items() if name != "NO_SKIPPED_TESTS"}
    base["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"

    def closing_line(environment: dict[str, str]) -> str:
        done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, env=environment)
        return done.stdout.splitlines()[-1]

    assert closing_line(base).startswith("1 skipped")
    assert re.match("1 (failed|error)", closing_line(base | {"NO_SKIPPED_TESTS": "1"}))
