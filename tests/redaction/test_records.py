"""Records: every field that can carry text is redacted, and what refers to a record still does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import builders
import pytest
from msgspec.structs import replace

from ecm_agent.model.records import Chunk, Cluster, Edge, Exact, VectorClock
from ecm_agent.redaction.known import Known
from ecm_agent.redaction.pseudonyms import Pseudonyms
from ecm_agent.redaction.records import RecordRedactor

if TYPE_CHECKING:
    from ecm_agent.model.manifest import Redaction

KEY = "AKIAQYLPMN5HFIQR7XYA"
AGENT = "ada@falcon"


def redactor(*kinds: Redaction, vectors: bool = False) -> RecordRedactor:
    known = Known()
    known.learn_path("/home/ada/tides")
    return RecordRedactor(kinds, known, Pseudonyms(b"key"), vectors=vectors)


def test_a_name_is_renamed_alike_wherever_it_stands() -> None:
    """An agent that names a user has one pseudonym in chunks, clocks of chunks and edges, and clocks of their own."""
    sharing = redactor("paths")
    [chunk] = sharing.redact([replace(builders.chunk("c1"), agent_id=AGENT, vector_clock={AGENT: 3, "ui": 1})])
    [edge] = sharing.redact([replace(builders.edge("e1", "c1", "c1"), vector_clock={AGENT: 2})])
    [clock] = sharing.redact([replace(builders.vector_clock("agent:x:y", "x"), clock={AGENT: 7})])
    assert isinstance(chunk, Chunk)
    assert isinstance(edge, Edge)
    assert isinstance(clock, VectorClock)
    name = chunk.agent_id
    assert isinstance(name, str)
    assert name.startswith("name-")
    assert (chunk.vector_clock, edge.vector_clock, clock.clock) == ({name: 3, "ui": 1}, {name: 2}, {name: 7})


def test_an_id_with_something_in_it_keeps_its_references() -> None:
    """A chunk's id that names a path becomes one pseudonym in the chunk, its edges, its cluster and its vector."""
    said, sharing = "/home/ada/tides/moon.py-chunk-1", redactor("paths")
    [chunk] = sharing.redact([builders.chunk(said)])
    [edge] = sharing.redact([builders.edge("e1", said, "c2")])
    [cluster] = sharing.redact([builders.cluster("k1", [said, "c2"], [said])])
    [membership] = sharing.redact([builders.membership(said, "k1")])
    [vector] = sharing.redact([builders.vector(said, 1.0)])
    assert isinstance(chunk, Chunk)
    assert isinstance(edge, Edge)
    assert isinstance(cluster, Cluster)
    assert chunk.id.startswith("name-")
    assert (edge.id, edge.source, edge.target) == ("e1", chunk.id, "c2")
    assert (cluster.member_chunk_ids, cluster.exemplar_ids) == ([chunk.id, "c2"], [chunk.id])
    assert getattr(membership, "chunk_id", None) == getattr(vector, "chunk_id", None) == chunk.id


def test_projects_are_renamed_with_the_paths() -> None:
    """With paths, projects become pseudonyms, also in the ids of vector clocks; with secrets alone they stay."""
    batch = [builders.vector_clock("project:tides", "tides"), builders.vector_clock("agent:tides:ui", "tides")]
    slug = redactor("paths").project("tides")
    renamed = redactor("paths").redact(batch)
    assert [(getattr(one, "id", ""), getattr(one, "project_slug", "")) for one in renamed] == [
        (f"project:{slug}", slug),
        (f"agent:{slug}:ui", slug),
    ]
    assert redactor("secrets", "code").redact(batch) == batch
    assert redactor("secrets").project(f"tides-{KEY}").startswith("name-")


def test_ordinary_ids_and_times_stay() -> None:
    """A record in which there is nothing to hide is given as it is, the very same object."""
    chunk = replace(builders.chunk("6513270e-269e-4d37-b2a7-4de452e6b438-chunk-0"), session_slug="")
    sharing = redactor("paths", "code", "secrets")
    assert sharing.redact([chunk])[0] is chunk
    assert sharing.found.total() == 0


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (f"it was {KEY}", "it was [REDACTED_SECRET]"),
        (Exact(text=b"\xff " + KEY.encode()), "\ufffd [REDACTED_SECRET]"),
        (Exact(text=b"\xff tides"), Exact(text=b"\xff tides")),
        (Exact(blob=b"tides"), Exact(blob=b"")),
        (Exact(real="inf"), Exact(real="inf")),
        (7, 7),
        (None, None),
    ],
)
def test_values_of_unknown_columns(cell: object, expected: object) -> None:
    """Text in a column nobody knows is redacted, bytes that are no text as well; a BLOB goes with the vectors."""
    [record] = redactor("secrets").redact([replace(builders.chunk("c1"), columns={"mood": cell})])
    assert record.columns == {"mood": expected}


def test_clocks_written_in_another_way_keep_their_agents() -> None:
    """A clock kept exactly, because it is not written as the program would, names agents as other records do."""
    sharing = redactor("paths")
    [chunk] = sharing.redact([replace(builders.chunk("c1"), columns={"vector_clock": f'{{"{AGENT}" : 3}}'})])
    assert chunk.columns == {"vector_clock": f'{{"{sharing.name(AGENT)}":3}}'}
    for text in ('{"ui" : 3}', "no clock", "[1]", ""):
        [chunk] = sharing.redact([replace(builders.chunk("c1"), columns={"vector_clock": text})])
        assert chunk.columns == {"vector_clock": text}
