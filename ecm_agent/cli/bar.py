"""The progress bar."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import TaskID

    from ecm_agent.jobs.progress import Progress


@contextmanager
def bar() -> Iterator[Progress]:
    """Show a bar for each stage on stderr while the block runs; it goes away afterwards."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Bar(progress)


class _Bar:
    def __init__(self, progress: RichProgress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def stage(self, title: str, records: int) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(title, total=records or None)

    def advance(self, records: int) -> None:
        if self._task is not None:
            self._progress.advance(self._task, records)
