"""Edges that say the same thing under different ids, one on each side, become one edge.

Those that stand on one side only are left alone, duplicates or not: real stores have such. Of several, the first of the
store (by id) becomes one with the first of the archive, and so on; folding again then finds nothing new.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ecm_agent.store.connection import has_index
from ecm_agent.store.merging.matching import project_of
from ecm_agent.store.merging.settling import folded
from ecm_agent.store.schema import EDGES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from ecm_agent.store.cells import SqlValue
    from ecm_agent.store.merging.matching import Matcher
    from ecm_agent.store.merging.rowset import RowSet

_PAGE = 512
_MANY = 500
"""So many edges of one chunk are not looked through for each of them: that would take the square of their number."""

_HUB = f"SELECT 1 FROM main.edges GROUP BY source_chunk_id HAVING count(*) > {_MANY} LIMIT 1"  # noqa: S608 (ours)
# A plus keeps SQLite from choosing the index of another column: those of edge_type and rowid find half of the table.
_ALIKE = "AND +o.edge_type = t.edge_type AND +o.reference_type IS t.reference_type"
_BY_SOURCE = f"o.source_chunk_id = t.source_chunk_id AND +o.target_chunk_id = t.target_chunk_id {_ALIKE}"
_BY_BOTH_ENDS = f"o.source_chunk_id = t.source_chunk_id AND o.target_chunk_id = t.target_chunk_id {_ALIKE}"
_CANDIDATES = f"""
SELECT t.rowid, {project_of(EDGES)} FROM main.edges t WHERE t.rowid > ? AND EXISTS (
  SELECT 1 FROM main.edges o WHERE {{alike}} AND +o.rowid <= ? AND NOT ecm_agent_matched(o.rowid)
) ORDER BY t.rowid LIMIT {_PAGE}
"""  # noqa: S608 (all of it is ours)
_GROUP = "SELECT o.rowid FROM main.edges t JOIN main.edges o ON {alike} WHERE t.rowid = ? ORDER BY o.id"


def fold(connection: sqlite3.Connection, edges: Matcher, made_up: RowSet) -> Iterator[tuple[SqlValue, bool]]:
    """Fold the new edges into the store's; give the project of each, and whether the store's changed.

    An edge in `made_up` had no id of its own in the archive, so it leaves none behind.
    """
    if edges.was_empty:
        return
    connection.create_function("ecm_agent_matched", 1, edges.matched.__contains__)
    with _indexed(connection) as alike:
        candidates, group = _CANDIDATES.format(alike=alike), _GROUP.format(alike=alike)
        last = before = edges.first_new - 1
        while page := connection.execute(candidates, (last, before)).fetchall():
            for rowid, project in page:
                like_it = [found for (found,) in connection.execute(group, (rowid,))]
                for ours, theirs in _pairs(edges, like_it):
                    yield project, _fold_into(connection, edges, ours, theirs, keep_id=theirs in made_up)
            last = page[-1][0]


def _pairs(edges: Matcher, group: list[int]) -> list[tuple[int, int]]:
    """Pair edges that say the same; none when those have been folded already."""
    ours = [found for found in group if found < edges.first_new and found not in edges.matched]
    theirs = [found for found in group if found >= edges.first_new]
    pairs = list(zip(ours, theirs, strict=False))
    for mine, _ in pairs:
        edges.matched.add(mine)
    return pairs


def _fold_into(connection: sqlite3.Connection, edges: Matcher, ours: int, theirs: int, *, keep_id: bool) -> bool:
    mine, yours = edges.row_at(ours), edges.row_at(theirs)
    changes: dict[str, Any] = folded(edges.rule, mine, yours)
    if not keep_id and str(yours["id"]) < str(mine["id"]):
        changes["id"] = yours["id"]
    connection.execute("DELETE FROM main.edges WHERE rowid = ?", (theirs,))
    if changes:
        edges.change(ours, changes)
    return bool(changes)


@contextmanager
def _indexed(connection: sqlite3.Connection) -> Iterator[str]:
    """See to it that edges alike can be found, and give the condition that finds them.

    All stores we know provide for finding them by their source, which is enough where no chunk has very many.
    """
    if has_index(connection, EDGES.name, "source_chunk_id") and not connection.execute(_HUB).fetchone():
        yield _BY_SOURCE
        return
    connection.execute("CREATE INDEX main.ecm_agent_merge ON edges (source_chunk_id, target_chunk_id)")
    yield _BY_BOTH_ENDS
    connection.execute("DROP INDEX main.ecm_agent_merge")
