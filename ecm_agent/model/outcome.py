"""A run as those who watch it see it: that it began, and how it ended."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct

from ecm_agent.errors import EcmError, Skipped

Status: TypeAlias = Literal["ok", "partial", "failed", "skipped"]


class Started(Struct, frozen=True, kw_only=True):
    """A run that has begun; `started_at` is aware, in UTC."""

    job: str
    host: str
    verb: str
    started_at: datetime


class Outcome(Started, frozen=True, kw_only=True):
    """How a run ended. `message` is our own sentence, empty when all went well; `archive` is a name or empty."""

    status: Status
    exit_code: int
    seconds: float
    finished_at: datetime
    message: str = ""
    archive: str = ""


def ended_by(error: EcmError, started: Started, *, finished_at: datetime, seconds: float) -> Outcome:
    """Give the outcome of a run that an error ended: skipped for `Skipped`, else failed."""
    return Outcome(
        job=started.job,
        host=started.host,
        verb=started.verb,
        started_at=started.started_at,
        status="skipped" if isinstance(error, Skipped) else "failed",
        exit_code=error.exit_code,
        message=error.message,
        seconds=seconds,
        finished_at=finished_at,
    )
