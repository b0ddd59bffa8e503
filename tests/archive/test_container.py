"""The bytes around a document: nothing is given out that has not proved genuine, and memory stays flat."""

from __future__ import annotations

import io
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from archive.documents import blocks_of, by_section, everything, keys_derived_once, read
from vectors.generate import resealed
from vectors.memory import CHUNKS, MEMORY, PASSWORD, document, gzipped, manifest, pretty, sealed, zstandard_frame

from ecm_agent.archive import Compression, Seal, container, is_encrypted, open_archive, sealed_as, write_archive
from ecm_agent.archive.container import (
    CAUSANTIC_MAGIC,
    HEADER_BYTES,
    MAGIC,
    MAGICS,
    MAX_PLAINTEXT,
    SealedReader,
    SealedWriter,
)
from ecm_agent.errors import ArchiveInvalid, DecryptionFailed, EcmError, PasswordMissing
from ecm_agent.model.manifest import CAUSANTIC, FORMAT
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ecm_agent.model.records import Batch

SEAL = Seal(Secret(PASSWORD), bytes(16), bytes(12))
OURS = resealed(document(MEMORY))
ON_ONE_LINE = OURS.replace(b"\n", b"")
ENCRYPTED = sealed("encrypted", document(MEMORY))


@pytest.fixture(scope="module", autouse=True)
def one_key() -> Iterator[None]:
    """Derive each key of this module once."""
    with keys_derived_once():
        yield


def test_the_header_is_the_table_of_the_format() -> None:
    """Magic, salt, nonce and tag stand where the table says, and the ciphertext is as long as the document."""
    file = io.BytesIO()
    seal = Seal(Secret(PASSWORD), b"s" * 16, b"n" * 12)
    write_archive(file, manifest(MEMORY), MEMORY, seal=seal, compression="none")
    content = file.getvalue()
    assert content[:32] == b"ECM\0" + b"s" * 16 + b"n" * 12
    assert content[32:48] != bytes(16)
    assert len(content) == 48 + len(document(MEMORY))


def test_each_changed_byte_is_reported() -> None:
    """Any byte of an encrypted archive changed in any one way is found, and nothing of it is given out."""
    for place in range(len(ENCRYPTED)):
        changed = bytearray(ENCRYPTED)
        changed[place] ^= 1 << place % 8
        with pytest.raises((ArchiveInvalid, DecryptionFailed)):
            open_archive(io.BytesIO(changed), SEAL.password)


def test_each_cut_is_reported_as_damage() -> None:
    """An encrypted archive cut short anywhere is damaged; it never looks like a wrong password."""
    for length in range(len(ENCRYPTED)):
        with pytest.raises(ArchiveInvalid):
            open_archive(io.BytesIO(ENCRYPTED[:length]), SEAL.password)


@pytest.mark.parametrize("packed", [gzipped, zstandard_frame], ids=["gzip", "zstd"])
def test_each_cut_of_a_compressed_plain_archive_is_reported(packed: type[bytes]) -> None:
    """A compressed archive cut short anywhere is damaged, also where only its checksum is cut."""
    content = packed(document(MEMORY))
    for length in range(len(content)):
        with pytest.raises(ArchiveInvalid):
            read(content[:length])


@pytest.mark.parametrize(
    ("plaintext", "damage_is_told"),
    [
        (document(MEMORY), True),
        (pretty({"format": "ecm-archive"}), True),
        (gzipped(document(MEMORY)), True),
        (zstandard_frame(document(MEMORY)), True),
        (b" " * 100, False),
        (b'{"\xc3\xa9": 1}' * 10, False),
    ],
    ids=["ours", "pretty", "gzip", "zstd", "spaces", "not ASCII"],
)
def test_damage_is_told_from_a_wrong_password_by_the_first_bytes(plaintext: bytes, damage_is_told: bool) -> None:
    """Damage behind the first bytes is damage where these are a document's; a wrong password always is one."""
    content = sealed("damage", plaintext)
    with pytest.raises(ArchiveInvalid if damage_is_told else DecryptionFailed):
        open_archive(io.BytesIO(content + b"!"), SEAL.password)
    with pytest.raises(DecryptionFailed):
        open_archive(io.BytesIO(content), Secret("another"))


def test_an_encrypted_archive_needs_a_password_and_a_plain_one_takes_any() -> None:
    """Without a password an encrypted archive is not touched; a password for a plain one is not needed."""
    with pytest.raises(PasswordMissing, match="Archive is encrypted"):
        open_archive(io.BytesIO(ENCRYPTED), None)
    assert everything(open_archive(io.BytesIO(document(MEMORY)), SEAL.password)) == by_section(MEMORY)
    assert is_encrypted(io.BytesIO(ENCRYPTED))
    assert not is_encrypted(io.BytesIO(document(MEMORY)))


