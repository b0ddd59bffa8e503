"""Write the golden vectors and their index: `python tests/vectors/generate.py` from the root, with it on PYTHONPATH.

The same files come out every time. Sound ones are written by this program or laid out by hand; unsound ones are
sound ones with one defect each.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import UNSET
from msgspec.structs import replace

from ecm_agent.archive.container import CAUSANTIC_MAGIC, MAGIC

FOLDER = Path(__file__).parent
if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER.parent))

from vectors.memory import (  # noqa: E402 (run as a program, it has to make itself findable first)
    CHUNKS,
    EDGES,
    MEMORY,
    PASSWORD,
    UNICODE_PASSWORD,
    compact,
    document,
    gzipped,
    odd_memory,
    parsed,
    pretty,
    sealed,
    zstandard_frame,
)
from vectors.tables import (  # noqa: E402 (as above)
    HOSTILE,
    HOSTILE_ROWS,
    NOT_MADE,
    ROWS,
    SCHEMA,
    whole_document,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INDEX = "vectors.toml"
INVALID, NOT_DECRYPTED, NO_PASSWORD = "archive_invalid", "decryption_failed", "password_missing"
EXITS = {"": 0, NO_PASSWORD: 2, NOT_DECRYPTED: 12, INVALID: 13}
COUNTS = {"chunks": 3, "edges": 2, "clusters": 1, "memberships": 2, "vectorClocks": 1, "vectors": 2}
COUNTS_WITH_ROWS = COUNTS | {"rows": 11}
ORIGINAL_COUNTS = {"chunks": 3, "edges": 2, "clusters": 1, "memberships": 2}
ORIGINAL_KEYS = {
    "chunks": ("id", "sessionSlug", "content", "startTime", "endTime", "turnIndices", "vectorClock"),
    "edges": ("source", "target", "type", "referenceType", "weight", "vectorClock"),
    "clusters": ("id", "name", "description", "memberChunkIds"),
    "metadata": ("version", "created", "chunkCount", "edgeCount", "clusterCount", "projects"),
}
CAUSANTIC_COUNTS = ORIGINAL_COUNTS | {"vectors": 2}
CAUSANTIC_KEYS = {
    "chunks": ("id", "sessionId", "sessionSlug", "content", "startTime", "endTime", "turnIndices"),
    "edges": ("id", "source", "target", "type", "referenceType", "weight", "linkCount"),
    "clusters": ("id", "name", "description", "exemplarIds", "membershipHash"),
}
VIEWS = ("view short_notes",)
_EVENT = "metadata.schema.fullTexts[0].triggers[0].event"
SALT, NONCE, TAG, CONTENT = 4, 20, 32, 48


@dataclass(frozen=True)
class Vector:
    """A file, how to open it, and what must come of it."""

    file: str
    what: str
    content: bytes
    error: str = ""
    """The kind of error that opening and reading it to its end must give; empty: it opens."""
    password: str | None = None
    counts: dict[str, int] | None = None
    """Records by section; only sections that hold some."""
    at: str = ""
    """Which record and field the error names."""
    restore: str = ""
    """The kind of error that restoring it must give, where it opens."""
    dropped: dict[str, int] | None = None
    """Records by section that restoring it must leave out."""
    unread: dict[str, int] | None = None
    """Records by section of the sections that have no kind of record."""
    not_made: tuple[str, ...] = ()
    """What of the schema restoring it into a new store must not make."""

    def __post_init__(self) -> None:
        """Refuse a vector that says nothing or contradicts itself."""
        if bool(self.error) == (self.counts is not None):
            raise ValueError(f"{self.file} must either open or fail")


def vectors() -> Iterator[Vector]:
    """Give every vector, sound ones first."""
    yield from _sound()
    yield from _sound_layouts()
    yield from _other_tables()
    yield from _causantic()
    yield from _bytes_of_the_container()
    yield from _passwords()
    yield from _compression()
    yield from _not_an_archive()
    yield from _wrong_types()
    yield from _wrong_text_and_numbers()
    yield from _contradictions()
    yield from _wrong_rows()
    yield from _refused_on_restore()


def _sound() -> Iterator[Vector]:
    plain = document(MEMORY)
    yield Vector("plain.json", "not encrypted, in this program's layout", plain, counts=COUNTS)
    yield _encrypted("encrypted", "as exported by default", plain)
    yield _encrypted("gzip", "gzip inside the encryption", gzipped(plain))
    yield _encrypted("zstd", "zstd inside the encryption", zstandard_frame(plain))
    yield Vector("gzip.json.gz", "gzip, not encrypted", gzipped(plain), counts=COUNTS)
    yield Vector("zstd.json.zst", "zstd, not encrypted", zstandard_frame(plain), counts=COUNTS)
    yield Vector("empty-store.json", "no record of any kind", document([]), counts={})
    yield _encrypted("empty-store", "no record of any kind, encrypted", document([]), counts={})
    odd = document(odd_memory())
    yield Vector("odd-columns.json", "every kind of record with values in `columns`", odd, counts=COUNTS)
    unannounced = document(MEMORY[:4], vector_clock_count=None, vector_count=None)
    without = {section: count for section, count in COUNTS.items() if not section.startswith("vector")}
    yield Vector("no-vectors.json", "the optional sections are not there", unannounced, counts=without)
    original = pretty(_original())
    yield Vector("original.json", "the original program's keys only", original, counts=ORIGINAL_COUNTS)
    yield _encrypted("original", "the same, encrypted", original, counts=ORIGINAL_COUNTS)


def _sound_layouts() -> Iterator[Vector]:
    plain = document(MEMORY)
    value = parsed(plain)
    yield Vector("pretty.json", "pretty-printed", pretty(value), counts=COUNTS)
    yield Vector("minified.json", "on one line, in ASCII", compact(value), counts=COUNTS)
    yield Vector(
        "leading-space.json", "white space around the document", b"\n\r\t     " + plain + b" \n", counts=COUNTS
    )
    yield Vector("reversed.json", "every key in reverse order", pretty(_reversed(value)), counts=COUNTS)
    half = plain.replace(b'"edges":[\n', b'"edges": [\n', 1)
    yield Vector("half-way.json", "in this program's layout up to the edges only", half, counts=COUNTS)
    numbers = _changed(value, "vectors[0].embedding", [0.5, -0.25, 0.75])
    yield Vector("number-arrays.json", "an embedding as an array of numbers", compact(numbers), counts=COUNTS)
    unknown = value | {"later": {"any": [1, None, {"deep": "x"}]}, "lines": [1, 2], "flag": True}
    unknown = _changed(_changed(unknown, "chunks[0].mood", ["calm"]), "metadata.mood", {"is": "calm"})
    yield Vector("unknown-keys.json", "keys nobody knows, at every level", compact(unknown), counts=COUNTS)
    later = _lined(value | {"later": [{"x": 1}, {"x": [2]}]})
    yield Vector("unknown-section.json", "a section nobody knows, one record a line", later, counts=COUNTS)
    yield Vector("row-numbers.json", "row numbers that have gaps", _gaps(), counts=COUNTS_WITH_ROWS, not_made=VIEWS)
    implied = _changed(value, "metadata.membershipCount", None)
    del implied["memberships"]
    yield Vector("implied.json", "the clusters alone say which chunks they hold", compact(implied), counts=COUNTS)


def _other_tables() -> Iterator[Vector]:
    whole = whole_document()
    value = parsed(whole)
    for name, what, content in [
        ("rows", "rows of other tables, with values of every kind", whole),
        ("rows-minified", "the same on one line, in ASCII", compact(value)),
        ("rows-reversed", "the same, every key in reverse order", pretty(_reversed(value))),
    ]:
        yield Vector(f"{name}.json", what, content, counts=COUNTS_WITH_ROWS, not_made=VIEWS)
    encrypted = sealed("rows", whole)
    what = "the same, encrypted"
    yield Vector("rows.ecm", what, encrypted, password=PASSWORD, counts=COUNTS_WITH_ROWS, not_made=VIEWS)
    hostile = whole_document(HOSTILE, HOSTILE_ROWS)
    what = "a description that holds SQL wherever it can: none of it is executed"
    yield Vector("rows-hostile.json", what, hostile, counts=COUNTS | {"rows": 1}, not_made=NOT_MADE)


def _gaps() -> bytes:
    """Give the whole document of a store in which rows were deleted."""
    numbers = {("chunks", 0): 3, ("chunks", 2): 9, ("edges", 0): -7, ("vectors", 1): 2**53, ("rows", 4): 12}
    batches: list[Any] = [
        [replace(record, row_number=numbers.get((record.section, place), UNSET)) for place, record in enumerate(batch)]
        for batch in [*MEMORY, ROWS]
    ]
    return document(batches, schema=SCHEMA, row_count=len(ROWS))


def _causantic() -> Iterator[Vector]:
    """Give archives as the memory program's later generations write them, and what may be wrong with them."""
    old = _original() | {"format": "causantic-archive"}
    clockless = _changed(old, "format", "causantic-archive")
    for record in clockless["chunks"] + clockless["edges"]:
        del record["vectorClock"]
    new = compact(_causantic_1_1())
    for name, what, content, counts in [
        ("causantic-1.0", "`causantic-archive` 1.0, with vector clocks", pretty(old), ORIGINAL_COUNTS),
        ("causantic-1.0-clockless", "the same without vector clocks", pretty(clockless), ORIGINAL_COUNTS),
        ("causantic-1.1", "`causantic-archive` 1.1", new, CAUSANTIC_COUNTS),
    ]:
        packed = gzipped(content) if content is new else content
        yield Vector(f"{name}.json", f"{what}, as it is", content, counts=counts)
        yield _encrypted(name, f"{what}, encrypted", packed, counts, CAUSANTIC_MAGIC)
    yield Vector("causantic-1.1.json.gz", "the same, gzip, not encrypted", gzipped(new), counts=CAUSANTIC_COUNTS)
    lined = _lined(_causantic_1_1())
    yield Vector("causantic-1.1-lines.json", "the same, one record a line", lined, counts=CAUSANTIC_COUNTS)
    yield from _causantic_oddities()
    yield from _causantic_defects()


