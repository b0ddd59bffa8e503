"""Edges and memberships that refer to records which are nowhere: refused in our archives, dropped from others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecm_agent.errors import ArchiveInvalid
from ecm_agent.store.base import Dropped, Oddity
from ecm_agent.store.cells import lenient_text
from ecm_agent.store.connection import columns_of, has_index
from ecm_agent.store.reading import row_name
from ecm_agent.store.schema import CHUNKS, CLUSTERS, EDGES, MEMBERSHIPS

if TYPE_CHECKING:
    import sqlite3

    from ecm_agent.store.schema import Table

REFERENCES = {
    EDGES: (("source_chunk_id", CHUNKS), ("target_chunk_id", CHUNKS)),
    MEMBERSHIPS: (("chunk_id", CHUNKS), ("cluster_id", CLUSTERS)),
}
EXAMPLES = 20
"""How many dropped records are named; all are counted."""

NOT_THERE = "refers to a record that is not in the archive; dropped"


def all_found(connection: sqlite3.Connection, table: Table, column: str, parent: Table) -> bool:
    """Whether all that a column refers to is there: found quickly, by walking two indexes side by side.

    The answer may be no all the same, where a column has no index, or compares texts in another way than byte by byte:
    then look rows up one by one.
    """
    if not (has_index(connection, table.name, column) and has_index(connection, parent.name, "id")):
        return False  # SQLite would sort all of it, in memory
    return not connection.execute(
        f"SELECT 1 FROM (SELECT {column} COLLATE BINARY FROM main.{table.name} "  # noqa: S608 (ours)
        f"EXCEPT SELECT id FROM main.{parent.name} WHERE id IS NOT NULL ORDER BY 1 LIMIT 1)"
    ).fetchone()


def dangles(table: Table) -> str:
    """Give the condition that a row `t` refers to a record that is not there."""
    return " OR ".join(
        f"NOT EXISTS (SELECT 1 FROM main.{parent.name} p WHERE p.id = t.{column})"  # noqa: S608 (ours)
        for column, parent in REFERENCES[table]
    )


def drop_dangling(connection: sqlite3.Connection) -> Dropped:
    """Delete what refers to records that are not in the store; count it, and name the first ones."""
    connection.text_factory = lenient_text
    counts: dict[str, int] = {}
    examples: list[Oddity] = []
    for table in REFERENCES:
        key = table.key(columns_of(connection, table.name))
        sql = f"SELECT t.{key} FROM main.{table.name} t WHERE {dangles(table)} LIMIT ?"  # noqa: S608 (ours)
        names = connection.execute(sql, (EXAMPLES - len(examples),)).fetchall()
        examples += [Oddity(table.name, row_name(name), NOT_THERE) for (name,) in names]
        gone = connection.execute(f"DELETE FROM main.{table.name} AS t WHERE {dangles(table)}").rowcount  # noqa: S608 (ours)
        if gone:
            counts[table.record.section] = gone
    return Dropped(counts, examples)


def refuse_dangling(connection: sqlite3.Connection) -> None:
    """Refuse records that refer to records the archive does not hold; the first one is named."""
    edge = EDGES.key(columns_of(connection, EDGES.name))
    checks = (
        ("edge", EDGES, edge, "source_chunk_id", CHUNKS),
        ("edge", EDGES, edge, "target_chunk_id", CHUNKS),
        ("membership of cluster", MEMBERSHIPS, "cluster_id", "chunk_id", CHUNKS),
        ("membership of chunk", MEMBERSHIPS, "chunk_id", "cluster_id", CLUSTERS),
    )
    connection.text_factory = lenient_text
    for what, table, name, column, parent in checks:
        sql = (
            f"SELECT t.{name}, t.{column} FROM main.{table.name} t "  # noqa: S608 (names are ours)
            f"WHERE NOT EXISTS (SELECT 1 FROM main.{parent.name} p WHERE p.id = t.{column}) LIMIT 1"
        )
        if not all_found(connection, table, column, parent) and (found := connection.execute(sql).fetchone()):
            raise ArchiveInvalid(
                f"The {what} {found[0]} refers to {found[1]}, which is not among the archive's {parent.name}."
            )
