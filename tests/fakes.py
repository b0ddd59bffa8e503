"""Stand-ins that keep the same contracts as the real things, without a disk, a network or a running clock."""

from __future__ import annotations

import io
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO

from merge_model import Doubled, key, merged, said
from msgspec import UNSET
from msgspec.structs import replace

from ecm_agent.destination.base import Listing, Stored, in_time_order
from ecm_agent.errors import (
    AlreadyExists,
    ArchiveInvalid,
    DestinationUnavailable,
    EcmError,
    MergeConflicts,
    NotFound,
    StoreUnreadable,
    UsageError,
)
from ecm_agent.model.manifest import VERSION, Manifest, Selection
from ecm_agent.model.records import RECORD_TYPES, Chunk, Cluster, Edge, Membership, TableRow, Vector, VectorClock
from ecm_agent.store.base import Changes, Dropped, Reclustered, Replaced, Tally, nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from ecm_agent.destination.base import Destination
    from ecm_agent.model.names import ArchiveName
    from ecm_agent.model.records import AnyRecord, Batch, RecordType
    from ecm_agent.store.base import Oddity, OnConflict


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


class MemoryStoreFake:
    """A `MemoryStore` that lives in `records`; `None` while it does not exist."""

    def __init__(self, path: Path = Path("memory.db"), *, sealed: bool = False) -> None:
        self.path = path
        self.records: list[AnyRecord] | None = None
        self._sealed = sealed

    def exists(self) -> bool:
        return self.records is not None

    def at(self, path: Path) -> MemoryStoreFake:
        return MemoryStoreFake(path, sealed=self._sealed)

    def encrypted(self) -> bool:
        return self._sealed and self.exists()

    def problems(self) -> list[str]:
        return []

    def chunk_count(self) -> int:
        return sum(isinstance(record, Chunk) for record in self.records or ())

    @contextmanager
    def snapshot(self, selection: Selection, created: str) -> Iterator[SnapshotFake]:
        if self.records is None:
            raise StoreUnreadable(f"There is no memory store at {self.path}.")
        yield SnapshotFake(self.records, selection, created)

    def replace(
        self,
        manifest: Manifest,
        batches: Iterable[Batch],
        prepare: Callable[[], object] = nothing,
        finish: Callable[[], object] = nothing,
    ) -> Replaced:
        prepare()
        records = [record for batch in batches for record in batch]
        _refuse_doubles(records)
        dangling = _dangling(records)
        if dangling and not manifest.original:
            raise ArchiveInvalid(next(iter(dangling.values())))
        finish()
        self.records = [record for place, record in enumerate(records) if place not in dangling]
        dropped = Dropped(dict(Counter(records[place].section for place in dangling)))
        return Replaced(dict(Counter(record.section for record in self.records)), {}, dropped)

    def merge(
        self,
        manifest: Manifest,
        batches: Iterable[Batch],
        on_conflict: OnConflict = "ours",
        *,
        prepare: Callable[[], object] = nothing,
        finish: Callable[[], object] = nothing,
        dry_run: bool = False,
    ) -> Changes:
        del manifest
        prepare()
        theirs = [record for batch in batches for record in batch]
        try:
            records, fates = merged(self.records or [], theirs, on_conflict)
        except Doubled as error:
            raise ArchiveInvalid(f"The archive holds two records called {error}.") from error
        changes = _changes(fates, none=self.records is not None and _same(self.records, records))
        if not dry_run:
            if on_conflict == "fail" and changes.total("conflicts"):
                raise MergeConflicts("There are conflicts.")
            if not changes.none:
                finish()
            self.records = records
        return changes

    def compare(self, manifest: Manifest, batches: Iterable[Batch]) -> Changes:
        given = [record for batch in batches for record in batch]
        dangling = _dangling(given) if manifest.original else {}
        ours = {(record.section, key(record)): said(record) for record in self.records or []}
        theirs = {
            (record.section, key(record)): said(record) for place, record in enumerate(given) if place not in dangling
        }
        fates = Counter((section, "removed") for section, name in ours.keys() - theirs.keys())
        for place, says in theirs.items():
            known = ours.get(place)
            fate = "added" if known is None else "skipped" if known | says == known else "updated"
            fates[place[0], fate] += 1
        fates.update((given[place].section, "dropped") for place in dangling)
        unchanged = {"skipped", "dropped"}
        return _changes(fates, none=not any(count for (_, fate), count in fates.items() if fate not in unchanged))

    def recluster(
        self,
        clusters: Iterable[Batch],
        memberships: Iterable[Batch],
        prepare: Callable[[], object] = nothing,
        finish: Callable[[], object] = nothing,
    ) -> Reclustered:
        if self.records is None:
            raise StoreUnreadable(f"There is no memory store at {self.path}.")
        prepare()
        old = {record.id: record for record in self.records if isinstance(record, Cluster)}
        chunks = {record.id for record in self.records if isinstance(record, Chunk)}
        given = [record for batch in clusters for record in batch if isinstance(record, Cluster)]
        asked = [record for batch in memberships for record in batch if isinstance(record, Membership)]
        new = [_changed(old[record.id], record) if record.id in old else record for record in given]
        found = [record for record in asked if record.chunk_id in chunks]
        rest = [record for record in self.records if not isinstance(record, Cluster | Membership)]
        finish()
        self.records = [*rest, *new, *found]
        updated = len(old.keys() & {record.id for record in given})
        return Reclustered(updated, len(given) - updated, len(old) - updated, len(found), len(asked) - len(found))

    def create(self) -> None:
        if self.exists():
            raise EcmError(f"There is something at {self.path} already.")
        self.records = []


