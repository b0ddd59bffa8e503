"""A destination that is tried again when trying again may help."""

from __future__ import annotations

import hashlib
import random
import time
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from ecm_agent.errors import AlreadyExists, DestinationUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ecm_agent.destination.base import Destination, Listing
    from ecm_agent.model.names import ArchiveName

_T = TypeVar("_T")
_BLOCK = 1 << 20


class RetryingDestination:
    """The `inner` destination, each of its operations tried up to `attempts` times.

    Between two tries it waits `first` seconds, then twice as long each time, never more than `longest`; of each wait
    a random part of up to a half is left out, so that machines which failed together do not return together.
    """

    def __init__(
        self,
        inner: Destination,
        *,
        attempts: int = 3,
        first: float = 1,
        longest: float = 60,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Take `chance` as numbers from 0 to 1, for the random part."""
        self.inner = inner
        self._attempts = attempts
        self._first = first
        self._longest = longest
        self._sleep = sleep
        self._chance = chance

    @property
    def label(self) -> str:
        return self.inner.label

    def put(self, name: ArchiveName, source: BinaryIO) -> None:
        """Put, and after a lost answer look whether the archive is there after all: then it is stored, and no error.

        A source that cannot be read again is put once.
        """
        if not source.seekable():
            self.inner.put(name, source)
            return
        start = source.tell()
        tries = 0

        def put() -> None:
            nonlocal tries
            tries += 1
            source.seek(start)
            try:
                self.inner.put(name, source)
            except AlreadyExists:
                if tries == 1 or not self._holds(name, source, start):
                    raise

        self._retried(put)

    def open(self, name: ArchiveName) -> AbstractContextManager[BinaryIO]:
        return self._retried(lambda: self.inner.open(name))

    def list(self) -> Listing:
        return self._retried(self.inner.list)

    def delete(self, name: ArchiveName) -> None:
        self._retried(lambda: self.inner.delete(name))

    def check(self) -> None:
        self._retried(self.inner.check)

    def _retried(self, operation: Callable[[], _T]) -> _T:
        for tries in range(self._attempts - 1):
            try:
                return operation()
            except DestinationUnavailable:
                self._sleep(self._wait(tries))
        return operation()

    def _wait(self, tries: int) -> float:
        return min(self._first * 2.0**tries, self._longest) * (1 - self._chance() / 2)

    def _holds(self, name: ArchiveName, source: BinaryIO, start: int) -> bool:
        source.seek(start)
        with self.inner.open(name) as stored:
            return _digest(stored) == _digest(source)


def _digest(file: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.digest()