def _causantic_oddities() -> Iterator[Vector]:
    value = _causantic_1_1()
    later = compact(value | {"indexEntries": [{"id": "i0"}, 7, [1]]})
    unread = {"indexEntries": 3}
    yield Vector("causantic-later.json", "a section nobody knows", later, counts=CAUSANTIC_COUNTS, unread=unread)
    strangers = _changed(value, "clusters[0].exemplarIds", ["elsewhere"])
    what = "exemplars of another project, which are kept"
    yield Vector("causantic-exemplars.json", what, compact(strangers), counts=CAUSANTIC_COUNTS)
    for name, path, section in [
        ("edge", "edges[0].target", "edges"),
        ("member", "clusters[0].members[1].chunkId", "memberships"),
    ]:
        dangling = compact(_changed(value, path, "elsewhere"))
        what = f"refers to a chunk that is not in the archive; it is left out on restore: {path}"
        dropped = {section: 1}
        yield Vector(f"causantic-{name}.json", what, dangling, counts=CAUSANTIC_COUNTS, dropped=dropped)
    same = compact(_changed(value, "chunks[1].id", CHUNKS[0].id))
    what = "two chunks of one id; it opens and is refused on restore"
    yield Vector("causantic-same-id.json", what, same, counts=CAUSANTIC_COUNTS, restore=INVALID)


