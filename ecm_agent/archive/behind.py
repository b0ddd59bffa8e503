"""Work done behind one's back: digests, compression, encryption and writing, while the next records are made or read.

Those need no interpreter, of which there is only one. Pieces of work are done one after the other, in the order they
were handed over, by one thread. Only a few may wait, so memory stays flat. What goes wrong comes back to whoever hands
over the next piece, or waits for the last.
"""

from __future__ import annotations

from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from ecm_agent.archive.container import Data

_WAITING = 4
"""How many pieces may wait; a piece is a batch of records, up to a megabyte or so."""


class Behind:
    """A context in which work is done behind one's back; at its end all of it has been done, or given up."""

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Callable[[Data], object], Data] | None] = SimpleQueue()
        self._room = Semaphore(_WAITING)
        # A daemon: where a reader is abandoned for good, the end of the program must not wait for it.
        self._thread = Thread(target=self._run, name="archive", daemon=True)
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error:
            self._error = self._error or error  # what waits is given up
        self._work.put(None)
        self._thread.join()
        if not error:
            self._tell()

    def do(self, work: Callable[[Data], object], data: Data) -> None:
        """Hand over a piece of work. Raises what an earlier one raised."""
        self._room.acquire()
        self._tell()
        self._work.put((work, data))

    def wait(self) -> None:
        """Come back when all of it has been done. Raises what any of it raised."""
        for _ in range(_WAITING):
            self._room.acquire()
        self._room.release(_WAITING)
        self._tell()

    def _tell(self) -> None:
        if self._error:
            raise self._error

    def _run(self) -> None:
        while piece := self._work.get():
            work, data = piece
            if not self._error:
                try:
                    work(data)
                except BaseException as error:  # noqa: BLE001 (it is raised again where the work came from)
                    self._error = error
            self._room.release()
