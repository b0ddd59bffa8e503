"""Two rows for one record, the store's and the archive's: what the store's is to become, and why.

docs/merge.md says the same for users. Values are compared as SQLite holds them, JSON by what it says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import msgspec

from ecm_agent.model.causality import Order, joined, order
from ecm_agent.model.records import VectorClockData
from ecm_agent.store.cells import SqlValue
from ecm_agent.store.schema import CHUNKS, CLUSTERS, EDGES, MEMBERSHIPS, VECTOR_CLOCKS, VECTORS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ecm_agent.store.base import Fate, OnConflict
    from ecm_agent.store.schema import Table

Row: TypeAlias = dict[str, SqlValue]
"""Column → value."""

Side: TypeAlias = Literal["ours", "theirs"]
"""The store's or the archive's."""

Joins: TypeAlias = "Mapping[str, Callable[[SqlValue, SqlValue], SqlValue]]"
"""Columns for which one value stands for both sides', and how it is found; the same whichever side is first."""


class Settled(NamedTuple):
    """What becomes of the store's row, and who had the last word on its content; `None` where there was no question."""

    fate: Fate
    changes: Row
    differing: list[str]
    winner: Side | None


@dataclass(frozen=True, slots=True)
class Rule:
    """How the rows of a table are settled. A column that is not named here is content.

    `key` tells which rows are one record; `clock` which of two rows is later, or `later`, a column of which the higher
    value is. `joins` are bookkeeping: when something was first or last seen, whoever is right about the content.
    While two edges agree on their `meaning` they are one edge, and its `strength` is joined as well, unless one of them
    is later. A row without a clock of its own `follows` another (a table, and the column that holds its id): whoever
    had the last word on that one has it on this.
    """

    table: Table | None
    key: tuple[str, ...] = ("id",)
    clock: str = ""
    later: str = ""
    joins: Joins = field(default_factory=dict)
    meaning: frozenset[str] = frozenset()
    strength: Joins = field(default_factory=dict)
    follows: tuple[Table, str] | None = None


def settle(rule: Rule, ours: Row, theirs: Row, on_conflict: OnConflict, leaning: Side | None = None) -> Settled:
    """Say what a row becomes that the store and the archive both have.

    `theirs` holds only columns that the archive speaks of, `ours` has all of those. `leaning` is who had the last word
    on the record this one follows.
    """
    differing = [name for name, value in theirs.items() if not _same(rule.table, name, ours[name], value)]
    if not differing:
        return Settled("skipped", {}, [], None)
    stands = _order(rule, ours, theirs)
    joins = _joins(rule, ours, theirs)
    content = [name for name in differing if name not in joins]
    later = {Order.AFTER: "theirs", Order.BEFORE: "ours"}.get(stands) if stands else leaning
    if not later and rule.meaning.isdisjoint(content):
        joins |= {name: join for name, join in rule.strength.items() if name in content}
        content = [name for name in content if name not in joins]
    changes = _joined(joins, ours, theirs)
    if not content:
        return Settled("updated" if changes else "skipped", changes, [], None)
    winner: Side = "theirs" if "theirs" in {later, None if later else on_conflict} else "ours"
    if winner == "theirs":
        changes |= {name: theirs[name] for name in content}
    if not later:
        return Settled("conflicts", changes, content, winner)
    return Settled("updated" if changes else "skipped", changes, content, winner)


def folded(rule: Rule, ours: Row, theirs: Row) -> Row:
    """Give the changes that let the store's row of an edge stand for the archive's as well."""
    return _joined(_joins(rule, ours, theirs) | dict(rule.strength), ours, theirs)


def same(rule: Rule, ours: Row, theirs: Row) -> bool:
    """Whether the store's row says all that the archive's does."""
    return all(_same(rule.table, name, ours[name], value) for name, value in theirs.items())


def _same(table: Table | None, column: str, one: SqlValue, other: SqlValue) -> bool:
    if type(one) is type(other) and one == other:
        return True
    if table is None or column not in table.json_columns or not isinstance(one, str) or not isinstance(other, str):
        return False
    try:
        return bool(msgspec.json.decode(one) == msgspec.json.decode(other))
    except (msgspec.DecodeError, RecursionError):
        return False


