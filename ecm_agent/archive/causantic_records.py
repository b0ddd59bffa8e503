"""Records → what `causantic-archive` 1.1 says of them, and what it cannot say.

A column it has no key for is counted where it holds something. A value it has no word for (half a character, an
infinity, NULL where text must be) goes out as the nearest that it can say, or takes its record with it, which is then
named: FORMAT.md, section 8, has the list.
"""

from __future__ import annotations

import sys
import uuid
from array import array
from math import isfinite
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from ecm_agent.archive.causantic_forms import (
    DISTANCE,
    LEFT_OUT,
    LINKS,
    PLACES,
    WEIGHT,
    CausanticChunk,
    CausanticCluster,
    CausanticEdge,
    CausanticVector,
    Losses,
)
from ecm_agent.archive.layout import Member
from ecm_agent.model.records import Chunk, Cluster, Edge, Exact, Membership, Vector

if TYPE_CHECKING:
    from msgspec import UnsetType

    from ecm_agent.model.records import AnyRecord, Cell, Columns, Embedding

_FLOAT32_BYTES = 4
_LISTS: dict[str, Any] = {"turn_indices": list[int], "exemplar_ids": list[str]}


class Translator:
    """Gives records as the other format has them; `None` for one that it cannot have. What was lost is taken down.

    Every vector and every centroid must have as many numbers as `dimensions` says, where it says so.
    """

    def __init__(self, losses: Losses, dimensions: int | None = None) -> None:
        self._losses = losses
        self._dimensions = dimensions
        self._edges = 0

    def chunk(self, record: Chunk) -> CausanticChunk | None:
        odd = self._odd(record)
        if not self._noted(record, odd):
            return None
        return CausanticChunk(
            id=record.id,
            session_id=_said(record.session_id) or "",
            session_slug=record.session_slug,
            project_path=_said(record.project_path),
            content=record.content,
            start_time=record.start_time,
            end_time=record.end_time,
            turn_indices=record.turn_indices,
        )

    def edge(self, record: Edge) -> CausanticEdge | None:
        odd = self._odd(record)
        self._edges += 1
        if record.id is UNSET:
            odd["id"] = "missing"
        if not self._noted(record, odd):
            return None
        return CausanticEdge(
            id=self._edge_id(record) if "id" in odd else str(record.id),
            source=record.source,
            target=record.target,
            type=record.type,
            reference_type=record.reference_type,
            weight=WEIGHT if "initial_weight" in odd else record.weight,
            link_count=LINKS if "link_count" in odd else _said(record.link_count) or LINKS,
        )

    def cluster(self, record: Cluster, members: list[Member]) -> CausanticCluster | None:
        odd = self._odd(record)
        centroid = self._numbers("centroid", record.centroid, odd)
        if not self._noted(record, odd):
            return None
        return CausanticCluster(
            id=record.id,
            name=record.name,
            description=record.description,
            centroid=centroid,
            exemplar_ids=_said(record.exemplar_ids),
            membership_hash=_said(record.membership_hash),
            members=members,
        )

    def member(self, record: Membership) -> Member | None:
        odd = self._odd(record)
        if not self._noted(record, odd):
            return None
        return Member(record.chunk_id, DISTANCE if "distance" in odd else record.distance)

    def vector(self, record: Vector) -> CausanticVector | None:
        odd = self._odd(record)
        numbers = self._numbers("embedding", record.embedding, odd)
        return CausanticVector(record.chunk_id, numbers) if self._noted(record, odd) and numbers else None

    def _odd(self, record: AnyRecord) -> dict[str, str]:
        """Say of each column that the format has a key for, and that holds what it should not, what that is.

        Columns that it has no key for are counted.
        """
        place = PLACES[type(record)]
        cells: Columns = {} if record.columns is UNSET else record.columns
        for column in place.unsaid:
            if column not in cells and _said(getattr(record, column)) is not None:
                self._losses.not_written[f"{place.table}.{column}"] += 1
        odd = {}
        for column, cell in cells.items():
            if column in place.names or column in place.fates:
                if not _says_the_same(column, cell):
                    odd[column] = _described(cell)
            elif cell is not None:
                self._losses.not_written[f"{place.table}.{column}"] += 1
        return odd

    def _noted(self, record: AnyRecord, odd: dict[str, str]) -> bool:
        """Take down what was odd; whether the record can be in the archive all the same."""
        if not odd:
            return True
        place = PLACES[type(record)]
        fates = dict.fromkeys(place.names, LEFT_OUT) | place.fates
        found = [f"{column} is {what}; {fates[column]}" for column, what in odd.items()]
        self._losses.note(place.table, str(getattr(record, place.key)), found)
        return all(fates[column] != LEFT_OUT for column in odd)

    def _numbers(self, column: str, embedding: Embedding | UnsetType | None, odd: dict[str, str]) -> list[float] | None:
        """Give the numbers of an embedding; `None`, and a word on it in `odd`, where they are not as they should be."""
        if column in odd or embedding is UNSET or embedding is None:
            return None
        numbers = _unpacked(embedding)
        if len(numbers) != (self._dimensions or len(numbers)) or not numbers or not all(map(isfinite, numbers)):
            odd[column] = f"not {self._dimensions or 'some'} finite 32-bit floats"
            return None
        return numbers

    def _edge_id(self, edge: Edge) -> str:
        """Name an edge by what it says and where it stands: the same store gives the same ids."""
        says = "\0".join((edge.source, edge.target, edge.type, edge.reference_type or "", str(self._edges)))
        return str(uuid.uuid5(uuid.NAMESPACE_OID, says))


def _unpacked(embedding: Embedding) -> list[float]:
    """Give little-endian float32 numbers; none at all for bytes that are no whole number of them."""
    if isinstance(embedding, list):
        return embedding
    if len(embedding) % _FLOAT32_BYTES:
        return []
    numbers = array("f", embedding)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def _said(value: Any) -> Any:  # noqa: ANN401 (a value of any field)
    """Give a field's value, and `None` where the store has no such column."""
    return None if value is UNSET else value


def _says_the_same(column: str, cell: Cell) -> bool:
    """Whether the plain reading of an odd value says all of it: a list in another layout, a number in place of text."""
    if column in _LISTS and isinstance(cell, str):
        try:
            msgspec.json.decode(cell, type=_LISTS[column])
        except (msgspec.DecodeError, RecursionError):
            return False
        return True
    return isinstance(cell, int) and column.endswith("id")


def _described(cell: Cell) -> str:
    """Say what kind of value this is, without showing it: it is somebody's memory."""
    if isinstance(cell, Exact):
        if cell.real is not UNSET:
            return str(cell.real)
        return "a blob" if cell.text is UNSET else "text that is not UTF-8"
    kinds = {type(None): "NULL", int: "an integer", float: "a real number", str: "unexpected text"}
    return kinds[type(cell)]
