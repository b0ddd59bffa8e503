"""Which messages go out: failures and recoveries, the same failure not again and again. Pure functions.

A failure is the same as an earlier one when status, exit code and message are, but for numbers (they are dates and
sizes). A recovery makes the next failure news again. Skipped runs change nothing.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Collection

    from ecm_agent.model.outcome import Outcome

Occasion: TypeAlias = Literal["failure", "recovery", "success", "always"]

DEFAULT_OCCASIONS: tuple[Occasion, ...] = ("failure", "recovery")
DEFAULT_REPEAT = timedelta(hours=24)

_MOST_FAULTS = 50
_LONGEST_MESSAGE = 500
_PATH = re.compile(r"(?<![\w/:.])~?/[\w.~-][^\s'\"`;,:)]*(?<![.!?])")
_LOGIN = re.compile(r"(?<=://)[^\s/@]+@")


class Notice(Struct, frozen=True):
    """A message to people: short, plain, without paths, log lines or secrets."""

    occasion: Occasion
    title: str
    body: str


class Told(Struct, frozen=True):
    """What people have been told of a job: since when it fails, and when each of its faults was last sent."""

    failing_since: datetime | None = None
    sent: dict[str, datetime] = {}


def notice_of(outcome: Outcome, told: Told, *, on: Collection[Occasion], repeat: timedelta) -> Notice | None:
    """Give the message this outcome calls for, if any. `on` says on which occasions; "always" means every run."""
    if _failed(outcome):
        wanted = "always" in on or ("failure" in on and _due(outcome, told, repeat))
        return _failure(outcome, told) if wanted else None
    if outcome.status == "ok" and told.failing_since and {"recovery", "always"} & set(on):
        return _notice(outcome, "recovery", "works again", f"It had failed since {_minute(told.failing_since)}.")
    if outcome.status == "ok" and {"success", "always"} & set(on):
        return _notice(outcome, "success", "succeeded", f"It took {outcome.seconds:.0f} seconds.")
    if outcome.status == "skipped" and "always" in on:
        return _notice(outcome, "always", "was skipped", _public(outcome.message))
    return None


def told_after(outcome: Outcome, told: Told, *, sent: bool) -> Told:
    """Give what has been told after this outcome; `sent` is whether its message reached anybody."""
    if outcome.status == "skipped":
        return told
    if not _failed(outcome):
        return Told()
    faults = {**told.sent, _fault(outcome): outcome.finished_at} if sent else told.sent
    latest = sorted(faults.items(), key=lambda fault: fault[1])[-_MOST_FAULTS:]
    return Told(told.failing_since or outcome.finished_at, dict(latest))


def _failed(outcome: Outcome) -> bool:
    return outcome.status in {"failed", "partial"}


def _due(outcome: Outcome, told: Told, repeat: timedelta) -> bool:
    last = told.sent.get(_fault(outcome))
    # A time still to come was written by a clock that has since been set back.
    return last is None or not timedelta(0) <= outcome.finished_at - last < repeat


def _fault(outcome: Outcome) -> str:
    message = re.sub(r"\d+", "0", _public(outcome.message))
    return f"{outcome.verb} {outcome.status} {outcome.exit_code} {message}"


def _failure(outcome: Outcome, told: Told) -> Notice:
    how = "failed" if outcome.status == "failed" else "did not finish everything"
    since = _minute(told.failing_since or outcome.finished_at)
    return _notice(
        outcome, "failure", how, f"{_public(outcome.message)}\nExit code {outcome.exit_code}. Failing since {since}."
    )


def _notice(outcome: Outcome, occasion: Occasion, how: str, text: str) -> Notice:
    what = f"{outcome.verb} of job {outcome.job} on {outcome.host} {how}"
    return Notice(occasion, f"ecm-agent: {what}", f"{what[0].upper()}{what[1:]}.\n{text}".strip())


def _public(message: str) -> str:
    """Leave paths of this machine and logins of addresses out of a sentence, and make it one short line."""
    text = " ".join(_LOGIN.sub("", _PATH.sub("…", message)).split())
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