def _causantic_defects() -> Iterator[Vector]:
    value = _causantic_1_1()
    good = sealed("causantic-1.1", gzipped(compact(value)), magic=CAUSANTIC_MAGIC)
    name = "causantic-1.1.causantic"
    yield Vector(name, "a wrong password", good, NOT_DECRYPTED, PASSWORD + " ")
    yield Vector(name, "no password", good, NO_PASSWORD)
    flipped = good[:-1] + bytes([good[-1] ^ 1])
    yield Vector("causantic-flipped.causantic", "the last byte changed", flipped, INVALID, PASSWORD)
    yield Vector("causantic-cut.causantic", "the last byte cut off", good[:-1], INVALID, PASSWORD)
    for number, (what, path, wrong, at) in enumerate(
        [
            ("a version to come", "version", "1.2", "version"),
            ("a version that is a number", "version", 1.1, ""),
            ("announces more than it holds", "metadata.vectorCount", 3, "vectors"),
            ("a member without its distance", "clusters[0].members[0]", {"chunkId": "s0-chunk-0"}, "clusters[0]"),
            ("a number that is none", "vectors[1].embedding", [None], "vectors[1].embedding[0]"),
        ]
    ):
        content = compact(_changed(value, path, wrong))
        yield Vector(f"causantic-wrong-{number}.json", f"{what}: {path}", content, INVALID, at=at)


