"""Hostile and damaged input: an error of this program's own, always, and never a wrong record."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from archive.documents import everything, keys_derived_once, read
from hypothesis import example, given, settings
from hypothesis import strategies as st
from vectors import generate
from vectors.memory import MEMORY, PASSWORD, document

from ecm_agent.archive import open_archive
from ecm_agent.errors import ArchiveInvalid, EcmError
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(generate.__file__).parent
PLAIN = document(MEMORY)
SEEDS = {path.name: path.read_bytes() for path in sorted(FOLDER.glob("*.json*"))}
WORDS = [
    b'"',
    b"\\",
    b"\n",
    b"]",
    b"}",
    b"[",
    b"{",
    b",",
    b":",
    b"\xff",
    b"\\ud800",
    b"1e999",
    b"-",
    b"null",
    b"\n],\n",
    b"\0",
]


@pytest.fixture(scope="module", autouse=True)
def one_key() -> Iterator[None]:
    """Derive each key of this module once."""
    with keys_derived_once():
        yield


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Give a file, sound or not, with some places overwritten, cut out, doubled or filled."""
    content = bytearray(draw(st.sampled_from(list(SEEDS.values()))))
    for _ in range(draw(st.integers(1, 4))):
        place, length = draw(st.integers(0, len(content))), draw(st.integers(0, 40))
        piece = draw(st.sampled_from(WORDS) | st.binary(max_size=4) | st.just(bytes(content[place : place + length])))
        content[place : place + draw(st.sampled_from([0, len(piece), length]))] = piece
    return bytes(content)


def reads_or_is_refused(content: bytes) -> bool:
    try:
        everything(open_archive(io.BytesIO(content), Secret(PASSWORD)))
    except EcmError:
        return False
    return True


@given(damaged())
@settings(max_examples=400)
@example(PLAIN.replace(b'"metadata":{', b'"metadata":{{', 1))
@example(PLAIN.replace(b'"metadata":{', b'"metadata":{"\xff":1,', 1))
@example(PLAIN.replace(b'"digests":{', b'"digests":{"\xff":1,', 1))
@example(PLAIN.replace(b'"format":"', b'"format":"\xff', 1))
@example(b'{"format":' + b"[" * 50_000 + b",\n" + b",\n")
def test_no_damage_gives_anything_but_our_own_error(content: bytes) -> None:
    """Whatever is done to a plain file, it is read, or refused with an error that has a message and an exit code."""
    reads_or_is_refused(content)


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"ECM\0", b"{", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", PLAIN[:300]])
)
def test_no_bytes_at_all_give_anything_but_our_own_error(content: bytes, begin: bytes) -> None:
    """Any bytes, also behind the beginning of an archive, are refused with an error of this program's own."""
    assert not reads_or_is_refused(begin + content)


@given(st.integers(0, len(PLAIN) - 3))
def test_every_truncation_of_a_plain_archive_is_refused(length: int) -> None:
    """A plain archive cut short anywhere before its last brace is refused."""
    with pytest.raises(ArchiveInvalid):
        read(PLAIN[:length])


def test_no_changed_byte_of_a_plain_archive_goes_unnoticed() -> None:
    """With its digests a plain archive, too, notices each changed byte: it is refused, or nothing in it is different.

    Only in the names of the digests themselves may a byte change: then they cannot be matched, and that is told.
    """
    whole = open_archive(io.BytesIO(PLAIN), None)
    expected, passed = everything(whole), []
    assert whole.matched
    for place in range(len(PLAIN)):
        changed = PLAIN[:place] + bytes([PLAIN[place] ^ (1 << place % 8)]) + PLAIN[place + 1 :]
        try:
            archive = open_archive(io.BytesIO(changed), None)
            found = everything(archive)
        except ArchiveInvalid:
            continue
        passed.append(place)
        assert (found, archive.manifest) == (expected, whole.manifest), changed[place - 20 : place + 20]
        assert not archive.matched, changed[place - 20 : place + 20]
    assert min(passed) > PLAIN.index(b'"digests":')