def _same(one: Sequence[AnyRecord], other: Sequence[AnyRecord]) -> bool:
    ours, theirs = ({(record.section, key(record)): said(record) for record in side} for side in (one, other))
    return ours == theirs


def _changes(fates: Mapping[tuple[str, str], int], *, none: bool) -> Changes:
    tallies = {section: Tally(section, None) for section, _ in fates}
    for (section, fate), count in fates.items():
        setattr(tallies[section], fate, count)
    return Changes(list(tallies.values()), [], [], {}, none)


class SnapshotFake:
    """A `Snapshot` of a list of records."""

    def __init__(self, records: Sequence[AnyRecord], selection: Selection, created: str) -> None:
        self.oddities: list[Oddity] = []
        self.odd_rows = 0
        self._records = _selected(records, selection.projects)
        orphans = [] if selection.orphans or not selection.vectors else _orphans(self._records)
        self._records = [record for record in self._records if record not in orphans]
        projects = sorted({record.session_slug for record in self._records if isinstance(record, Chunk)})
        left_out = 0 if selection.vectors else sum(isinstance(record, Vector) for record in self._records)
        if left_out:
            self._records = [record for record in self._records if not isinstance(record, Vector)]
        counts = Counter(type(record) for record in self._records)
        self.manifest = Manifest(
            version=VERSION,
            created=created,
            chunk_count=counts[Chunk],
            edge_count=counts[Edge],
            cluster_count=counts[Cluster],
            projects=projects,
            membership_count=counts[Membership],
            vector_clock_count=counts[VectorClock],
            vector_count=None if left_out else counts[Vector],
            row_count=counts[TableRow],
            selected_projects=None if selection.projects is None else projects,
            left_out={"vectors": left_out} if left_out else {},
            dangling={"vectors": len(orphans)} if orphans else {},
        )

    def batches(self, kinds: Collection[RecordType] = RECORD_TYPES) -> Iterator[Batch]:
        for kind in RECORD_TYPES:
            batch: Any = [record for record in self._records if type(record) is kind and kind in kinds]
            if batch:
                yield batch

    def vectors_without_chunk(self) -> tuple[int, list[str]]:
        names = [vector.chunk_id for vector in _orphans(self._records)]
        return (0, []) if self.manifest.selected_projects is not None else (len(names), names[:5])

    def chunk_ids(self) -> Iterator[str]:
        return (record.id for record in self._records if isinstance(record, Chunk))


def _changed(old: Cluster, new: Cluster) -> Cluster:
    """Give a cluster as it is after a re-clustering."""
    given = {name: getattr(new, name) for name in ("centroid", "exemplar_ids", "membership_hash")}
    return replace(old, **{name: value for name, value in given.items() if value is not UNSET})


def _selected(records: Sequence[AnyRecord], projects: Sequence[str] | None) -> list[AnyRecord]:
    if projects is None:
        return _with_members(records)
    _refuse_unknown(projects, {record.session_slug for record in records if isinstance(record, Chunk)})
    chunks = {record.id for record in records if isinstance(record, Chunk) and record.session_slug in projects}

    def belongs(record: AnyRecord) -> bool:
        match record:
            case Chunk():
                return record.id in chunks
            case Edge():
                return {record.source, record.target} <= chunks
            case VectorClock():
                return record.project_slug in projects
            case Membership() | Vector():
                return record.chunk_id in chunks
        return True

    selected = _with_members([record for record in records if belongs(record)])
    return [
        _with_exemplars(record, chunks) if isinstance(record, Cluster) else record
        for record in selected
        if not isinstance(record, Cluster) or record.member_chunk_ids
    ]


def _orphans(records: Sequence[AnyRecord]) -> list[Vector]:
    chunks = {record.id for record in records if isinstance(record, Chunk)}
    return [record for record in records if isinstance(record, Vector) and record.chunk_id not in chunks]


