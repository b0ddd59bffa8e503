"""What export's flags for sharing ask for, and what would become of the texts."""

from __future__ import annotations

import difflib
from itertools import islice
from typing import TYPE_CHECKING

from ecm_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ecm_agent.cli.screen import Screen
    from ecm_agent.config.settings import Settings
    from ecm_agent.model.manifest import Redaction, Selection

_CONTEXT = 1
"""Lines shown around a change."""


def redactions(*, paths: bool, code: bool, secrets: bool) -> tuple[Redaction, ...]:
    """Name what the flags ask to be taken out."""
    wanted: dict[Redaction, bool] = {"paths": paths, "code": code, "secrets": secrets}
    return tuple(kind for kind, asked in wanted.items() if asked)


def refuse_at_odds(
    selection: Selection, *, preview: int | None, output: Path | None, no_vectors: bool, with_vectors: bool
) -> None:
    """Refuse flags that contradict each other. Raises `UsageError`."""
    if preview is None and output is None:
        raise UsageError("Where is the archive to go?", hint="Name a file: --output FILE")
    if preview is not None and output is not None:
        raise UsageError("--preview writes no archive: it does not go with --output.")
    if not selection.redact and (with_vectors or preview is not None):
        flag = "--with-vectors" if with_vectors else "--preview"
        raise UsageError(f"{flag} goes with --redact-paths, --redact-code or --redact-secrets.")
    if no_vectors and with_vectors:
        raise UsageError("--no-vectors and --with-vectors contradict each other.")


def show_preview(out: Screen, settings: Settings, selection: Selection, wanted: int) -> None:
    """Show some texts before and after; secrets and all."""
    from ecm_agent import wiring
    from ecm_agent.jobs.redact import previews

    shown = 0
    for chunk, before, after in previews(wiring.store(settings), selection, wanted):
        shown += 1
        out.say(*_changes(chunk, before, after))
        out.summary("preview", {"chunk": chunk, "before": before, "after": after})
    if not shown:
        out.say("Nothing was found in any text.")
    out.summary("export", {"previewed": shown})


def _changes(chunk: str, before: str, after: str) -> Iterator[str]:
    yield f"chunk {_visible(chunk)}"
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=_CONTEXT, lineterm="")
    yield from (f"  {_visible(line)}" for line in islice(lines, 2, None))  # the first two name the files compared
    yield ""


def _visible(line: str) -> str:
    """Show what would steer a terminal as an escape: memories hold what programs once wrote to theirs."""
    return "".join(letter if letter.isprintable() or letter == "\t" else repr(letter)[1:-1] for letter in line)
