"""The rules of docs/merge.md once more, over plain dictionaries: slow, simple, and sharing no code with the program.

It is what `MemoryStoreFake.merge` does, and what tests hold the real one against.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from msgspec import UNSET
from msgspec.structs import asdict

from ecm_agent.model.records import RECORD_TYPES, Chunk, Cluster, Edge, Membership, Vector, VectorClock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ecm_agent.model.records import AnyRecord, RecordType

Said: TypeAlias = dict[str, Any]
"""What a record says, by attribute."""

KEYS: dict[type, tuple[str, ...]] = {Membership: ("chunk_id", "cluster_id"), Vector: ("chunk_id",)}
CLOCKS: dict[type, str] = {Chunk: "vector_clock", Edge: "vector_clock", VectorClock: "clock"}
MEANING = ("source", "target", "type", "reference_type")
EARLIEST = {"created_at"}
LATEST = {"refreshed_at", "updated_at", "last_accessed"}


class Merged(NamedTuple):
    """What a store holds after a merge, and how many records of each section met which fate."""

    records: list[AnyRecord]
    fates: Counter[tuple[str, str]]


class Doubled(Exception):
    """The archive holds two records of one id."""


def key(record: AnyRecord) -> tuple[str, ...]:
    return tuple(getattr(record, name) for name in KEYS.get(type(record), ("id",)))


def said(record: AnyRecord) -> Said:
    """Give what a record says; the members of a cluster are said by its memberships, and its row is numbered anew."""
    unsaid = {"member_chunk_ids", "row_number"}
    return {name: value for name, value in asdict(record).items() if value is not UNSET and name not in unsaid}


def merged(ours: Iterable[AnyRecord], theirs: Iterable[AnyRecord], on_conflict: str = "ours") -> Merged:
    """Merge two memories; an archive's edges must have ids."""
    store: dict[RecordType, dict[tuple[str, ...], Said]] = {kind: {} for kind in RECORD_TYPES}
    for record in ours:
        store[type(record)][key(record)] = said(record)
    before = {kind: set(rows) for kind, rows in store.items()}
    matched: set[tuple[RecordType, tuple[str, ...]]] = set()
    fates: Counter[tuple[str, str]] = Counter()
    winners: dict[tuple[RecordType, str], str] = {}
    matched_edges: list[tuple[tuple[str, ...], Said, str]] = []
    for record in sorted(theirs, key=lambda record: RECORD_TYPES.index(type(record))):
        kind, name = type(record), key(record)
        if (kind, name) in matched:
            raise Doubled(name)
        matched.add((kind, name))
        if name in before[kind]:
            was = dict(store[kind][name])
            leaning = _leaning(record, winners)
            fate, winner = _settle(kind, store[kind][name], said(record), on_conflict, leaning)
            if winner:
                winners[kind, name[0]] = winner
            if kind is Edge:
                matched_edges.append((name, was, fate))
        else:
            store[kind][name] = said(record)
            fate = "added"
        fates[kind.section, fate] += 1
    for name, was, fate in matched_edges:
        now = store[Edge][name]
        ends = {(now["source"],), (now["target"],)}
        if ends != {(was["source"],), (was["target"],)} and not ends <= store[Chunk].keys():
            store[Edge][name] = was
            fates["edges", fate] -= 1
            fates["edges", "dropped"] += 1
    _drop(store, before, fates)
    _fold(store, before, {name for kind, name in matched if kind is Edge}, fates)
    return Merged([kind(**row) for kind, rows in store.items() for row in rows.values()], +fates)


def _leaning(record: AnyRecord, winners: dict[tuple[RecordType, str], str]) -> str | None:
    if isinstance(record, Vector):
        return winners.get((Chunk, record.chunk_id))
    return winners.get((Cluster, record.cluster_id)) if isinstance(record, Membership) else None


