"""Records: one row of memory each, as typed structs whose JSON form is the archive's (camelCase keys).

A field is `UNSET` when the store it came from has no such column, which is not the same as `None` (SQL NULL): a
missing column takes its default on restore, a NULL stays NULL.

`columns` keeps what the plain fields cannot say: values of a type SQLite allowed but the field does not (bytes that
are not UTF-8, infinity, text in a number's place), and columns this program has never heard of. Its keys are SQL
column names; on restore they win over the plain reading.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from msgspec import UNSET, Struct, UnsetType


class Exact(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A SQLite value that JSON has no word for; exactly one field is set.

    `blob`: a BLOB. `text`: the bytes of a TEXT that is not valid UTF-8. `real`: "inf" or "-inf".
    Bytes are base64 in JSON.
    """

    blob: bytes | UnsetType = UNSET
    text: bytes | UnsetType = UNSET
    real: str | UnsetType = UNSET


Cell: TypeAlias = int | float | str | Exact | None
"""Any value one SQLite column can hold, exactly."""

Columns: TypeAlias = dict[str, Cell]
Embedding: TypeAlias = bytes | list[float]
"""Little-endian float32 numbers (base64 in JSON); archives of other programs give an array of numbers."""

VectorClockData: TypeAlias = dict[str, int]
"""Agent id → tick."""


class Record(Struct, kw_only=True, rename="camel", gc=False):
    """What every kind of record shares; `gc=False`, as none ever is in a cycle."""

    section: ClassVar[str]
    columns: Columns | UnsetType = UNSET
    row_number: int | UnsetType = UNSET
    """SQLite's own number of the row, where no column gives it and it is not one more than that of the row before."""


class Chunk(Record, rename="camel", gc=False):
    """A stretch of conversation. Times are ISO 8601 text, as the memory program wrote them."""

    section = "chunks"
    id: str
    session_slug: str
    content: str
    start_time: str
    end_time: str
    turn_indices: list[int]
    vector_clock: VectorClockData | UnsetType | None = UNSET
    session_id: str | UnsetType = UNSET
    project_path: str | UnsetType | None = UNSET
    agent_id: str | UnsetType | None = UNSET
    team_name: str | UnsetType | None = UNSET
    spawn_depth: int | UnsetType | None = UNSET
    code_block_count: int | UnsetType | None = UNSET
    tool_use_count: int | UnsetType | None = UNSET
    approx_tokens: int | UnsetType | None = UNSET
    created_at: str | UnsetType | None = UNSET


class Edge(Record, rename="camel", gc=False):
    """A causal link from one chunk to another, by chunk id."""

    section = "edges"
    source: str
    target: str
    type: str
    reference_type: str | None
    weight: float
    vector_clock: VectorClockData | UnsetType | None = UNSET
    id: str | UnsetType = UNSET
    link_count: int | UnsetType | None = UNSET
    created_at: str | UnsetType = UNSET


class Cluster(Record, rename="camel", gc=False):
    """A topic. `member_chunk_ids` is the plain reading of its memberships, for readers that know only clusters."""

    section = "clusters"
    id: str
    name: str | None
    description: str | None
    member_chunk_ids: list[str] = []
    centroid: Embedding | UnsetType | None = UNSET
    exemplar_ids: list[str] | UnsetType | None = UNSET
    membership_hash: str | UnsetType | None = UNSET
    created_at: str | UnsetType | None = UNSET
    refreshed_at: str | UnsetType | None = UNSET


class Membership(Record, rename="camel", gc=False):
    """A chunk's place in a cluster; `distance` is angular, from the centroid, in [0, 1]."""

    section = "memberships"
    chunk_id: str
    cluster_id: str
    distance: float


class VectorClock(Record, rename="camel", gc=False):
    """What a project or an agent has seen."""

    section = "vectorClocks"
    id: str
    project_slug: str
    clock: VectorClockData
    updated_at: str | UnsetType | None = UNSET


class Vector(Record, rename="camel", gc=False):
    """The embedding of a chunk. A vector may outlive its chunk."""

    section = "vectors"
    chunk_id: str
    embedding: Embedding
    orphaned_at: str | UnsetType | None = UNSET
    last_accessed: str | UnsetType | None = UNSET
    model_id: str | UnsetType | None = UNSET


class TableRow(Record, rename="camel", gc=False):
    """A row of any other table of the store: its values, in the order of the columns that the manifest's schema gives.

    It never has `columns`.
    """

    section = "rows"
    table: str
    values: list[Cell]


AnyRecord: TypeAlias = Chunk | Edge | Cluster | Membership | VectorClock | Vector | TableRow
RecordType: TypeAlias = (
    type[Chunk] | type[Edge] | type[Cluster] | type[Membership] | type[VectorClock] | type[Vector] | type[TableRow]
)

RECORD_TYPES: tuple[RecordType, ...] = (Chunk, Edge, Cluster, Membership, VectorClock, Vector, TableRow)
"""Every kind of record, in the order of an archive's sections."""

Batch: TypeAlias = (
    list[Chunk] | list[Edge] | list[Cluster] | list[Membership] | list[VectorClock] | list[Vector] | list[TableRow]
)
"""Some records of one kind, never empty; small enough to hold in memory."""
