"""Runs that never were, for whoever has to be told of one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import msgspec

from ecm_agent.model.outcome import Outcome, Started, Status

BEGAN = datetime(2026, 7, 1, 2, tzinfo=UTC)
_CODES = {"ok": 0, "partial": 3, "failed": 1, "skipped": 75}


def started(at: datetime = BEGAN, job: str = "nightly") -> Started:
    return Started(job=job, host="laptop", verb="backup", started_at=at)


def outcome(
    status: str, *, at: datetime = BEGAN, exit_code: int | None = None, message: str = "", archive: str = ""
) -> Outcome:
    """Give a run of four seconds that began at a time and ended so."""
    assert status in get_args(Status)
    return Outcome(
        **msgspec.structs.asdict(started(at)),
        status=msgspec.convert(status, Status),
        exit_code=_CODES[status] if exit_code is None else exit_code,
        seconds=4.0,
        finished_at=at + timedelta(seconds=4),
        message=message,
        archive=archive,
    )