@pytest.mark.parametrize("magic", MAGICS)
@pytest.mark.parametrize("last", [0, 1])
def test_nothing_is_parsed_before_it_proved_genuine(magic: bytes, last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a changed archive no byte reaches a parser, whichever program's magic it begins with."""
    monkeypatch.setattr(SealedReader, "plaintext", lambda _: pytest.fail("plaintext was given out"))
    content = bytearray(sealed("encrypted", document(MEMORY), magic=magic))
    content[HEADER_BYTES if last else -1] ^= 1
    with pytest.raises((ArchiveInvalid, DecryptionFailed)):
        open_archive(io.BytesIO(content), SEAL.password)


@pytest.mark.parametrize(("magic", "format_"), [(MAGIC, FORMAT), (CAUSANTIC_MAGIC, CAUSANTIC), (b"CST\1", None)])
def test_the_magic_names_the_format(magic: bytes, format_: str | None) -> None:
    """Whose archive an encrypted file is shows without the password; any other first bytes are no encrypted one's."""
    file = io.BytesIO(magic + bytes(100))
    assert sealed_as(file) == format_
    assert is_encrypted(file) == (format_ is not None)


@pytest.mark.parametrize("laid_out", [OURS, ON_ONE_LINE], ids=["ours", "one line"])
@pytest.mark.parametrize("change", ["a letter", "more", "less"])
@pytest.mark.parametrize("whole", [False, True], ids=["", "one block"])
def test_a_file_that_changes_between_the_passes_is_caught(laid_out: bytes, change: str, whole: bool) -> None:
    """The second pass checks the tag again: even a change that leaves a sound document is noticed."""
    file = io.BytesIO(sealed("changing", laid_out))
    place = HEADER_BYTES + laid_out.index(b"beans")
    with blocks_of(len(laid_out) if whole else 1 << 20):
        archive = open_archive(file, SEAL.password)
        if change == "a letter":
            file.getbuffer()[place] ^= 2  # counter mode: the same bit of the plaintext changes
        elif change == "more":
            file.seek(0, 2)
            file.write(b"x")
        else:
            file.truncate(place)
        with pytest.raises(ArchiveInvalid, match="changed while it was being read"):
            everything(archive)


@pytest.mark.parametrize("room", [0, 1, 999])
def test_more_than_one_message_can_hold_is_refused_before_it_is_written(room: int) -> None:
    """The writer stops before the byte that would be too many, and what it leaves never opens."""
    file = io.BytesIO()
    writer = SealedWriter(file, SEAL, limit=room)
    writer.write(bytes(room))
    with pytest.raises(EcmError, match="larger than 64 GiB"):
        writer.write(b"x")
    assert len(file.getvalue()) == HEADER_BYTES + room
    with pytest.raises((ArchiveInvalid, DecryptionFailed)):
        open_archive(file, SEAL.password)


def test_an_archive_of_exactly_the_limit_is_written() -> None:
    """The limit itself is still allowed."""
    content = document(MEMORY)
    file = io.BytesIO()
    writer = SealedWriter(file, SEAL, limit=len(content))
    writer.write(content)
    writer.finish()
    assert read(file.getvalue(), SEAL.password) == by_section(MEMORY)


def test_a_file_larger_than_one_message_is_refused_unread(tmp_path: Path) -> None:
    """A file of more than 64 GiB cannot be an archive; that is said at once, without reading it."""
    path = tmp_path / "huge.ecm"
    with path.open("wb+") as file:
        file.write(MAGIC)
        file.truncate(HEADER_BYTES + MAX_PLAINTEXT + 1)  # a hole, which takes no room on the disk
        with pytest.raises(ArchiveInvalid, match="larger than one"):
            open_archive(file, SEAL.password)


def test_the_plaintext_comes_in_the_pieces_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading gives as many bytes as asked for, fewer only at the end, whatever the blocks of the file."""
    monkeypatch.setattr(container, "BLOCK", 7)
    content = bytes(range(256))
    source = SealedReader.authenticate(io.BytesIO(sealed("pieces", content)), SEAL.password).plaintext()
    pieces = [source.read(100) for _ in range(4)]
    assert pieces == [content[:100], content[100:200], content[200:], b""]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_memory_stays_flat(compression: Compression, tmp_path: Path) -> None:
    """Writing and reading an encrypted archive of 40 MB takes a few blocks of memory, not the archive's size."""
    batches: list[Batch] = [CHUNKS * 40] * 1000
    promised = manifest([CHUNKS], chunk_count=120_000)
    with (tmp_path / "large.ecm").open("wb+") as file:
        tracemalloc.start()
        try:
            write_archive(file, promised, batches, seal=SEAL, compression=compression)
            counted = sum(len(batch) for batch in open_archive(file, SEAL.password).batches())
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert counted == 120_000
        assert peak < 20 << 20
        assert compression != "none" or file.seek(0, 2) > 40_000_000
