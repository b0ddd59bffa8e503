"""A corpus as a memory, and what an export of it gives to those it is shared with."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import builders
from msgspec.structs import replace

from ecm_agent.clock import SystemClock
from ecm_agent.jobs.export import export
from ecm_agent.model.manifest import Selection
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from redaction.corpus import Corpus

    from ecm_agent.model.manifest import Redaction
    from ecm_agent.model.records import Chunk, Cluster

KEY = b"a key for these tests"
ALL: tuple[Redaction, ...] = ("paths", "code", "secrets")


def memory_of(corpus: Corpus, path: Path) -> SqliteStore:
    """Make a store of a corpus: its texts in chunks and clusters, its people in the names of agents and clocks."""
    chunks, clusters, clocks = [], [], []
    for one in corpus.conversations:
        agent = f"{one.user}@falcon"
        chunk: Chunk = builders.chunk(f"c{one.number}", one.slug, one.text)
        chunks.append(replace(chunk, project_path=one.project_path, agent_id=agent, vector_clock={agent: 3, "ui": 1}))
        cluster: Cluster = builders.cluster(f"k{one.number}", [f"c{one.number}"], [f"c{one.number}"])
        clusters.append(replace(cluster, name=one.project_path, description=one.text.partition("\n\n[")[0]))
        clocks.append(builders.vector_clock(f"agent:{one.slug}:{agent}", one.slug))
    memberships = [builders.membership(f"c{one.number}", f"k{one.number}") for one in corpus.conversations]
    edges = [builders.edge(f"e{number}", f"c{number}", f"c{number - 1}") for number in range(1, len(chunks))]
    store = SqliteStore(path)
    store.create()
    builders.execute(path, "ALTER TABLE chunks ADD COLUMN project_path TEXT")
    builders.fill(store, [chunks, edges, clusters, memberships, clocks])
    return store


def exported(
    store: SqliteStore, redact: Sequence[Redaction] = ALL, *, vectors: bool = False, key: bytes = KEY
) -> bytes:
    """Export a store, plain."""
    file = io.BytesIO()
    selection = Selection(vectors=vectors, redact=tuple(redact))
    export(store, selection, file, password=None, compression="none", created=SystemClock().now(), key=key)
    return file.getvalue()


def texts(archive: bytes) -> list[str]:
    """Give the chunks' texts of a plain archive, in order."""
    return [record["content"] for record in document(archive)["chunks"]]


def document(archive: bytes) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(archive)
    return parsed
