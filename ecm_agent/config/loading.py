"""From the command line, the environment and the file to checked settings, each key with where it came from.

Precedence: command line > environment > file > defaults. Sections are merged key by key, save `password` and
`store.key`, where a higher layer's source takes the place of a lower one's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ecm_agent.config import environment, file
from ecm_agent.config.jobs import DEFAULT_SCHEDULE
from ecm_agent.config.keys import KeyPath, dotted, is_path, leaves
from ecm_agent.config.layers import Layer, Problem, merged, nearest_origin, origin_of, refuse
from ecm_agent.config.places import expanded, found_of, state_directory, time_zone
from ecm_agent.config.problems import of_validation, unknown_at_the_top, unknown_destinations
from ecm_agent.config.settings import DEFAULT_BACKUPS, Settings
from ecm_agent.config.store import DEFAULT_STORE, PASSWORD_VARIABLE, USUAL_STORES
from ecm_agent.errors import UsageError
from ecm_agent.model.names import host_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_NAMED = ("jobs", "destinations")
_SOURCES: tuple[KeyPath, ...] = (("password",), ("store", "key"))
"""Sections that say where a secret comes from; one layer says it."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in effect, the file they were read from, and where each of their keys was written.

    `sources` maps a dotted key to a file with its line, a variable's name, "command line", or "default" and, for the
    store, what it was chosen by. `stores` are those found in the usual places; `None` where a layer names the store.
    """

    settings: Settings
    file: Path | None
    sources: Mapping[str, str]
    stores: tuple[Path, ...] | None

    def refuse_two_stores(self) -> None:
        """Raise `UsageError` where it is undecided which store is meant; the settings then hold the first."""
        if self.stores and len(self.stores) > 1:
            raise UsageError(
                f"There is a memory store at {' and another at '.join(map(str, self.stores))}.",
                hint="Say which is meant: --store PATH, or the key store.path in the configuration.",
            )


def load(
    config: Path | None,
    *,
    environ: Mapping[str, str],
    cwd: Path,
    overrides: Mapping[str, Any] = {},
) -> Loaded:
    """Read the configuration. `overrides` are the command line's values, nested as in the file.

    Raises `UsageError` naming every problem: unknown keys and variables with the nearest known one, bad values
    without showing them, a file that was named and is not there.
    """
    found = file.find(config, environ=environ, cwd=cwd)
    written = file.parse(*found) if found else Layer({}, dotted, cwd)
    names = {section: _names(written.values, section) for section in _NAMED}
    from_environ, problems = environment.layer(environ, names=names, cwd=cwd)
    command_line = Layer(dict(overrides), lambda _: "command line", cwd)
    layers = [written, from_environ, command_line]
    for source in _SOURCES:
        layers = _last_only(layers, source)
    stores = None
    if not any(layer.has(("store", "path")) for layer in layers):
        stores = found_of(expanded(path, base=cwd, environ=environ) for path in USUAL_STORES.values())
    layers = [_default(layers, stores or (), environ, cwd), *layers]
    layers = [_absolute(layer, environ, problems) for layer in layers]
    settings = _validated(_complete(merged(layers)), layers, problems)
    sources = {dotted(path): origin_of(path, layers) or "default" for path, _ in leaves(_plain(settings))}
    return Loaded(settings, found[0] if found else None, sources, stores)


def show(loaded: Loaded) -> Iterable[tuple[str, Any, str]]:
    """Give every key in effect: dotted name, value (JSON types), where it was written. Never a secret.

    Of commands that print a secret and of hooks only the programs are shown: their arguments may hold one.
    """
    for path, value in leaves(_plain(loaded.settings)):
        key = dotted(path)
        yield key, _shown(path, value), loaded.sources[key]


def _shown(path: KeyPath, value: Any) -> Any:  # noqa: ANN401 (any value of a configuration)
    if path[-1] == "command" and path[:-1] in _SOURCES:
        return [value[0], *["..."][: len(value) - 1]]
    if path[-2:-1] == ("hooks",) and isinstance(value, list):
        return [[command[0], *["..."][: len(command) - 1]] for command in value]
    return value


def _default(layers: Sequence[Layer], stores: tuple[Path, ...], environ: Mapping[str, str], cwd: Path) -> Layer:
    """Give what holds where no layer says otherwise: the machine's own facts, and whole sections."""
    (zone, zone_origin), (state, state_origin) = time_zone(environ), state_directory(environ)
    values: dict[str, Any] = {
        "store": {"path": stores[0] if stores else DEFAULT_STORE},
        "password": {"env": PASSWORD_VARIABLE},
        "timezone": zone,
        "state_dir": state,
        "host": host_label(os.uname().nodename),
        "destinations": {"local": {"type": "local", "path": DEFAULT_BACKUPS}},
        "jobs": {"default": {"schedule": DEFAULT_SCHEDULE}},
    }
    for section in ("password", *_NAMED):
        if any(layer.has((section,)) for layer in layers):
            del values[section]
    origins: dict[KeyPath, str] = {
        ("store", "path"): _origin_of_the_store(stores),
        ("timezone",): zone_origin,
        ("state_dir",): state_origin,
    }
    return Layer(values, lambda path: origins.get(path, "default"), cwd)


