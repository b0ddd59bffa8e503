"""The fast reader: whatever it is given, together with the general reader nothing is lost, doubled or made up."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING

import msgspec
import pytest
from archive.documents import SLOW, blocks_of, by_section, document_of, memories, read
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors.generate import resealed
from vectors.memory import CHUNKS, EDGES, MEMORY, ODD_COLUMNS, document

from ecm_agent.archive import lines, open_archive
from ecm_agent.archive.lines import LineDocument, OtherLayout
from ecm_agent.errors import ArchiveInvalid
from ecm_agent.model.records import Chunk

if TYPE_CHECKING:
    from ecm_agent.model.records import Batch

# Without digests a document may be laid out anew in any way and is still sound. The general reader's parser takes every
# 64-bit integer but the smallest, -(2**63).
RECORDS: list[Batch] = [
    [msgspec.structs.replace(batch[0], columns=ODD_COLUMNS | {"smallest": 1 - 2**63}), *batch[1:]] for batch in MEMORY
]
DOCUMENT = resealed(document(RECORDS))
EXPECTED = by_section(RECORDS)
STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
STRUCTURE = re.compile(rb"[{}\[\],:]")


def structural_places(content: bytes) -> list[int]:
    """Give the offsets where white space means nothing: next to braces, brackets, commas and colons of no string."""
    inside = {offset for match in STRING.finditer(content) for offset in range(*match.span())}
    found = {place for match in STRUCTURE.finditer(content) if match.start() not in inside for place in match.span()}
    return sorted(found)


PLACES = structural_places(DOCUMENT)
MANY = [msgspec.structs.replace(CHUNKS[0], id=f"c{number}") for number in range(300)]


def read_fast(content: bytes) -> dict[str, list[str]]:
    return by_section(batch for _, batch in LineDocument(io.BytesIO(content)).parts())


@pytest.mark.parametrize("size", [*range(1, 65), 100, 1000, len(DOCUMENT) - 1, len(DOCUMENT), len(DOCUMENT) + 1])
def test_a_document_of_ours_is_read_line_by_line_whatever_the_block(size: int) -> None:
    """The fast reader needs no help with its own layout, wherever the blocks of the file end."""
    with blocks_of(size):
        assert read_fast(DOCUMENT) == EXPECTED


def test_every_place_a_block_can_end_is_harmless() -> None:
    """A block may end at any byte of the file: before, at and after the end of every record."""
    for first in range(1, len(DOCUMENT)):
        source = _Pieces(DOCUMENT[:first], DOCUMENT[first:])
        assert by_section(batch for _, batch in LineDocument(source).parts()) == EXPECTED


class _Pieces:
    def __init__(self, *pieces: bytes) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def read(self, size: int, /) -> bytes:  # noqa: ARG002 (a piece is what one reading gives, however much is asked)
        return self._pieces.pop(0) if self._pieces else b""


@given(
    st.lists(st.tuples(st.sampled_from(PLACES), st.text(" \t\r\n", min_size=1, max_size=4)), min_size=1, max_size=6),
    st.sampled_from([7, 300, 1 << 20]),
)
def test_white_space_anywhere_changes_nothing(insertions: list[tuple[int, str]], block: int) -> None:
    """White space and line feeds put in at any structural places leave every record there, once, and in order."""
    changed = DOCUMENT
    for place, space in sorted(insertions, reverse=True):
        changed = changed[:place] + space.encode() + changed[place:]
    with blocks_of(block):
        assert read(changed) == EXPECTED


@given(st.sets(st.integers(0, DOCUMENT.count(b"\n") - 1)), st.sampled_from([7, 300, 1 << 20]))
@settings(max_examples=60)
def test_records_laid_out_anew_change_nothing(numbers: set[int], block: int) -> None:
    """Some lines pretty-printed, the others as they were: every record is there, once, and in order."""
    laid_out = DOCUMENT.split(b"\n")
    for number in numbers:
        if laid_out[number].startswith(b'{"') and laid_out[number].rstrip(b",").endswith(b"}"):
            record, comma = laid_out[number].rstrip(b","), laid_out[number].endswith(b",")
            laid_out[number] = json.dumps(json.loads(record), indent=1).encode() + b"," * comma
    with blocks_of(block):
        assert read(b"\n".join(laid_out)) == EXPECTED


@given(st.sets(st.integers(0, DOCUMENT.count(b"\n") - 1)))
@settings(max_examples=60)
def test_lines_drawn_together_change_nothing(joined: set[int]) -> None:
    """Several records on one line, or a section on the line of another: every record is there, once, and in order."""
    pieces = DOCUMENT.split(b"\n")
    changed = b"".join(piece + (b"" if number in joined else b"\n") for number, piece in enumerate(pieces))
    assert read(changed) == EXPECTED


@given(memories(), st.integers(1, 400))
@settings(max_examples=40, suppress_health_check=SLOW)
def test_the_batches_of_the_writer_do_not_matter(batches: list[Batch], block: int) -> None:
    """A section may begin or end at the end of a block, and be empty: nothing is lost at the seams."""
    content = document_of(batches)
    with blocks_of(block):
        assert read_fast(content) == by_section(batches)


@pytest.mark.parametrize("length", [1, 3 << 20, (1 << 20) - 200, 1 << 20])
def test_a_giant_record_between_small_ones_is_read(length: int) -> None:
    """A record longer than a block, or as long, is read whole, and so are its neighbours."""
    giant = Chunk(
        id="giant", session_slug="", content="x\n" * (length // 2), start_time="", end_time="", turn_indices=[]
    )
    content = document([[*CHUNKS, giant, *CHUNKS], EDGES], cluster_count=0)
    assert read_fast(content) == by_section([[*CHUNKS, giant, *CHUNKS], EDGES])


def test_a_document_on_one_line_is_not_gathered_in_memory() -> None:
    """A minified document has no line to go by; the fast reader gives up early instead of keeping all of it."""
    endless = _Endless()
    with pytest.raises(OtherLayout):
        LineDocument(endless).manifest()
    assert endless.given < 64 << 20


class _Endless:
    given = 0

    def read(self, size: int, /) -> bytes:
        self.given += size
        return b"{" * size


def test_a_record_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line longer than a record can be ends the reading, before it has filled the memory."""
    monkeypatch.setattr(lines, "MAX_RECORD_BYTES", 1000)
    monkeypatch.setattr(lines, "BLOCK", 100)
    changed = DOCUMENT.replace(b"beans", b"beans" * 1000, 1)
    with pytest.raises(ArchiveInvalid, match="longer than"):
        read(changed)


