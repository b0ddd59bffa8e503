"""From settings to objects that work."""

from __future__ import annotations

import difflib
import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

from ecm_agent import log
from ecm_agent.clock import SystemClock
from ecm_agent.config import store_key
from ecm_agent.config.addresses import notify_addresses, ping_address, secret_variables
from ecm_agent.destination.local import LocalDestination
from ecm_agent.destination.retrying import RetryingDestination
from ecm_agent.destination.s3 import S3Destination
from ecm_agent.errors import NotFound, UsageError
from ecm_agent.history import ForgivingHistory, History
from ecm_agent.jobs.job import Context, Job, Verification
from ecm_agent.jobs.safety import Safety
from ecm_agent.model.manifest import Selection
from ecm_agent.notification.apprise_urls import Recipients
from ecm_agent.notification.around import Around
from ecm_agent.notification.hooks import Hooks
from ecm_agent.notification.notices import Notices
from ecm_agent.notification.ping import Ping
from ecm_agent.notification.process import without_secrets
from ecm_agent.schedule import Schedule
from ecm_agent.store.encryption import Encryption
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ecm_agent.config.jobs import JobSettings, VerifySettings
    from ecm_agent.config.settings import Settings
    from ecm_agent.destination.base import Destination
    from ecm_agent.jobs.progress import Progress
    from ecm_agent.secret import Secret

_MACHINE_ID = Path("/etc/machine-id")
_Part = TypeVar("_Part")


def store(settings: Settings) -> SqliteStore:
    """Give the store, whether it exists or not. A key to it is looked for only when it is needed."""
    keys = store_key.remembered(lambda: _hidden(store_key.find_keys(settings.store, environ=os.environ)))
    new = store_key.is_named(settings.store, os.environ)
    return SqliteStore(settings.store.path, Encryption(keys, settings.store.cipher, new=new))


def _hidden(secrets: Iterator[Secret]) -> Iterator[Secret]:
    for secret in secrets:
        log.register(secret)
        yield secret


def context(settings: Settings, progress: Progress, password: Secret | None = None) -> Context:
    """Give what every verb needs besides its job."""
    return Context(History(settings.state_dir), SystemClock(), progress, password)


def forgiving_history(settings: Settings) -> ForgivingHistory:
    """Give the journal as restoring and verifying need it: they work without."""
    return ForgivingHistory(settings.state_dir)


def job(settings: Settings, name: str, around: Around | None = None) -> Job:
    """Give one job, with what happens `around` its runs if anything does. Raises `NotFound` with the nearest name."""
    keys = _keys(settings, name)
    return Job(
        name=name,
        host=settings.host,
        store=store(settings),
        selection=_selection(keys),
        compression=keys.compress,
        policy=keys.retention.policy(),
        timezone=ZoneInfo(settings.timezone),
        destinations={destination: _destination(settings, destination) for destination in keys.destinations},
        state_dir=settings.state_dir,
        staging_bytes=settings.staging.bytes(),
        schedule=_schedule(settings, keys.schedule, name, keys.jitter_time()) if keys.schedule else None,
        verification=_verification(settings, keys.verify, name) if keys.verify else None,
        around=around or Around(),
        machine=_machine_id(),
    )


def _machine_id() -> str:
    """Give what systemd and its like call this machine; where there is none, nothing."""
    with suppress(OSError, UnicodeDecodeError):
        return _MACHINE_ID.read_text(encoding="ascii").strip()
    return ""


def _selection(keys: JobSettings) -> Selection:
    vectors = not keys.redact if keys.vectors is None else keys.vectors
    return Selection(tuple(keys.projects) or None, vectors, tuple(keys.redact), tuple(keys.exclude_tables))


