"""The validator accepts a sound archive, and finds each fault that is planted in it."""

from __future__ import annotations

import copy
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from causantic_validator import faults

if TYPE_CHECKING:
    from collections.abc import Callable

_TIME = "2026-01-01T10:38:32.662Z"


def chunk(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "sessionId": "s",
        "sessionSlug": "tides",
        "projectPath": None,
        "content": "text",
        "startTime": _TIME,
        "endTime": _TIME,
        "turnIndices": [0],
    }


SOUND: dict[str, Any] = {
    "format": "causantic-archive",
    "version": "1.1",
    "created": _TIME,
    "metadata": {
        "version": "1.1",
        "created": _TIME,
        "chunkCount": 2,
        "edgeCount": 1,
        "clusterCount": 1,
        "vectorCount": 1,
        "embeddingDimensions": 2,
        "projects": ["tides"],
    },
    "chunks": [chunk("a"), chunk("b")],
    "edges": [
        {
            "id": "e",
            "source": "a",
            "target": "b",
            "type": "forward",
            "referenceType": None,
            "weight": 1,
            "linkCount": 1,
        }
    ],
    "clusters": [
        {
            "id": "k",
            "name": None,
            "description": None,
            "centroid": [0.5, 1],
            "exemplarIds": ["a"],
            "membershipHash": None,
            "members": [{"chunkId": "a", "distance": 0.25}],
        }
    ],
    "vectors": [{"chunkId": "a", "embedding": [0.5, -0.25]}],
}

CHANGES: dict[str, tuple[str, Any]] = {
    "version is a number": ("version", 1.1),
    "another version": ("version", "1.0"),
    "another format": ("format", "ecm-archive"),
    "two versions": ("metadata.version", "1.0"),
    "no metadata": ("metadata", None),
    "a section is no array": ("edges", {}),
    "a record is no object": ("edges.0", []),
    "too many announced": ("metadata.chunkCount", 3),
    "a count is text": ("metadata.edgeCount", "1"),
    "other projects": ("metadata.projects", []),
    "no time": ("chunks.0.startTime", "yesterday"),
    "no milliseconds": ("created", "2026-01-01T10:38:32Z"),
    "a field is null that may not be": ("chunks.0.sessionId", None),
    "turns are text": ("chunks.0.turnIndices", ["0"]),
    "half a character": ("chunks.0.content", "\ud800"),
    "two chunks of one id": ("chunks.1.id", "a"),
    "an edge from nowhere": ("edges.0.source", "c"),
    "an edge to nowhere": ("edges.0.target", "c"),
    "a weight is null": ("edges.0.weight", None),
    "a weight is true": ("edges.0.weight", True),
    "no links": ("edges.0.linkCount", 0),
    "links are a real number": ("edges.0.linkCount", 1.5),
    "a member from nowhere": ("clusters.0.members.0.chunkId", "c"),
    "a member has no distance": ("clusters.0.members.0.distance", None),
    "a member is far away": ("clusters.0.members.0.distance", 1.5),
    "a member has one key more": ("clusters.0.members.0", {"chunkId": "a", "distance": 0, "more": 0}),
    "an exemplar from nowhere": ("clusters.0.exemplarIds", ["c"]),
    "exemplars are numbers": ("clusters.0.exemplarIds", [1]),
    "a centroid is bytes": ("clusters.0.centroid", "AAAA"),
    "a centroid of another length": ("clusters.0.centroid", [0.5]),
    "a centroid has a null": ("clusters.0.centroid", [0.5, None]),
    "a vector from nowhere": ("vectors.0.chunkId", "c"),
    "a vector of another length": ("vectors.0.embedding", [0.5]),
    "a vector is empty": ("vectors.0.embedding", []),
    "a number is none": ("vectors.0.embedding", [0.5, float("nan")]),
    "a number is infinite": ("vectors.0.embedding", [0.5, float("inf")]),
    "a number is beyond 32-bit floats": ("vectors.0.embedding", [0.5, 1e300]),
    "a number is finer than 32-bit floats": ("vectors.0.embedding", [0.5, 0.1]),
    "no dimensions": ("metadata.embeddingDimensions", None),
    "another dimension": ("metadata.embeddingDimensions", 3),
}


def packed(document: dict[str, Any]) -> bytes:
    return gzip.compress(json.dumps(document).encode())


def changed(path: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 (any JSON value)
    document = copy.deepcopy(SOUND)
    place: Any = document
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in way:
        place = place[step]
    place[last] = value
    return document


def moved(document: dict[str, Any]) -> dict[str, Any]:
    """Put the first key last."""
    first, *others = document
    return {key: document[key] for key in (*others, first)}


def test_a_sound_archive_has_no_fault() -> None:
    """What all the others are a change of is accepted."""
    assert faults(packed(SOUND)) == []


@pytest.mark.parametrize("fault", CHANGES)
def test_a_planted_fault_is_found(fault: str) -> None:
    """One value that Causantic would not have written is enough."""
    assert faults(packed(changed(*CHANGES[fault])))


@pytest.mark.parametrize("path", ["metadata", "chunks.0", "edges.0", "clusters.0", "vectors.0", "clusters.0.members.0"])
@pytest.mark.parametrize(
    "alter", [moved, lambda record: record | {"more": 1}, lambda record: dict(list(record.items())[1:])]
)
def test_keys_are_exact(path: str, alter: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Keys in another order, one more, one less: each is a fault, in every kind of object."""
    value: Any = SOUND
    for step in path.split("."):
        value = value[int(step) if step.isdigit() else step]
    assert faults(packed(changed(path, alter(value))))


@pytest.mark.parametrize(
    "archive",
    [
        json.dumps(SOUND).encode(),
        gzip.compress(b"\xef\xbb\xbf" + json.dumps(SOUND).encode()),
        gzip.compress(json.dumps(SOUND).encode("utf-16")),
        gzip.compress(json.dumps(SOUND).encode() + b"{}"),
        gzip.compress(json.dumps(SOUND).replace('"text"', '"text","content":"text"').encode()),
        packed(SOUND)[:-1],
        packed(SOUND) + b"more",
        packed(moved(SOUND)),
        b"CST\0" + packed(SOUND),
        b"",
    ],
    ids=["not gzip", "mark", "utf-16", "followed", "twice", "cut", "followed by bytes", "moved", "sealed", "empty"],
)
def test_what_is_around_the_records_is_exact(archive: bytes) -> None:
    """Gzip, whole and alone; UTF-8 without a mark; one JSON object with its keys in order."""
    assert faults(archive)
