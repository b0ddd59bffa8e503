"""The memory's tables: how each column is called in a record.

Real stores are of many generations, with more or fewer columns than these; code that reads one asks it which it has.
`store/generations.py` has the schemas of empty ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import msgspec

from ecm_agent.model.records import (
    Chunk,
    Cluster,
    Edge,
    Membership,
    RecordType,
    Vector,
    VectorClock,
    VectorClockData,
)

if TYPE_CHECKING:
    from collections.abc import Collection


class Kind(Enum):
    """What a column is meant to hold."""

    TEXT = auto()
    INTEGER = auto()
    REAL = auto()
    BLOB = auto()
    JSON = auto()


@dataclass(frozen=True, slots=True)
class Field:
    """A column and the record attribute it becomes. `json_type` is what the JSON text of the column must be.

    A derived field has no column of its own: the query that reads the table works it out, and nothing writes it.
    """

    attribute: str
    column: str
    kind: Kind
    nullable: bool = True
    json_type: Any = None
    derived: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table and the kind of record its rows become. `fields` are in the order of the record's attributes."""

    name: str
    record: RecordType
    fields: tuple[Field, ...]
    required: bool = True
    row_number: str = "rowid"

    @property
    def section(self) -> str:
        """What the section of an archive is called that holds its records."""
        return self.record.section

    @property
    def essential(self) -> list[str]:
        """The columns no record of this kind can do without."""
        required = {field.name for field in msgspec.structs.fields(self.record) if field.required}
        return [field.column for field in self.fields if field.attribute in required and not field.nullable]

    @property
    def json_columns(self) -> frozenset[str]:
        """The columns that hold JSON."""
        return frozenset(field.column for field in self.fields if field.kind is Kind.JSON)

    def key(self, columns: Collection[str]) -> str:
        """Choose, of the columns there are, the one that names a row in messages."""
        return "id" if "id" in columns else self.fields[0].column


def _text(attribute: str, column: str = "", *, nullable: bool = False) -> Field:
    return Field(attribute, column or attribute, Kind.TEXT, nullable)


def _integer(attribute: str) -> Field:
    return Field(attribute, attribute, Kind.INTEGER)


def _json(attribute: str, json_type: Any, column: str = "", *, nullable: bool = True) -> Field:  # noqa: ANN401 (a type)
    return Field(attribute, column or attribute, Kind.JSON, nullable, json_type)


CHUNKS = Table(
    "chunks",
    Chunk,
    (
        _text("id"),
        _text("session_slug"),
        _text("content"),
        _text("start_time"),
        _text("end_time"),
        _json("turn_indices", list[int], nullable=False),
        _json("vector_clock", VectorClockData),
        _text("session_id"),
        _text("project_path", nullable=True),
        _text("agent_id", nullable=True),
        _text("team_name", nullable=True),
        _integer("spawn_depth"),
        _integer("code_block_count"),
        _integer("tool_use_count"),
        _integer("approx_tokens"),
        _text("created_at", nullable=True),
    ),
)
EDGES = Table(
    "edges",
    Edge,
    (
        _text("source", "source_chunk_id"),
        _text("target", "target_chunk_id"),
        _text("type", "edge_type"),
        _text("reference_type", nullable=True),
        Field("weight", "initial_weight", Kind.REAL, nullable=False),
        _json("vector_clock", VectorClockData),
        _text("id"),
        _integer("link_count"),
        _text("created_at"),
    ),
)
CLUSTERS = Table(
    "clusters",
    Cluster,
    (
        _text("id"),
        _text("name", nullable=True),
        _text("description", nullable=True),
        Field("member_chunk_ids", "member_chunk_ids", Kind.JSON, nullable=False, json_type=list[str], derived=True),
        Field("centroid", "centroid", Kind.BLOB),
        _json("exemplar_ids", list[str]),
        _text("membership_hash", nullable=True),
        _text("created_at", nullable=True),
        _text("refreshed_at", nullable=True),
    ),
)
MEMBERSHIPS = Table(
    "chunk_clusters",
    Membership,
    (_text("chunk_id"), _text("cluster_id"), Field("distance", "distance", Kind.REAL, nullable=False)),
)
VECTOR_CLOCKS = Table(
    "vector_clocks",
    VectorClock,
    (
        _text("id"),
        _text("project_slug"),
        _json("clock", VectorClockData, "clock_data", nullable=False),
        _text("updated_at", nullable=True),
    ),
    required=False,
)
VECTORS = Table(
    "vectors",
    Vector,
    (
        _text("chunk_id", "id"),
        Field("embedding", "embedding", Kind.BLOB, nullable=False),
        _text("orphaned_at", nullable=True),
        _text("last_accessed", nullable=True),
        _text("model_id", nullable=True),
    ),
    required=False,
)

TABLES = (CHUNKS, EDGES, CLUSTERS, MEMBERSHIPS, VECTOR_CLOCKS, VECTORS)
"""In the order of an archive's sections."""
