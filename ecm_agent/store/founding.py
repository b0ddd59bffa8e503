"""What a store is made of that an archive is the first to fill.

An archive of this program describes the store it came from, and another such is made: by statements written here, never
by SQL out of the archive. Any other archive chooses between the generations we know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ecm_agent.errors import ArchiveInvalid
from ecm_agent.model.schema import VERSION_TABLE
from ecm_agent.store.cells import SqlValue, from_cell
from ecm_agent.store.generations import generation_for
from ecm_agent.store.inserting import place_for
from ecm_agent.store.making import Making
from ecm_agent.store.schema import TABLES

if TYPE_CHECKING:
    import sqlite3

    from ecm_agent.model.manifest import Manifest


class Foundation(NamedTuple):
    """The script that makes an empty store, the rows of its `schema_version`, and what of a description is not made."""

    script: str
    versions: list[list[SqlValue]]
    not_made: list[str]

    def lay(self, connection: sqlite3.Connection) -> None:
        """Make the store, in one transaction of an empty database. Raises `ArchiveInvalid` where that cannot be."""
        import sqlite3

        try:
            connection.executescript(f"BEGIN; {self.script}")
            for row in self.versions:
                places = ", ".join(map(place_for, row))
                connection.execute(f"INSERT INTO {VERSION_TABLE} VALUES ({places})", row)  # noqa: S608 (ours)
            connection.execute("COMMIT")
        except (sqlite3.IntegrityError, sqlite3.OperationalError) as error:
            if getattr(error, "sqlite_errorcode", 0) not in {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT}:
                raise
            raise ArchiveInvalid(f"The archive describes a store that cannot be made: {error}.") from error


def foundation_for(manifest: Manifest) -> Foundation:
    """Choose what a store is made of that this archive is the first to fill."""
    if manifest.schema:
        making = Making(manifest.schema)
        if all(making.tables.get(table.name) for table in TABLES if table.required):
            script = "".join(f"{sql};\n" for sql in making.statements)
            versioned = bool(making.tables.get(VERSION_TABLE))
            versions = [list(map(from_cell, row)) for row in manifest.schema.version_rows] if versioned else []
            return Foundation(script, versions, making.not_made)
    return Foundation(generation_for(manifest).ddl, [], [])
