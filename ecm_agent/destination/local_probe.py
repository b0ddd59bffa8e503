"""What is peculiar to a directory: room, and who else may write there."""

from __future__ import annotations

import secrets
import shutil
import stat
from typing import TYPE_CHECKING

from ecm_agent.destination.finding import Finding
from ecm_agent.destination.local import LocalDestination, explained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ecm_agent.clock import Clock
    from ecm_agent.model.names import ArchiveName

_MIB, _LITTLE = 1 << 20, 1 << 30


class LocalProbing:
    """Probes a directory in a hidden one below it."""

    def __init__(self, place: LocalDestination) -> None:
        self._place = place
        self._folder: Path = place.path / f".ecm-agent-probe-{secrets.token_hex(8)}"
        self.scratch = LocalDestination(self._folder)

    def peculiarities(self, name: ArchiveName, clock: Clock) -> Iterator[Finding]:
        del name, clock
        with explained(self._place.label):
            free = shutil.disk_usage(self._place.path).free
            mode = stat.S_IMODE(self._place.path.stat().st_mode)
        room = f"{free // _MIB} MiB are free"
        advice = "Make room, or keep fewer archives."
        yield Finding("room", "ok", room) if free >= _LITTLE else Finding("room", "warning", room, advice)
        if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
            found = f"others may remove archives from it (mode {mode:04o})"
            yield Finding("permissions", "warning", found, f"chmod go-w {self._place.path}")
        else:
            yield Finding("permissions", "ok", f"nobody else may change what is in it (mode {mode:04o})")

    def clean(self) -> None:
        with explained(self._place.label):
            if self._folder.exists():
                shutil.rmtree(self._folder)