def _refuse_unknown(projects: Iterable[str], known: Iterable[str]) -> None:
    for slug in projects:
        if slug not in known:
            near = get_close_matches(slug, known, cutoff=0.4)
            raise UsageError(f"There is no project {slug!r} in the store.", hint=f"It has: {near}")


def _with_members(records: Sequence[AnyRecord]) -> list[AnyRecord]:
    """Let clusters name their members, as far as the memberships are there."""
    members: dict[str, list[str]] = {}
    for record in records:
        if isinstance(record, Membership):
            members.setdefault(record.cluster_id, []).append(record.chunk_id)
    return [
        replace(record, member_chunk_ids=members.get(record.id, [])) if isinstance(record, Cluster) else record
        for record in records
    ]


def _with_exemplars(record: Cluster, chunks: Container[str]) -> Cluster:
    exemplars = record.exemplar_ids
    if not isinstance(exemplars, list):
        return record
    return replace(record, exemplar_ids=[name for name in exemplars if name in chunks])


def _refuse_doubles(records: Iterable[AnyRecord]) -> None:
    seen = set()
    for record in records:
        match record:
            case Membership():
                name = f"{record.chunk_id} in {record.cluster_id}"
            case Vector():
                name = record.chunk_id
            case TableRow():
                continue  # whatever is the key of its table, the fake does not know
            case _:
                name = str(record.id)
        if (record.section, name) in seen:
            raise ArchiveInvalid(f"The archive holds two {record.section} called {name}.")
        seen.add((record.section, name))


def _dangling(records: Sequence[AnyRecord]) -> dict[int, str]:
    """Say, by their places, which records refer to others that are not there, and to which."""
    chunks = {record.id for record in records if isinstance(record, Chunk)}
    clusters = {record.id for record in records if isinstance(record, Cluster)}
    found = {}
    for place, record in enumerate(records):
        missing: set[str] = set()
        if isinstance(record, Edge):
            missing = {record.source, record.target} - chunks
        elif isinstance(record, Membership):
            missing = ({record.chunk_id} - chunks) | ({record.cluster_id} - clusters)
        if missing:
            found[place] = f"{record} refers to {missing}, which is not in the archive."
    return found


class RecordingDestination:
    """A `Destination` that notes each call to the one it wraps, as "<its label> <method>", before passing it on."""

    def __init__(self, inner: Destination, events: list[str]) -> None:
        self.label = inner.label
        self._inner = inner
        self._events = events

    def put(self, name: ArchiveName, source: BinaryIO) -> None:
        self._events.append(f"{self.label} put")
        self._inner.put(name, source)

    def open(self, name: ArchiveName) -> AbstractContextManager[BinaryIO]:
        self._events.append(f"{self.label} open")
        return self._inner.open(name)

    def list(self) -> Listing:
        self._events.append(f"{self.label} list")
        return self._inner.list()

    def delete(self, name: ArchiveName) -> None:
        self._events.append(f"{self.label} delete")
        self._inner.delete(name)

    def check(self) -> None:
        self._events.append(f"{self.label} check")
        self._inner.check()


class FaultyDestination:
    """A `Destination` that fails as its script says, and else does what the one it wraps does.

    `script` maps a method's name to what becomes of its calls, in order: an error is raised, `None` lets the call
    pass; when the list is used up, so do all further calls. `misread` changes what is read back from `open`.
    """

    def __init__(
        self,
        inner: Destination,
        script: Mapping[str, Sequence[EcmError | None]] | None = None,
        *,
        misread: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.label = inner.label
        self._inner = inner
        self._script = {method: list(fates) for method, fates in (script or {}).items()}
        self._misread = misread

    def _meet_fate(self, method: str) -> None:
        fates = self._script.get(method)
        if fates and (error := fates.pop(0)):
            raise error

    def put(self, name: ArchiveName, source: BinaryIO) -> None:
        self._meet_fate("put")
        self._inner.put(name, source)

    def open(self, name: ArchiveName) -> AbstractContextManager[BinaryIO]:
        self._meet_fate("open")
        if self._misread is None:
            return self._inner.open(name)
        with self._inner.open(name) as file:
            return io.BytesIO(self._misread(file.read()))

    def list(self) -> Listing:
        self._meet_fate("list")
        return self._inner.list()

    def delete(self, name: ArchiveName) -> None:
        self._meet_fate("delete")
        self._inner.delete(name)

    def check(self) -> None:
        self._meet_fate("check")
        self._inner.check()


class UnpluggedDestination(FaultyDestination):
    """A `Destination` that is out of reach while it is `down`."""

    def __init__(self, inner: Destination) -> None:
        super().__init__(inner)
        self.down = True

    def _meet_fate(self, method: str) -> None:
        if self.down:
            raise DestinationUnavailable(
                f"{self.label} is unavailable: no route ({method}).", hint="Look at the cable."
            )
