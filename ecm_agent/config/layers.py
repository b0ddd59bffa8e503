"""Layers of configuration: what each one says, and where each of its keys was written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from ecm_agent.config.keys import KeyPath, dotted
from ecm_agent.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one key, in plain words that never hold its value, and where the key was written."""

    path: KeyPath
    origin: str
    text: str

    def __str__(self) -> str:
        return f"{dotted(self.path)} ({self.origin}): {self.text}" if self.path else f"{self.origin}: {self.text}"


@dataclass(frozen=True, slots=True)
class Layer:
    """Nested values, where each was written, and the directory that relative paths in them start from."""

    values: dict[str, Any]
    origin: Callable[[KeyPath], str]
    base: Path

    def has(self, path: KeyPath) -> bool:
        return _holds(self.values, path)

    def without(self, path: KeyPath) -> Self:
        """Give the layer without one of its keys."""
        return replace(self, values=_lacking(self.values, path))


def merged(layers: Sequence[Layer]) -> dict[str, Any]:
    """Merge layers deeply, the first one lowest. Lists and single values are replaced, never joined."""
    result: dict[str, Any] = {}
    for layer in layers:
        result = _over(result, layer.values)
    return result


def origin_of(path: KeyPath, layers: Sequence[Layer]) -> str | None:
    """Tell where the effective value of a key was written, `None` where no layer (the first one lowest) has it."""
    return next((layer.origin(path) for layer in reversed(layers) if layer.has(path)), None)


def nearest_origin(path: KeyPath, layers: Sequence[Layer]) -> str:
    """Tell where a key was written, or the section it is missing from."""
    prefixes = (path[:length] for length in range(len(path), 0, -1))
    return next((origin for prefix in prefixes if (origin := origin_of(prefix, layers))), "default")


def refuse(problems: Sequence[Problem]) -> None:
    """Raise one `UsageError` that names every problem, a line each; none at all for no problems."""
    if not problems:
        return
    lines = list(dict.fromkeys(str(problem) for problem in problems))
    heading = [] if len(lines) == 1 else [f"The configuration has {len(lines)} problems:"]
    hint = "`ecm-agent config schema` lists every key; `ecm-agent config show` lists those in effect."
    raise UsageError("\n  ".join([*heading, *lines]), hint=hint)


def _holds(values: object, path: KeyPath) -> bool:
    for key in path:
        if not isinstance(values, Mapping) or key not in values:
            return False
        values = values[key]
    return True


def _lacking(values: dict[str, Any], path: KeyPath) -> dict[str, Any]:
    first, *rest = path
    if rest and isinstance(values.get(first), dict):
        return {**values, first: _lacking(values[first], tuple(rest))}
    return values if rest else {key: value for key, value in values.items() if key != first}


def _over(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        result[key] = _over(under if isinstance(under, dict) else {}, value) if isinstance(value, Mapping) else value
    return result
