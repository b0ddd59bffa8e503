"""Records: every kind in its place, and absent told from NULL."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import UNSET

from ecm_agent.model.records import RECORD_TYPES, Chunk, Cluster, Exact, RecordType


def test_the_sections_have_the_names_of_the_format() -> None:
    """The sections of an archive, in order; the first three are those every reader knows."""
    sections = [kind.section for kind in RECORD_TYPES]
    assert sections == ["chunks", "edges", "clusters", "memberships", "vectorClocks", "vectors", "rows"]


@pytest.mark.parametrize("kind", RECORD_TYPES)
def test_keys_are_written_as_javascript_does(kind: RecordType) -> None:
    """No key of any record has an underscore."""
    assert not [field.encode_name for field in msgspec.structs.fields(kind) if "_" in field.encode_name]


def test_absent_is_not_null() -> None:
    """A column the store lacks leaves no key; a NULL is written as null; both read back as they were."""
    chunk = Chunk(id="c", session_slug="", content="", start_time="", end_time="", turn_indices=[], agent_id=None)
    keys = msgspec.to_builtins(chunk)
    assert keys["agentId"] is None
    assert "teamName" not in keys
    again = msgspec.json.decode(msgspec.json.encode(chunk), type=Chunk)
    assert (again.agent_id, again.team_name) == (None, UNSET)
    assert again == chunk


@pytest.mark.parametrize("exact", [Exact(blob=b"\x00\xff"), Exact(text=b"\xed\xa0\x80"), Exact(real="-inf"), Exact()])
def test_exact_values_survive_json(exact: Exact) -> None:
    """What JSON has no word for is told apart from text and numbers, and comes back as it was."""
    cluster = Cluster(id="k", name=None, description=None, columns={"mood": exact, "n": 2**63 - 1, "x": None})
    again = msgspec.json.decode(msgspec.json.encode(cluster), type=Cluster)
    assert again == cluster
