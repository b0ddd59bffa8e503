"""Clusters anew: a store's clusters and memberships give way to others, and nothing else is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from ecm_agent.model.manifest import Manifest
from ecm_agent.model.records import Cluster, Membership
from ecm_agent.store.base import Reclustered
from ecm_agent.store.cells import lenient_text
from ecm_agent.store.connection import columns_of, transaction
from ecm_agent.store.inserting import insertion
from ecm_agent.store.schema import CLUSTERS
from ecm_agent.store.tokens import quoted
from ecm_agent.store.writing import RowWriter

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

    from ecm_agent.model.records import Batch

_CHANGED = ("centroid", "exemplar_ids", "membership_hash")
"""What a re-clustering says anew of a cluster that stays: attributes of the record, and columns of the table."""

_GIVEN = "temp.ecm_agent_clusters"
_PLACES = "temp.ecm_agent_memberships"
_SAME = "p.chunk_id = chunk_clusters.chunk_id AND p.cluster_id = chunk_clusters.cluster_id"
_NOWHERE = Manifest(version="", created="", chunk_count=0, edge_count=0, cluster_count=0)  # clusters need nothing of it


def write_clusters(
    connection: sqlite3.Connection,
    clusters: Iterable[Batch],
    memberships: Iterable[Batch],
    prepare: Callable[[], object],
    finish: Callable[[], object],
) -> Reclustered:
    """See `store.base.MemoryStore.recluster`. The connection has no open transaction."""
    # What refers to a cluster that goes, goes or stays as the store's owner has laid down in its schema.
    connection.execute("PRAGMA foreign_keys = ON")
    with transaction(connection):
        prepare()
        _make_temporary_tables(connection)
        updated, added = _write(connection, clusters)
        removed = connection.execute(
            f"DELETE FROM main.clusters WHERE id IS NULL OR id NOT IN (SELECT id FROM {_GIVEN})"  # noqa: S608 (ours)
        ).rowcount
        written, without_chunk = _place(connection, memberships)
        finish()
    return Reclustered(updated, added, removed, written, without_chunk)


def _make_temporary_tables(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TEMP TABLE ecm_agent_clusters (id TEXT PRIMARY KEY)")
    connection.execute(
        "CREATE TEMP TABLE ecm_agent_memberships "
        "(chunk_id TEXT, cluster_id TEXT, distance REAL, PRIMARY KEY (chunk_id, cluster_id))"
    )


def _write(connection: sqlite3.Connection, clusters: Iterable[Batch]) -> tuple[int, int]:
    """Change the clusters that are there, add the others; give how many of each."""
    columns = columns_of(connection, CLUSTERS.name)
    there = {
        lenient_text(name)
        for (name,) in connection.execute("SELECT CAST(id AS BLOB) FROM main.clusters WHERE id IS NOT NULL")
    }
    updated = added = 0
    for batch in clusters:
        new = []
        for record in batch:
            assert isinstance(record, Cluster)  # noqa: S101 (the contract)
            connection.execute(f"INSERT INTO {_GIVEN} VALUES (?)", (record.id,))  # noqa: S608 (ours)
            if record.id in there:
                _update(connection, record, columns)
                updated += 1
            else:
                new.append(record)
        for rows in RowWriter(CLUSTERS, columns, _NOWHERE).rows(new) if new else ():
            connection.executemany(insertion(CLUSTERS, rows.columns, rows.values[0]), rows.values)
        added += len(new)
    return updated, added


def _update(connection: sqlite3.Connection, record: Cluster, columns: list[str]) -> None:
    """Say anew what the record sets and the table has a column for, in the form in which it would be inserted."""
    said = {name for name in _CHANGED if getattr(record, name) is not UNSET} & set(columns)
    if not said:
        return
    (row,) = RowWriter(CLUSTERS, [name for name in _CHANGED if name in said], _NOWHERE).rows([record])
    sets = ", ".join(f"{quoted(name)} = ?" for name in row.columns)
    connection.execute(f"UPDATE main.clusters SET {sets} WHERE id = ?", (*row.values[0], record.id))  # noqa: S608 (quoted)


def _place(connection: sqlite3.Connection, memberships: Iterable[Batch]) -> tuple[int, int]:
    """Make these the memberships; give how many there are, and how many have no chunk.

    Those that stay are changed in place, so that columns of theirs that we do not know stay as well.
    """
    given = 0
    for batch in memberships:
        rows = [(m.chunk_id, m.cluster_id, m.distance) for m in batch if isinstance(m, Membership)]
        connection.executemany(f"INSERT INTO {_PLACES} VALUES (?, ?, ?)", rows)  # noqa: S608 (ours)
        given += len(rows)
    without_chunk = connection.execute(
        f"DELETE FROM {_PLACES} WHERE chunk_id NOT IN (SELECT id FROM main.chunks WHERE id IS NOT NULL)"  # noqa: S608 (ours)
    ).rowcount
    connection.execute(f"DELETE FROM main.chunk_clusters WHERE NOT EXISTS (SELECT 1 FROM {_PLACES} p WHERE {_SAME})")  # noqa: S608 (ours)
    connection.execute(f"UPDATE main.chunk_clusters SET distance = (SELECT p.distance FROM {_PLACES} p WHERE {_SAME})")  # noqa: S608 (ours)
    connection.execute(
        "INSERT INTO main.chunk_clusters (chunk_id, cluster_id, distance) "  # noqa: S608 (ours)
        f"SELECT p.chunk_id, p.cluster_id, p.distance FROM {_PLACES} p "
        f"WHERE NOT EXISTS (SELECT 1 FROM main.chunk_clusters WHERE {_SAME}) ORDER BY p.rowid"
    )
    return given - without_chunk, without_chunk
