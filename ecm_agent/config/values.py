"""What a single value of the configuration may be: names, counts, spans of time, zones."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, SecretStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from ecm_agent.errors import UsageError
from ecm_agent.model.names import JOB_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

SEPARATED_BY_COMMAS = "separated by commas"
"""Marks a list that an environment variable may give as `a,b` besides JSON."""

HIDDEN = "…"
"""What is shown of a secret that stands in the configuration."""

_LONGEST_NAME = 64


def plain(text: str) -> PydanticCustomError:
    """Make a validation error whose text is shown to the user as it stands."""
    return PydanticCustomError("plain", "{text}", {"text": text})


def _matching(pattern: str, text: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise plain(text)
        return value

    return check


def _text(pattern: str, text: str) -> tuple[AfterValidator, WithJsonSchema]:
    return (
        AfterValidator(_matching(pattern, text)),
        WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"}),
    )


def _not_true_or_false(value: object) -> object:
    if isinstance(value, bool):
        raise plain("must be a whole number")
    return value


def _each_once(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise plain("names the same thing twice")
    return names


def _commands(value: object) -> object:
    if not isinstance(value, list) or not all(isinstance(command, list) for command in value):
        raise plain("must be a list of commands, each a list of words, such as [[systemctl, --user, stop, memory]]")
    return value


def _every(value: object) -> object:
    """Take `{every: 6h}` for what it says."""
    return f"every {value['every']}" if isinstance(value, dict) and set(value) == {"every"} else value


def _schedule(text: str) -> str:
    from ecm_agent.schedule import Schedule

    try:
        Schedule.parse(text, timezone=ZoneInfo("UTC"))
    except UsageError as error:
        raise plain(error.message) from None
    return text


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def span_of(text: str) -> timedelta:
    """Give the time a `Span` or a `Duration` stands for."""
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def seconds_of(text: str) -> float:
    """Read a duration given on the command line, 0s included. Raises `UsageError`."""
    if re.fullmatch("[0-9]{1,6}[smhd]", text) is None:
        raise UsageError(f"{text!r} is no time.", hint="Give seconds, minutes, hours or days: 30s, 10m, 2h, 1d")
    return span_of(text).total_seconds()


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise plain("must be an IANA time zone such as Europe/Berlin or UTC") from None
    return name


_PART = rf"{{0,{_LONGEST_NAME - 1}}}"
JobName = Annotated[
    str,
    *_text(
        JOB_NAME.pattern.removesuffix("*") + _PART,
        f"a job's name is at most {_LONGEST_NAME} letters, digits, _ and . (no dash: it ends the name in an archive's)",
    ),
]
DestinationName = Annotated[
    str,
    *_text(
        "[A-Za-z0-9_][A-Za-z0-9_.-]" + _PART,
        f"a destination's name is at most {_LONGEST_NAME} letters, digits, _, . and -",
    ),
]
HostName = Annotated[
    str,
    *_text(
        "[A-Za-z0-9._-]" + f"{{1,{_LONGEST_NAME}}}",
        f"must be 1 to {_LONGEST_NAME} letters, digits, ., _ and -, as it is part of every archive's name",
    ),
]
VariableName = Annotated[
    str, *_text("[A-Za-z_][A-Za-z0-9_]*", "must be the name of an environment variable, not its value")
]
CredentialName = Annotated[
    str,
    *_text(r"[A-Za-z0-9_@:-][A-Za-z0-9_.@:-]*", "must be the name of a credential, not a path and not its value"),
]
Span = Annotated[str, *_text("[1-9][0-9]{0,4}[hdw]", "must be a number of hours, days or weeks such as 36h, 14d or 2w")]
Duration = Annotated[
    str,
    *_text("[1-9][0-9]{0,5}[smhd]", "must be a number of seconds, minutes, hours or days such as 30s, 5m, 2h or 1d"),
]
ScheduleText = Annotated[
    str,
    BeforeValidator(_every),
    AfterValidator(_schedule),
    WithJsonSchema({"type": ["string", "object"], "properties": {"every": {"type": "string"}}}),
]
SecretText = Annotated[SecretStr, Field(min_length=1), PlainSerializer(lambda _: HIDDEN, when_used="json")]
Commands = Annotated[list[Annotated[list[str], Field(min_length=1)]], BeforeValidator(_commands), Field(repr=False)]
Size = Annotated[str, *_text("[1-9][0-9]{0,5}(?:KiB|MiB|GiB)", "must be a size such as 512KiB, 16MiB or 1GiB")]
BucketName = Annotated[
    str, *_text("[A-Za-z0-9][A-Za-z0-9._-]{1,62}", "must be a bucket's name: 3 to 63 letters, digits, ., _ and -")
]
Prefix = Annotated[
    str, *_text("[A-Za-z0-9_.=/-]{0,512}", "must be of letters, digits, _, ., = and -, with / between them")
]
Address = Annotated[
    str,
    *_text(
        r"https?://[A-Za-z0-9._\[\]:-]+(?:/[^@\s]*)?",
        "must be an http or https address, without credentials in it",
    ),
]
Count = Annotated[int, Field(ge=0), BeforeValidator(_not_true_or_false)]
CountOfSome = Annotated[int, Field(ge=1), BeforeValidator(_not_true_or_false)]
Names = Annotated[
    list[str], AfterValidator(_each_once), Field(json_schema_extra={"uniqueItems": True}), SEPARATED_BY_COMMAS
]
Zone = Annotated[str, AfterValidator(_zone)]


def size_in_bytes(size: str) -> int:
    """Read what `Size` allows."""
    return int(size[:-3]) << {"KiB": 10, "MiB": 20, "GiB": 30}[size[-3:]]
