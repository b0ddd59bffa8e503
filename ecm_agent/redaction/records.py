"""Records → records without what was to be taken out: every field that can carry text, in every kind of record.

Texts are searched and what is found is replaced. A name that other records refer to (an id, an agent) keeps its
references: if anything is found in it, all of it becomes a pseudonym, everywhere. When paths are taken out, the names
of projects become pseudonyms whatever is in them: the memory program draws them from directories.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET
from msgspec.structs import fields, replace

from ecm_agent.model.records import (
    RECORD_TYPES,
    Chunk,
    Cluster,
    Edge,
    Exact,
    Membership,
    Vector,
    VectorClock,
    VectorClockData,
)
from ecm_agent.redaction.text import TextRedactor
from ecm_agent.redaction.tokens import PATH

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Collection

    from ecm_agent.model.manifest import Redaction
    from ecm_agent.model.records import AnyRecord, Batch, Cell, RecordType
    from ecm_agent.redaction.known import Known
    from ecm_agent.redaction.pseudonyms import Pseudonyms

_NAMES: dict[RecordType, frozenset[str]] = {
    Chunk: frozenset({"id", "session_id", "agent_id", "vector_clock"}),
    Edge: frozenset({"id", "source", "target", "vector_clock"}),
    Cluster: frozenset({"id", "member_chunk_ids", "exemplar_ids"}),
    Membership: frozenset({"chunk_id", "cluster_id"}),
    VectorClock: frozenset({"id", "clock"}),
    Vector: frozenset({"chunk_id"}),
}
"""Fields that name records or agents, by kind of record."""

_SLUGS = {"session_slug", "project_slug"}
_NAME_COLUMNS = {"id", "session_id", "agent_id", "source_chunk_id", "target_chunk_id", "chunk_id", "cluster_id"}
_JSON_NAMES: dict[str, Any] = {
    "vector_clock": VectorClockData,
    "clock_data": VectorClockData,
    "exemplar_ids": list[str],
}
_HARMLESS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(-chunk-\d{1,9})?|\d{4}-\d\d-\d\d[T ][\d:.]{5,15}Z?")
"""What most ids and times look like; looking closer would take longer than all the rest."""
_REMEMBERED = 1 << 14


class RecordRedactor:
    """Redacts records, batch by batch; `found` counts the replacements in texts, by kind.

    Without `vectors`, centroids go as well, and so do BLOBs of columns that this program does not know.
    """

    def __init__(self, kinds: Collection[Redaction], known: Known, pseudonyms: Pseudonyms, *, vectors: bool) -> None:
        self._paths = "paths" in kinds
        self._text = TextRedactor(kinds, known)
        self._names = TextRedactor(kinds, known)
        self._pseudonyms = pseudonyms
        self._vectors = vectors
        self._name = lru_cache(_REMEMBERED)(self._look_into)

    @property
    def found(self) -> Counter[Redaction]:
        return self._text.found

    def redact(self, batch: Batch) -> Batch:
        """Give the records of a batch without what was to be taken out."""
        return [self._record(record) for record in batch]  # type: ignore[return-value] # each is of the kind it was

    def text(self, text: str) -> str:
        return text if _HARMLESS.fullmatch(text) else self._text.redact(text)

    def name(self, name: str) -> str:
        """Give a name that other records may refer to."""
        return name if _HARMLESS.fullmatch(name) else self._name(name)

    def project(self, slug: str) -> str:
        """Give the name of a project as it stands in the archive."""
        return self._pseudonyms.of(slug, "project") if self._paths else self.name(slug)

    def _look_into(self, name: str) -> str:
        return name if self._names.redact(name) == name else self._pseudonyms.of(name, "name")

    def _record(self, record: AnyRecord) -> AnyRecord:
        kind = type(record)
        changes = {}
        for attribute in _ATTRIBUTES[kind]:
            value = getattr(record, attribute)
            if value is not None and value is not UNSET:
                redacted = self._value(kind, attribute, value)
                if redacted != value:
                    changes[attribute] = redacted
        if isinstance(record, VectorClock):
            changes["id"] = self.name(_with_slug(record.id, record.project_slug, self.project(record.project_slug)))
        return replace(record, **changes) if changes else record

    def _value(self, kind: RecordType, attribute: str, value: Any) -> Any:  # noqa: ANN401 (a value of any field)
        if attribute == "columns":
            return {column: self._cell(column, cell) for column, cell in value.items()}
        if attribute == "centroid":
            return value if self._vectors else None
        if attribute in _NAMES[kind]:
            return self._renamed(value)
        return self._column(attribute, value)

    def _renamed(self, value: Any) -> Any:  # noqa: ANN401 (a name, names, or a clock of names)
        if isinstance(value, dict):
            return _renamed(value, self.name)
        return self.name(value) if isinstance(value, str) else [self.name(name) for name in value]

    def _cell(self, column: str, cell: Cell) -> Cell:
        """Redact a value that its column should not hold, or whose column is unknown."""
        if column == "centroid" and not self._vectors:
            return None
        if isinstance(cell, str):
            return self._column(column, cell)
        if not isinstance(cell, Exact) or cell.real is not UNSET:
            return cell
        if cell.blob is not UNSET and not self._vectors and column not in _NAME_COLUMNS:
            return Exact(blob=b"")
        raw = cell.text if cell.text is not UNSET else cell.blob
        said = raw.decode(errors="replace") if isinstance(raw, bytes) else ""
        redacted = self._column(column, said)
        return cell if redacted == said else redacted

    def _column(self, column: str, text: str) -> str:
        if column in _SLUGS:
            return self.project(text)
        if column == "project_path" and self._paths:
            return PATH if text else text
        if column in _JSON_NAMES:
            return self._names_in_json(column, text)
        return self.name(text) if column in _NAME_COLUMNS else self.text(text)

    def _names_in_json(self, column: str, text: str) -> str:
        """Redact JSON that is not as the program would write it, so that its names stay one with others."""
        try:
            said = msgspec.json.decode(text, type=_JSON_NAMES[column])
        except (msgspec.DecodeError, RecursionError):
            return self.text(text)
        renamed = self._renamed(said)
        return text if renamed == said else msgspec.json.encode(renamed).decode()


def _attributes(kind: RecordType) -> tuple[str, ...]:
    """Name the fields of a record that can carry text, or what texts can be guessed from."""
    numbers = {"embedding", "turn_indices", "weight", "distance", "link_count", "spawn_depth", "code_block_count"}
    numbers |= {"tool_use_count", "approx_tokens", "row_number"}
    return tuple(field.name for field in fields(kind) if field.name not in numbers)


_ATTRIBUTES = {kind: _attributes(kind) for kind in RECORD_TYPES}


def _with_slug(name: str, slug: str, pseudonym: str) -> str:
    """Replace the project in the id of a vector clock: `project:<slug>`, `agent:<slug>:<agent>`."""
    head, colon, rest = name.partition(":")
    if slug and rest.startswith(slug):
        return f"{head}{colon}{pseudonym}{rest.removeprefix(slug)}"
    return name.replace(slug, pseudonym) if slug else name


def _renamed(clock: dict[str, int], name: Callable[[str], str]) -> dict[str, int]:
    """Rename the agents of a clock; two that become one are one that has seen as much as both."""
    renamed: dict[str, int] = {}
    for agent, tick in clock.items():
        renamed[name(agent)] = max(tick, renamed.get(name(agent), tick))
    return renamed
