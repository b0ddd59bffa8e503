"""A job, the named unit of configuration, and what every verb needs to work on one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from ecm_agent.clock import is_ahead
from ecm_agent.errors import DestinationRefused
from ecm_agent.model.names import ArchiveName
from ecm_agent.notification.around import Around

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from ecm_agent.archive import Compression
    from ecm_agent.clock import Clock
    from ecm_agent.destination.base import Destination
    from ecm_agent.history import History
    from ecm_agent.jobs.progress import Progress
    from ecm_agent.model.manifest import Selection
    from ecm_agent.retention import Policy
    from ecm_agent.schedule import Schedule
    from ecm_agent.secret import Secret
    from ecm_agent.store.base import MemoryStore


Level: TypeAlias = Literal["quick", "decrypt", "drill"]
"""quick: it is there, whole by its size, and begins as an archive does. decrypt: every record is read.
drill: the newest is restored into a scratch store and compared; the others are decrypted."""


@dataclass(frozen=True, slots=True)
class Verification:
    """When what is stored is checked, how thoroughly, and within which time every archive has had its turn."""

    schedule: Schedule
    level: Level
    cover: timedelta


@dataclass(frozen=True, slots=True)
class Job:
    """What to back up, to where, and what to keep there."""

    name: str
    host: str
    store: MemoryStore
    selection: Selection
    compression: Compression
    policy: Policy
    timezone: ZoneInfo
    destinations: Mapping[str, Destination]
    state_dir: Path
    staging_bytes: int = 2**33
    """How much may wait on disk to be sent; the newest archive may, whatever its size."""
    schedule: Schedule | None = None
    verification: Verification | None = None
    around: Around = field(default_factory=Around)
    """What happens around its runs: hooks, pings, messages."""
    machine: str = ""
    """What no other machine is called, where there is such a thing."""

    @property
    def source(self) -> str:
        """Tell this job's store from others without naming its path, which an archive may carry to strangers.

        Two machines may have one name and keep their memories at one path; they are told apart by the machine's id.
        """
        return hashlib.sha256(self.machine.encode() + bytes(self.store.path.absolute())).hexdigest()[:12]

    @property
    def lock(self) -> Path:
        return self.state_dir / "locks" / f"{self.name}.lock"

    def archives_in(self, destination: Destination) -> list[ArchiveName]:
        """Name this job's archives of this host in a destination, oldest first."""
        return [one.name for one in destination.list() if self.owns(one.name)]

    def owns(self, name: ArchiveName) -> bool:
        """Whether an archive is this job's, of this host."""
        return (name.job, name.host) == (self.name, self.host)

    def free_name(self, now: datetime, history: History) -> ArchiveName:
        """Name an archive made now: later by a second than any there is, as far as those can be believed.

        After a small correction of the clock the name is ahead of it, so that what is newest is so by its name. What a
        destination out of reach holds is known from the journal.
        """
        taken: set[ArchiveName] = set()
        for destination in self.destinations.values():
            taken.update(filter(None, map(ArchiveName.parse, history.proofs(destination.label))))
            try:
                taken.update(self.archives_in(destination))
            except DestinationRefused:  # what is wrong with it is said when the archive is put there
                continue
        taken.update(filter(None, map(ArchiveName.parse, self._staged())))
        moment = now.replace(microsecond=0)
        credible = [one.created for one in taken if self.owns(one) and not is_ahead(one.created, now)]
        name = ArchiveName(self.name, self.host, max([moment, *(made + timedelta(seconds=1) for made in credible)]))
        while name in taken:
            name = replace(name, created=name.created + timedelta(seconds=1))
        return name

    def _staged(self) -> list[str]:
        staging = self.state_dir / "staging"
        return [path.name for path in staging.iterdir()] if staging.is_dir() else []


@dataclass(frozen=True, slots=True)
class Context:
    """The agent's surroundings: what it remembers, what time it is, who listens, and the password if there is one."""

    history: History
    clock: Clock
    progress: Progress
    password: Secret | None
