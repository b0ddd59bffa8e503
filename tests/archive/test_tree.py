"""The general reader: any JSON of the archive's shape, and nothing that is not JSON."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from archive.documents import blocks_of, by_section, read
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors.generate import resealed
from vectors.memory import MEMORY, compact, document, parsed, pretty

from ecm_agent.archive import layout, tree
from ecm_agent.archive.tree import TreeDocument
from ecm_agent.errors import ArchiveInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

VALUE = parsed(document(MEMORY))
MINIFIED = compact(VALUE)
EXPECTED = by_section(MEMORY)

ESCAPES = [r"\ud83d", r"\ude00", r"\uD83D", r"\uDe00", r"\udbff", r"\udc00", r"\u0041", r"\ud7ff", r"\ue000"]
PIECES = [*ESCAPES, r"\\", r"\"", r"\n", r"\/", "u", "d83d", "x", "é", "\U0001f41e", "ud83d"]


def texts_of(content: bytes) -> list[Any]:
    return [value for event, value in tree._events(tree._WholeCharacters(io.BytesIO(content))) if event == "string"]


def has_half_a_character(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.integers(1, 20))
@settings(max_examples=400)
def test_escapes_are_read_as_json_reads_them_and_half_characters_refused(body: str, block: int) -> None:
    """Whatever escapes follow each other, wherever a block cuts them: the right text, or a refusal of half a one."""
    content = f'["{body}"]'
    expected = json.loads(content)
    with blocks_of(block):
        if has_half_a_character(expected[0]):
            with pytest.raises(ArchiveInvalid, match="half a character"):
                texts_of(content.encode())
        else:
            assert texts_of(content.encode()) == expected


@given(st.text(st.characters(codec="utf-8"), max_size=20), st.booleans(), st.integers(1, 20))
def test_every_text_comes_through(text: str, escaped: bool, block: int) -> None:
    """Any text is read as it is, whether its characters are escaped or not, wherever a block cuts it."""
    with blocks_of(block):
        assert texts_of(json.dumps([text], ensure_ascii=escaped).encode()) == [text]


@pytest.mark.parametrize("character", [chr(code) for code in range(0x20) if chr(code) not in "\t\n\r"])
@pytest.mark.parametrize("place", [b"[%s]", b'["%s"]', b'["a",%s"b"]', b"%s[]"])
def test_control_characters_are_no_white_space(place: bytes, character: str) -> None:
    """JSON knows four kinds of white space: a changed bit that made a fifth would keep digests from being checked."""
    with pytest.raises(ArchiveInvalid, match="not JSON"):
        texts_of(place % character.encode())


@pytest.mark.parametrize(
    ("content", "said"),
    [(MINIFIED[:-1], "ends in the middle"), (MINIFIED[:700], "ends in the middle"), (MINIFIED[:-1] + b"x", "not JSON")],
)
def test_what_was_cut_off_is_told_from_what_was_changed(content: bytes, said: str) -> None:
    """A file that was not copied to its end is said to be that."""
    with pytest.raises(ArchiveInvalid, match=said) as caught:
        read(content)
    assert ("cut off" in caught.value.message) is (said != "not JSON")


@pytest.mark.parametrize("size", [*range(1, 40), 1000, len(MINIFIED)])
def test_a_minified_document_is_read_whatever_the_block(size: int) -> None:
    """Blocks may end anywhere in a document of any layout."""
    with blocks_of(size):
        assert by_section(batch for _, batch in TreeDocument(io.BytesIO(MINIFIED)).parts()) == EXPECTED


@given(st.permutations(list(VALUE)), st.sampled_from([compact, pretty]))
@settings(max_examples=40)
def test_the_order_of_the_keys_does_not_matter(order: list[str], laid_out: Callable[[object], bytes]) -> None:
    """The head, the metadata and the sections may stand in any order, also after the records they speak of."""
    assert read(laid_out({key: VALUE[key] for key in order})) == EXPECTED


@pytest.mark.parametrize("missing", ["format", "version", "created", "metadata", "chunks", "edges", "clusters"])
def test_each_required_key_is_required(missing: str) -> None:
    """A document that lacks a required key is no archive, in this program's layout or another."""
    emptied = parsed(document([]))
    del emptied[missing]
    with pytest.raises(ArchiveInvalid):
        read(compact(emptied))
    renamed = resealed(document([]).replace(b'"%s":' % missing.encode(), b'"other":', 1))
    with pytest.raises(ArchiveInvalid):
        read(renamed)


@pytest.mark.parametrize("key", list(VALUE))
def test_no_key_may_be_there_twice(key: str) -> None:
    """A key that is there twice could mean either; the document is refused."""
    twice = MINIFIED[:-1] + b',"%s":' % key.encode() + compact(VALUE[key]) + b"}"
    with pytest.raises(ArchiveInvalid, match="twice"):
        read(twice)


def test_a_record_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record longer than a record can be ends the reading; any number of shorter ones do not, nor unknown keys."""
    monkeypatch.setattr(tree, "MAX_RECORD_BYTES", 2000)
    unknown = compact(VALUE | {"later": ["x" * 100] * 1000, "chunks": VALUE["chunks"]})
    with blocks_of(100):
        assert read(unknown) == EXPECTED
        with pytest.raises(ArchiveInvalid, match="longer than"):
            read(MINIFIED.replace(b"beans", b"beans" * 1000, 1))


@pytest.mark.parametrize("levels", [layout.MAX_DEPTH, layout.MAX_DEPTH + 1])
def test_sixty_four_levels_may_be_nested(levels: int) -> None:
    """The value of an unknown key may nest as deep as the page says, and no deeper."""
    nested = MINIFIED[:-1] + b',"later":' + b"[" * levels + b"]" * levels + b"}"
    if levels <= layout.MAX_DEPTH:
        assert read(nested) == EXPECTED
    else:
        with pytest.raises(ArchiveInvalid, match="nests deeper"):
            read(nested)


def test_a_message_never_shows_what_is_in_a_record() -> None:
    """A fault is named without the text around it, which is somebody's memory."""
    with pytest.raises(ArchiveInvalid) as raised:
        read(MINIFIED.replace(b"beans", b"be\xffans", 1))
    assert "Water" not in str(raised.value)
    assert "not JSON" in str(raised.value)


@pytest.mark.parametrize(("section", "number"), [("chunks", 0), ("edges", 1), ("vectors", 1)])
def test_what_is_not_json_is_named_by_its_place(section: str, number: int) -> None:
    """The error names the record before whose end the document stops being JSON."""
    content = compact(VALUE | {section: [*VALUE[section][:number], "here", *VALUE[section][number:]]})
    with pytest.raises(ArchiveInvalid, match=rf"not JSON \(.*\), at {section}\[{number}\] or after it"):
        read(content.replace(b'"here"', b"NaN"))
