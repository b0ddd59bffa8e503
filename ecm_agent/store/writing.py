"""Records → rows: the statements that write one table, with what a record lacks filled in and what it holds exactly."""

from __future__ import annotations

import struct
import uuid
from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from msgspec import UNSET

from ecm_agent.errors import ArchiveInvalid
from ecm_agent.model.records import Chunk, Edge
from ecm_agent.store.cells import BrokenText, SqlValue, from_cell
from ecm_agent.store.schema import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ecm_agent.model.manifest import Manifest
    from ecm_agent.model.records import Batch
    from ecm_agent.store.schema import Field, Table

Statement: TypeAlias = tuple[str, list[tuple[SqlValue, ...]]]
"""An INSERT and the rows it is for."""


class RowWriter:
    """Turns records of one kind into INSERTs for a table with the given columns."""

    def __init__(self, table: Table, columns: Sequence[str], manifest: Manifest) -> None:
        self._table = table
        self._columns = set(columns)
        self._manifest = manifest
        self._written = 0
        self.no_place: Counter[str] = Counter()
        """Values that are not NULL and that the table has no column for, by `table.column`."""

    def statements(self, batch: Batch) -> Iterator[Statement]:
        """Give the INSERTs for a batch, in the order of its records."""
        if all(record.columns is UNSET for record in batch) and (columns := self._by_column(batch)):
            yield self._insert(tuple(columns)), list(zip(*columns.values(), strict=True))
        else:
            for number, record in enumerate(batch):
                row = self._row(record, self._written + number)
                yield self._insert(tuple(row), broken=_broken(row)), [tuple(row.values())]
        self._written += len(batch)

    def _by_column(self, batch: Batch) -> dict[str, Sequence[SqlValue]] | None:
        """Turn a batch over by column; `None` when its records are not all alike."""
        given: list[tuple[Field, Sequence[Any]]] = []
        for field in self._fields():
            values: Sequence[Any] = list(map(attrgetter(field.attribute), batch))
            missing = values.count(UNSET)
            if 0 < missing < len(values):
                return None
            if missing:
                values = [self._fill(field, record, self._written + i) for i, record in enumerate(batch)]
            if values[0] is not UNSET:
                given.append((field, values))
        columns: dict[str, Sequence[SqlValue]] = {}
        for field, values in given:
            self._place(columns, field.column, _sql_column(field, values))
        return columns

    def _fill(self, field: Field, record: Any, number: int) -> Any:  # noqa: ANN401 (a value of the field, or UNSET)
        """Make up what the archive does not say and the table must have; `UNSET` leaves it to the column's default."""
        fill = _FILLS.get((type(record), field.attribute)) if field.column in self._columns else None
        return fill(record, self._manifest, number) if fill else UNSET

    def _row(self, record: Any, number: int) -> dict[str, SqlValue]:  # noqa: ANN401 (a record of the table's kind)
        row: dict[str, Any] = {}
        for field in self._fields():
            value = getattr(record, field.attribute)
            if value is UNSET:
                value = self._fill(field, record, number)
            if value is not UNSET:
                row[field.column] = _sql_column(field, [value])[0]
        if record.columns is not UNSET:
            row |= {column: from_cell(cell) for column, cell in record.columns.items()}
        placed: dict[str, Sequence[SqlValue]] = {}
        for column, value in row.items():
            self._place(placed, column, [value])
        return {column: values[0] for column, values in placed.items()}

    def _fields(self) -> Iterator[Field]:
        return (field for field in self._table.fields if not field.derived)

    def _place(self, columns: dict[str, Sequence[SqlValue]], column: str, values: Sequence[SqlValue]) -> None:
        if column in self._columns:
            columns[column] = values
        elif lost := len(values) - values.count(None):
            self.no_place[f"{self._table.name}.{column}"] += lost

    def _insert(self, columns: tuple[str, ...], broken: frozenset[str] = frozenset()) -> str:
        names = ", ".join(quoted(column) for column in columns)
        # sqlite3 binds only valid UTF-8 as TEXT; bytes cast to TEXT arrive as they are.
        places = ", ".join("CAST(? AS TEXT)" if column in broken else "?" for column in columns)
        return f"INSERT INTO {quoted(self._table.name)} ({names}) VALUES ({places})"  # noqa: S608 (names are quoted)


def quoted(identifier: str) -> str:
    """Make any name a SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def _broken(row: dict[str, SqlValue]) -> frozenset[str]:
    return frozenset(column for column, value in row.items() if isinstance(value, BrokenText))


def _sql_column(field: Field, values: Sequence[Any]) -> Sequence[SqlValue]:
    if field.kind is Kind.JSON:
        return [None if value is None else msgspec.json.encode(value).decode() for value in values]
    if field.kind is Kind.BLOB:
        return [_float32(value) if isinstance(value, list) else value for value in values]
    return values


def _float32(numbers: list[float]) -> bytes:
    try:
        return struct.pack(f"<{len(numbers)}f", *numbers)
    except OverflowError:
        raise ArchiveInvalid("Invalid archive format: a vector holds a number beyond 32-bit floats.") from None


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
