"""Records → rows: what a table is to hold, with what a record lacks filled in and what it holds exactly."""

from __future__ import annotations

import struct
import uuid
from collections import Counter
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import UNSET

from ecm_agent.errors import ArchiveInvalid
from ecm_agent.model.records import Chunk, Edge, Vector
from ecm_agent.store.cells import SqlValue, from_cell
from ecm_agent.store.row_numbers import RowNumbers
from ecm_agent.store.schema import MEMBERSHIPS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ecm_agent.model.manifest import Manifest
    from ecm_agent.model.records import Batch
    from ecm_agent.store.row_numbers import Numbers
    from ecm_agent.store.schema import Field, Table


class Rows(NamedTuple):
    """Rows of one table that have the same columns; some of those columns may be made up, not said by the archive.

    `numbers` are SQLite's own of these rows; `None` where the archive does not say them, or the table has no place for
    them.
    """

    columns: tuple[str, ...]
    values: list[tuple[SqlValue, ...]]
    made_up: frozenset[str]
    numbers: Numbers | None = None

    def each(self) -> Iterator[tuple[tuple[SqlValue, ...], int | None]]:
        """Give the rows, each with its number."""
        return zip(self.values, self.numbers or repeat(None), strict=False)

    def numbered(self, name: str) -> Rows:
        """Give the rows with their numbers as values of a last column, where SQLite would give them others."""
        if not isinstance(self.numbers, list):
            return self
        values = [(*row, number) for row, number in zip(self.values, self.numbers, strict=True)]
        return self._replace(columns=(*self.columns, name), values=values)


class RowWriter:
    """Turns records of one kind into rows for a table with the given columns."""

    def __init__(self, table: Table, columns: Sequence[str], manifest: Manifest, *, numbered: bool = False) -> None:
        """`numbered` says whether the table's rows have numbers that no column gives."""
        self._table = table
        # The formats of the memory programs have no word for row numbers.
        self._numbers = RowNumbers(table.name) if numbered and not manifest.original else None
        self._columns = set(columns)
        self._manifest = manifest
        self._written = 0
        # Memberships may have been read off an archive's clusters, which say nothing of distances.
        unsaid = table is MEMBERSHIPS and not manifest.gives_distances
        self._made_up = frozenset({"distance"} if unsaid else ())
        self.no_place: Counter[str] = Counter()
        """Values that are not NULL and that the table has no column for, by `table.column`."""

    def rows(self, batch: Batch) -> Iterator[Rows]:
        """Give the rows of a batch, in the order of its records."""
        numbers = self._numbers.of(batch) if self._numbers else None
        if all(record.columns is UNSET for record in batch) and (rows := self._by_column(batch)):
            yield rows._replace(numbers=numbers)
        else:
            for place, record in enumerate(batch):
                row = self._row(record, self._written + place)
                yield row._replace(numbers=numbers and numbers[place : place + 1])
        self._written += len(batch)

    def _by_column(self, batch: Batch) -> Rows | None:
        """Turn a batch over by column; `None` when its records are not all alike."""
        made_up = set(self._made_up)
        given: list[tuple[Field, Sequence[Any]]] = []
        for field in self._fields():
            values: Sequence[Any] = list(map(attrgetter(field.attribute), batch))
            missing = values.count(UNSET)
            if 0 < missing < len(values):
                return None
            if missing:
                values = [self._fill(field, record, self._written + i) for i, record in enumerate(batch)]
                made_up.add(field.column)
            if values[0] is not UNSET:
                given.append((field, values))
        columns: dict[str, Sequence[SqlValue]] = {}
        for field, values in given:
            self._place(columns, field.column, _sql_column(field, values, batch))
        return Rows(tuple(columns), list(zip(*columns.values(), strict=True)), frozenset(made_up))

    def _fill(self, field: Field, record: Any, number: int) -> Any:  # noqa: ANN401 (a value of the field, or UNSET)
        """Make up what the archive does not say and the table must have; `UNSET` leaves it to the column's default."""
        fill = _FILLS.get((type(record), field.attribute)) if field.column in self._columns else None
        return fill(record, self._manifest, number) if fill else UNSET

    def _row(self, record: Any, number: int) -> Rows:  # noqa: ANN401 (a record of the table's kind)
        made_up = set(self._made_up)
        row: dict[str, Any] = {}
        for field in self._fields():
            value = getattr(record, field.attribute)
            if value is UNSET:
                value = self._fill(field, record, number)
                made_up.add(field.column)
            if value is not UNSET:
                row[field.column] = _sql_column(field, [value], [record])[0]
        if record.columns is not UNSET:
            row |= {column: from_cell(cell) for column, cell in record.columns.items()}
            made_up -= set(record.columns)
        placed: dict[str, Sequence[SqlValue]] = {}
        for column, value in row.items():
            self._place(placed, column, [value])
        return Rows(tuple(placed), list(zip(*placed.values(), strict=True)), frozenset(made_up))

    def _fields(self) -> Iterator[Field]:
        return (field for field in self._table.fields if not field.derived)

    def _place(self, columns: dict[str, Sequence[SqlValue]], column: str, values: Sequence[SqlValue]) -> None:
        if column in self._columns:
            columns[column] = values
        elif lost := len(values) - values.count(None):
            self.no_place[f"{self._table.name}.{column}"] += lost


def _sql_column(field: Field, values: Sequence[Any], records: Sequence[Any]) -> Sequence[SqlValue]:
    if field.kind is Kind.JSON:
        return [None if value is None else msgspec.json.encode(value).decode() for value in values]
    if field.kind is Kind.BLOB:
        pairs = zip(values, records, strict=True)
        return [_float32(value, record) if isinstance(value, list) else value for value, record in pairs]
    return values


def _float32(numbers: list[float], record: Any) -> bytes:  # noqa: ANN401 (a Vector or a Cluster)
    try:
        return struct.pack(f"<{len(numbers)}f", *numbers)
    except OverflowError:
        name = record.chunk_id if isinstance(record, Vector) else record.id
        raise ArchiveInvalid(
            f"Invalid archive format: {record.section} {name!r} has a number beyond 32-bit floats."
        ) from None


def _session_of(chunk: Any, _manifest: Manifest, _number: int) -> str:  # noqa: ANN401 (a Chunk)
    """Chunk ids of the memory program are `<session id>-chunk-<n>`; any other id names its own session."""
    return str(chunk.id.rpartition("-chunk-")[0] or chunk.id)


def _edge_id(edge: Any, _manifest: Manifest, number: int) -> str:  # noqa: ANN401 (an Edge)
    """Name an edge by what it says and where it stands: importing an archive twice gives the same ids."""
    says = "\0".join((edge.source, edge.target, edge.type, edge.reference_type or "", str(number)))
    return str(uuid.uuid5(uuid.NAMESPACE_OID, says))


def _archive_time(_record: Any, manifest: Manifest, _number: int) -> str:  # noqa: ANN401 (any record)
    return manifest.created


_FILLS: dict[tuple[type, str], Callable[[Any, Manifest, int], SqlValue]] = {
    (Chunk, "session_id"): _session_of,
    (Edge, "id"): _edge_id,
    (Edge, "created_at"): _archive_time,
}
"""Columns that may not be NULL and that archives of the original program do not carry."""
