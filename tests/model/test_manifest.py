"""The manifest: what an archive says about itself, and what it leaves unsaid."""

from __future__ import annotations

import msgspec
import pytest

from ecm_agent.model.manifest import Manifest
from ecm_agent.model.records import (
    RECORD_TYPES,
    Chunk,
    Cluster,
    Edge,
    Membership,
    RecordType,
    TableRow,
    Vector,
    VectorClock,
)

PLAIN = Manifest(version="1.0", created="2025-03-01T12:00:00.000Z", chunk_count=3, edge_count=2, cluster_count=1)


def test_the_keys_every_reader_knows_are_always_there() -> None:
    """The counts and the version are written even when they are 0, under the names of the format."""
    empty = Manifest(version="1.0", created="", chunk_count=0, edge_count=0, cluster_count=0)
    keys = msgspec.to_builtins(empty)
    assert keys == {"version": "1.0", "created": "", "chunkCount": 0, "edgeCount": 0, "clusterCount": 0}


def test_unknown_keys_are_overlooked() -> None:
    """A manifest of a newer program, with keys this one does not know, is read."""
    more = {**msgspec.to_builtins(PLAIN), "mood": {"deep": ["calm"]}}
    assert msgspec.convert(more, Manifest) == PLAIN


def test_every_kind_of_record_has_its_count() -> None:
    """A count is announced by its own key; where there is none, none is announced."""
    keys: dict[RecordType, str] = {
        Chunk: "chunkCount",
        Edge: "edgeCount",
        Cluster: "clusterCount",
        Membership: "membershipCount",
        VectorClock: "vectorClockCount",
        Vector: "vectorCount",
        TableRow: "rowCount",
    }
    assert set(keys) == set(RECORD_TYPES)
    for number, (kind, key) in enumerate(keys.items(), start=7):
        counted = msgspec.convert({**msgspec.to_builtins(PLAIN), key: number}, Manifest)
        assert counted.count(kind) == number
    assert [PLAIN.count(kind) for kind in RECORD_TYPES] == [3, 2, 1, None, None, None, None]


@pytest.mark.parametrize(
    ("more", "partial"),
    [({}, False), ({"dangling": {"edges": 2}}, False), ({"selectedProjects": []}, True), ({"leftOut": {"v": 1}}, True)],
)
def test_partial_means_that_the_store_held_more(more: dict[str, object], *, partial: bool) -> None:
    """Selected projects or a table left out make an archive partial; rows that led nowhere do not."""
    assert msgspec.convert({**msgspec.to_builtins(PLAIN), **more}, Manifest).partial is partial
