"""Messages about a job's runs, and the note, kept across restarts, of what has been told already."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from ecm_agent.atomic import new_file, private_directory
from ecm_agent.notification.policy import DEFAULT_OCCASIONS, DEFAULT_REPEAT, Told, notice_of, told_after

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import timedelta
    from pathlib import Path

    from ecm_agent.model.outcome import Outcome
    from ecm_agent.notification.apprise_urls import Recipients
    from ecm_agent.notification.policy import Occasion


@dataclass(frozen=True, slots=True)
class Notices:
    """Who is told, when, and where it is noted: in `state_dir`/told, a file for each verb of a job.

    A check that goes well is no recovery of a backup that fails.
    """

    recipients: Recipients
    state_dir: Path
    on: Collection[Occasion] = DEFAULT_OCCASIONS
    repeat: timedelta = DEFAULT_REPEAT

    def tell(self, outcome: Outcome) -> list[str]:
        """Send the message an outcome calls for, if any. Never raises; gives what went wrong."""
        note = self.state_dir / "told" / f"{outcome.job}-{outcome.verb}.json"
        told = _read(note)
        notice = notice_of(outcome, told, on=self.on, repeat=self.repeat)
        sent = self.recipients.send(notice) if notice else None
        after = told_after(outcome, told, sent=sent is not None and sent.arrived > 0)
        if after != told:
            with suppress(OSError):  # without the note a message is sent once more: better than a run that fails
                _write(note, after)
        return sent.problems if sent else []


def _read(note: Path) -> Told:
    try:
        return msgspec.json.decode(note.read_bytes(), type=Told)
    except (OSError, msgspec.MsgspecError):
        return Told()


def _write(note: Path, told: Told) -> None:
    private_directory(note.parent)
    with new_file(note, overwrite=True) as file:
        file.write(msgspec.json.encode(told))