def _bytes_of_the_container() -> Iterator[Vector]:
    good = sealed("encrypted", document(MEMORY))
    for name, length in [
        ("nothing", 0),
        ("magic", 3),
        ("salt", SALT + 7),
        ("nonce", NONCE + 5),
        ("tag", TAG + 9),
        ("all-content", CONTENT),
        ("content", len(good) // 2),
        ("last-byte", len(good) - 1),
    ]:
        yield Vector(f"cut-{name}.ecm", f"the first {length} bytes only", good[:length], INVALID, PASSWORD)
    for name, offset, error in [
        ("magic", 3, INVALID),
        ("salt", SALT, NOT_DECRYPTED),
        ("nonce", NONCE, NOT_DECRYPTED),
        ("tag", TAG, INVALID),
        ("first-byte", CONTENT, NOT_DECRYPTED),
        ("middle", len(good) // 2, INVALID),
        ("last-byte", len(good) - 1, INVALID),
    ]:
        flipped = bytearray(good)
        flipped[offset] ^= 0x80
        yield Vector(f"flipped-{name}.ecm", f"byte {offset} changed", bytes(flipped), error, PASSWORD)
    yield Vector("trailing.ecm", "a byte after the ciphertext", good + b"\0", INVALID, PASSWORD)
    yield Vector("other-magic.ecm", "another program's magic", b"ECN\0" + good[4:], INVALID, PASSWORD)


def _passwords() -> Iterator[Vector]:
    good = sealed("encrypted", document(MEMORY))
    yield Vector("encrypted.ecm", "a wrong password", good, NOT_DECRYPTED, PASSWORD + " ")
    yield Vector("encrypted.ecm", "no password", good, NO_PASSWORD)
    name = "unicode-password"
    unicode = sealed(name, document(MEMORY), UNICODE_PASSWORD)
    yield Vector(f"{name}.ecm", "a password in NFC", unicode, password=UNICODE_PASSWORD, counts=COUNTS)
    nfd = unicodedata.normalize("NFD", UNICODE_PASSWORD)
    yield Vector(f"{name}.ecm", "the same password in NFD, which is another one", unicode, NOT_DECRYPTED, nfd)


def _compression() -> Iterator[Vector]:
    plain = document(MEMORY)
    for name, ending, packed in [("gzip", "gz", gzipped(plain)), ("zstd", "zst", zstandard_frame(plain))]:
        yield Vector(f"cut-{name}.json.{ending}", "cut in the middle", packed[: len(packed) // 2], INVALID)
        yield Vector(f"cut-{name}-checksum.json.{ending}", "cut within the checksum", packed[:-2], INVALID)
        yield Vector(f"trailing-{name}.json.{ending}", "bytes after the stream", packed + b"garbage", INVALID)
        changed = packed.replace(b"beans", b"Beans", 1)
        yield Vector(f"changed-{name}.json.{ending}", "content changed, not its checksum", changed, INVALID)
        cut = sealed(f"cut-{name}", packed[: len(packed) // 2])
        yield Vector(f"cut-{name}.ecm", "authentic, cut in the middle before it was sealed", cut, INVALID, PASSWORD)


def _not_an_archive() -> Iterator[Vector]:
    plain = document(MEMORY)
    yield Vector("text.json", "no JSON at all", b"Dear diary,\n", INVALID)
    yield Vector("spaces.json", "white space only", b" \n" * 8, INVALID)
    yield Vector("array.json", "JSON, but an array", compact(list(COUNTS)), INVALID)
    yield Vector("object.json", "JSON, but some other object", compact({"name": "x", "version": "1.0"}), INVALID)
    for name, inside in [("text", b"Dear diary,\n"), ("array", b"[]"), ("object", b"{}"), ("nothing", b"")]:
        content = sealed(f"sealed-{name}", inside)
        yield Vector(f"sealed-{name}.ecm", "authentic, but no archive inside", content, INVALID, PASSWORD)
    for name, length in [("head", 30), ("record", len(plain) // 2), ("brace", len(plain) - 2)]:
        yield Vector(f"cut-{name}.json", f"the first {length} bytes only", plain[:length], INVALID)
    yield Vector("trailing.json", "bytes after the document", plain + b"garbage", INVALID)
    yield Vector("trailing-document.json", "a second document after the first", plain + plain, INVALID)
    yield from _in_both_layouts("format", "another format", _setting("format", "other-archive"), at="format")
    yield from _in_both_layouts("version", "a version to come", _setting("version", "1.1"), at="version")


def _wrong_types() -> Iterator[Vector]:
    for name, at, wrong in [
        ("weight", "edges[1].weight", "heavy"),
        ("turn", "chunks[2].turnIndices[0]", 1.5),
        ("clock", "vectorClocks[0].clock[...]", "1"),
        ("distance", "memberships[1].distance", None),
        ("cell", "chunks[1].columns[...]", True),
        ("embedding", "vectors[1].embedding", "*"),
        ("count", "metadata.chunkCount", "3"),
        ("record", "chunks[1]", 7),
        ("row-number", "chunks[1].rowNumber", "2"),
    ]:
        path = {"clock": "vectorClocks[0].clock.main", "cell": "chunks[1].columns"}.get(name, at)
        change = _setting(path, {"x": wrong} if name == "cell" else wrong)
        yield from _in_both_layouts(f"type-{name}", f"{at} is {wrong!r}", change, at=at)
    missing = _without("chunks[1].content")
    yield from _in_both_layouts("no-content", "a required key is missing", missing, at="chunks[1]")
    yield from _in_both_layouts("type-section", "a section is no array", _setting("edges", {}), at="edges")


def _wrong_text_and_numbers() -> Iterator[Vector]:
    plain = document(MEMORY)
    for name, what, replacement in [
        ("high-surrogate", "the first half of a character", rb"\ud83d"),
        ("low-surrogate", "the second half of a character", rb"\ude00"),
        ("half-character", "the first half of a character and a whole one", rb"\ud83d\ud83d\ude00"),
        ("not-utf-8", "a byte that is not UTF-8", b"\xff"),
        ("utf-8-surrogate", "half a character, encoded as if it were one", b"\xed\xa0\xbd"),
        ("control", "a raw control character in a string", b"\x01"),
    ]:
        yield Vector(f"{name}.json", what, resealed(plain.replace(b"beans", replacement, 1)), INVALID)
    for name, number in [("infinite", b"1e400"), ("nan", b"NaN"), ("leading-zero", b"00.1")]:
        wrong = resealed(plain.replace(b'"weight":0.1', b'"weight":' + number, 1))
        yield Vector(f"number-{name}.json", f"{number.decode()} for a weight", wrong, INVALID)


def _contradictions() -> Iterator[Vector]:
    plain = document(MEMORY)
    yield from _in_both_layouts(
        "count", "announces more than it holds", _setting("metadata.chunkCount", 4), at="chunks"
    )
    for section, count in [("memberships", "membershipCount"), ("vectors", "vectorCount")]:
        silent, what = _without(f"metadata.{count}"), f"{section} that are not announced"
        yield from _in_both_layouts(f"unannounced-{section}", what, silent, at=section)
    changed = plain.replace(b"beans", b"peas!", 1)
    yield Vector("digest.json", "content changed, not its digest", changed, INVALID, at="chunks")
    renamed = plain.replace(b'"projects":["', b'"projects":["x', 1)
    yield Vector("digest-head.json", "metadata changed, not their digest", renamed, INVALID, at="metadata")
    early = re.sub(rb',"head":"[0-9a-f]{64}"', b"", plain)
    yield Vector("digest-no-head.json", "by an early version: no digest of the metadata", early, counts=COUNTS)
    unknown = plain.replace(b'"sha256"', b'"sha3"', 1)
    yield Vector("digest-algorithm.json", "digests of a kind nobody knows", unknown, INVALID)
    none = document(MEMORY[:2], membership_count=None, vector_clock_count=None, vector_count=None)
    missing = re.sub(rb'"clusters":\[\n\],\n', b"", none)
    yield Vector("no-clusters.json", "a required section is missing", resealed(missing), INVALID, at="clusters")
    edges = plain[plain.index(b'"edges":') : plain.index(b'"clusters":')]
    twice = plain.replace(b'"clusters":', edges + b'"clusters":', 1)
    yield Vector("twice.json", "a section is there twice", twice, INVALID, at="edges")
    split = re.sub(rb'(?<=\}),\n(?=\{"id":"s1-)', b'\n],\n"chunks":[\n', plain, count=1)
    yield Vector("split.json", "a section is there in two parts", resealed(split), INVALID, at="chunks")


def _wrong_rows() -> Iterator[Vector]:
    value = parsed(whole_document())
    tables = [table["name"] for table in value["metadata"]["schema"]["tables"]]
    notes, pairs = (f"metadata.schema.tables[{tables.index(name)}]" for name in ("notes", "pairs"))
    for name, what, path, wrong, at in [
        ("table", "a row of a table that the schema does not have", "rows[8].table", "nowhere", "rows[8]"),
        ("left-out", "a row of a table that announces none", "rows[8].table", "cache", "rows[8]"),
        ("short", "a row with too few values", "rows[1].values", [3, None], "rows[1]"),
        ("long", "a row with too many values", "rows[8].values", [1, "one", None], "rows[8]"),
        ("value", "a value that SQLite has not", "rows[8].values[1]", True, "rows[8].values[1]"),
        ("cell", "an object that is no value", "rows[8].values[1]", {"hex": "00"}, "rows[8].values[1]"),
        ("table-count", "a table announces more rows than there are", f"{notes}.rows", 3, "'notes'"),
        ("count", "announces more rows than it holds", "metadata.rowCount", 12, "rows"),
        ("same-name", "two tables of one name", f"{pairs}.name", "notes", "'notes'"),
        ("schema-name", "a name that is a number", f"{notes}.columns[0].name", 7, "metadata.schema"),
        ("schema-columns", "columns that are no array", f"{notes}.columns", "id", "metadata.schema"),
        ("schema-rows", "a number of rows that is text", f"{notes}.rows", "2", "metadata.schema"),
        ("schema-event", "a trigger on what is no event", _EVENT, "SELECT", "metadata.schema"),
    ]:
        unsound = _setting(path, wrong)(value)
        yield Vector(f"rows-{name}.json", what, _lined(unsound), INVALID, at=at)
        yield Vector(f"rows-{name}-minified.json", f"{what}, on one line", compact(unsound), INVALID, at=at)
    silent = _without("metadata.schema")(value)
    yield Vector("rows-no-schema.json", "rows without a schema", _lined(silent), INVALID, at="rows[0]")


def _refused_on_restore() -> Iterator[Vector]:
    value = parsed(document(MEMORY))
    for name, what, path, wrong in [
        ("dangling-edge", "an edge to a chunk that is not there", "edges[1].target", "gone"),
        ("dangling-membership", "a membership of a cluster that is not there", "memberships[1].clusterId", "gone"),
        ("same-id", "two chunks of one id", "chunks[1].id", CHUNKS[0].id),
        ("same-edge-id", "two edges of one id", "edges[1].id", EDGES[0].id),
        ("integer", "an integer beyond 64 bits", "chunks[1].spawnDepth", 2**63),
        ("row-number-twice", "a row number of the row before", "chunks[1].rowNumber", 1),
        ("row-number-falling", "a row number below that of the row before", "edges[1].rowNumber", -1),
        ("row-number-large", "a row number beyond 64 bits", "vectors[1].rowNumber", 2**63),
    ]:
        lined = _lined(_changed(value, path, wrong))
        yield Vector(
            f"{name}.json", f"{what}; it opens and is refused on restore", lined, counts=COUNTS, restore=INVALID
        )


def _encrypted(name: str, what: str, plaintext: bytes, counts: dict[str, int] = COUNTS, magic: bytes = MAGIC) -> Vector:
    ending = "ecm" if magic == MAGIC else "causantic"
    content = sealed(name, plaintext, magic=magic)
    return Vector(f"{name}.{ending}", what, content, password=PASSWORD, counts=counts)


def _in_both_layouts(name: str, what: str, change: Callable[[Any], Any], at: str) -> Iterator[Vector]:
    """Give a defect in this program's layout, for a reader's fast way, and on one line, for its general way."""
    value = change(parsed(document(MEMORY)))
    yield Vector(f"{name}.json", what, _lined(value), INVALID, at=at)
    yield Vector(f"{name}-minified.json", f"{what}, on one line", compact(value), INVALID, at=at)


def _lined(value: dict[str, Any]) -> bytes:
    """Lay a document out as this program does, whatever it says, without digests to contradict it."""
    head = compact({key: value[key] for key in ("format", "version", "created")})[:-1]
    lines = [head + b",", b'"metadata":' + compact(value["metadata"]) + b","]
    for section, records in value.items():
        if section not in ("format", "version", "created", "metadata", "digests"):
            inside = b",\n".join(map(compact, records)) + b"\n" if isinstance(records, list) else b""
            lines += [b'"%s":[\n%s],' % (section.encode(), inside) if inside else b'"%s":{},' % section.encode()]
    return b"\n".join([*lines, b'"digests":{"algorithm":"sha256","sections":{}}', b"}", b""])


def resealed(content: bytes) -> bytes:
    """Empty the digests of a changed document: its defect is another one."""
    return re.sub(rb'"sections":\{.*\}\n', b'"sections":{}}\n', content)


def _setting(path: str, wrong: Any) -> Callable[[Any], Any]:  # noqa: ANN401 (any JSON value)
    return lambda value: _changed(value, path, wrong)


def _without(path: str) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
        copy, place, last = _place(value, path)
        del place[last]
        return copy

    return change


def _changed(value: Any, path: str, wrong: Any) -> Any:  # noqa: ANN401 (any JSON value)
    copy, place, last = _place(value, path)
    place[last] = wrong
    return copy


def _place(value: Any, path: str) -> tuple[Any, Any, Any]:  # noqa: ANN401 (any JSON value)
    """Find `edges[1].weight` in a copy of a document: the copy, what holds the value, and under which key."""
    copy = parsed(compact(value))
    keys = [int(key) if key.isdigit() else key for key in re.findall(r"\w+", path)]
    place: Any = copy
    for key in keys[:-1]:
        place = place[key]
    return copy, place, keys[-1]


def _reversed(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


def _original() -> dict[str, Any]:
    value = parsed(document(MEMORY))
    kept: dict[str, Any] = {key: value[key] for key in ("format", "version", "created")}
    kept["metadata"] = {key: value["metadata"][key] for key in ORIGINAL_KEYS["metadata"]}
    for section in ("chunks", "edges", "clusters"):
        kept[section] = [{key: record[key] for key in ORIGINAL_KEYS[section]} for record in value[section]]
    return kept


def _causantic_1_1() -> dict[str, Any]:
    """Give the document that `causantic-archive` 1.1 makes of the memory: members with distances, numbers in arrays."""
    value = parsed(document(MEMORY))
    about = {"version": "1.1", "created": value["created"], "embeddingDimensions": 3, "projects": ["", "garden"]}
    counts = {"chunkCount": 3, "edgeCount": 2, "clusterCount": 1, "vectorCount": 2}
    found = {"format": "causantic-archive", "version": "1.1", "created": value["created"], "metadata": about | counts}
    for section, keys in CAUSANTIC_KEYS.items():
        found[section] = [{key: record[key] for key in keys} for record in value[section]]
    [cluster] = found["clusters"]
    cluster["centroid"] = [0.5, -0.25, 0.75]
    cluster["members"] = [{key: record[key] for key in ("chunkId", "distance")} for record in value["memberships"]]
    embeddings = {"s0-chunk-0": [0.5, -0.25, 0.75], "s1-chunk-0": [0, 1, 0.1]}
    found["vectors"] = [{"chunkId": chunk, "embedding": numbers} for chunk, numbers in embeddings.items()]
    return found


def index() -> str:
    """Give the index: a TOML table for each vector."""
    return "\n".join(["# Written by generate.py; README.md says what the keys mean.", "", *map(_entry, vectors())])


def _entry(vector: Vector) -> str:
    lines = ["[[vector]]", f"file = {_quoted(vector.file)}", f"what = {_quoted(vector.what)}"]
    if vector.password is not None:
        lines.append(f"password = {_quoted(vector.password)}")
    lines.append(f"exit = {EXITS[vector.error]}")
    for key, value in (("error", vector.error), ("at", vector.at), ("restore", vector.restore)):
        lines += [f"{key} = {_quoted(value)}"] * bool(value)
    for key, counts in (("counts", vector.counts), ("dropped", vector.dropped), ("unread", vector.unread)):
        if counts is not None:
            lines.append(f"{key} = {{" + ", ".join(f"{name} = {count}" for name, count in counts.items()) + "}")
    if vector.not_made:
        lines.append(f"not_made = [{', '.join(map(_quoted, vector.not_made))}]")
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    """Write a TOML string in ASCII, so that no editor can normalise a password."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isascii() else f"\\U{ord(char):08x}" for char in escaped) + '"'


def files() -> dict[str, bytes]:
    """Give every file of this folder that is generated, by name. One name never stands for two contents."""
    found = {INDEX: index().encode()}
    for vector in vectors():
        if found.setdefault(vector.file, vector.content) != vector.content:
            raise ValueError(f"two vectors are called {vector.file}")
    return found


if __name__ == "__main__":
    for name, content in files().items():
        (FOLDER / name).write_bytes(content)
