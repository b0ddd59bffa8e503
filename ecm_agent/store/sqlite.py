"""The memory store as SQLite keeps it."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from ecm_agent.atomic import new_file, private_directory
from ecm_agent.errors import EcmError, MergeConflicts, StoreUnreadable
from ecm_agent.store.base import nothing
from ecm_agent.store.clusters import write_clusters
from ecm_agent.store.connection import (
    columns_of,
    connect,
    explained,
    new_connection,
    transaction,
    undo_the_unfinished,
)
from ecm_agent.store.encryption import UNENCRYPTED, Encryption, is_encrypted
from ecm_agent.store.founding import Foundation, foundation_for
from ecm_agent.store.full_text import damaged, rebuild, triggers_aside
from ecm_agent.store.generations import ECM
from ecm_agent.store.merging.comparison import Comparison
from ecm_agent.store.merging.merge import Merge
from ecm_agent.store.other_rows import make_missing, raise_sequences
from ecm_agent.store.replacing import replace_all
from ecm_agent.store.schema import TABLES
from ecm_agent.store.snapshot import SqliteSnapshot, schema_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from ecm_agent.model.manifest import Manifest, Selection
    from ecm_agent.model.records import Batch
    from ecm_agent.store.base import Changes, OnConflict, Reclustered, Replaced
    from ecm_agent.store.generations import Generation


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
        # A full-text table is checked by an order to write to it, which writes nothing.
        with self._connected(write=True) as connection, transaction(connection, keep=False):
            found = [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
            found += [f"the full-text table {name} does not agree with what it indexes" for name in damaged(connection)]
            return found + list(_broken_references(connection))

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
        self,
        manifest: Manifest,
        batches: Iterable[Batch],
        prepare: Callable[[], object] = nothing,
        finish: Callable[[], object] = nothing,
    ) -> Replaced:
        founding = self._founding(manifest)
        with self._writable(founding) as connection, transaction(connection):
            prepare()
            replaced = replace_all(connection, manifest, batches)
            finish()
            return structs.replace(replaced, not_made=founding.not_made)

    def merge(
        self,
        manifest: Manifest,
        batches: Iterable[Batch],
        on_conflict: OnConflict = "ours",
        *,
        prepare: Callable[[], object] = nothing,
        finish: Callable[[], object] = nothing,
        dry_run: bool = False,
    ) -> Changes:
        if dry_run and not self.exists():
            return self.compare(manifest, batches)
        founding = self._founding(manifest)
        with self._writable(founding) as connection, transaction(connection, keep=not dry_run):
            prepare()
            with triggers_aside(connection):
                make_missing(connection, manifest, schema_version(connection))
                changes = Merge(connection, manifest, on_conflict).run(batches)
                if not (changes.none or dry_run):
                    raise_sequences(connection, manifest)
                    rebuild(connection)
            if on_conflict == "fail" and not dry_run:
                _refuse_conflicts(changes)
            if changes.none:
                connection.execute("ROLLBACK")  # not even the triggers have been put aside
            elif not dry_run:
                finish()
            return structs.replace(changes, not_made=founding.not_made)

    def compare(self, manifest: Manifest, batches: Iterable[Batch]) -> Changes:
        if self.exists():
            with self._connected(write=False) as connection:
                connection.execute("BEGIN")
                return Comparison(connection, manifest).run(batches)
        self._refuse_leftovers()
        with closing(sqlite3.connect(":memory:")) as nothing_there:
            founding = self._founding(manifest)
            founding.lay(nothing_there)
            changes = Comparison(nothing_there, manifest).run(batches)
            return structs.replace(changes, not_made=founding.not_made)

    def recluster(
        self,
        clusters: Iterable[Batch],
        memberships: Iterable[Batch],
        prepare: Callable[[], object] = nothing,
        finish: Callable[[], object] = nothing,
    ) -> Reclustered:
        with self._connected(write=True) as connection:
            return write_clusters(connection, clusters, memberships, prepare, finish)

    def create(self, generation: Generation = ECM) -> None:
        if self.exists():
            raise EcmError(f"There is something at {self.path} already.", hint="Name another place with --store.")
        with self._new(Foundation(generation.ddl)):
            pass

    def _founding(self, manifest: Manifest) -> Foundation:
        """Say what the store is to be made of; of one that is there, nothing."""
        return Foundation() if self.exists() else foundation_for(manifest)

    def _connected(self, *, write: bool) -> AbstractContextManager[sqlite3.Connection]:
        return connect(self.path, write=write, encryption=self._encryption)

    @contextmanager
    def _writable(self, founding: Foundation) -> Iterator[sqlite3.Connection]:
        """Open the store to write; one that does not exist is made, and appears once the block has ended well.

        `founding` makes a new one.
        """
        if self.exists():
            try:
                with self._connected(write=True) as connection:
                    yield connection
            finally:
                undo_the_unfinished(self.path, self._encryption)
            return
        with (
            self._new(founding) as path,
            connect(path, write=True, encryption=self._encryption) as connection,
            explained(self.path),
        ):
            _unjournaled(connection)
            yield connection

    @contextmanager
    def _new(self, founding: Foundation) -> Iterator[Path]:
        """Give an empty store under a temporary name; it takes its own once the block has ended well."""
        self._refuse_leftovers()
        of_the_block: OSError | None = None
        try:
            private_directory(self.path.parent)
            with new_file(self.path, overwrite=False) as file:
                path = Path(file.name)
                with explained(self.path), closing(new_connection(path, self._encryption)) as connection:
                    _unjournaled(connection)
                    founding.lay(connection)
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


def _broken_references(connection: sqlite3.Connection) -> Iterator[str]:
    """Name references of the memory's own tables that lead nowhere; an archive has none."""
    for table in TABLES:
        if not columns_of(connection, table.name):
            continue
        broken = connection.execute("SELECT rowid, parent FROM pragma_foreign_key_check(?)", (table.name,)).fetchall()
        yield from (
            f"row {row} of {table.name} refers to a row of {parent} that is not there" for row, parent in broken
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
