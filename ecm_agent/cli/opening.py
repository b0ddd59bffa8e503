"""The archive somebody means, wherever it is, opened and known to be sound."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from zoneinfo import ZoneInfo

from msgspec import to_builtins

from ecm_agent.cli import passwords
from ecm_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ecm_agent.cli.screen import Screen
    from ecm_agent.config.settings import Settings
    from ecm_agent.history import ForgivingHistory
    from ecm_agent.jobs.opening import Opened
    from ecm_agent.secret import Secret


@dataclass(frozen=True, slots=True)
class Stored:
    """An open archive of a destination, and the password that opened it."""

    opened: Opened
    password: Secret

    def found(self) -> dict[str, object]:
        """Say for programs which archive it is, where, and what was passed over for it."""
        one = self.opened.located
        passed_over = to_builtins(self.opened.passed_over)
        return {"archive": str(one.name), "destination": one.destination.label, "passed_over": passed_over}


@contextmanager
def journal(out: Screen, settings: Settings) -> Iterator[ForgivingHistory]:
    """Give a journal that stops nothing; what is wrong with it is a warning when the block ends."""
    from ecm_agent import wiring

    history = wiring.forgiving_history(settings)
    try:
        yield history
    finally:
        if history.problem:
            out.warn(f"{history.problem.message} What was proved where is not known, and nothing new was noted.")


def moment(archive: str, at: str | None, settings: Settings) -> datetime | None:
    """Read --at. Raises `UsageError` for what is no time, and where an archive was named as well."""
    from ecm_agent.clock import SystemClock
    from ecm_agent.config.moments import moment_of
    from ecm_agent.jobs.locate import LATEST

    if at is None:
        return None
    if archive != LATEST:
        raise UsageError(
            f"--at and {archive} contradict each other: --at finds an archive by its time.",
            hint="Leave one of the two out.",
        )
    return moment_of(at, ZoneInfo(settings.timezone), SystemClock().now())


@contextmanager
def opened(
    archive: str, settings: Settings, out: Screen, *, job: str | None, from_: str | None, at: str | None
) -> Iterator[tuple[str, BinaryIO, Stored | None]]:
    """Open the archive somebody means: what to call it, its file, and where it was found if it was no file's path."""
    from ecm_agent.jobs.locate import is_path, opened_path

    when = moment(archive, at, settings)
    if is_path(archive):
        with opened_path(Path(archive)) as file:
            yield archive, file, None
        return
    with journal(out, settings) as history, _stored(archive, settings, out, history, job, from_, when) as stored:
        yield str(stored.opened.located), stored.opened.file, stored


@contextmanager
def _stored(
    archive: str,
    settings: Settings,
    out: Screen,
    history: ForgivingHistory,
    job: str | None,
    from_: str | None,
    at: datetime | None,
) -> Iterator[Stored]:
    from ecm_agent import wiring
    from ecm_agent.jobs.locate import candidates
    from ecm_agent.jobs.opening import first_healthy
    from ecm_agent.jobs.progress import Silent

    chosen = wiring.job(settings, job or next(iter(settings.jobs)))
    places = wiring.destinations(settings, from_) if from_ else chosen.destinations
    context = replace(wiring.context(settings, Silent()), history=history)
    found = candidates(archive, chosen, places, history, now=context.clock.now(), at=at)
    for error in found.unasked:
        out.warn(f"{error.message} It was not asked, and may hold a newer archive.")
    password = passwords.to_decrypt(settings)
    context = replace(context, password=password)
    with first_healthy(found, context) as healthy:
        yield Stored(healthy, password)
