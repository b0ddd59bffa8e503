"""Which keys exist: walking the settings' types by the path of a key, and finding the nearest key to a mistyped one."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel

from ecm_agent.config.settings import Settings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

KeyPath: TypeAlias = tuple[str, ...]


def dotted(path: KeyPath) -> str:
    return ".".join(path)


def type_at(path: KeyPath) -> Any:  # noqa: ANN401 (a type expression has no narrower type)
    """Give the type expression of a key, `None` where no such key can exist."""
    annotation: Any = Settings
    for key in path:
        annotation = _child(annotation, key)
    return annotation


def is_path(path: KeyPath) -> bool:
    """Tell whether a key holds the path of a file or directory."""
    return Path in _members(type_at(path))


def known(path: KeyPath) -> list[str]:
    """Give the fixed keys of a section, in the order of the schema; none for a section that is keyed by names."""
    sections = [member for member in _members(type_at(path)) if _is_section(member)]
    return list(dict.fromkeys(key for section in sections for key in _fields(section)))


def leaves(values: object, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Give every key of a nested mapping that holds no further keys, with its value."""
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from leaves(value, (*path, key))
    elif path:
        yield path, values


def nearest(path: KeyPath, names: Mapping[str, list[str]]) -> str:
    """Find the known key that a mistyped or misplaced one most likely stands for, "" where none is like it.

    A sibling is given by its name, any other key dotted. `names` gives the names in use in the sections that are keyed
    by names (`jobs`, `destinations`).
    """
    paths = [dotted(each) for each in _every_key(Settings, (), names)]
    parent = path[:-1]
    siblings = known(parent) or names.get(dotted(parent), [])
    if dotted(parent) in paths and not siblings:
        return dotted(parent)  # a key below a plain value
    mistyped = _closest(path[-1], siblings) if parent and siblings else _closest(dotted(path), paths)
    misplaced = [each for each in paths if _closest(path[-1], [each.rpartition(".")[2]])]
    return mistyped or _closest(dotted(path), misplaced, cutoff=0)


def _closest(word: str, choices: list[str], cutoff: float = 0.6) -> str:
    return next(iter(difflib.get_close_matches(word.lower(), choices, n=1, cutoff=cutoff)), "")


def _every_key(annotation: Any, path: KeyPath, names: Mapping[str, list[str]]) -> Iterator[KeyPath]:  # noqa: ANN401 (a type expression)
    for member in _members(annotation):
        keys = list(_fields(member)) if _is_section(member) else []
        if get_origin(member) is dict:
            keys = names.get(dotted(path), [])
        for key in keys:
            yield (*path, key)
            yield from _every_key(_child(member, key), (*path, key), names)


def _child(annotation: Any, key: str) -> Any:  # noqa: ANN401 (a type expression)
    for member in _members(annotation):
        if _is_section(member) and key in _fields(member):
            return _fields(member)[key].annotation
        if get_origin(member) is dict:
            return get_args(member)[1]
    return None


def _members(annotation: Any) -> list[Any]:  # noqa: ANN401 (a type expression)
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [member for each in get_args(annotation) for member in _members(each)]
    return [annotation]


def _fields(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """Give the fields of a section by the names of their keys, which Python does not allow all of."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def _is_section(annotation: Any) -> bool:  # noqa: ANN401 (a type expression)
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
