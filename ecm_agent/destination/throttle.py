"""A limit on bytes a second."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecm_agent.clock import Clock


class Throttle:
    """Whoever moves bytes says so, and is held up until that many were due. Threads share one limit."""

    def __init__(self, limit: int, clock: Clock, sleep: Callable[[float], None] = time.sleep) -> None:
        """Take the limit in bytes a second; 0 is none."""
        self._limit = limit
        self._clock = clock
        self._sleep = sleep
        self._due = 0.0
        self._lock = Lock()

    def spend(self, count: int) -> None:
        """Account for `count` bytes, and wait as long as they should have taken."""
        if not self._limit:
            return
        with self._lock:
            now = self._clock.monotonic()
            self._due = max(self._due, now) + count / self._limit
            wait = self._due - now
        self._sleep(wait)
