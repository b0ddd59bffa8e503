"""Archives of Causantic: what its documents say becomes the same records, and what they cannot say is not made up."""

from __future__ import annotations

import io
from typing import Any

import pytest
from archive.documents import by_section, everything
from msgspec import UNSET
from vectors import generate
from vectors.memory import MEMBERSHIPS, MEMORY, compact, document, parsed, pretty

from ecm_agent.archive import Archive, open_archive
from ecm_agent.model.manifest import CAUSANTIC, FORMAT
from ecm_agent.model.records import Chunk, Cluster, Edge, Vector

VALUE: dict[str, Any] = generate._causantic_1_1()


def opened(value: dict[str, Any]) -> Archive:
    return open_archive(io.BytesIO(compact(value)), None)


def records(value: dict[str, Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for batch in opened(value).batches():
        found.setdefault(batch[0].section, []).extend(batch)
    return found


def test_every_key_of_version_1_1_arrives() -> None:
    """Ids, sessions, link counts, centroids, exemplars, members with their distances, vectors."""
    found = records(VALUE)
    chunk, edge, cluster, vector = (found[kind.section][0] for kind in (Chunk, Edge, Cluster, Vector))
    assert (chunk.id, chunk.session_id, chunk.vector_clock) == ("s0-chunk-0", "s0", UNSET)
    assert (edge.id, edge.link_count, edge.weight, edge.created_at) == ("e0", 2, 0.875, UNSET)
    assert (cluster.centroid, cluster.exemplar_ids, cluster.membership_hash) == (
        [0.5, -0.25, 0.75],
        ["s0-chunk-0"],
        "00ff",
    )
    assert cluster.member_chunk_ids == ["s0-chunk-0", "s1-chunk-0"]
    assert type(cluster) is Cluster
    assert found["memberships"] == MEMBERSHIPS
    assert (vector.chunk_id, vector.embedding) == ("s0-chunk-0", [0.5, -0.25, 0.75])


def test_a_cluster_may_have_no_members() -> None:
    """A cluster without members is a cluster all the same."""
    value = generate._changed(VALUE, "clusters[0].members", [])
    found = records(value)
    assert found["clusters"][0].member_chunk_ids == []
    assert "memberships" not in found


def test_version_1_0_is_read_as_the_same_of_ecm() -> None:
    """Where only the format's name differs, the records do not."""
    value = generate._original()
    same = opened(value | {"format": CAUSANTIC})
    assert everything(same) == everything(opened(value))
    assert (same.manifest.format, same.manifest.version) == (CAUSANTIC, "1.0")
    assert same.manifest.original
    assert not same.manifest.gives_distances


def test_the_document_says_what_it_is_and_its_metadata_does_not() -> None:
    """No metadata makes an archive one of another program, nor lets it count memberships that its format lacks."""
    ours = parsed(document(MEMORY))
    ours["metadata"] |= {"format": CAUSANTIC, "version": "1.1"}
    for laid_out in (compact(ours), pretty(ours)):
        archive = open_archive(io.BytesIO(laid_out), None)
        assert (archive.manifest.format, archive.manifest.version, archive.manifest.original) == (FORMAT, "1.0", False)
        assert everything(archive) == by_section(MEMORY)
    theirs = opened(generate._changed(VALUE, "metadata.membershipCount", 0))
    assert theirs.manifest.original
    assert len(everything(theirs)["memberships"]) == 2


@pytest.mark.parametrize("section", [[], [1, "x", None], [{"id": "a"}, [[1], {}]]], ids=["empty", "plain", "nested"])
@pytest.mark.parametrize("ours", [False, True], ids=["theirs", "ours"])
def test_what_a_section_of_unknown_name_holds_is_counted(section: list[Any], ours: bool) -> None:
    """Nothing is passed over in silence: the section is named with the number of its records, wherever it stands."""
    value = parsed(document(MEMORY)) if ours else VALUE
    for later in (value | {"indexEntries": section}, {"indexEntries": section} | value):
        archive = opened(later)
        assert sum(map(len, everything(archive).values())) > 0
        assert archive.unknown == ({"indexEntries": len(section)} if section else {})