def around(settings: Settings, name: str, *, forgiving: bool = False) -> Around:
    """Give what happens around a job's runs. Registers the addresses as secrets of the log.

    Raises `NotFound` with the nearest name, and `UsageError` for an address that cannot be had or is none; a
    `forgiving` one goes without it, and has every run tell so.
    """
    keys = _keys(settings, name)
    ping, no_ping = _had(lambda: _ping(keys), forgiving=forgiving)
    notices, no_notices = _had(lambda: _notices(settings), forgiving=forgiving)
    lacking = [problem for problem in (no_ping, no_notices) if problem]
    return Around(hooks(settings, name), ping, notices, lacking)


def hooks(settings: Settings, name: str) -> Hooks:
    """Give the commands around a job's runs. Raises `NotFound` with the nearest name."""
    keys = _keys(settings, name).hooks
    return Hooks(keys.before, keys.after, keys.on_failure, keys.lastly, keys.seconds(), _environ(settings))


def _keys(settings: Settings, job: str) -> JobSettings:
    if job not in settings.jobs:
        raise _unknown("job", job, settings.jobs)
    return settings.jobs[job]


def _environ(settings: Settings) -> dict[str, str]:
    """Give the environment of other people's programs."""
    return without_secrets(os.environ, secret_variables(settings))


def _had(part: Callable[[], _Part | None], *, forgiving: bool) -> tuple[_Part | None, str]:
    """Give a part, or why it cannot be had."""
    try:
        return part(), ""
    except UsageError as error:
        if not forgiving:
            raise
        return None, error.message


def _ping(keys: JobSettings) -> Ping | None:
    if keys.ping is None:
        return None
    address = ping_address(keys.ping, environ=os.environ)
    log.register(address)
    return Ping(address)


def _notices(settings: Settings) -> Notices | None:
    notify = settings.notify
    addresses = notify_addresses(notify, environ=os.environ)
    for secret in addresses:
        log.register(secret)
    told = Recipients(addresses, environ=_environ(settings))
    return Notices(told, settings.state_dir, notify.on, notify.interval()) if addresses else None


def _schedule(settings: Settings, text: str, name: str, jitter: timedelta = timedelta(0)) -> Schedule:
    return Schedule.parse(text, timezone=ZoneInfo(settings.timezone), jitter=jitter, seed=f"{settings.host} {name}")


def _verification(settings: Settings, keys: VerifySettings, name: str) -> Verification:
    return Verification(_schedule(settings, keys.schedule, name), keys.level, keys.period())


def destinations(settings: Settings, only: str | None = None) -> dict[str, Destination]:
    """Give every destination, or one by name. Raises `NotFound` with the nearest name."""
    if only is not None and only not in settings.destinations:
        raise _unknown("destination", only, settings.destinations)
    return {name: _destination(settings, name) for name in settings.destinations if only in {None, name}}


def places_of_jobs(settings: Settings) -> dict[str, Destination]:
    """Give each destination that a job uses, once, as it is: with nothing around it that would try again."""
    used = {name: None for keys in settings.jobs.values() for name in keys.destinations}
    return {name: _place(settings, name) for name in used}


def safety(settings: Settings, *, wanted: bool) -> Safety:
    """Give the place of safety archives; `wanted=False` makes none."""
    return Safety(settings.state_dir / "safety" if wanted else None, settings.host, settings.safety.keep)


def _destination(settings: Settings, name: str) -> Destination:
    place = _place(settings, name)
    return RetryingDestination(place) if isinstance(place, S3Destination) else place


def _place(settings: Settings, name: str) -> Destination:
    keys = settings.destinations[name]
    if keys.type == "local":
        place = LocalDestination(keys.path)
        used = bool(forgiving_history(settings).proofs(place.label))
        return LocalDestination(keys.path, make=not used)
    return S3Destination(keys.options(), staging=settings.state_dir / "staging")


def _unknown(what: str, name: str, known: Iterable[str]) -> NotFound:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"There is: {', '.join(known)}."
    return NotFound(f"There is no {what} called {name!r}.", hint=hint)
