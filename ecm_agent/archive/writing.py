"""Records → document: one record a line, sections in their fixed order, digests at the end."""

from __future__ import annotations

import hashlib
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from ecm_agent.archive.layout import Digests, Head
from ecm_agent.errors import EcmError
from ecm_agent.model.manifest import FORMAT, VERSION, Manifest
from ecm_agent.model.records import RECORD_TYPES, Batch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ecm_agent.archive.behind import Behind
    from ecm_agent.archive.container import ByteSink, Data

_ENCODER = msgspec.json.Encoder()


def write_document(sink: ByteSink, manifest: Manifest, batches: Iterable[Batch], behind: Behind) -> None:
    """Write a whole document. `batches` come in the order of `RECORD_TYPES`, as many records as `manifest` counts.

    Whatever is done with a batch once it is encoded is done `behind`. Raises `EcmError` when the records are not as
    announced: a manifest is a promise, and the writer keeps it or fails.
    """
    head = _ENCODER.encode(Head(FORMAT, VERSION, manifest.created))[:-1] + b',\n"metadata":' + _metadata(manifest)
    behind.do(sink.write, head)
    digests = {}
    groups = groupby(batches, key=lambda batch: batch[0].section)
    waiting = next(groups, None)
    for kind in RECORD_TYPES:
        announced = manifest.count(kind)
        if announced is None:
            continue
        given = waiting[1] if waiting and waiting[0] == kind.section else ()
        written, digests[kind.section] = _write_section(sink, kind.section, given, behind)
        if written != announced:
            raise EcmError(f"The store gave {written} {kind.section}, but had counted {announced}.")
        waiting = next(groups, None) if given else waiting
    if waiting:
        raise EcmError(f"The store gave {waiting[0]}, which its manifest does not announce at this place.")
    behind.wait()
    sections = {section: digest.hexdigest() for section, digest in digests.items()}
    proof = Digests("sha256", sections, hashlib.sha256(head + b",\n").hexdigest())
    sink.write(b',\n"digests":' + _ENCODER.encode(proof) + b"\n}\n")


def _metadata(manifest: Manifest) -> bytes:
    """Encode the manifest with its `projects`, which readers of 1.0 expect even where there are none."""
    return _ENCODER.encode(msgspec.to_builtins(manifest) | {"projects": manifest.projects})


def _write_section(sink: ByteSink, section: str, batches: Iterable[Batch], behind: Behind) -> tuple[int, hashlib._Hash]:
    digest, written, lines = hashlib.sha256(), 0, b""

    def put(data: Data) -> None:
        digest.update(data)
        sink.write(data)

    behind.do(sink.write, b',\n"%s":[\n' % section.encode())
    for batch in batches:
        if lines:
            behind.do(put, lines)
        # A JSON string holds no raw line feed, so every line feed here ends a record.
        lines = _ENCODER.encode_lines(batch).replace(b"\n", b",\n")
        written += len(batch)
    if lines:
        behind.do(put, lines[:-2] + b"\n")  # no comma after the last record
    behind.do(sink.write, b"]")
    return written, digest
