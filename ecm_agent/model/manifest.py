"""The manifest: what an archive says about itself, before its records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from msgspec import Struct

from ecm_agent.model.records import (
    RECORD_TYPES,
    Chunk,
    Cluster,
    Edge,
    Membership,
    RecordType,
    TableRow,
    Vector,
    VectorClock,
)
from ecm_agent.model.schema import Schema

FORMAT = "ecm-archive"
VERSION = "1.0"
CAUSANTIC = "causantic-archive"
"""The format of the memory program's later generations; 1.1 is its last version, and the one that is written."""

ArchiveFormat: TypeAlias = Literal["ecm", "causantic-1.1"]
"""What an export can write: an archive of this program's own, or one that Causantic imports and that says less."""

ECM_SCHEMA = 2
"""The version of the schema that was ECM's last; Causantic began with the next."""

READABLE = ((FORMAT, VERSION), (CAUSANTIC, "1.0"), (CAUSANTIC, "1.1"))
"""Every format and version that this program reads."""

Redaction: TypeAlias = Literal["paths", "code", "secrets"]
"""What can be taken out of texts before they are shared."""

_NOTHING = "without chunks"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of a store to export. `projects=None` means all of them; what `redact` names is taken out of texts.

    Without `vectors` an archive holds neither vectors nor centroids, from which texts can be guessed; without `orphans`
    no vectors whose chunk is gone. `exclude` names tables to leave out.
    With `dangling` it holds also what refers to rows that do not exist.
    """

    projects: tuple[str, ...] | None = None
    vectors: bool = True
    redact: tuple[Redaction, ...] = ()
    exclude: tuple[str, ...] = ()
    dangling: bool = False
    orphans: bool = True


class Manifest(Struct, kw_only=True, frozen=True, rename="camel", omit_defaults=True):
    """Counts, projects, and what is *not* in the archive. An absent count means the section is not announced.

    `schema` says what the store is made of, and which tables beyond those of ECM have rows in here.
    `left_out` maps each table that is not in this archive, though the store holds rows of it, to their number; those
    in `excluded` at the wish of whoever made it.
    `dangling` counts rows that were left behind because a row they refer to does not exist, by table; an archive
    `with_dangling` rows has such, as its store had.
    `selected_projects` is present when only some projects were exported.
    `redacted` names what was taken out of the texts, `redactions` how often; names of projects are pseudonyms when
    paths were.
    `source` tells a job's archives of different stores apart: 12 hexadecimal digits drawn from the store's path.
    `format` and `version` are those of the document.
    """

    version: str
    created: str
    format: str = FORMAT
    chunk_count: int
    edge_count: int
    cluster_count: int
    projects: list[str] = []
    membership_count: int | None = None
    vector_clock_count: int | None = None
    vector_count: int | None = None
    row_count: int | None = None
    schema: Schema | None = None
    schema_version: int | None = None
    generator: str | None = None
    source: str | None = None
    selected_projects: list[str] | None = None
    left_out: dict[str, int] = {}
    excluded: list[str] = []
    dangling: dict[str, int] = {}
    with_dangling: bool = False
    redacted: list[Redaction] = []
    redactions: dict[str, int] = {}

    def count(self, kind: RecordType) -> int | None:
        """How many records of a kind the archive announces; `None` where it announces none."""
        return {
            Chunk: self.chunk_count,
            Edge: self.edge_count,
            Cluster: self.cluster_count,
            Membership: self.membership_count,
            VectorClock: self.vector_clock_count,
            Vector: self.vector_count,
            TableRow: self.row_count,
        }[kind]

    def counts(self) -> dict[str, int]:
        """Give the announced counts by section."""
        return {kind.section: count for kind in RECORD_TYPES if (count := self.count(kind)) is not None}

    def rows(self) -> dict[str, int]:
        """Give the number of rows of each other table that are in here."""
        return {table.name: table.rows or 0 for table in self.schema.with_rows} if self.schema else {}

    @property
    def empty(self) -> bool:
        """Whether there is not one record in here."""
        return not any(self.counts().values())

    @property
    def kin(self) -> str:
        """What this is an archive *of*: archives of one kin can stand in for one another, others cannot."""
        projects = "all" if self.selected_projects is None else repr(sorted(self.selected_projects))
        redacted = f", without {' and '.join(sorted(self.redacted))}" if self.redacted else ""
        return f"store {self.source}, projects {projects}, {'with chunks' if self.chunk_count else _NOTHING}{redacted}"

    @property
    def later_generation(self) -> bool:
        """Whether the store it came from was Causantic's rather than ECM's; those are its later generations."""
        return self.format == CAUSANTIC or (self.schema_version or 0) > ECM_SCHEMA

    @property
    def original(self) -> bool:
        """Whether a memory program wrote the archive: none counts the memberships, this program always does.

        Such an archive may lack columns and ids that a store must have, and may refer to records it does not hold.
        """
        return self.membership_count is None

    @property
    def gives_distances(self) -> bool:
        """Whether the archive says how far a cluster's members are from its centre, or only which they are."""
        return not self.original or (self.format, self.version) == (CAUSANTIC, "1.1")

    @property
    def partial(self) -> bool:
        """Whether the store it came from held more than this archive does."""
        return self.selected_projects is not None or bool(self.left_out) or bool(self.redacted)


def is_of_nothing(kin: str) -> bool:
    """Whether an archive of this kin was made of a store in which nothing was remembered."""
    return f", {_NOTHING}" in kin


def timestamp(moment: datetime) -> str:
    """Give an aware time as RFC 3339 in UTC, to the millisecond, as archives have it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
