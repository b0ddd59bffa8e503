"""redact: a snapshot of a store, seen without what is not to be shared."""

from __future__ import annotations

import getpass
from contextlib import suppress
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ecm_agent.model.records import RECORD_TYPES, Chunk, Cluster
from ecm_agent.redaction.known import Known
from ecm_agent.redaction.pseudonyms import Pseudonyms
from ecm_agent.redaction.records import RecordRedactor

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from ecm_agent.model.manifest import Manifest, Selection
    from ecm_agent.model.records import Batch, RecordType
    from ecm_agent.store.base import MemoryStore, Oddity, Snapshot


class RedactedSnapshot:
    """A `Snapshot` of another one, redacted as its selection asks for. What it found is counted before it is given.

    It reads the other one three times: to learn whose paths and names to look for, to count, and to give. `key` draws
    the pseudonyms.
    """

    def __init__(self, snapshot: Snapshot, selection: Selection, key: bytes) -> None:
        self._snapshot = snapshot
        self._selection = selection
        self._pseudonyms = Pseudonyms(key)
        self._known = _learned(snapshot.batches())
        self.oddities: list[Oddity] = list(snapshot.oddities)
        self.odd_rows = snapshot.odd_rows
        self.manifest = self._manifest(snapshot.manifest)

    def batches(self, kinds: Collection[RecordType] = RECORD_TYPES) -> Iterator[Batch]:
        redactor = self._redactor()
        return (redactor.redact(batch) for batch in self._snapshot.batches(kinds))

    def chunk_ids(self) -> Iterator[str]:
        return map(self._redactor().name, self._snapshot.chunk_ids())

    def vectors_without_chunk(self) -> tuple[int, list[str]]:
        return 0, []  # their names are not for sharing

    def _redactor(self) -> RecordRedactor:
        vectors = self._selection.vectors
        return RecordRedactor(self._selection.redact, self._known, self._pseudonyms, vectors=vectors)

    def _manifest(self, manifest: Manifest) -> Manifest:
        redactor = self._redactor()
        for batch in self._snapshot.batches():
            redactor.redact(batch)
        projects, selected = manifest.projects, manifest.selected_projects
        return replace(
            manifest,
            projects=sorted(map(redactor.project, projects)),
            selected_projects=None if selected is None else sorted(map(redactor.project, selected)),
            redacted=sorted(self._selection.redact),
            redactions={kind: redactor.found[kind] for kind in sorted(self._selection.redact)},
        )


def previews(store: MemoryStore, selection: Selection, wanted: int) -> Iterator[tuple[str, str, str]]:
    """Give the id of a chunk, and its text before and after, for the first chunks in which something is found.

    Raises as `MemoryStore.snapshot` does.
    """
    with store.snapshot(selection, "") as snapshot:
        redactor = RecordRedactor(
            selection.redact, _learned(snapshot.batches()), Pseudonyms(token_bytes(32)), vectors=selection.vectors
        )
        for batch in snapshot.batches():
            for record in batch:
                if isinstance(record, Chunk) and (after := redactor.text(record.content)) != record.content:
                    yield record.id, record.content, after
                    wanted -= 1
                if not wanted:
                    return


def _learned(batches: Iterable[Batch]) -> Known:
    """Learn the homes, paths and names of the people behind a memory, and of who shares it."""
    known = Known()
    known.learn_path(str(Path.home()))
    with suppress(OSError, KeyError):  # an account without a name, as in a container
        known.learn_name(getpass.getuser())
    for batch in batches:
        for record in batch:
            if isinstance(record, Chunk):
                known.learn_text(record.content)
                known.learn_text(record.session_slug)
                known.learn_path(record.project_path if isinstance(record.project_path, str) else "")
            elif isinstance(record, Cluster):
                known.learn_text(f"{record.name} {record.description}")
    return known