def _order(rule: Rule, ours: Row, theirs: Row) -> Order | None:
    """Say how the archive's row stands to the store's in time; `None` when nothing tells."""
    if rule.later and rule.later in theirs:
        return _order_of(theirs[rule.later], ours[rule.later])
    if not rule.clock or rule.clock not in theirs:
        return None
    one, other = _clock(theirs[rule.clock]), _clock(ours[rule.clock])
    return order(one, other) if one and other else None


def _order_of(one: SqlValue, other: SqlValue) -> Order | None:
    """Say how two values stand in time: numbers, or texts as times are written; `None` where nothing tells."""
    alike = (isinstance(one, str) and isinstance(other, str)) or (isinstance(one, int) and isinstance(other, int))
    if not alike or one == other:
        return None
    return Order.AFTER if one > other else Order.BEFORE  # type: ignore[operator] # both texts, or both numbers


def _joins(rule: Rule, ours: Row, theirs: Row) -> dict[str, Callable[[SqlValue, SqlValue], SqlValue]]:
    """Give the joins for two rows; a clock that is none (the column holds something else) is content."""
    joins = {name: join for name, join in rule.joins.items() if name in theirs}
    if rule.clock and rule.clock in theirs and None not in (_clock(ours[rule.clock]), _clock(theirs[rule.clock])):
        joins[rule.clock] = _later_clock
    return joins


def _joined(joins: Joins, ours: Row, theirs: Row) -> Row:
    values = {name: join(ours[name], theirs[name]) for name, join in joins.items() if name in theirs}
    return {name: value for name, value in values.items() if value != ours[name]}


def _clock(value: SqlValue) -> VectorClockData | None:
    if value is None:
        return {}
    try:
        return msgspec.json.decode(value, type=VectorClockData) if isinstance(value, str) else None
    except msgspec.DecodeError:
        return None


def _later_clock(one: SqlValue, other: SqlValue) -> SqlValue:
    mine, yours = _clock(one) or {}, _clock(other) or {}
    if one is None or other is None:
        return one if other is None else other
    both = joined(mine, yours)
    return one if both == mine else msgspec.json.encode(both).decode()


def _earliest(one: SqlValue, other: SqlValue) -> SqlValue:
    if isinstance(one, str) and isinstance(other, str):
        return min(one, other)
    return other if one is None else one


def _latest(one: SqlValue, other: SqlValue) -> SqlValue:
    if isinstance(one, str) and isinstance(other, str):
        return max(one, other)
    return other if one is None else one


def _unless_alive(one: SqlValue, other: SqlValue) -> SqlValue:
    return None if one is None or other is None else _latest(one, other)


def _greatest(one: SqlValue, other: SqlValue) -> SqlValue:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return max(one, other)
    return other if one is None else one


RULES = {
    rule.table: rule
    for rule in (
        Rule(CHUNKS, clock="vector_clock", joins={"created_at": _earliest}),
        Rule(
            EDGES,
            clock="vector_clock",
            joins={"created_at": _earliest},
            meaning=frozenset({"source_chunk_id", "target_chunk_id", "edge_type", "reference_type"}),
            strength={"initial_weight": _greatest, "link_count": _greatest},
        ),
        Rule(CLUSTERS, joins={"created_at": _earliest, "refreshed_at": _latest}),
        Rule(MEMBERSHIPS, key=("chunk_id", "cluster_id"), follows=(CLUSTERS, "cluster_id")),
        Rule(VECTOR_CLOCKS, clock="clock_data", joins={"updated_at": _latest}),
        Rule(VECTORS, joins={"last_accessed": _latest, "orphaned_at": _unless_alive}, follows=(CHUNKS, "id")),
    )
}

_OTHERS = {
    "ingestion_checkpoints": Rule(None, later="last_turn_index"),
    "session_states": Rule(None, later="ended_at"),
    "entities": Rule(None, later="updated_at", joins={"created_at": _earliest}),
    "entity_mentions": Rule(None, joins={"confidence": _greatest}),
    "index_entries": Rule(None, joins={"created_at": _earliest}),
    "index_vectors": Rule(None, joins={"last_accessed": _latest, "orphaned_at": _unless_alive}),
    "embedding_cache": Rule(None, joins={"hit_count": _greatest, "created_at": _earliest}),
    "hdbscan_models": Rule(None, later="created_at"),
}
"""Of the other tables those we know; the store says what their keys are."""

_UNKNOWN = Rule(None)


def rule_for(table: str) -> Rule:
    """Give the rule of a table that is not one of ECM's own."""
    return _OTHERS.get(table, _UNKNOWN)
