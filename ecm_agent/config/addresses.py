"""Getting the secret addresses of pings and notifications from where the settings say they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecm_agent.config import private
from ecm_agent.config.store import KEY_VARIABLES, PASSWORD_VARIABLE
from ecm_agent.errors import UsageError
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ecm_agent.config.jobs import PingSettings
    from ecm_agent.config.settings import NotifySettings, Settings


def ping_address(source: PingSettings, *, environ: Mapping[str, str]) -> Secret:
    """Get the address of a job's ping. Raises `UsageError`, never showing it, when there is none."""
    if source.url is not None:
        return Secret(source.url.get_secret_value())
    if source.env is not None:
        found = _variable(source.env, environ)
    else:
        assert source.file is not None  # noqa: S101 (the settings hold exactly one of the three)
        found = _lines(source.file, "the file of a ping address")
    if len(found) != 1:
        raise UsageError(f"There must be one ping address in {source.env or source.file}, but there are {len(found)}.")
    return found[0]


def notify_addresses(source: NotifySettings, *, environ: Mapping[str, str]) -> list[Secret]:
    """Get the addresses of every notification: those written, then the variable's, then the file's.

    Raises `UsageError`, never showing one, when a variable or file that is named cannot be used.
    """
    found = [Secret(url.get_secret_value()) for url in source.urls]
    if source.env is not None:
        found += _variable(source.env, environ)
    if source.file is not None:
        found += _lines(source.file, "the file of notification addresses")
    return found


def secret_variables(settings: Settings) -> set[str]:
    """Name the environment variables in which the settings say there is a secret."""
    pings = [job.ping.env for job in settings.jobs.values() if job.ping]
    key = settings.store.key
    named = [settings.password.env, key.env if key else None, settings.notify.env, *pings]
    return {PASSWORD_VARIABLE, *KEY_VARIABLES, *(name for name in named if name)}


def _variable(name: str, environ: Mapping[str, str]) -> list[Secret]:
    if not environ.get(name, "").strip():
        raise UsageError(f"The variable {name} is not set.", hint="The configuration takes an address from there.")
    return [Secret(word) for word in environ[name].split()]


def _lines(path: Path, what: str) -> list[Secret]:
    content = private.content(path, f"{what}, {path}", UsageError)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = ""  # and not raised from here: the error it would carry along holds the bytes
    lines = [line.strip() for line in text.splitlines()]
    found = [Secret(line) for line in lines if line and not line.startswith("#")]
    if not found or len(content) > private.LONGEST:
        raise UsageError(f"Could not use {what}, {path}: it must be short UTF-8 text with one address a line.")
    return found
