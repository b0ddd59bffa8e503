"""What the stateful test believes: plain lists of what stores, archives and destinations hold, and what comes next."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from fakes import MemoryStoreFake
from merge_model import merged, said

from ecm_agent.errors import ArchiveInvalid, DecryptionFailed, MergeConflicts, PasswordMissing, UsageError
from ecm_agent.model.records import RECORD_TYPES, Chunk, Cluster, Edge, Membership

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from fakes import MemoryDestination, UnpluggedDestination

    from ecm_agent.jobs.restore import Terms
    from ecm_agent.model.manifest import Selection
    from ecm_agent.model.names import ArchiveName
    from ecm_agent.model.records import AnyRecord
    from ecm_agent.secret import Secret
    from ecm_agent.store.sqlite import SqliteStore

Records: TypeAlias = "list[AnyRecord]"

TOLERANCE = timedelta(minutes=5)
"""How far ahead of the clock an archive may be dated before rotation mistrusts the clock."""


@dataclass(frozen=True)
class Sealed:
    """An archive, and what it must give back to whoever has its password; `partial` when it was not all of a store."""

    content: bytes
    records: Records
    password: Secret | None
    partial: bool = False
    damaged: bool = False

    @property
    def broken(self) -> Sealed:
        """The same with one byte of its content changed."""
        content = self.content[:-20] + bytes([self.content[-20] ^ 1]) + self.content[-19:]
        return Sealed(content, self.records, self.password, self.partial, damaged=True)

    def fits(self, password: Secret | None) -> bool:
        return self.password in {None, password}


@dataclass
class Memory:
    """A store: its records, `None` while it does not exist, and what the last change on record found there."""

    store: SqliteStore
    records: Records | None = None
    before: Sealed | None = None

    @property
    def chunks(self) -> int:
        return sum(isinstance(record, Chunk) for record in self.records or [])


@dataclass
class Copy:
    """An archive in a destination; `good` while the journal calls it proved."""

    archive: Sealed
    good: bool = True

    @property
    def kin(self) -> tuple[Secret | None, bool]:
        """What another archive must share to stand in for this one; all of these are of one store."""
        return self.archive.password, self.of_memory

    @property
    def of_memory(self) -> bool:
        """Whether there is any: what was made before an archive of none is not for rotation to judge."""
        return any(isinstance(record, Chunk) for record in self.archive.records)


@dataclass
class Place:
    """A destination: what it holds of the job, and what of it the journal should know."""

    memory: MemoryDestination
    plug: UnpluggedDestination
    copies: dict[ArchiveName, Copy] = field(default_factory=dict)

    def rotate(self, now: datetime, keep: int) -> set[ArchiveName]:
        """Let go of what `keep_last` no longer keeps, and say what that is."""
        good = sorted(name for name, copy in self.copies.items() if copy.good)
        if not good or any(name.created > now + TOLERANCE for name in self.copies):
            return set()
        newest = self.copies[good[-1]].kin
        emptied = max((name for name in good if not self.copies[name].of_memory), default=good[0])
        judged = [name for name in good if name >= emptied or not self.copies[name].of_memory]
        gone = set([name for name in judged if self.copies[name].kin == newest][:-keep])
        for name in gone:
            del self.copies[name]
        return gone


def exact(records: Iterable[AnyRecord] | None) -> list[tuple[str, Any]] | None:
    """Give what records say, section by section, in their order."""
    if records is None:
        return None
    return sorted(((record.section, said(record)) for record in records), key=lambda one: _SECTIONS.index(one[0]))


def part_of(records: Records, selection: Selection) -> Records:
    """Give what an archive of a part of a memory holds."""
    fake = MemoryStoreFake()
    fake.records = records
    with fake.snapshot(selection, "") as snapshot:
        return [record for batch in snapshot.batches() for record in batch]


def dangles(records: Records) -> bool:
    """Whether some record refers to one that is not there."""
    chunks = {record.id for record in records if isinstance(record, Chunk)}
    clusters = {record.id for record in records if isinstance(record, Cluster)}
    return any(
        (isinstance(record, Edge) and not {record.source, record.target} <= chunks)
        or (isinstance(record, Membership) and not (record.chunk_id in chunks and record.cluster_id in clusters))
        for record in records
    )


def refusal(archive: Sealed, memory: Memory, password: Secret | None, terms: Terms) -> type[Exception] | None:
    """Say how a restore must fail, if it must."""
    if archive.password and password is None:
        return PasswordMissing
    if archive.damaged or not archive.fits(password):
        return ArchiveInvalid if archive.fits(password) else DecryptionFailed
    lesser = archive.partial or not any(isinstance(record, Chunk) for record in archive.records)
    if memory.chunks and lesser and not terms.force and not terms.merge:
        return UsageError
    if not terms.merge:
        return ArchiveInvalid if dangles(archive.records) and not terms.dry_run else None
    fates = merged(memory.records or [], archive.records, terms.on_conflict).fates
    conflicts = any(fate == "conflicts" and count for (_, fate), count in fates.items())
    return MergeConflicts if conflicts and terms.on_conflict == "fail" and not terms.dry_run else None


def found(
    places: Mapping[str, Place], password: Secret | None, now: datetime, at: datetime | None
) -> tuple[tuple[ArchiveName, str] | None, list[tuple[ArchiveName, str]]]:
    """Say which copy `latest`, or with `at` the newest by then, comes from, and which are tried in vain before."""
    there = [
        (name, label, copy)
        for label, place in places.items()
        if not place.plug.down
        for name, copy in place.copies.items()
        if at is None or name.created <= at
    ]
    proved = {name for name, _, copy in there if copy.good and at is None}
    there.sort(key=lambda one: not one[2].good)
    ahead = {name for name, _, _ in there if name.created > now + timedelta(minutes=5) and at is None}
    there.sort(key=lambda one: (one[0] not in ahead, one[0] in proved, one[0]), reverse=True)
    tried: list[tuple[ArchiveName, str]] = []
    locked: set[ArchiveName] = set()
    for name, label, copy in there:
        if locked - {name}:  # no older archive is taken for one that a password would open
            break
        if copy.archive.fits(password) and not copy.archive.damaged:
            return (name, label), tried
        tried.append((name, label))
        locked |= set() if copy.archive.fits(password) else {name}
    return None, tried


_SECTIONS = [kind.section for kind in RECORD_TYPES]
