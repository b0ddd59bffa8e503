"""Stand-ins that keep the same contracts as the real things, without a disk, a network or a running clock."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO

from ecm_agent.destination.base import Listing, Stored, in_time_order
from ecm_agent.errors import AlreadyExists, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable
    from ecm_agent.model.names import ArchiveName


class MemoryDestination:
    """A `Destination` in memory. Tests may look into `archives`, and damage what they find there."""

    def __init__(self, label: str = "memory:") -> None:
        self.label = label
        self.archives: dict[ArchiveName, bytes] = {}
        self._lock = Lock()

    def put(self, name: ArchiveName, source: BinaryIO) -> None:
        content = b"".join(iter(lambda: source.read(1 << 20), b""))
        with self._lock:
            if name in self.archives:
                raise AlreadyExists(f"{self.label} already holds {name}.")
            self.archives[name] = content

    def open(self, name: ArchiveName) -> BinaryIO:
        with self._lock:
            if name not in self.archives:
                raise NotFound(f"{self.label} holds no {name}.")
            return io.BytesIO(self.archives[name])

    def list(self) -> Listing:
        with self._lock:
            return in_time_order(Stored(name, len(content)) for name, content in self.archives.items())

    def delete(self, name: ArchiveName) -> None:
        with self._lock:
            self.archives.pop(name, None)

    def check(self) -> None:
        """Memory is always there."""


class ManualClock:
    """A `Clock` that stands still until told otherwise."""

    def __init__(self, now: datetime = datetime(2025, 3, 1, 12, tzinfo=UTC)) -> None:
        self._now = now
        self._monotonic = 0.0
        self.woken: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, by: timedelta) -> None:
        """Let time pass, on the wall and on the stopwatch."""
        self._now += by
        self._monotonic += by.total_seconds()

    def sleep(self, seconds: float) -> None:
        """Let that much time pass at once; `woken` may be set to have something happen in the meantime."""
        self.advance(timedelta(seconds=seconds))
        self.woken()

    def jump(self, to: datetime) -> None:
        """Set the wall clock, as a user or a resumed laptop does; the stopwatch does not notice."""
        self._now = to
