"""What the tests of the archive share: any memory hypothesis can think of, its documents, and how to read them."""

from __future__ import annotations

import io
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec.inspect
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from msgspec import UNSET
from vectors.memory import manifest

from ecm_agent.archive import container, lines, open_archive, tree, write_archive
from ecm_agent.model.records import RECORD_TYPES, Batch, Exact, TableRow
from ecm_agent.model.schema import Column, FullText, Schema, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecm_agent.archive import Archive
    from ecm_agent.model.manifest import Manifest
    from ecm_agent.secret import Secret

SLOW = [HealthCheck.too_slow]
"""To draw a whole memory takes its time on a busy machine, which is no defect."""

INTEGERS = st.sampled_from([-(2**63), -1, 0, 1, 2**53 + 1, 2**63 - 1]) | st.integers(-(2**63), 2**63 - 1)
FLOATS = st.sampled_from([-0.0, 5e-324, 1e16, 1e22, 0.1 + 0.2, -1.7976931348623157e308]) | st.floats(
    allow_nan=False, allow_infinity=False
)
TEXTS = st.sampled_from(["", "\u2028\u2029", "\0", "\n]", '],\n"digests":', "\\ud800", "\U0001f41e", "\x7f\ufeff"]) | (
    st.text(max_size=12)
)
EXACT = st.sampled_from([Exact(real="inf"), Exact(real="-inf")]) | st.one_of(
    st.builds(Exact, blob=st.binary(max_size=8)), st.builds(Exact, text=st.binary(max_size=8))
)

CELLS = st.none() | INTEGERS | FLOATS | TEXTS | EXACT


def _values(kind: msgspec.inspect.Type) -> st.SearchStrategy[Any]:
    """Give the values a field of a record can take, by its type."""
    values: st.SearchStrategy[Any]
    match kind:
        case msgspec.inspect.UnionType(types=types):
            values = st.one_of([_values(one) for one in types])
        case msgspec.inspect.ListType(item_type=item):
            values = st.lists(_values(item), max_size=3)
        case msgspec.inspect.DictType(key_type=key, value_type=item):
            values = st.dictionaries(_values(key), _values(item), max_size=3)
        case msgspec.inspect.LiteralType(values=words):
            values = st.sampled_from(words)
        case msgspec.inspect.IntType(ge=int(least), le=int(most)):
            values = st.integers(least, most)
        case msgspec.inspect.StructType(cls=struct):
            values = EXACT if struct is Exact else structs(struct)
        case _:
            values = _PLAIN[type(kind)]
    return values


_PLAIN: dict[type, st.SearchStrategy[Any]] = {
    msgspec.inspect.StrType: TEXTS,
    msgspec.inspect.IntType: INTEGERS,
    msgspec.inspect.FloatType: FLOATS,
    msgspec.inspect.BytesType: st.binary(max_size=9),
    msgspec.inspect.BoolType: st.booleans(),
    msgspec.inspect.NoneType: st.none(),
}


@cache
def structs(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Give any record of a kind, or any part of a schema, whatever fields it has."""
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    fields = {
        field.name: st.just(UNSET) | _values(field.type) if field.default is UNSET else _values(field.type)
        for field in info.fields
    }
    return st.builds(kind, **fields)


@st.composite
def memories(draw: st.DrawFn) -> list[Batch]:
    """Give batches of every kind in the order of an archive, some kinds without records, some in several batches."""
    batches: list[Batch] = []
    for kind in RECORD_TYPES:
        if kind is not TableRow:
            batches += draw(st.lists(st.lists(structs(kind), min_size=1, max_size=3), max_size=2))
    for table, values in draw(st.dictionaries(TEXTS, st.integers(0, 3), max_size=3)).items():
        cells = st.lists(CELLS, min_size=values, max_size=values)
        rows = st.builds(TableRow, table=st.just(table), values=cells)
        batches += draw(st.lists(st.lists(rows, min_size=1, max_size=3), max_size=2))
    return batches


def manifest_of(batches: list[Batch]) -> Manifest:
    """Give a manifest that counts these batches, of which a kind may have several."""
    joined: dict[str, Any] = {}
    for batch in batches:
        joined.setdefault(batch[0].section, []).extend(batch)
    rows: list[TableRow] = joined.get(TableRow.section, [])
    return manifest(list(joined.values()), row_count=len(rows), schema=schema_of(rows))


def schema_of(rows: list[TableRow]) -> Schema:
    """Describe the tables of these rows: those that give a number first, and more, as full-text tables."""
    by_table: dict[str, list[TableRow]] = {}
    for row in rows:
        by_table.setdefault(row.table, []).append(row)
    schema = Schema([], [])
    for name, mine in by_table.items():
        first = mine[0].values
        if len(first) > 1 and isinstance(first[0], int):
            schema.full_texts.append(FullText(name, [str(place) for place in range(1, len(first))], rows=len(mine)))
        else:
            worked_out = Column("worked out", generated="1")
            columns = [Column(str(place)) for place in range(len(first))]
            schema.tables.append(Table(name, [worked_out, *columns], rows=len(mine)))
    return schema


def document_of(batches: list[Batch]) -> bytes:
    """Give the document of these batches."""
    file = io.BytesIO()
    write_archive(file, manifest_of(batches), batches, seal=None, compression="none")
    return file.getvalue()


def everything(archive: Archive) -> dict[str, list[str]]:
    """Read an archive to its end; records as text, which tells -0.0 from 0.0 and 1 from 1.0, in their order."""
    return by_section(archive.batches())


def by_section(batches: Any) -> dict[str, list[str]]:  # noqa: ANN401 (batches of any kind)
    """Give the records of some batches as text, by section, in their order."""
    found: dict[str, list[str]] = {}
    for batch in batches:
        found.setdefault(batch[0].section, []).extend(map(repr, batch))
    return found


def read(content: bytes, password: Secret | None = None) -> dict[str, list[str]]:
    """Open and read a whole file."""
    return everything(open_archive(io.BytesIO(content), password))


@contextmanager
def blocks_of(size: int) -> Iterator[None]:
    """Let every reader take its file in pieces of `size` bytes."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (container, lines, tree):
            patch.setattr(module, "BLOCK", size)
        yield


@contextmanager
def keys_derived_once() -> Iterator[None]:
    """Derive a key only once for each password and salt: scrypt is slow on purpose."""
    known: dict[tuple[bytes, bytes], bytes] = {}
    derive = container._derive_key

    def derive_once(password: Secret, salt: bytes) -> bytes:
        place = (password.utf8(), salt)
        if place not in known:
            known[place] = derive(password, salt)
        return known[place]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(container, "_derive_key", derive_once)
        yield
