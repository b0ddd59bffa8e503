"""The little memory that the vectors hold, and the bytes it becomes."""

from __future__ import annotations

import binascii
import hashlib
import io
import json
import struct
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from ecm_agent.archive import Seal, write_archive
from ecm_agent.archive.container import MAGIC, SealedWriter
from ecm_agent.model.manifest import VERSION, Manifest
from ecm_agent.model.records import Chunk, Cluster, Edge, Exact, Membership, Vector, VectorClock
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from ecm_agent.model.records import Batch

PASSWORD = "the password of the vectors"
UNICODE_PASSWORD = "Gr\u00fc\u00dfe, \u9375 \U0001f5dd"
CREATED = "2025-03-01T12:00:00.000Z"

CHUNKS = [
    Chunk(
        id=f"s{number}-chunk-0",
        session_slug=slug,
        content=content,
        start_time="2025-02-28T09:00:00.000Z",
        end_time="2025-02-28T09:05:00.000Z",
        turn_indices=[number, number + 1],
        vector_clock={"main": number + 1},
        session_id=f"s{number}",
        agent_id=None,
        spawn_depth=0,
        code_block_count=1,
        tool_use_count=0,
        approx_tokens=12,
        created_at="2025-02-28T09:05:01.000Z",
    )
    for number, (slug, content) in enumerate(
        [
            ("garden", "Water the beans.\n"),
            ("garden", "Käfer \U0001f41e on the beans"),
            ("", 'A "quoted" \\ slash\u2028'),
        ]
    )
]
EDGES = [
    Edge(
        source="s0-chunk-0",
        target="s1-chunk-0",
        type="forward",
        reference_type="file-path",
        weight=0.875,
        vector_clock={"main": 2},
        id="e0",
        link_count=2,
        created_at="2025-02-28T09:06:00.000Z",
    ),
    Edge(
        source="s1-chunk-0",
        target="s2-chunk-0",
        type="backward",
        reference_type=None,
        weight=0.1,
        vector_clock=None,
        id="e1",
        link_count=1,
        created_at="2025-02-28T09:07:00.000Z",
    ),
]
CLUSTERS = [
    Cluster(
        id="c0",
        name="Beans",
        description=None,
        member_chunk_ids=["s0-chunk-0", "s1-chunk-0"],
        centroid=struct.pack("<3f", 0.5, -0.25, 0.75),
        exemplar_ids=["s0-chunk-0"],
        membership_hash="00ff",
        created_at="2025-02-28T10:00:00.000Z",
        refreshed_at=None,
    )
]
MEMBERSHIPS = [
    Membership(chunk_id="s0-chunk-0", cluster_id="c0", distance=0.125),
    Membership(chunk_id="s1-chunk-0", cluster_id="c0", distance=0.3),
]
VECTOR_CLOCKS = [
    VectorClock(id="garden", project_slug="garden", clock={"main": 2}, updated_at="2025-02-28T09:07:00.000Z")
]
VECTORS = [
    Vector(chunk_id="s0-chunk-0", embedding=struct.pack("<3f", 0.5, -0.25, 0.75), orphaned_at=None, model_id="m"),
    Vector(chunk_id="gone", embedding=b"", orphaned_at="2025-02-28T11:00:00.000Z", model_id=None),
]
MEMORY: list[Batch] = [CHUNKS, EDGES, CLUSTERS, MEMBERSHIPS, VECTOR_CLOCKS, VECTORS]

ODD_COLUMNS = {
    "content": Exact(text=b"half \xed\xa0\x80 a character"),
    "spawn_depth": "two",
    "weight": Exact(real="-inf"),
    "picture": Exact(blob=b"\x00\xff"),
    "smallest": -(2**63),
    "largest": 2**63 - 1,
    "zero": -0.0,
    "tiny": 5e-324,
    "separators": "\u2028\u2029\x00\x7f",
    "nothing": None,
}


def odd_memory() -> list[Batch]:
    """Give the memory with `columns` on one record of every kind."""
    return [[msgspec.structs.replace(batch[0], columns=ODD_COLUMNS), *batch[1:]] for batch in MEMORY]


def manifest(batches: list[Batch], **more: Any) -> Manifest:  # noqa: ANN401 (any field of a manifest)
    """Give the manifest of all six sections, of which `batches` may lack some."""
    count = {batch[0].section: len(batch) for batch in batches}
    fields: dict[str, Any] = {
        "version": VERSION,
        "created": CREATED,
        "chunk_count": count.get("chunks", 0),
        "edge_count": count.get("edges", 0),
        "cluster_count": count.get("clusters", 0),
        "membership_count": count.get("memberships", 0),
        "vector_clock_count": count.get("vectorClocks", 0),
        "vector_count": count.get("vectors", 0),
        "projects": ["", "garden"] if batches else [],
        "schema_version": 2,
        "generator": "tests/vectors",
    }
    return Manifest(**(fields | more))


def document(batches: list[Batch], **more: Any) -> bytes:  # noqa: ANN401 (any field of a manifest)
    """Give a whole document in the layout of this program."""
    file = io.BytesIO()
    write_archive(file, manifest(batches, **more), batches, seal=None, compression="none")
    return file.getvalue()


@cache
def sealed(name: str, plaintext: bytes, password: str = PASSWORD, magic: bytes = MAGIC) -> bytes:
    """Encrypt any bytes; salt and nonce follow from the vector's name, so that no two vectors share them."""
    drawn = hashlib.sha256(name.encode()).digest()
    file = io.BytesIO()
    writer = SealedWriter(file, Seal(Secret(password), drawn[:16], drawn[16:28]))
    writer.write(plaintext)
    writer.finish()
    return magic + file.getvalue()[len(magic) :]


def gzipped(data: bytes) -> bytes:
    """Wrap up to 65,535 bytes as a gzip member of one stored block: the same bytes whatever zlib is installed."""
    stored = struct.pack("<BHH", 1, len(data), 0xFFFF ^ len(data)) + data
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + stored + struct.pack("<II", binascii.crc32(data), len(data))


def zstandard_frame(data: bytes) -> bytes:
    """Wrap up to 128 KiB as a zstd frame of one raw block with its checksum: the same bytes in every version."""
    import zstandard

    checksum = zstandard.ZstdCompressor(write_checksum=True).compress(data)[-4:]
    header = b"\x28\xb5\x2f\xfd\xa4" + struct.pack("<I", len(data))
    return header + struct.pack("<I", len(data) << 3 | 1)[:3] + data + checksum


def parsed(content: bytes) -> dict[str, Any]:
    """Give a document as plain values."""
    value: dict[str, Any] = json.loads(content)
    return value


def compact(value: Any) -> bytes:  # noqa: ANN401 (any JSON value)
    """Lay values out on one line, in ASCII."""
    return json.dumps(value, separators=(",", ":")).encode()


def pretty(value: Any) -> bytes:  # noqa: ANN401 (any JSON value)
    """Lay values out as the original program does."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode()
