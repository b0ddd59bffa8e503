"""What a store is made of that an archive is the first to fill.

An archive of this program describes the store it came from, and another such is made: by statements written here, never
by SQL out of the archive. Any other archive chooses between the generations we know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ecm_agent.store.generations import generation_for
from ecm_agent.store.making import Making
from ecm_agent.store.schema import TABLES

if TYPE_CHECKING:
    from ecm_agent.model.manifest import Manifest


class Foundation(NamedTuple):
    """The script that makes an empty store, and what of the described one it does not make."""

    script: str
    not_made: list[str]


def foundation_for(manifest: Manifest) -> Foundation:
    """Choose what a store is made of that this archive is the first to fill."""
    if manifest.schema:
        making = Making(manifest.schema)
        if all(making.tables.get(table.name) for table in TABLES if table.required):
            return Foundation("".join(f"{sql};\n" for sql in making.statements), making.not_made)
    return Foundation(generation_for(manifest).ddl, [])
