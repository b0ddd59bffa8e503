"""Rows → records. A batch of regular rows is turned over column by column; a batch with an odd one, row by row."""

from __future__ import annotations

import math
from itertools import repeat
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeAlias, get_origin

import msgspec
from msgspec import UNSET

from ecm_agent.store.base import Oddity
from ecm_agent.store.cells import BrokenText, SqlValue, describe, to_cell
from ecm_agent.store.schema import TABLES, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ecm_agent.model.records import Batch, Columns
    from ecm_agent.store.schema import Field, Table

Row: TypeAlias = tuple[SqlValue, ...]

_TYPES = {Kind.TEXT: str, Kind.INTEGER: int, Kind.REAL: float, Kind.BLOB: bytes, Kind.JSON: str}
_BLANK = {Kind.TEXT: "", Kind.INTEGER: 0, Kind.REAL: 0.0, Kind.BLOB: b""}
_ENCODER = msgspec.json.Encoder()
_LINES = {
    field.json_type: msgspec.json.Decoder(field.json_type)
    for table in TABLES
    for field in table.fields
    if field.kind is Kind.JSON
}
_LARGEST = 1.7976931348623157e308


class _Irregular(Exception):
    """A value is not of the kind its field promises, or not in the form the archive would give back."""


class RowReader:
    """Turns the rows of one table into records; `selected` names the columns each row must have, in order."""

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        """Take the columns the store has (`columns`); some may be unknown, some of ours missing."""
        known = {field.column for field in table.fields}
        self._table = table
        self._fields = [field for field in table.fields if field.derived or field.column in columns]
        self._unknown = [column for column in columns if column not in known]
        # A record says NULL where it cannot say that the column is missing.
        required = {field.name for field in msgspec.structs.fields(table.record) if field.required}
        missing = [field.attribute for field in table.fields if field not in self._fields]
        self._absent: dict[str, None] = dict.fromkeys(name for name in missing if name in required)
        self.selected = [field.column for field in self._fields] + self._unknown

    def read(self, rows: Sequence[Row]) -> tuple[Batch, list[Oddity]]:
        """Give a record for each row, and an oddity for each odd row.

        `rows` is not empty; what a row has after the `selected` columns does not matter.
        """
        if not self._unknown:
            try:
                return self._by_column(rows), []
            except _Irregular:
                pass
        return self._by_row(rows)

    def _by_column(self, rows: Sequence[Row]) -> Batch:
        taken = zip(*rows, strict=True)
        present: dict[str, Iterable[Any]] = {name: repeat(None) for name in self._absent}
        present |= {field.attribute: _regular(field, next(taken)) for field in self._fields}
        columns = (present.get(field.attribute, repeat(UNSET)) for field in self._table.fields)
        record: Any = self._table.record
        return list(map(record, *columns))

    def _by_row(self, rows: Iterable[Row]) -> tuple[Batch, list[Oddity]]:
        oddities: list[Oddity] = []
        batch: Any = [self._record(row, oddities) for row in rows]
        return batch, oddities

    def _record(self, row: Row, oddities: list[Oddity]) -> Any:  # noqa: ANN401 (a record of the table's kind)
        values: dict[str, Any] = dict(self._absent)
        found: list[str] = []
        exact: Columns = {}
        for field, value in zip(self._fields, row, strict=False):
            try:
                values[field.attribute] = _regular(field, (value,))[0]
            except _Irregular:
                values[field.attribute] = _nearest(field, value)
                if not field.derived:
                    exact[field.column] = to_cell(value)
                    found.append(f"{field.column} is {describe(value)}")
        if found:
            oddities.append(Oddity(self._table.name, row_name(row[self._key]), f"{', '.join(found)}; kept exactly"))
        unknown = row[len(self._fields) : len(self.selected)]
        exact |= zip(self._unknown, map(to_cell, unknown), strict=True)
        return self._table.record(**values, columns=exact or UNSET)

    @property
    def _key(self) -> int:
        return self.selected.index(self._table.key(self.selected))


def _regular(field: Field, values: Sequence[SqlValue]) -> Sequence[Any]:
    """Give the plain readings of a column when they say exactly what it holds; raise `_Irregular` otherwise."""
    kinds = set(map(type, values))
    if field.nullable:
        kinds.discard(NoneType)
    if not kinds <= {_TYPES[field.kind]}:
        raise _Irregular
    if field.kind is Kind.REAL and not all(map(math.isfinite, filter(None, values))):  # type: ignore[arg-type] # floats
        raise _Irregular
    return _parsed(field, values) if field.kind is Kind.JSON else values


def _parsed(field: Field, values: Sequence[Any]) -> Sequence[Any]:
    """Parse JSON texts that read back to the very same texts: of any other only the text itself is exact.

    All of them at once, a line each: no line feed stands in JSON as it is written here, so texts that hold one, or that
    are JSON only together, do not come back as they were.
    """
    texts = [text for text in values if text is not None]
    joined = "\n".join(texts)
    try:
        parsed = _LINES[field.json_type].decode_lines(joined) if texts else []
    except (msgspec.DecodeError, RecursionError):
        raise _Irregular from None
    if not field.derived and _ENCODER.encode_lines(parsed)[:-1] != joined.encode():
        raise _Irregular
    if len(parsed) != len(texts):
        raise _Irregular
    given = iter(parsed)
    return parsed if len(texts) == len(values) else [None if text is None else next(given) for text in values]


def _nearest(field: Field, value: SqlValue) -> Any:  # noqa: ANN401 (a value of the field's kind)
    """Give a plain reading for readers that know no better; the exact value is kept beside it."""
    if field.kind is Kind.JSON:
        return _parsed_or_empty(field, value)
    if field.kind is Kind.TEXT and value is not None:
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    if field.kind is Kind.REAL and isinstance(value, float):
        return math.copysign(_LARGEST, value)
    return None if field.nullable else _BLANK[field.kind]


def _parsed_or_empty(field: Field, value: SqlValue) -> Any:  # noqa: ANN401 (a value of the field's JSON type)
    text: Any = value.decode(errors="replace") if isinstance(value, bytes) else value
    try:
        return msgspec.json.decode(text, type=field.json_type)
    except (TypeError, msgspec.DecodeError, RecursionError):
        return None if field.nullable else get_origin(field.json_type)()


def row_name(key: SqlValue) -> str:
    """Make a row's id printable, whatever it is."""
    return key.decode(errors="replace") if isinstance(key, BrokenText) else str(key)
