"""What is written is what is read."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from archive.documents import (
    SLOW,
    by_section,
    document_of,
    everything,
    keys_derived_once,
    manifest_of,
    memories,
    read,
    structs,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors.memory import MEMORY, PASSWORD, compact, document, manifest, parsed

from ecm_agent.archive import Compression, Seal, open_archive, write_archive
from ecm_agent.errors import EcmError
from ecm_agent.model.schema import Schema
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecm_agent.model.records import Batch

SEAL = Seal(Secret(PASSWORD), b"sixteen byte salt"[:16], b"twelve bytes")
COMPRESSIONS: list[Compression] = ["none", "gzip", "zstd"]


@pytest.fixture(scope="module", autouse=True)
def one_key() -> Iterator[None]:
    """Let every example of this module share a key."""
    with keys_derived_once():
        yield


@given(memories(), st.sampled_from(COMPRESSIONS), st.booleans())
@settings(max_examples=60, suppress_health_check=SLOW)
def test_any_memory_comes_back_as_it_was(batches: list[Batch], compression: Compression, encrypted: bool) -> None:
    """Every record of every kind comes back with every value it had, compressed or not, encrypted or not."""
    file, written = io.BytesIO(), manifest_of(batches)
    write_archive(file, written, batches, seal=SEAL if encrypted else None, compression=compression)
    archive = open_archive(file, SEAL.password if encrypted else None)
    assert archive.encrypted == encrypted
    assert archive.manifest == written
    assert everything(archive) == by_section(batches)


@given(memories())
@settings(max_examples=25, suppress_health_check=SLOW)
def test_a_document_is_standard_json(batches: list[Batch]) -> None:
    """Any JSON parser reads an unencrypted archive and finds the head and the records where they belong."""
    value = json.loads(document_of(batches), parse_constant=pytest.fail)
    assert (value["format"], value["version"], value["created"]) == ("ecm-archive", "1.0", value["metadata"]["created"])
    counts = {section: len(records) for section, records in by_section(batches).items()}
    assert {section: len(value[section]) for section in counts} == counts
    assert {"version", "created", "chunkCount", "edgeCount", "clusterCount", "projects"} <= value["metadata"].keys()
    assert {"chunks", "edges", "clusters"} <= value.keys()


@given(structs(Schema))
@settings(max_examples=40, suppress_health_check=SLOW)
def test_any_schema_comes_back_as_it_was(schema: Schema) -> None:
    """Whatever a schema describes, in whatever words, is read as it was written, in any layout."""
    written = manifest(MEMORY, schema=schema)
    content = document(MEMORY, schema=schema)
    assert open_archive(io.BytesIO(content), None).manifest == written
    if str(-(2**63)).encode() not in content:  # the general reader takes any 64-bit integer but the smallest
        laid_out = compact(parsed(content))
        assert open_archive(io.BytesIO(laid_out), None).manifest == written


def test_an_archive_can_be_read_again_and_again() -> None:
    """An open archive gives the same records each time, also after a reading that was broken off."""
    archive = open_archive(io.BytesIO(document(MEMORY)), None)
    next(archive.batches())
    assert everything(archive) == everything(archive) == by_section(MEMORY)


@pytest.mark.parametrize(("more", "batches"), [(1, MEMORY[:1]), (-1, MEMORY[:1]), (0, [MEMORY[1], MEMORY[0]])])
def test_a_manifest_is_kept_or_the_writing_fails(more: int, batches: list[Batch]) -> None:
    """Records that are fewer or more than the manifest says, or in another order, are never sealed into an archive."""
    promised = manifest(batches, chunk_count=len(MEMORY[0]) + more)
    with pytest.raises(EcmError, match="The store gave"):
        write_archive(io.BytesIO(), promised, batches, seal=None, compression="none")


def test_a_salt_and_a_nonce_are_drawn_for_each_archive() -> None:
    """The same memory under the same password never gives the same bytes twice."""
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        write_archive(file, manifest(MEMORY), MEMORY, seal=Seal.draw(SEAL.password), compression="none")
    first, second = (file.getvalue() for file in files)
    assert len({first[4:20], second[4:20]}) == len({first[20:32], second[20:32]}) == 2
    assert first[48:] != second[48:]
    assert read(first, SEAL.password) == read(second, SEAL.password)
