"""The memory store as SQLite keeps it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ecm_agent.atomic import new_file, private_directory
from ecm_agent.errors import ArchiveInvalid, EcmError, StoreUnreadable
from ecm_agent.store.base import Replaced, nothing
from ecm_agent.store.cells import lenient_text
from ecm_agent.store.clusters import write_clusters
from ecm_agent.store.connection import columns_of, connect, explained
from ecm_agent.store.schema import CREATE_STORE, CREATE_VECTORS, EDGES, TABLES, VECTORS
from ecm_agent.store.snapshot import SqliteSnapshot, other_tables
from ecm_agent.store.writing import RowWriter, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ecm_agent.model.manifest import Manifest, Selection
    from ecm_agent.model.records import Batch, RecordType
    from ecm_agent.store.base import Reclustered
    from ecm_agent.store.schema import Table
    from ecm_agent.store.writing import Statement


class SqliteStore:
    """See `store.base.MemoryStore`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        try:
            return self.path.exists()
        except OSError as error:
            raise StoreUnreadable(f"{self.path} cannot be read: {error.strerror}.") from error

    def at(self, path: Path) -> SqliteStore:
        return SqliteStore(path)

    def problems(self) -> list[str]:
        with connect(self.path, write=False) as connection:
            found = [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
            broken = connection.execute("PRAGMA foreign_key_check").fetchall()
        return found + [f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is not there" for row in broken]

    def chunk_count(self) -> int:
        if not self.exists():
            return 0
        with connect(self.path, write=False) as connection:
            return int(connection.execute("SELECT count(*) FROM chunks").fetchone()[0])

    @contextmanager
    def snapshot(self, selection: Selection, created: str) -> Iterator[SqliteSnapshot]:
        with connect(self.path, write=False) as connection:
            connection.execute("BEGIN")
            yield SqliteSnapshot(self.path, connection, selection, created)

    def replace(
        self, manifest: Manifest, batches: Iterable[Batch], prepare: Callable[[], object] = nothing
    ) -> Replaced:
        if self.exists():
            with connect(self.path, write=True) as connection:
                return _replace(self.path, connection, manifest, batches, prepare)
        prepare()
        with self._new() as path, connect(path, write=True) as connection, explained(self.path):
            # Nothing is lost when a file that nobody has seen yet is left unfinished.
            connection.execute("PRAGMA journal_mode = MEMORY")
            connection.execute("PRAGMA synchronous = OFF")
            return _replace(self.path, connection, manifest, batches, nothing)

    def recluster(
        self, clusters: Iterable[Batch], memberships: Iterable[Batch], prepare: Callable[[], object] = nothing
    ) -> Reclustered:
        with connect(self.path, write=True) as connection:
            return write_clusters(connection, clusters, memberships, prepare)

    def create(self) -> None:
        if self.exists():
            raise EcmError(f"There is something at {self.path} already.", hint="Name another place with --store.")
        with self._new():
            pass

    @contextmanager
    def _new(self) -> Iterator[Path]:
        """Give an empty store under a temporary name; it takes its own once the block has ended well."""
        for leftover in (f"{self.path}-wal", f"{self.path}-journal"):
            if Path(leftover).exists() and Path(leftover).stat().st_size:  # an empty one holds nothing
                raise StoreUnreadable(
                    f"There is a {leftover} without its {self.path.name}; it may hold the last changes of a store.",
                    hint="Bring the two together again, or move the file away.",
                )
        try:
            private_directory(self.path.parent)
            with new_file(self.path, overwrite=False) as file:
                path = Path(file.name)
                with explained(self.path), closing(sqlite3.connect(path)) as connection:
                    connection.executescript(CREATE_STORE)
                yield path
        except OSError as error:
            raise StoreUnreadable(f"{self.path} cannot be written: {error.strerror}.") from error


def _replace(
    path: Path,
    connection: sqlite3.Connection,
    manifest: Manifest,
    batches: Iterable[Batch],
    prepare: Callable[[], object],
) -> Replaced:
    connection.execute("BEGIN IMMEDIATE")
    try:
        _refuse_other_tables(path, connection)
        prepare()
        _empty(connection)
        replaced = _fill(connection, manifest, batches)
        _refuse_dangling(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return replaced


def _refuse_other_tables(path: Path, connection: sqlite3.Connection) -> None:
    """Refuse to replace what a safety archive of this version would not hold either."""
    if others := other_tables(connection):
        raise StoreUnreadable(
            f"{path} holds tables this version cannot replace: {', '.join(sorted(others))}.",
            hint="Restore beside it instead: name a new file with --store.",
        )


def _empty(connection: sqlite3.Connection) -> None:
    for table in reversed(TABLES):
        if columns_of(connection, table.name):
            connection.execute(f"DELETE FROM {quoted(table.name)}")  # noqa: S608 (ours)


def _fill(connection: sqlite3.Connection, manifest: Manifest, batches: Iterable[Batch]) -> Replaced:
    tables = {table.record: table for table in TABLES}
    writers: dict[RecordType, RowWriter] = {}
    written: Counter[str] = Counter()
    no_place: Counter[str] = Counter()
    for batch in batches:
        table = tables[type(batch[0])]
        if table.record not in writers:
            writers[table.record] = RowWriter(table, _ready_columns(connection, table), manifest)
        if not columns_of(connection, table.name):
            no_place[table.name] += len(batch)
            continue
        _insert(connection, table, list(writers[table.record].statements(batch)))
        written[batch[0].section] += len(batch)
    for writer in writers.values():
        no_place += writer.no_place
    return Replaced(dict(written), dict(no_place))


def _ready_columns(connection: sqlite3.Connection, table: Table) -> list[str]:
    if table is VECTORS and not columns_of(connection, table.name):
        connection.execute(CREATE_VECTORS)
    return columns_of(connection, table.name)


def _insert(connection: sqlite3.Connection, table: Table, statements: list[Statement]) -> None:
    connection.execute("SAVEPOINT batch")
    try:
        for sql, rows in statements:
            connection.executemany(sql, rows)
    except (sqlite3.IntegrityError, OverflowError):
        connection.execute("ROLLBACK TO batch")
        _name_the_culprit(connection, table, statements)
    connection.execute("RELEASE batch")


def _name_the_culprit(connection: sqlite3.Connection, table: Table, statements: list[Statement]) -> NoReturn:
    """Insert one by one, up to the row that cannot be, and name it."""
    for sql, rows in statements:
        for number, row in enumerate(rows):
            try:
                connection.execute(sql, row)
            except (sqlite3.IntegrityError, OverflowError) as error:
                where = f"row {number + 1} of a batch"
                names = [name.strip().strip('"') for name in sql.partition("(")[2].partition(")")[0].split(",")]
                if (key := table.key(names)) in names:
                    where = f"{key} {row[names.index(key)]!r}"
                raise ArchiveInvalid(
                    f"The archive holds a record that cannot be stored: {table.name}, {where}: {error}."
                ) from error
    raise ArchiveInvalid(f"The archive holds records of {table.name} that cannot be stored together.")


def _refuse_dangling(connection: sqlite3.Connection) -> None:
    """Refuse records that refer to records the archive does not hold; the first one is named."""
    edge = EDGES.key(columns_of(connection, EDGES.name))
    checks = (
        ("edge", "edges", edge, "source_chunk_id", "chunks"),
        ("edge", "edges", edge, "target_chunk_id", "chunks"),
        ("membership of cluster", "chunk_clusters", "cluster_id", "chunk_id", "chunks"),
        ("membership of chunk", "chunk_clusters", "chunk_id", "cluster_id", "clusters"),
    )
    connection.text_factory = lenient_text
    for what, table, name, column, parent in checks:
        sql = (
            f"SELECT t.{name}, t.{column} FROM {table} t "  # noqa: S608 (names are ours)
            f"WHERE NOT EXISTS (SELECT 1 FROM {parent} p WHERE p.id = t.{column}) LIMIT 1"
        )
        if found := connection.execute(sql).fetchone():
            raise ArchiveInvalid(
                f"The {what} {found[0]} refers to {found[1]}, which is not among the archive's {parent}."
            )
