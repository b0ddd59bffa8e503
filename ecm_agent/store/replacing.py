"""An archive's records in the place of all that a store holds, within a transaction of the store."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import structs

from ecm_agent.model.records import TableRow
from ecm_agent.model.schema import MEMORY_TABLES
from ecm_agent.store import other_rows
from ecm_agent.store.base import Dropped, Oddity, Replaced
from ecm_agent.store.connection import columns_of
from ecm_agent.store.dangling import EXAMPLES, drop_dangling, refuse_dangling
from ecm_agent.store.describing import describe
from ecm_agent.store.full_text import rebuild, triggers_aside
from ecm_agent.store.generations import generation_of
from ecm_agent.store.inserting import insert
from ecm_agent.store.other_rows import OtherRows
from ecm_agent.store.other_tables import leads_nowhere, name_of, references
from ecm_agent.store.row_numbers import name_of_numbers
from ecm_agent.store.schema import TABLES, VECTORS
from ecm_agent.store.snapshot import schema_version
from ecm_agent.store.tokens import quoted
from ecm_agent.store.writing import RowWriter

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from ecm_agent.model.manifest import Manifest
    from ecm_agent.model.records import Batch, RecordType
    from ecm_agent.model.schema import Table as OtherTable
    from ecm_agent.store.schema import Table

_GONE = "refers to a record that is gone; dropped"
_STALE = {"ingestion_checkpoints": (("last_chunk_id", "chunks"),)}
"""What is worse than missing once the chunk it names is gone: the program would skip the session for ever."""


def replace_all(connection: sqlite3.Connection, manifest: Manifest, batches: Iterable[Batch]) -> Replaced:
    """See `store.base.MemoryStore.replace`.

    What the store's triggers would do has been done already when its rows were first written: they rest meanwhile.
    Tables that the archive leaves out stay as they are, without the rows that referred to what is gone.
    """
    with triggers_aside(connection):
        other_rows.make_missing(connection, manifest, schema_version(connection))
        _empty(connection)
        other_rows.empty(connection, manifest)
        replaced = _fill(connection, manifest, batches)
        if manifest.original:
            replaced = _without(replaced, drop_dangling(connection))
        elif not manifest.with_dangling:
            refuse_dangling(connection)
        other_rows.restore_sequences(connection, manifest)
        replaced = _without(replaced, _drop_orphans(connection, manifest))
        rebuild(connection)
    return replaced


def _empty(connection: sqlite3.Connection) -> None:
    for table in reversed(TABLES):
        if columns_of(connection, table.name):
            connection.execute(f"DELETE FROM main.{quoted(table.name)}")  # noqa: S608 (ours)


def _fill(connection: sqlite3.Connection, manifest: Manifest, batches: Iterable[Batch]) -> Replaced:
    tables = {table.record: table for table in TABLES}
    writers: dict[RecordType, RowWriter] = {}
    others = OtherRows(connection, manifest)
    written: Counter[str] = Counter()
    no_place: Counter[str] = Counter()
    for batch in batches:
        kind = type(batch[0])
        if kind is TableRow:
            for other, rows in others.placed(batch):
                insert(connection, other, [rows])
                written[TableRow.section] += len(rows.values)
            continue
        table = tables[kind]
        if kind not in writers:
            columns = _ready_columns(connection, table)
            numbered = name_of_numbers(connection, table.name) == table.row_number
            writers[kind] = RowWriter(table, columns, manifest, numbered=numbered)
        if not columns_of(connection, table.name):
            no_place[table.name] += len(batch)
            continue
        insert(connection, table, writers[kind].rows(batch))
        written[kind.section] += len(batch)
    no_place = sum((writer.no_place for writer in writers.values()), no_place + others.no_place)
    return Replaced(dict(written), dict(no_place))


def _drop_orphans(connection: sqlite3.Connection, manifest: Manifest) -> Dropped:
    """Delete, of tables that stayed, the rows that refer to what is not there any more; count and name them."""
    counts: Counter[str] = Counter()
    examples: list[Oddity] = []
    schema = describe(connection)
    for table in _until_settled(schema.tables, counts):
        if table.name in MEMORY_TABLES or not other_rows.stays(manifest, table.name):
            continue
        for condition in leads_nowhere(references(table, schema, _STALE.get(table.name, ()))):
            name, columns = quoted(table.name), ", ".join(f"t.{quoted(column)}" for column in table.valued)
            sql = f"SELECT {columns} FROM main.{name} t WHERE {condition} LIMIT ?"  # noqa: S608 (quoted)
            named = connection.execute(sql, (EXAMPLES - len(examples),)).fetchall()
            examples += [Oddity(table.name, name_of(table, row), _GONE) for row in named]
            counts[table.name] += connection.execute(f"DELETE FROM main.{name} AS t WHERE {condition}").rowcount  # noqa: S608 (quoted)
    return Dropped({name: count for name, count in counts.items() if count}, examples)


def _until_settled(tables: list[OtherTable], counts: Counter[str]) -> Iterator[OtherTable]:
    """Give the tables again as long as something was deleted: what is gone may have been referred to in turn."""
    before = -1
    while before != counts.total():
        before = counts.total()
        yield from tables


def _without(replaced: Replaced, dropped: Dropped) -> Replaced:
    """Take back what was dropped from the count of what was written."""
    records = Counter(replaced.records)
    records.subtract({name: count for name, count in dropped.records.items() if name in records})
    both = Dropped(
        dict(Counter(replaced.dropped.records) + Counter(dropped.records)),
        replaced.dropped.examples + dropped.examples,
    )
    return structs.replace(replaced, records={name: count for name, count in records.items() if count}, dropped=both)


def _ready_columns(connection: sqlite3.Connection, table: Table) -> list[str]:
    if table is VECTORS and not columns_of(connection, table.name):
        connection.execute(generation_of(schema_version(connection)).vectors)
    return columns_of(connection, table.name)
