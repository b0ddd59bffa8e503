"""What `causantic-archive` 1.1 has keys for, and what becomes of values that it cannot say.

Keys, their order and their types are those of archives that Causantic 0.10.2 wrote.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from ecm_agent.archive.layout import Member
from ecm_agent.model.records import Chunk, Cluster, Edge, Membership, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ecm_agent.model.records import RecordType

EXAMPLES = 20
"""How many rows are named; all are counted."""

WEIGHT, LINKS, DISTANCE = 1.0, 1, 1.0
"""What stands for an unsayable weight (as in Causantic's own exports), number of links, and distance (the largest)."""

LEFT_OUT = "left out"


class CausanticChunk(Struct, rename="camel"):
    """A chunk in the other format."""

    id: str
    session_id: str
    session_slug: str
    project_path: str | None
    content: str
    start_time: str
    end_time: str
    turn_indices: list[int]


class CausanticEdge(Struct, rename="camel"):
    """An edge in the other format."""

    id: str
    source: str
    target: str
    type: str
    reference_type: str | None
    weight: float
    link_count: int


class CausanticCluster(Struct, rename="camel"):
    """A cluster in the other format."""

    id: str
    name: str | None
    description: str | None
    centroid: list[float] | None
    exemplar_ids: list[str] | None
    membership_hash: str | None
    members: list[Member]


class CausanticVector(Struct, rename="camel"):
    """A vector in the other format."""

    chunk_id: str
    embedding: list[float]


class Loss(Struct, frozen=True):
    """A row that is not in the archive, or not as it was."""

    table: str
    row: str
    """Its id."""
    found: str
    """What was wrong with it and what became of it; never a value."""


class Losses:
    """What the other format could not say."""

    def __init__(self) -> None:
        self.rows = 0
        """Rows left out or changed, because of values that their columns should not hold."""
        self.examples: list[Loss] = []
        self.not_written: Counter[str] = Counter()
        """Values that are not NULL in columns for which the format has no key, by `table.column`."""

    def note(self, table: str, row: str, found: Sequence[str]) -> None:
        """Take down what was wrong with one row; nothing is wrong where `found` is empty."""
        if found:
            self.rows += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append(Loss(table, row, ", ".join(found)))


class Place(NamedTuple):
    """The table that records of a kind come from, and what the format makes of its columns."""

    table: str
    key: str
    """The attribute that names a record in messages."""
    names: frozenset[str]
    """Columns that name a record: where one cannot be said the record is left out, and so is all that refers to it."""
    fates: dict[str, str]
    """Other columns that the format has a key for, and what becomes of a value that such a column should not hold."""
    unsaid: tuple[str, ...] = ()
    """Columns of the store, and attributes of the record, that the format has no key for."""


_TEXT = "written as the nearest text"
_CHUNK_TEXTS = ("session_id", "session_slug", "project_path", "content", "start_time", "end_time")
_COUNTERS = ("spawn_depth", "code_block_count", "tool_use_count", "approx_tokens")

PLACES: dict[RecordType, Place] = {
    Chunk: Place(
        "chunks",
        "id",
        frozenset({"id"}),
        dict.fromkeys(_CHUNK_TEXTS, _TEXT) | {"turn_indices": "written as []"},
        ("vector_clock", "agent_id", "team_name", *_COUNTERS, "created_at"),
    ),
    Edge: Place(
        "edges",
        "id",
        frozenset({"source_chunk_id", "target_chunk_id"}),
        {
            "id": "given another",
            "edge_type": _TEXT,
            "reference_type": _TEXT,
            "initial_weight": f"written as {WEIGHT}",
            "link_count": f"written as {LINKS}",
        },
        ("vector_clock", "created_at"),
    ),
    Cluster: Place(
        "clusters",
        "id",
        frozenset({"id"}),
        dict.fromkeys(("name", "description", "membership_hash"), _TEXT)
        | dict.fromkeys(("centroid", "exemplar_ids"), "written as null"),
        ("created_at", "refreshed_at"),
    ),
    Membership: Place(
        "chunk_clusters",
        "chunk_id",
        frozenset({"chunk_id", "cluster_id"}),
        {"distance": f"written as {DISTANCE}"},
    ),
    Vector: Place(
        "vectors",
        "chunk_id",
        frozenset({"id"}),
        {"embedding": LEFT_OUT},
        ("orphaned_at", "last_accessed", "model_id"),
    ),
}
