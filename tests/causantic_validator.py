"""What an archive of Causantic 0.10.2 looks like, learned from those that it wrote; independent of the program."""

from __future__ import annotations

import json
import math
import re
import struct
import zlib
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_LONGEST_STRING = 2**29 - 24
_NULL = type(None)
_SHAPES: dict[str, dict[str, tuple[type, ...]]] = {
    "document": {
        "format": (str,),
        "version": (str,),
        "created": (str,),
        "metadata": (dict,),
        "chunks": (list,),
        "edges": (list,),
        "clusters": (list,),
        "vectors": (list,),
    },
    "metadata": {
        "version": (str,),
        "created": (str,),
        "chunkCount": (int,),
        "edgeCount": (int,),
        "clusterCount": (int,),
        "vectorCount": (int,),
        "embeddingDimensions": (int, _NULL),
        "projects": (list,),
    },
    "chunks": {
        "id": (str,),
        "sessionId": (str,),
        "sessionSlug": (str,),
        "projectPath": (str, _NULL),
        "content": (str,),
        "startTime": (str,),
        "endTime": (str,),
        "turnIndices": (list,),
    },
    "edges": {
        "id": (str,),
        "source": (str,),
        "target": (str,),
        "type": (str,),
        "referenceType": (str, _NULL),
        "weight": (int, float),
        "linkCount": (int,),
    },
    "clusters": {
        "id": (str,),
        "name": (str, _NULL),
        "description": (str, _NULL),
        "centroid": (list, _NULL),
        "exemplarIds": (list, _NULL),
        "membershipHash": (str, _NULL),
        "members": (list,),
    },
    "members": {"chunkId": (str,), "distance": (int, float)},
    "vectors": {"chunkId": (str,), "embedding": (list,)},
}
"""Keys in their order, with the types that their values were seen to have, or that their columns allow."""

_SECTIONS = {"chunks": "id", "edges": "id", "clusters": "id", "vectors": "chunkId"}


class Invalid(Exception):
    """The archive cannot even be taken apart."""


def faults(archive: bytes, password: str | None = None, *, foreign_exemplars: bool = False) -> list[str]:
    """Say what is wrong with an archive; nothing, when Causantic could have written it.

    `foreign_exemplars` lets clusters name chunks that are not in it, as Causantic's own exports of some projects do.
    """
    try:
        document = parsed(archive, password)
    except Invalid as fault:
        return [str(fault)]
    found = list(_shape("document", document, "document"))
    return found or list(_content(document, foreign_exemplars=foreign_exemplars))


def parsed(archive: bytes, password: str | None = None) -> Any:  # noqa: ANN401 (any JSON value)
    """Take an archive apart: seal, gzip, UTF-8, JSON. Raises `Invalid`."""
    try:
        text = _inflated(_unsealed(archive, password)).decode()
    except UnicodeDecodeError:
        raise Invalid("not UTF-8") from None
    if text.startswith("\ufeff"):
        raise Invalid("begins with a byte order mark")
    if len(text.encode()) > _LONGEST_STRING:
        raise Invalid("too long for one string")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise Invalid(f"not JSON: {error}") from None


def _unsealed(archive: bytes, password: str | None) -> bytes:
    if archive.startswith(b"CST\0") != (password is not None):
        raise Invalid("sealed without need, or not sealed at all")
    if password is None:
        return archive
    salt, nonce, tag, sealed = archive[4:20], archive[20:32], archive[32:48], archive[48:]
    key = Scrypt(salt, 32, n=16384, r=8, p=1).derive(password.encode())
    return AESGCM(key).decrypt(nonce, sealed + tag, None)


def _inflated(payload: bytes) -> bytes:
    if not payload.startswith(b"\x1f\x8b\x08"):
        raise Invalid("not gzip")
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = stream.decompress(payload) + stream.flush()
    except zlib.error as error:
        raise Invalid(f"bad gzip: {error}") from None
    if not stream.eof or stream.unused_data:
        raise Invalid("bad gzip: cut, or followed by something")
    return plain


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise Invalid("a key twice in one object")
    return dict(pairs)


def _no_number(word: str) -> None:
    raise Invalid(f"{word} is not JSON")


def _shape(kind: str, value: Any, where: str) -> Iterator[str]:  # noqa: ANN401 (any JSON value)
    shape = _SHAPES[kind]
    if type(value) is not dict:
        yield f"{where} is no object"
    elif list(value) != list(shape):
        yield f"{where} has the keys {list(value)}"
    else:
        yield from (f"{where}.{key} is a {type(value[key])}" for key in shape if type(value[key]) not in shape[key])