def _origin_of_the_store(stores: tuple[Path, ...]) -> str:
    if not stores:
        return "default"
    return "default (found)" if len(stores) == 1 else f"undecided: there is {' and '.join(map(str, stores[1:]))}, too"


def _last_only(layers: Sequence[Layer], section: KeyPath) -> list[Layer]:
    last = max((n for n, layer in enumerate(layers) if layer.has(section)), default=0)
    return [layer if n >= last else layer.without(section) for n, layer in enumerate(layers)]


def _absolute(layer: Layer, environ: Mapping[str, str], problems: list[Problem]) -> Layer:
    """Expand the paths of a layer from its own base; one that cannot be is a problem and stays as it was."""

    def walk(value: Any, path: KeyPath) -> Any:  # noqa: ANN401 (any value of a configuration)
        if isinstance(value, dict):
            return {key: walk(each, (*path, str(key))) for key, each in value.items()}
        if not isinstance(value, str | Path) or not is_path(path):
            return value
        try:
            return expanded(value, base=layer.base, environ=environ)
        except ValueError as error:
            problems.append(Problem(path, layer.origin(path), str(error)))
            return value

    return Layer(walk(layer.values, ()), layer.origin, layer.base)


def _complete(values: dict[str, Any]) -> dict[str, Any]:
    """Write out that a job without destinations has all of them."""
    every = _names(values, "destinations")
    for job in _section(values, "jobs").values():
        if isinstance(job, dict) and job.get("destinations", []) == []:
            job["destinations"] = every
    return values


def _validated(values: dict[str, Any], layers: Sequence[Layer], problems: Sequence[Problem]) -> Settings:
    def origin(path: KeyPath) -> str:
        return nearest_origin(path, layers)

    names = {section: _names(values, section) for section in _NAMED}
    # The library would fold the case of a key at the top, and take `_env_file` and the like as orders to itself.
    fields = {key: value for key, value in values.items() if key in Settings.model_fields}
    found = [*problems, *unknown_at_the_top(values, names, origin)]
    settings = None
    try:
        settings = Settings(**fields)
    except ValidationError as error:
        found += of_validation(error, names, origin)
    found += unknown_destinations(values, origin)
    refuse(found)
    assert settings is not None  # noqa: S101 (a validation error is always a problem found)
    return settings


def _names(values: Mapping[str, Any], section: str) -> list[str]:
    return list(_section(values, section))


def _section(values: Mapping[str, Any], section: str) -> dict[str, Any]:
    value = values.get(section)
    return value if isinstance(value, dict) else {}


def _plain(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(mode="json", exclude_none=True, by_alias=True)
