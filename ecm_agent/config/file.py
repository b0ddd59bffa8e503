"""The configuration file: where it is looked for, and strict YAML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecm_agent.config.keys import KeyPath, dotted
from ecm_agent.config.layers import Layer
from ecm_agent.config.places import config_home, expanded
from ecm_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIABLE = "ECM_AGENT_CONFIG"


def find(config: Path | None, *, environ: Mapping[str, str], cwd: Path) -> tuple[Path, bytes] | None:
    """Find and read the file: `config`, $ECM_AGENT_CONFIG, or the first there is of the usual places; else `None`.

    Raises `UsageError` when a file that was named is missing, and when a file cannot be read.
    """
    named = config or environ.get(VARIABLE)
    if named:
        return _named(named, "--config" if config else VARIABLE, environ=environ, cwd=cwd)
    for path in (
        cwd / "ecm-agent.yaml",
        config_home(environ) / "config.yaml",
        Path("/etc/ecm-agent/config.yaml"),
    ):
        content = _content(path)
        if content is not None:
            return path, content
    return None


def parse(path: Path, content: bytes) -> Layer:
    """Read YAML into a layer. Raises `UsageError` for what is no YAML mapping with each key once.

    Its messages hold a line number, never a line: there may be a secret in it.
    """
    import yaml

    try:
        loader = yaml.SafeLoader(content.decode())
        root = loader.get_single_node()
        lines = dict(_lines(root, (), path))
        values = loader.construct_document(root) if root is not None else None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: the file is not UTF-8 text.") from None
    except yaml.MarkedYAMLError as error:
        raise _invalid(path, error) from None
    except (yaml.YAMLError, ValueError):  # a character YAML forbids; a date such as 2024-99-99
        raise UsageError(f"{path}: the file is not valid YAML.") from None
    except RecursionError:
        raise UsageError(f"{path}: the file is nested too deeply.") from None
    return Layer(_mapping(path, values), lambda key: f"{path}:{lines[key]}" if key in lines else str(path), path.parent)


def _named(named: str | Path, who: str, *, environ: Mapping[str, str], cwd: Path) -> tuple[Path, bytes]:
    try:
        path = expanded(named, base=cwd, environ=environ)
    except ValueError as error:
        raise UsageError(f"The configuration file's path in {who} {error}.") from None
    content = _content(path)
    if content is None:
        raise UsageError(f"The configuration file {path} does not exist.", hint=f"It was named by {who}.")
    return path, content


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise UsageError(f"The configuration file {path} is a directory.", hint="Name the file in it.") from None
    except OSError as error:
        raise UsageError(f"The configuration file {path} cannot be read: {error.strerror}.") from None


def _mapping(path: Path, values: object) -> dict[str, Any]:
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(f"{path}: the file must hold keys such as `store:` and `jobs:` at its top level.")
    return values


def _lines(node: Any, path: KeyPath, file: Path) -> Iterator[tuple[KeyPath, int]]:  # noqa: ANN401 (a YAML node)
    """Give the line of every key. Raises `UsageError` for a key given twice, and for one that is no text."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.value == "on":  # which YAML 1.1 takes for true
            key.tag = "tag:yaml.org,2002:str"
        if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
            raise UsageError(f"{file}:{line}: a key is not text.", hint="Put it in quotes.")
        here = (*path, key.value)
        if key.value in seen:
            raise UsageError(f"{file}:{line}: {dotted(here)} is given twice, first in line {seen[key.value]}.")
        seen[key.value] = line
        yield here, line
        yield from _lines(value, here, file)


def _invalid(path: Path, error: Any) -> UsageError:  # noqa: ANN401 (yaml is imported late)
    mark = error.problem_mark or error.context_mark
    where = f"{path}:{mark.line + 1}" if mark else str(path)
    # What PyYAML puts in quotes is a piece of the file.
    why = f": {error.problem}" if error.problem and "'" not in error.problem else ""
    return UsageError(
        f"{where}: the file is not valid YAML{why}.", hint="Look at indentation, quotes and colons there."
    )
