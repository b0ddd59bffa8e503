"""What of an archive refers to records that are not in it, found without putting the archive into a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ecm_agent.store.dangling import REFERENCES
from ecm_agent.store.inserting import place_for
from ecm_agent.store.schema import CHUNKS, CLUSTERS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from ecm_agent.store.base import Fate
    from ecm_agent.store.cells import SqlValue
    from ecm_agent.store.schema import Table
    from ecm_agent.store.writing import Rows

_GIVEN, _REFERRING = "temp.ecm_agent_given", "temp.ecm_agent_referring"
_CREATE = f"""
CREATE TABLE {_GIVEN} (kind TEXT, id, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE {_REFERRING} (kind TEXT, name, project, fate TEXT, one_kind TEXT, one, other_kind TEXT, other);
"""


class LooseEnd(NamedTuple):
    """A record that refers to one that is not there: its name, its project, and what it was counted as."""

    name: SqlValue
    project: SqlValue
    fate: Fate


class LooseEnds:
    """Remembers, in temporary tables, which records an archive gives and which it refers to."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        for statement in _CREATE.split(";")[:-1]:
            connection.execute(statement)

    def note(self, table: Table, rows: Rows, row: tuple[SqlValue, ...], project: SqlValue, fate: Fate) -> None:
        """Take a record into account: what it is, or what it refers to."""
        said = dict(zip(rows.columns, row, strict=True))
        name = said[table.key(rows.columns)]
        if table in {CHUNKS, CLUSTERS}:
            self._insert(_GIVEN, table.name, name)
        elif table in REFERENCES:
            ends = [value for column, kind in REFERENCES[table] for value in (kind.name, said[column])]
            self._insert(_REFERRING, table.name, name, project, fate, *ends)

    def found(self, table: Table) -> Iterator[LooseEnd]:
        """Give the records of a table that refer to what is not there, once all have been noted."""
        there = f"SELECT 1 FROM {_GIVEN} g WHERE g.kind = r.%s AND g.id = r.%s"  # noqa: S608 (ours)
        loose = " OR ".join(f"NOT EXISTS ({there % (f'{end}_kind', end)})" for end in ("one", "other"))
        sql = f"SELECT r.name, r.project, r.fate FROM {_REFERRING} r WHERE r.kind = ? AND ({loose})"  # noqa: S608 (ours)
        for name, project, fate in self._connection.execute(sql, (table.name,)):
            yield LooseEnd(name, project, fate)

    def _insert(self, where: str, *values: Any) -> None:  # noqa: ANN401 (any value of SQL)
        sql = f"INSERT OR IGNORE INTO {where} VALUES ({', '.join(map(place_for, values))})"  # noqa: S608 (ours)
        self._connection.execute(sql, values)
