"""What a command costs: wall and CPU time, peak resident memory, bytes written to disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
_DISK_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall time and of CPU time (user and system), bytes of peak memory, bytes written to disk.

    Of commands that follow one another times and bytes written add up, and the larger peak counts.
    """

    wall: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    written: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.wall + other.wall,
            self.cpu + other.cpu,
            max(self.memory, other.memory),
            self.written + other.written,
        )

    @classmethod
    def middle(cls, costs: Sequence[Cost]) -> Self:
        """Give the median of each figure by itself."""
        return cls(
            median(cost.wall for cost in costs),
            median(cost.cpu for cost in costs),
            round(median(cost.memory for cost in costs)),
            round(median(cost.written for cost in costs)),
        )


def cost_of(command: Sequence[str], *, folder: Path, environment: Mapping[str, str], code: int = 0) -> Cost:
    """Run a command in a folder and give what it, and the processes it waited for, cost.

    Ends this process where the command ends with another code than the one expected.

    The system counts a new process's peak from the memory of the one that starts it, so nothing heavy is ever imported
    here. Bytes written are those the system counts as dirtied for a disk; a file system in memory has none.
    """
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != code:
            said.seek(0)
            sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{said.read().decode(errors='replace')}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * _MAXRSS_UNIT, used.ru_oublock * _DISK_BLOCK)