def _content(document: dict[str, Any], *, foreign_exemplars: bool) -> Iterator[str]:
    yield from _shape("metadata", document["metadata"], "metadata")
    for section in _SECTIONS:
        for place, record in enumerate(document[section]):
            yield from _shape(section, record, f"{section}[{place}]")
    for cluster in document["clusters"]:
        for place, member in enumerate(cluster.get("members", ())):
            yield from _shape("members", member, f"members[{place}]")
    yield from _texts(document, "document")
    found = list(_values(document)) if _whole(document) else ["records of another shape"]
    yield from found
    if not found:
        yield from _references(document, foreign_exemplars=foreign_exemplars)
        yield from _announced(document)


def _whole(document: dict[str, Any]) -> bool:
    """Whether every record has the shape that the checks of its values rely on."""
    kinds = [("metadata", [document["metadata"]])] + [(section, document[section]) for section in _SECTIONS]
    if any(fault for kind, records in kinds for record in records for fault in _shape(kind, record, "")):
        return False
    return not any(
        fault
        for cluster in document["clusters"]
        for member in cluster["members"]
        for fault in _shape("members", member, "")
    )


def _texts(value: Any, where: str) -> Iterator[str]:  # noqa: ANN401 (any JSON value)
    """Find texts that are not text: half of a surrogate pair."""
    if isinstance(value, str) and re.search("[\ud800-\udfff]", value):
        yield f"{where} holds half a character"
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _texts(inner, f"{where}[{place}]")


def _values(document: dict[str, Any]) -> Iterator[str]:
    if (document["format"], document["version"]) != ("causantic-archive", "1.1"):
        yield "another format or version"
    if document["metadata"]["version"] != document["version"]:
        yield "two versions"
    moments = [document["created"], document["metadata"]["created"]]
    moments += [chunk[key] for chunk in document["chunks"] for key in ("startTime", "endTime")]
    yield from (f"{moment!r} is no time" for moment in moments if not _MOMENT.fullmatch(moment))
    for chunk in document["chunks"]:
        if any(type(turn) is not int for turn in chunk["turnIndices"]):
            yield f"turns of {chunk['id']}"
    for edge in document["edges"]:
        if not math.isfinite(edge["weight"]) or edge["linkCount"] < 1:
            yield f"numbers of edge {edge['id']}"
    for cluster in document["clusters"]:
        if any(not 0 <= member["distance"] <= 1 for member in cluster["members"]):
            yield f"distances of {cluster['id']}"
        if any(type(name) is not str for name in cluster["exemplarIds"] or ()):
            yield f"exemplars of {cluster['id']}"
    yield from _embeddings(document)


def _embeddings(document: dict[str, Any]) -> Iterator[str]:
    dimensions = document["metadata"]["embeddingDimensions"]
    if (dimensions is None) != (not document["vectors"]):
        yield "dimensions without vectors, or the other way round"
    found = [vector["embedding"] for vector in document["vectors"]]
    found += [cluster["centroid"] for cluster in document["clusters"] if cluster["centroid"] is not None]
    for numbers in found:
        if not numbers or len(numbers) != (dimensions or len(numbers)):
            yield f"an embedding of {len(numbers)} numbers"
        if not all(map(_float32, numbers)):
            yield "an embedding of something else than 32-bit floats"


def _float32(number: Any) -> bool:  # noqa: ANN401 (any JSON value)
    if type(number) not in {int, float} or not math.isfinite(number):
        return False
    try:
        return bool(struct.unpack("<f", struct.pack("<f", number))[0] == number)
    except OverflowError:
        return False


def _references(document: dict[str, Any], *, foreign_exemplars: bool) -> Iterator[str]:
    chunks = {chunk["id"] for chunk in document["chunks"]}
    yield from _nowhere("edge", (edge[end] for edge in document["edges"] for end in ("source", "target")), chunks)
    yield from _nowhere("vector", (vector["chunkId"] for vector in document["vectors"]), chunks)
    for cluster in document["clusters"]:
        members = [member["chunkId"] for member in cluster["members"]]
        yield from _nowhere("member", members, chunks)
        yield from _twice("members", members)
        if not foreign_exemplars:
            yield from _nowhere("exemplar", cluster["exemplarIds"] or (), chunks)
    for section, key in _SECTIONS.items():
        yield from _twice(section, [record[key] for record in document[section]])


def _nowhere(what: str, names: Iterable[str], chunks: set[str]) -> Iterator[str]:
    yield from (f"{what} of {name!r}, which is not in it" for name in names if name not in chunks)


def _twice(what: str, names: list[str]) -> Iterator[str]:
    if len(set(names)) < len(names):
        yield f"two {what} of one id"


def _announced(document: dict[str, Any]) -> Iterator[str]:
    metadata = document["metadata"]
    for section in _SECTIONS:
        if metadata[f"{section.removesuffix('s')}Count"] != len(document[section]):
            yield f"another number of {section} than it says"
    if sorted(metadata["projects"]) != sorted({chunk["sessionSlug"] for chunk in document["chunks"]}):
        yield "other projects than it says"
