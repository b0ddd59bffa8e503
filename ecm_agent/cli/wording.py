"""The words that every report uses: counts, sizes, times, what an archive holds, and columns of a table."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ecm_agent.model.records import RECORD_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from ecm_agent.model.manifest import Manifest

_UNIT = 1024
_WORDS = {"vectorClocks": "vector clocks"}


def program() -> str:
    """Name this program as it was called, so that a command in the output can be pasted."""
    return sys.argv[0] if sys.argv[0].rpartition("/")[2] == "ecm-agent" else "ecm-agent"


def redacted(manifest: Manifest) -> str:
    """Say what was taken out of the texts, and how often."""
    kinds = (f"{kind} ({counted(manifest.redactions.get(kind, 0), 'times')})" for kind in manifest.redacted)
    return ", ".join(kinds) + ("; names of projects are pseudonyms" if "paths" in manifest.redacted else "")


def contents(manifest: Manifest) -> str:
    """Say what an archive holds, in a few words."""
    counts = [(manifest.count(kind), kind.section) for kind in RECORD_TYPES]
    said = ", ".join(counted(count, _WORDS.get(section, section)) for count, section in counts if count)
    return (said + " of other tables" if manifest.row_count else said) or "no records"


def counted(count: int, things: str) -> str:
    """Say how many: "1 chunk", "2 chunks"."""
    return f"{count} {things.removesuffix('s') if count == 1 else things}"


def size(count: float) -> str:
    """Say how many bytes, in units a person can compare."""
    for unit in ("B", "KiB", "MiB"):
        if count < _UNIT:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= _UNIT
    return f"{count:.1f} GiB"


def ago(seconds: float) -> str:
    """Say how long ago something was, in the largest unit that fits: "3 days ago"."""
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= unit:
            return f"{counted(int(seconds // unit), name)} ago"
    return "just now"


def moment(when: datetime, zone: ZoneInfo) -> str:
    return when.astimezone(zone).isoformat(sep=" ", timespec="seconds")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lay out columns as wide as their widest value; plain text, so that it can be cut and searched."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        yield "  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip()
