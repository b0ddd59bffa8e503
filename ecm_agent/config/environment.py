"""The environment as a layer: `ECM_AGENT_STORE__PATH`, `ECM_AGENT_JOBS__NIGHTLY__COMPRESS`, ….

`__` goes one section deeper; upper and lower case are one, so a job's name is lower-cased unless the file spells it
otherwise. A whole section or a list is JSON; a list of names may be separated by commas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_settings import EnvSettingsSource

from ecm_agent.config import file
from ecm_agent.config.keys import KeyPath, dotted, nearest, type_at
from ecm_agent.config.layers import Layer, Problem
from ecm_agent.config.settings import Settings
from ecm_agent.config.values import SEPARATED_BY_COMMAS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PREFIX = "ECM_AGENT_"
_DEEPER = "__"


def layer(environ: Mapping[str, str], *, names: Mapping[str, list[str]], cwd: Path) -> tuple[Layer, list[Problem]]:
    """Read the environment, with a problem for each variable that names no key.

    `names` gives the jobs and destinations of the file. Where there are some, a variable changes one of them and
    never makes another: a mistyped name would make a job nobody asked for.
    """
    variables: dict[KeyPath, str] = {}
    problems = []
    for name in filter(_is_ours, environ):
        path = _path(name, names)
        if variables.setdefault(path, name) != name:
            problems.append(Problem(path, name, f"is also given by {variables[path]}; set only one of the two"))
    problems += [*_unknown(variables, names), *_at_odds(variables)]
    refused = {problem.origin for problem in problems}
    known = {path: name for path, name in variables.items() if name not in refused}
    source = _Environment(Settings, case_sensitive=False, env_prefix=PREFIX, env_nested_delimiter=_DEEPER)
    source.env_vars = {name.lower(): environ[name] for name in known.values()}
    values = {key: _respelt(value, names.get(key, [])) for key, value in source().items()}
    return Layer(values, lambda path: _variable(path, known), cwd), problems


class _Environment(EnvSettingsSource):
    """The library's reading of nested names, save that a value it cannot read is left for the model to refuse."""

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:  # noqa: ANN401 (the library's)
        try:
            decoded = super().decode_complex_value(field_name, field, value)
        except ValueError:
            decoded = value
        if field is not None and SEPARATED_BY_COMMAS in field.metadata and not isinstance(decoded, list):
            return [name.strip() for name in value.split(",")]
        return decoded


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX) and name.upper() != file.VARIABLE


def _path(name: str, names: Mapping[str, list[str]]) -> KeyPath:
    first, *rest = name[len(PREFIX) :].lower().split(_DEEPER)
    return (first, _spelt(rest[0], names.get(first, [])), *rest[1:]) if rest else (first,)


def _spelt(name: str, names: list[str]) -> str:
    return next((each for each in names if each.lower() == name), name)


def _respelt(value: Any, names: list[str]) -> Any:  # noqa: ANN401 (any value of a top-level key)
    return {_spelt(key, names): each for key, each in value.items()} if isinstance(value, dict) else value


def _unknown(variables: Mapping[KeyPath, str], names: Mapping[str, list[str]]) -> list[Problem]:
    problems = []
    for path, variable in variables.items():
        end = next((n for n in range(1, len(path) + 1) if not _exists(path[:n], names)), None)
        if end is not None:
            like = nearest(path[:end] if end > 1 else path, names)
            what = f"the file has no such entry in {path[0]}" if type_at(path) is not None else "unknown key"
            problems.append(Problem(path, variable, f"{what}; did you mean {like}?" if like else what))
    return problems


def _exists(path: KeyPath, names: Mapping[str, list[str]]) -> bool:
    if len(path) == 2 and names.get(path[0]):  # noqa: PLR2004 (a section keyed by names, and a name)
        return path[1] in names[path[0]]
    return type_at(path) is not None


def _at_odds(variables: Mapping[KeyPath, str]) -> list[Problem]:
    """Find variables that give a key of a section which another variable gives whole."""
    return [
        Problem(path, variable, f"is also given by {variables[path[:n]]}; set only one of the two")
        for path, variable in variables.items()
        for n in range(1, len(path))
        if path[:n] in variables
    ]


def _variable(path: KeyPath, variables: Mapping[KeyPath, str]) -> str:
    """Name the variable that gave a key: its own, one above it, or one below it."""
    above = [name for each, name in variables.items() if path[: len(each)] == each]
    below = [name for each, name in variables.items() if each[: len(path)] == path]
    return (above or below or [PREFIX + dotted(path)])[0]
