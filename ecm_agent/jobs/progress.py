"""How a job tells what it is at, without knowing who listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ecm_agent.model.records import RECORD_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ecm_agent.clock import Clock
    from ecm_agent.model.manifest import Manifest
    from ecm_agent.model.records import Batch


class Progress(Protocol):
    """A listener."""

    def stage(self, title: str, records: int) -> None:
        """Hear that something begins which will take this many records."""

    def advance(self, records: int) -> None:
        """Hear that so many more are done."""


class Silent:
    """Nobody listens."""

    def stage(self, title: str, records: int) -> None:
        """Say nothing."""

    def advance(self, records: int) -> None:
        """Say nothing."""


class Stopwatch:
    """Measures how long each stage takes, in seconds by title."""

    def __init__(self, clock: Clock) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock
        self._title = ""
        self._began = 0.0

    def stage(self, title: str, records: int) -> None:
        """End the stage before, and begin this one; how much it is does not matter to a stopwatch."""
        del records
        self.stop()
        self._title, self._began = title, self._clock.monotonic()

    def advance(self, records: int) -> None:
        """Say nothing."""

    def stop(self) -> None:
        """End the last stage."""
        if self._title:
            self.seconds[self._title] = self.seconds.get(self._title, 0.0) + self._clock.monotonic() - self._began
        self._title = ""


def followed(progress: Progress, title: str, manifest: Manifest, batches: Iterable[Batch]) -> Iterator[Batch]:
    """Pass batches through, telling the listener as they come."""
    progress.stage(title, sum(manifest.count(kind) or 0 for kind in RECORD_TYPES))
    for batch in batches:
        yield batch
        progress.advance(len(batch))
