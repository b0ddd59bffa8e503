"""Archives with one thing wrong each, made from a good one: what a drill has to find."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ecm_agent.archive import Seal, open_archive, write_archive
from ecm_agent.archive.container import SealedReader, SealedWriter
from ecm_agent.model.records import Edge
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from ecm_agent.model.manifest import Manifest
    from ecm_agent.model.records import Batch

_SALT, _NONCE = bytes(range(16)), bytes(range(12))


def swapped(content: bytes) -> bytes:
    """Change one byte of the ciphertext."""
    return content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]


def cut_short(content: bytes) -> bytes:
    """Leave the last quarter out, as an upload that broke off."""
    return content[: len(content) * 3 // 4]


def lying(content: bytes, password: str) -> bytes:
    """Have the manifest announce one chunk more than there is, and seal that."""
    plain = SealedReader.authenticate(io.BytesIO(content), Secret(password)).plaintext().read(len(content))
    return _sealed(announcing(plain, b'"chunkCount":5', b'"chunkCount":6'), password)


def announcing(plain: bytes, true: bytes, false: bytes) -> bytes:
    """Have the manifest say something else, with no digest to contradict it."""
    assert true in plain
    return re.sub(rb',"head":"[0-9a-f]{64}"', b"", plain).replace(true, false)


def dangling(content: bytes, password: str) -> bytes:
    """Have the first edge lead to a chunk that is not there, with digests that fit, and seal that."""
    manifest, batches = _read(content, password)
    edges = next(batch for batch in batches if isinstance(batch[0], Edge))
    edges[0] = replace(edges[0], target="nowhere")
    return written(manifest, batches, password)


def written(manifest: Manifest, batches: list[Batch], password: str) -> bytes:
    """Seal any records under any manifest that counts them."""
    file = io.BytesIO()
    seal = Seal(Secret(password), _SALT, _NONCE)
    write_archive(file, manifest, batches, seal=seal, compression="none")
    return file.getvalue()


def _read(content: bytes, password: str) -> tuple[Manifest, list[Batch]]:
    archive = open_archive(io.BytesIO(content), Secret(password))
    return archive.manifest, list(archive.batches())


def _sealed(plain: bytes, password: str) -> bytes:
    file = io.BytesIO()
    writer = SealedWriter(file, Seal(Secret(password), _SALT, _NONCE))
    writer.write(plain)
    writer.finish()
    return file.getvalue()
