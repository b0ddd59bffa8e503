"""The memory store as SQLite keeps it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from ecm_agent.atomic import new_file, private_directory
from ecm_agent.errors import EcmError, MergeConflicts, StoreUnreadable
from ecm_agent.store.base import Replaced, nothing
from ecm_agent.store.clusters import write_clusters
from ecm_agent.store.connection import (
    columns_of,
    connect,
    explained,
    new_connection,
    transaction,
    undo_the_unfinished,
)
from ecm_agent.store.dangling import drop_dangling, refuse_dangling
from ecm_agent.store.encryption import UNENCRYPTED, Encryption, is_encrypted
from ecm_agent.store.inserting import insert
from ecm_agent.store.merging.comparison import Comparison
from ecm_agent.store.merging.merge import Merge
from ecm_agent.store.schema import CREATE_STORE, CREATE_VECTORS, TABLES, VECTORS
from ecm_agent.store.snapshot import SqliteSnapshot, other_tables
from ecm_agent.store.writing import RowWriter, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from ecm_agent.model.manifest import Manifest, Selection
    from ecm_agent.model.records import Batch, RecordType
    from ecm_agent.store.base import Changes, Dropped, OnConflict, Reclustered
    from ecm_agent.store.schema import Table


class SqliteStore:
    """See `store.base.MemoryStore`."""

    def __init__(self, path: Path, encryption: Encryption = UNENCRYPTED) -> None:
        self.path = path
        self._encryption = encryption

    def exists(self) -> bool:
        try:
            return self.path.exists()
        except OSError as error:
            raise StoreUnreadable(f"{self.path} cannot be read: {error.strerror}.") from error

    def at(self, path: Path) -> SqliteStore:
        return SqliteStore(path, self._encryption.like(self.path))

    def encrypted(self) -> bool:
        return is_encrypted(self.path)

    def problems(self) -> list[str]:
        with self._connected(write=False) as connection:
            found = [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
            broken = connection.execute("PRAGMA foreign_key_check").fetchall()
        return found + [f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is not there" for row in broken]

    def chunk_count(self) -> int:
        if not self.exists():
            return 0
        with self._connected(write=False) as connection:
            return int(connection.execute("SELECT count(*) FROM chunks").fetchone()[0])

    @contextmanager
    def snapshot(self, selection: Selection, created: str) -> Iterator[SqliteSnapshot]:
        with self._connected(write=False) as connection:
            connection.execute("BEGIN")
            yield SqliteSnapshot(self.path, connection, selection, created)

    def replace(
        self, manifest: Manifest, batches: Iterable[Batch], prepare: Callable[[], object] = nothing
    ) -> Replaced:
        with self._writable() as connection, transaction(connection):
            _refuse_other_tables(self.path, connection)
            prepare()
            _empty(connection)
            replaced = _fill(connection, manifest, batches)
            if manifest.original:
                return _without(replaced, drop_dangling(connection))
            refuse_dangling(connection)
            return replaced

    def merge(
        self,
        manifest: Manifest,
        batches: Iterable[Batch],
        on_conflict: OnConflict = "ours",
        *,
        prepare: Callable[[], object] = nothing,
        dry_run: bool = False,
    ) -> Changes:
        if dry_run and not self.exists():
            return self.compare(manifest, batches)
        with self._writable() as connection, transaction(connection, keep=not dry_run):
            prepare()
            changes = Merge(connection, manifest, on_conflict).run(batches)
            if on_conflict == "fail" and not dry_run:
                _refuse_conflicts(changes)
            return changes

    def compare(self, manifest: Manifest, batches: Iterable[Batch]) -> Changes:
        if self.exists():
            with self._connected(write=False) as connection:
                connection.execute("BEGIN")
                _refuse_other_tables(self.path, connection)
                return Comparison(connection, manifest).run(batches)
        self._refuse_leftovers()
        with closing(sqlite3.connect(":memory:")) as nothing_there:
            nothing_there.executescript(CREATE_STORE)
            return Comparison(nothing_there, manifest).run(batches)

    def recluster(
        self, clusters: Iterable[Batch], memberships: Iterable[Batch], prepare: Callable[[], object] = nothing
    ) -> Reclustered:
        with self._connected(write=True) as connection:
            return write_clusters(connection, clusters, memberships, prepare)

    def create(self) -> None:
        if self.exists():
            raise EcmError(f"There is something at {self.path} already.", hint="Name another place with --store.")
        with self._new():
            pass

    def _connected(self, *, write: bool) -> AbstractContextManager[sqlite3.Connection]:
        return connect(self.path, write=write, encryption=self._encryption)

    @contextmanager
    def _writable(self) -> Iterator[sqlite3.Connection]:
        """Open the store to write; one that does not exist is made, and appears once the block has ended well."""
        if self.exists():
            try:
                with self._connected(write=True) as connection:
                    yield connection
            finally:
                undo_the_unfinished(self.path, self._encryption)
            return
        with (
            self._new() as path,
            connect(path, write=True, encryption=self._encryption) as connection,
            explained(self.path),
        ):
            _unjournaled(connection)
            yield connection

    @contextmanager
    def _new(self) -> Iterator[Path]:
        """Give an empty store under a temporary name; it takes its own once the block has ended well."""
        self._refuse_leftovers()
        of_the_block: OSError | None = None
        try:
            private_directory(self.path.parent)
            with new_file(self.path, overwrite=False) as file:
                path = Path(file.name)
                with explained(self.path), closing(new_connection(path, self._encryption)) as connection:
                    _unjournaled(connection)
                    connection.executescript(f"BEGIN; {CREATE_STORE} COMMIT")
                try:
                    yield path
                except OSError as error:
                    of_the_block = error
                    raise
        except OSError as error:
            if error is of_the_block:
                raise
            raise StoreUnreadable(f"{self.path} cannot be written: {error.strerror}.") from error

    def _refuse_leftovers(self) -> None:
        """Refuse to put a store, or to plan one, where the last changes of another may lie."""
        for leftover in (f"{self.path}-wal", f"{self.path}-journal"):
            if Path(leftover).exists() and Path(leftover).stat().st_size:  # an empty one holds nothing
                raise StoreUnreadable(
                    f"There is a {leftover} without its {self.path.name}; it may hold the last changes of a store.",
                    hint="Bring the two together again, or move the file away.",
                )


def _unjournaled(connection: sqlite3.Connection) -> None:
    """Put no journal beside a file that nobody has seen yet: nothing is lost, and nobody would clear it away."""
    connection.execute("PRAGMA journal_mode = MEMORY")
    connection.execute("PRAGMA synchronous = OFF")


def _refuse_conflicts(changes: Changes) -> None:
    if conflicts := changes.total("conflicts"):
        named = "; ".join(f"{one.section} {one.record} ({', '.join(one.columns)})" for one in changes.conflicts[:3])
        raise MergeConflicts(
            f"{conflicts} records differ, and nothing tells which is later: {named}"
            f"{'; …' if conflicts > len(changes.conflicts[:3]) else ''}. Nothing was merged.",
            hint="See all that would be done with --dry-run; settle with --on-conflict ours, or theirs.",
        )


def _refuse_other_tables(path: Path, connection: sqlite3.Connection) -> None:
    """Refuse to replace what a safety archive of this version would not hold either."""
    if others := other_tables(connection):
        raise StoreUnreadable(
            f"{path} holds tables this version cannot replace: {', '.join(sorted(others))}.",
            hint="Restore beside it instead; a safety archive is an archive, too: ecm-agent import FILE --into PATH",
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
        insert(connection, table, list(writers[table.record].rows(batch)))
        written[batch[0].section] += len(batch)
    for writer in writers.values():
        no_place += writer.no_place
    return Replaced(dict(written), dict(no_place))


def _without(replaced: Replaced, dropped: Dropped) -> Replaced:
    """Take back what was dropped from the count of what was written."""
    records = Counter(replaced.records)
    records.subtract(dropped.records)
    return structs.replace(replaced, records={name: count for name, count in records.items() if count}, dropped=dropped)


def _ready_columns(connection: sqlite3.Connection, table: Table) -> list[str]:
    if table is VECTORS and not columns_of(connection, table.name):
        connection.execute(CREATE_VECTORS)
    return columns_of(connection, table.name)
