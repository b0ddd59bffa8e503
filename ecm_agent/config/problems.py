"""What is wrong with a value, in plain words that never show it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from ecm_agent.config.destinations import KINDS
from ecm_agent.config.keys import KeyPath, known, nearest
from ecm_agent.config.layers import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_WHOLE_NUMBER = "must be a whole number"
_SECTION = "must be a section with keys of its own"
_TRUE_OR_FALSE = "must be true or false"
_TEXTS = {
    "missing": "is required",
    "string_type": "must be text; put it in quotes if it looks like something else",
    "path_type": "must be a path",
    "int_type": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "finite_number": _WHOLE_NUMBER,
    "greater_than_equal": "must be {ge} or more",
    "bool_type": _TRUE_OR_FALSE,
    "bool_parsing": _TRUE_OR_FALSE,
    "list_type": "must be a list, such as [one, two]",
    "too_short": "must not be empty",
    "dict_type": _SECTION,
    "model_type": _SECTION,
    "model_attributes_type": _SECTION,
    "union_tag_invalid": f"must be {' or '.join(KINDS)}",
    "plain": "{text}",
}


def of_validation(
    error: ValidationError, names: Mapping[str, list[str]], origin: Callable[[KeyPath], str]
) -> Iterator[Problem]:
    """Give a problem for each finding of the library. `names` as for `keys.nearest`."""
    for detail in error.errors(include_url=False):
        path = _path(detail)
        yield Problem(path, origin(path), _text(detail, path, names))


def unknown_at_the_top(
    values: Mapping[str, Any], names: Mapping[str, list[str]], origin: Callable[[KeyPath], str]
) -> Iterator[Problem]:
    """Give a problem for each key at the top that is none of the settings'."""
    for key in values:
        if key not in known(()):
            yield Problem((key,), origin((key,)), _unknown((key,), names))


def unknown_destinations(values: Mapping[str, Any], origin: Callable[[KeyPath], str]) -> Iterator[Problem]:
    """Give a problem for each name in a job's `destinations` that is not the name of one."""
    there, jobs = values.get("destinations"), values.get("jobs")
    if not isinstance(there, dict) or not isinstance(jobs, dict):
        return  # which is a problem of its own
    for job, settings in jobs.items():
        wanted = settings.get("destinations") if isinstance(settings, dict) else None
        for name in wanted if isinstance(wanted, list) else ():
            if isinstance(name, str) and name not in there:
                path = ("jobs", job, "destinations")
                yield Problem(path, origin(path), f"there is no destination {name}{_like(name, list(there))}")


def _path(detail: ErrorDetails) -> KeyPath:
    path = tuple(part for part in detail["loc"] if isinstance(part, str) and part != "[key]")
    if detail["type"] == "union_tag_invalid":
        return (*path, "type")
    if path[:1] == ("destinations",) and path[2:3] and path[2] in KINDS:  # which the library puts in, as if a key
        return path[:2] + path[3:]
    return path


def _text(detail: ErrorDetails, path: KeyPath, names: Mapping[str, list[str]]) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(path, names)
    if value is None and kind != "missing":
        return "is empty; give it a value or remove the key"
    if kind == "literal_error":
        choices = context["expected"].replace("'", "")
        return f"must be {choices}"
    return _TEXTS.get(kind, "is not a valid value").format(**context)


def _unknown(path: KeyPath, names: Mapping[str, list[str]]) -> str:
    like = nearest(path, names)
    return f"unknown key; did you mean {like}?" if like else "unknown key"


def _like(word: str, choices: list[str]) -> str:
    found = difflib.get_close_matches(word, choices, n=1) or difflib.get_close_matches(word.lower(), choices, n=1)
    return f"; did you mean {found[0]}?" if found else f"; there are {', '.join(choices)}" if choices else ""
