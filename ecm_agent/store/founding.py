"""What a store is made of that an archive is the first to fill.

An archive of this program describes the store it came from, and another such is made: by statements written here, never
by SQL out of the archive. Any other archive chooses between the generations we know.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ecm_agent.errors import ArchiveInvalid
from ecm_agent.model.schema import VERSION_TABLE, Schema
from ecm_agent.store.cells import from_cell
from ecm_agent.store.connection import columns_of
from ecm_agent.store.generations import generation_for
from ecm_agent.store.inserting import place_for
from ecm_agent.store.making import Making
from ecm_agent.store.schema import TABLES
from ecm_agent.store.tokens import folded

if TYPE_CHECKING:
    from ecm_agent.model.manifest import Manifest
    from ecm_agent.model.schema import Table as Described
    from ecm_agent.store.schema import Table

_REFUSALS = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH)
_ROW_NUMBERS = frozenset(("rowid", "oid", "_rowid_"))


class Foundation:
    """What makes an empty store: a script of ours, or what is made of a description.

    `not_made` names what of a description was not made; complete once the store is laid.
    """

    def __init__(self, ddl: str = "", making: Making | None = None, schema: Schema | None = None) -> None:
        """Take a script or a making, or both; with a `schema`, the new store says of itself what that says."""
        self._ddl = ddl
        self._making = making
        self._schema = schema or Schema()
        self.not_made = making.not_made if making else []

    def lay(self, connection: sqlite3.Connection) -> None:
        """Make the store, in one transaction of an empty database. Raises `ArchiveInvalid` where that cannot be."""
        connection.executescript(f"BEGIN; {self._ddl}")
        if self._making and not self._ddl:
            self._making.make(connection)
            if missing := [table.name for table in TABLES if table.required and not columns_of(connection, table.name)]:
                raise ArchiveInvalid(f"The archive describes a store that cannot be made: its table {missing[0]}.")
        elif self._making:
            lacking = (name for name in self._making.tables if not columns_of(connection, name))
            self.not_made += [named for name in lacking if (named := f"table {name}") not in self.not_made]
        self._say_versions(connection)
        connection.execute("COMMIT")

    def _say_versions(self, connection: sqlite3.Connection) -> None:
        if self._schema.user_version or self._schema.application_id:
            connection.execute(f"PRAGMA user_version = {self._schema.user_version}")
            connection.execute(f"PRAGMA application_id = {self._schema.application_id}")
        try:
            for cells in self._schema.version_rows:
                row = list(map(from_cell, cells))
                places = ", ".join(map(place_for, row))
                connection.execute(f"INSERT INTO {VERSION_TABLE} VALUES ({places})", row)  # noqa: S608 (ours)
        except (sqlite3.IntegrityError, sqlite3.OperationalError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _REFUSALS:
                raise
            raise ArchiveInvalid(f"The archive describes a store that cannot be made: {error}.") from error


def foundation_for(manifest: Manifest) -> Foundation:
    """Choose what a store is made of that this archive is the first to fill. Raises `ArchiveInvalid`."""
    if not manifest.schema:
        return Foundation(generation_for(manifest).ddl)
    making = Making(manifest.schema)
    described = {table.name: table for table in manifest.schema.tables if making.tables[table.name]}
    if not all(_fits(table, described.get(table.name)) for table in TABLES):
        return Foundation(generation_for(manifest).ddl, making)
    versions = manifest.schema.version_rows if VERSION_TABLE in described else []
    return Foundation(making=making, schema=replace(manifest.schema, version_rows=versions))


def _fits(table: Table, described: Described | None) -> bool:
    """Whether a table so described can hold the memory's records, which have row numbers and all that is needed."""
    if described is None:
        return not table.required
    written = set(map(folded, described.written))
    return written.issuperset(table.essential) and not described.without_rowid and written.isdisjoint(_ROW_NUMBERS)
