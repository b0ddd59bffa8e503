"""Archive names: `<job>-<host>-<YYYYMMDDTHHMMSSZ>.ecm`, so that name order is time order within a job and a host."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

_STAMP = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"(?P<job>[A-Za-z0-9_.]+)-(?P<host>[A-Za-z0-9._-]+)-(?P<stamp>[0-9]{8}T[0-9]{6}Z)\.ecm")
JOB_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]*")
"""A job's name holds no dash: the first dash of an archive name ends it, whatever the host is called."""


@dataclass(frozen=True, slots=True, order=True)
class ArchiveName:
    """Which job on which host made an archive, and when (aware UTC, whole seconds)."""

    job: str
    host: str
    created: datetime

    def __post_init__(self) -> None:
        """Raise `ValueError` for parts that would not read back: a slash in the host, a fraction of a second."""
        match = _NAME.fullmatch(str(self))
        if match is None or (match["job"], match["host"]) != (self.job, self.host) or self.created.microsecond:
            raise ValueError(f"no archive can be called {str(self)!r}")

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Read a name of ours back; `None` for any other name, which is then never ours to touch."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        try:
            created = datetime.strptime(match["stamp"], _STAMP).replace(tzinfo=UTC)
        except ValueError:
            return None
        return cls(match["job"], match["host"], created)

    def __str__(self) -> str:
        return f"{self.job}-{self.host}-{self.created.astimezone(UTC):{_STAMP}}.ecm"


def host_label(hostname: str) -> str:
    """Make a host's name fit for an archive name: its first label, other characters as `_`, never empty."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", hostname.partition(".")[0]) or "localhost"