def test_a_section_hidden_in_an_unknown_one_stays_hidden() -> None:
    """Lines that look like a section but belong to the value of an unknown key are not taken for records."""
    hidden = b'"later":[\n{"a":[\n1\n],\n"chunks":[\n' + DOCUMENT.split(b"\n")[3].rstrip(b",") + b'\n],\n"b":1}\n],\n'
    assert read(DOCUMENT.replace(b'"chunks":[', hidden + b'"chunks":[', 1)) == EXPECTED


def test_a_change_in_any_record_line_is_found_by_the_digests() -> None:
    """Digests cover every byte of every record line: a plain archive with one letter changed is refused."""
    content = document(MEMORY)
    start = content.index(b'"chunks":[\n')
    for place in range(start, content.index(b'"digests"')):
        if content[place : place + 1].isalpha() and content[place - 1 : place].isalpha():
            changed = content[:place] + content[place : place + 1].swapcase() + content[place + 1 :]
            with pytest.raises(ArchiveInvalid):
                read(changed)


def test_records_come_in_batches_of_about_a_block() -> None:
    """A large section is given a block at a time, never all at once."""
    content = document([CHUNKS * 20_000], chunk_count=60_000)
    sizes = [len(batch) for batch in open_archive(io.BytesIO(content), None).batches()]
    assert sum(sizes) == 60_000
    assert max(sizes) * len(content) / 60_000 < 2.5 * (1 << 20)


@pytest.mark.parametrize("block", [1000, 1 << 20])
def test_records_given_before_the_layout_changed_are_not_given_again(block: int) -> None:
    """Hundreds of records line by line, then another layout: the general reader goes on where the fast one was."""
    before, between, after = resealed(document([MANY, EDGES])).partition(b'"id":"c250"')
    with blocks_of(block):
        assert read((before + between + after).replace(b'"edges":[', b'"edges": [')) == by_section([MANY, EDGES])
        pretty = after.replace(b"[0,1]", b"[\n0,\n1\n]")
        assert read(before + between + pretty) == by_section([MANY, EDGES])


@pytest.mark.parametrize("block", [1000, 1 << 20])
@pytest.mark.parametrize("line_feed", [b"\n", b""], ids=["our layout", "on one line"])
def test_an_error_names_the_record_by_its_number_in_the_section(block: int, line_feed: bytes) -> None:
    """However many records were read before it, a wrong one is counted from the start of its section."""
    content = document([MANY]).replace(b'"id":"c250"', b'"id":250').replace(b"\n", line_feed)
    with blocks_of(block), pytest.raises(ArchiveInvalid, match=r"chunks\[250\]\.id"):
        read(content)
