"""Records → an archive that Causantic 0.10.2 imports: `causantic-archive` 1.1. FORMAT.md, section 8, says what is lost.

Its metadata stand before the records and say how many there are, so the store is read twice: once to count what can be
said, once to write it. Neither reading holds more than a few records at a time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeVar

import msgspec

from ecm_agent.archive.causantic_forms import Losses
from ecm_agent.archive.causantic_records import Translator
from ecm_agent.archive.compression import CompressedWriter
from ecm_agent.archive.container import CAUSANTIC_MAGIC, ByteSink, Data, Seal, SealedWriter
from ecm_agent.errors import EcmError
from ecm_agent.model.manifest import CAUSANTIC
from ecm_agent.model.records import Chunk, Cluster, Edge, Membership, Vector

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from ecm_agent.archive.layout import Member
    from ecm_agent.model.records import Batch, RecordType

VERSION = "1.1"
MAX_JSON_BYTES = 2**29 - 24
"""V8's longest string. Node 20 takes no more *bytes* of UTF-8 than this for one, Node 24 as many UTF-16 code units,
which are never more than the bytes (both measured)."""

_MEMBERS_AT_A_TIME = 1 << 14

_Kind = TypeVar("_Kind", Cluster, Membership)

ReadRecords: TypeAlias = "Callable[[Collection[RecordType]], Iterator[Batch]]"
"""Reads the records of some kinds from the start, in the order of `RECORD_TYPES`; each time the same ones."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the archive will say it holds. `dimensions`: how many numbers a vector has; `None` without vectors."""

    created: str
    counts: dict[str, int]
    dimensions: int | None
    projects: list[str]


def plan_causantic(created: str, read: ReadRecords) -> Plan:
    """Read a store through, and count what the format can say of it.

    Vectors have the length that most of them have; others are not counted.
    """
    translator = Translator(Losses())
    counts: Counter[str] = Counter()
    lengths: Counter[int] = Counter()
    projects = set()
    for batch in read((Chunk, Edge, Cluster, Vector)):
        for form in _forms(translator, batch):
            counts[batch[0].section] += 1
            if isinstance(batch[0], Chunk):
                projects.add(form.session_slug)
            elif isinstance(batch[0], Vector):
                lengths[len(form.embedding)] += 1
    dimensions = lengths.most_common(1)[0][0] if lengths else None
    counts[Vector.section] = lengths[dimensions] if dimensions else 0
    return Plan(created, dict(counts), dimensions, sorted(projects))


def write_causantic(file: BinaryIO, plan: Plan, read: ReadRecords, *, seal: Seal | None) -> Losses:
    """Write a whole archive into an open, empty, seekable file; `seal=None` leaves it unencrypted. Say what was lost.

    Raises `EcmError` when it would hold more JSON than Causantic can read, or the records do not match the plan; the
    file is then worthless and must not be published.
    """
    sealed = SealedWriter(file, seal, magic=CAUSANTIC_MAGIC) if seal else None
    compressed = CompressedWriter(sealed or file, "gzip")
    document = _Document(_Measured(compressed, MAX_JSON_BYTES), plan, read)
    document.write()
    compressed.finish()
    if sealed:
        sealed.finish()
    return document.losses


class _Measured:
    """A sink that takes so many bytes and no more."""

    def __init__(self, sink: ByteSink, limit: int) -> None:
        self._sink = sink
        self._room = limit

    def write(self, data: Data, /) -> None:
        self._room -= len(data)
        if self._room < 0:
            raise EcmError(
                "The archive would hold more than 512 MiB of JSON, which Causantic cannot read.",
                hint="Export in parts (--projects), or without vectors (--no-vectors). Nothing was written.",
            )
        self._sink.write(data)


class _Document:
    """One writing of a document, laid out as the memory program does: without white space, on one line."""

    def __init__(self, sink: ByteSink, plan: Plan, read: ReadRecords) -> None:
        self.losses = Losses()
        self._sink = sink
        self._plan = plan
        self._read = read
        self._translator = Translator(self.losses, plan.dimensions)
        self._encode = msgspec.json.Encoder().encode

    def write(self) -> None:
        head = {"format": CAUSANTIC, "version": VERSION, "created": self._plan.created, "metadata": self._metadata()}
        self._sink.write(self._encode(head)[:-1])
        self._section(Chunk, self._translated(Chunk))
        self._section(Edge, self._translated(Edge))
        self._section(Cluster, self._clusters())
        self._section(Vector, self._translated(Vector))
        self._sink.write(b"}")

    def _metadata(self) -> dict[str, object]:
        counts = self._plan.counts
        return {
            "version": VERSION,
            "created": self._plan.created,
            "chunkCount": counts.get(Chunk.section, 0),
            "edgeCount": counts.get(Edge.section, 0),
            "clusterCount": counts.get(Cluster.section, 0),
            "vectorCount": counts.get(Vector.section, 0),
            "embeddingDimensions": self._plan.dimensions,
            "projects": self._plan.projects,
        }

    def _section(self, kind: RecordType, batches: Iterator[list[Any]]) -> None:
        written = 0
        self._sink.write(b',"%s":[' % kind.section.encode())
        for forms in filter(None, batches):
            self._sink.write(b"," * bool(written) + self._encode(forms)[1:-1])
            written += len(forms)
        self._sink.write(b"]")
        announced = self._plan.counts.get(kind.section, 0)
        if written != announced:
            raise EcmError(f"The store gave {written} {kind.section}, but had counted {announced}.")

    def _translated(self, kind: RecordType) -> Iterator[list[Any]]:
        return (_forms(self._translator, batch) for batch in self._read((kind,)))

    def _clusters(self) -> Iterator[list[Any]]:
        """Give clusters with their members: some clusters at a time, for which all memberships are looked through."""
        first = True
        for clusters in self._handfuls():
            members = self._members({cluster.id: [] for cluster in clusters}, first=first)
            forms = [self._translator.cluster(cluster, members[cluster.id]) for cluster in clusters]
            yield [form for form in forms if form]
            first = False

    def _handfuls(self) -> Iterator[list[Cluster]]:
        taken: list[Cluster] = []
        members = 0
        for batch in self._read((Cluster,)):
            for cluster in _only(Cluster, batch):
                taken.append(cluster)
                members += len(cluster.member_chunk_ids)
                if members >= _MEMBERS_AT_A_TIME:
                    yield taken
                    taken, members = [], 0
        if taken:
            yield taken

    def _members(self, members: dict[str, list[Member]], *, first: bool) -> dict[str, list[Member]]:
        """Fill in the members of these clusters."""
        for batch in self._read((Membership,)):
            for record in _only(Membership, batch):
                cluster = members.get(record.cluster_id)
                if cluster is not None and (member := self._translator.member(record)):
                    cluster.append(member)
                elif cluster is None and first and "cluster_id" in (record.columns or {}):
                    self._translator.member(record)  # its cluster may be nowhere, but it is to be named
        return members


def _forms(translator: Translator, batch: Batch) -> list[Any]:
    """Give what the format says of these records."""
    translate: dict[type, Callable[[Any], object]] = {
        Chunk: translator.chunk,
        Edge: translator.edge,
        Cluster: lambda cluster: translator.cluster(cluster, []),
        Vector: translator.vector,
    }
    return [form for record in batch if (form := translate[type(record)](record))]


def _only(kind: type[_Kind], batch: Batch) -> Iterator[_Kind]:
    return (record for record in batch if isinstance(record, kind))