def _settle(
    kind: RecordType, ours: Said, theirs: Said, on_conflict: str, leaning: str | None
) -> tuple[str, str | None]:
    """Change what the store says; give the fate, and who had the last word on the content, if anybody had to."""
    was = dict(ours)
    clock = CLOCKS.get(kind, "")
    mine, yours = was.get(clock) or {}, theirs.get(clock) or {}
    bookkeeping = EARLIEST | LATEST | {clock, "orphaned_at"}
    content = [name for name, value in theirs.items() if name not in bookkeeping and value != was.get(name)]
    for name in bookkeeping & theirs.keys():
        ours[name] = _joined(name, was.get(name), theirs[name])
    later = leaning
    if mine and yours:
        later = {(True, False): "theirs", (False, True): "ours"}.get((_ahead(yours, mine), _ahead(mine, yours)))
    if kind is Edge and not later and not set(MEANING) & set(content):
        for name in {"weight", "link_count"} & set(content):
            ours[name] = _greatest(was[name], theirs[name])
        content = [name for name in content if name not in {"weight", "link_count"}]
    winner = None
    if content:
        winner = later or ("theirs" if on_conflict == "theirs" else "ours")
        if winner == "theirs":
            ours.update({name: theirs[name] for name in content})
    if content and not later:
        return "conflicts", winner
    return ("skipped" if ours == was else "updated"), winner


def _ahead(one: dict[str, int], other: dict[str, int]) -> bool:
    return any(tick > other.get(agent, 0) for agent, tick in one.items())


def _joined(name: str, one: Any, other: Any) -> Any:  # noqa: ANN401 (a value of any field)
    if name == "orphaned_at":
        return None if one is None or other is None else max(one, other)
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, dict):
        return {agent: max(one.get(agent, other.get(agent)), other.get(agent, one.get(agent))) for agent in one | other}
    return min(one, other) if name in EARLIEST else max(one, other)


def _greatest(one: float | None, other: float | None) -> float | None:
    return max((number for number in (one, other) if number is not None), default=None)


def _drop(
    store: dict[RecordType, dict[tuple[str, ...], Said]],
    before: dict[RecordType, set[tuple[str, ...]]],
    fates: Counter[tuple[str, str]],
) -> None:
    chunks, clusters = store[Chunk], store[Cluster]
    for name, row in list(store[Edge].items()):
        if name not in before[Edge] and not {(row["source"],), (row["target"],)} <= chunks.keys():
            _change(fates, Edge, "dropped")
            del store[Edge][name]
    for name in list(store[Membership]):
        if name not in before[Membership] and not ((name[0],) in chunks and (name[1],) in clusters):
            _change(fates, Membership, "dropped")
            del store[Membership][name]


def _fold(
    store: dict[RecordType, dict[tuple[str, ...], Said]],
    before: dict[RecordType, set[tuple[str, ...]]],
    matched: set[tuple[str, ...]],
    fates: Counter[tuple[str, str]],
) -> None:
    edges = store[Edge]
    groups: dict[tuple[Any, ...], tuple[list[tuple[str, ...]], list[tuple[str, ...]]]] = {}
    for name in sorted(edges):
        meaning = tuple(edges[name][part] for part in MEANING)
        mine, yours = groups.setdefault(meaning, ([], []))
        if name not in before[Edge]:
            yours.append(name)
        elif name not in matched:
            mine.append(name)
    for mine, yours in groups.values():
        for one, other in zip(mine, yours, strict=False):
            kept, gone = edges[one], edges.pop(other)
            for part in {"weight", "link_count"} & gone.keys():
                kept[part] = _greatest(kept[part], gone[part])
            for part in {"created_at", "vector_clock"} & gone.keys():
                kept[part] = _joined(part, kept.get(part), gone[part])
            kept["id"] = min(kept["id"], gone["id"])
            edges[kept["id"],] = edges.pop(one)
            _change(fates, Edge, "folded")


def _change(fates: Counter[tuple[str, str]], kind: RecordType, to: str) -> None:
    fates[kind.section, "added"] -= 1
    fates[kind.section, to] += 1
