"""The bytes of an archive: magic, salt, nonce, tag, ciphertext (see FORMAT.md, which is normative).

Writing streams: the tag goes into its place in the header once everything is encrypted. Reading makes two passes over
the same open file: the first only authenticates, so that no byte reaches a parser before the whole file has proved
genuine; the second hands the plaintext out and checks the tag again, so that a file changed in between is caught.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self, TypeAlias

from ecm_agent.errors import ArchiveInvalid, DecryptionFailed, EcmError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.ciphers import AEADDecryptionContext, AEADEncryptionContext

    from ecm_agent.secret import Secret

MAGIC = b"ECM\0"
CAUSANTIC_MAGIC = b"CST\0"
"""What the memory program's later generations begin theirs with; all other bytes are the same."""

MAGICS = (MAGIC, CAUSANTIC_MAGIC)
SALT_BYTES, NONCE_BYTES, TAG_BYTES = 16, 12, 16
TAG_OFFSET = len(MAGIC) + SALT_BYTES + NONCE_BYTES
HEADER_BYTES = TAG_OFFSET + TAG_BYTES
SCRYPT_N, SCRYPT_R, SCRYPT_P, KEY_BYTES = 16384, 8, 1, 32

MAX_PLAINTEXT = 2**36 - 32
"""Bytes one AES-GCM message may hold (NIST SP 800-38D, section 5.2.1.1: 2^39 - 256 bits)."""

BLOCK = 1 << 20
"""Bytes read and decrypted at a time."""


class ByteSource(Protocol):
    """Anything bytes can be read from, front to back."""

    def read(self, size: int, /) -> bytes:
        """Give up to `size` bytes, fewer only at the end, none after it."""


Data: TypeAlias = "bytes | memoryview"


class ByteSink(Protocol):
    """Anything bytes can be written to."""

    def write(self, data: Data, /) -> object:
        """Take all of `data`."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What encrypts one archive. Salt and nonce are arguments, so that golden vectors can pin the bytes."""

    password: Secret
    salt: bytes
    nonce: bytes

    @classmethod
    def draw(cls, password: Secret) -> Self:
        """Make a seal for one archive; never use it for a second one."""
        return cls(password, secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES))


class SealedWriter:
    """Encrypt everything written into `file`, from the file's start; `finish` completes the archive."""

    def __init__(self, file: BinaryIO, seal: Seal, *, limit: int = MAX_PLAINTEXT, magic: bytes = MAGIC) -> None:
        self._file = file
        self._seal = seal
        self._room = limit
        file.write(magic + seal.salt + seal.nonce + bytes(TAG_BYTES))

    def write(self, data: Data, /) -> None:
        """Raise `EcmError` once the archive would pass what AES-GCM can seal in one message."""
        self._room -= len(data)
        if self._room < 0:
            raise EcmError(
                "The archive would be larger than 64 GiB, more than one AES-GCM message can hold.",
                hint="Export fewer projects at a time (--projects), or compress (--compress zstd).",
            )
        self._file.write(self._encryptor.update(data))

    @cached_property
    def _encryptor(self) -> AEADEncryptionContext:
        return _encryptor(self._seal)  # only at the first write, by whoever writes: the key takes its time

    def finish(self) -> None:
        self._file.write(self._encryptor.finalize())
        self._file.seek(TAG_OFFSET)
        self._file.write(self._encryptor.tag)
        self._file.seek(0, 2)


class SealedReader:
    """An encrypted archive in an open, seekable file. Made by `authenticate`, so its content is known to be genuine."""

    def __init__(self, file: BinaryIO, password: Secret) -> None:
        content = file.seek(0, 2) - HEADER_BYTES
        if content <= 0:
            raise ArchiveInvalid("Invalid archive format: the file ends within its header.")
        if content > MAX_PLAINTEXT:
            raise ArchiveInvalid("Invalid archive format: larger than one AES-GCM message can be.")
        file.seek(0)
        header = file.read(HEADER_BYTES)
        salt = header[len(MAGIC) : len(MAGIC) + SALT_BYTES]
        self._file = file
        self._nonce = header[len(MAGIC) + SALT_BYTES : TAG_OFFSET]
        self._tag = header[TAG_OFFSET:]
        self._key = _derive_key(password, salt)

    @classmethod
    def authenticate(cls, file: BinaryIO, password: Secret) -> Self:
        """First pass: read the whole file and check its tag, giving out nothing.

        Raises `DecryptionFailed` for a wrong password, `ArchiveInvalid` for a file that is damaged or cut short.
        The two are told apart by the first bytes: AES-GCM decrypts each block by itself, so with the right password
        an archive begins as one even when a later byte was changed.
        """
        sealed = cls(file, password)
        begin = b""
        try:
            for block in sealed._decrypt():
                begin = begin or block[:16]
        except _TagMismatch:
            if _begins_like_a_document(begin):
                raise ArchiveInvalid(
                    "Archive is damaged: the password fits, but bytes were changed or cut off.",
                    hint="Use another copy of it, or another archive: ecm-agent list",
                ) from None
            raise DecryptionFailed(
                "Decryption failed",
                hint="The password is wrong, or the first bytes of the archive are damaged.",
            ) from None
        return sealed

    def plaintext(self) -> ByteSource:
        """Second pass: the decrypted bytes; reading to the end checks the tag again, raising `ArchiveInvalid`."""
        return _Plaintext(self._decrypt())

    def _decrypt(self) -> Iterator[bytes]:
        decryptor = _decryptor(self._key, self._nonce)
        self._file.seek(HEADER_BYTES)
        while block := self._file.read(BLOCK):
            yield decryptor.update(block)
        _finish(decryptor, self._tag)


class _Plaintext:
    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        pieces = []  # of a whole block there is one, which is not copied
        while size and (piece := self._piece(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _piece(self, size: int) -> bytes:
        if not self._rest:
            block = self._next_block()
            if len(block) <= size:
                return block
            self._rest = memoryview(block)
        taken, self._rest = self._rest[:size], self._rest[size:]
        return bytes(taken)

    def _next_block(self) -> bytes:
        try:
            return next(self._blocks, b"")
        except _TagMismatch:
            raise ArchiveInvalid("The archive changed while it was being read.") from None


class _TagMismatch(Exception):
    pass


def _begins_like_a_document(begin: bytes) -> bool:
    """Whether these are a document's first bytes (JSON, gzip or zstd), beyond chance."""
    text = begin.startswith(b"{") and begin.isascii() and "".join(begin.decode().split()).isprintable()
    return text or begin.startswith((b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"))


def fingerprint(password: Secret, salt: bytes) -> str:
    """Tell passwords apart without keeping them: as costly to guess from as an archive, and of no other use."""
    return _derive_key(password, b"fingerprint " + salt)[:8].hex()


@lru_cache(maxsize=4)  # an archive is written, read back, and read where it is kept: all with one key
def _derive_key(password: Secret, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=KEY_BYTES, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P).derive(password.utf8())


def _encryptor(seal: Seal) -> AEADEncryptionContext:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import GCM

    return Cipher(AES(_derive_key(seal.password, seal.salt)), GCM(seal.nonce)).encryptor()


def _decryptor(key: bytes, nonce: bytes) -> AEADDecryptionContext:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import GCM

    return Cipher(AES(key), GCM(nonce)).decryptor()


def _finish(decryptor: AEADDecryptionContext, tag: bytes) -> None:
    from cryptography.exceptions import InvalidTag

    try:
        decryptor.finalize_with_tag(tag)
    except InvalidTag:
        raise _TagMismatch from None
