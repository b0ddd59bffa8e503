#!/usr/bin/env python3
"""Decrypt an ecm-agent archive without ecm-agent, for the day that program is gone.

    python3 decrypt.py memory.ecm --output memory.json      (without --output: to stdout)

Needs Python 3.11 or later and one package, `cryptography`; for an archive made with `--compress zstd` also `zstandard`.
The password comes from ECM_EXPORT_PASSWORD, or is asked for. Exit codes: 0 done, 2 usage or no password, 10 no such
file, 12 the password does not open the archive, 13 not an encrypted archive or a damaged one, 1 anything else.

The format (ecm_agent/archive/FORMAT.md is its full word): "ECM" and a NUL byte ("CST" in the archives of Causantic,
which open as well), 16 bytes of salt, 12 of nonce, 16 of tag, then an AES-256-GCM message to the end of the file; its
key is scrypt(password, salt, N=16384, r=8, p=1). Inside is one JSON document, compressed by gzip (it begins with
1F 8B), by zstd (28 B5 2F FD), or as it is. The file is read twice: not a byte is written before all of it has proved
genuine, and the output gets its name only if it did so again.
"""

import argparse
import getpass
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

FAILED, USAGE, NOT_FOUND, WRONG_PASSWORD, INVALID, INTERRUPTED = 1, 2, 10, 12, 13, 130
MAGICS = (b"ECM\0", b"CST\0")
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
HEADER, LARGEST = 48, 2**36 - 32
BLOCK = 1 << 16


def fail(code: int, message: str) -> NoReturn:
    print(f"decrypt: {message}", file=sys.stderr)
    raise SystemExit(code)


def password() -> bytes:
    given = os.environ.get("ECM_EXPORT_PASSWORD")
    if given is None and not sys.stdin.isatty():
        fail(USAGE, "There is no password: set ECM_EXPORT_PASSWORD, or run this at a terminal.")
    try:  # as typed: not trimmed, not normalised
        encoded = (getpass.getpass("Enter decryption password: ") if given is None else given).encode()
    except (UnicodeEncodeError, EOFError):
        fail(USAGE, "The password is not valid UTF-8, or none was given.")
    return encoded or fail(USAGE, "The password is empty.")


def plaintext(file: BinaryIO, key: bytes) -> Iterator[bytes]:
    """Give what is sealed, a block at a time; raises InvalidTag after the last one if any of it is not genuine."""
    file.seek(20)
    nonce, tag = file.read(12), file.read(16)
    decryptor = Cipher(AES(key), GCM(nonce)).decryptor()
    while block := file.read(BLOCK):
        yield decryptor.update(block)
    decryptor.finalize_with_tag(tag)


def authenticated_key(file: BinaryIO, secret: bytes) -> bytes:
    """Give the key of the archive, which is proved genuine from its first byte to its last."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(4) not in MAGICS or not HEADER < size <= HEADER + LARGEST:
        fail(INVALID, "This is not an encrypted archive. (A .json archive is not encrypted: read it as it is.)")
    key = Scrypt(salt=file.read(16), length=32, n=16384, r=8, p=1).derive(secret)
    begin = b""
    try:
        for block in plaintext(file, key):
            begin = begin or block[:16]
    except InvalidTag:
        # Counter mode: with the right key, the first bytes come out right whatever was changed behind them.
        text = begin.startswith(b"{") and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in begin)  # noqa: PLR2004 (printable ASCII)
        if text or begin.startswith((GZIP + b"\x08", ZSTD)):
            fail(INVALID, "The archive is damaged: the password fits, but bytes were changed or cut off.")
        fail(WRONG_PASSWORD, "The password is wrong, or the first bytes of the archive are damaged.")
    return key


def decompressor(begin: bytes) -> Any:  # noqa: ANN401 (either library's object)
    if begin.startswith(GZIP):
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        import zstandard
    except ImportError:
        fail(USAGE, "This archive is compressed with zstd: install the Python package zstandard, then try again.")
    return zstandard.ZstdDecompressor().decompressobj()


def document(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Give the JSON document, decompressed."""
    first = next(blocks)
    if not first.startswith((GZIP, ZSTD)):
        yield first
        yield from blocks
        return
    stream = decompressor(first)
    try:
        yield stream.decompress(first)
        for block in blocks:
            yield stream.decompress(block)  # also fails on what follows the end of the stream
    except InvalidTag:
        raise
    except Exception as error:  # noqa: BLE001 (zlib.error or zstandard.ZstdError, which may not be installed)
        fail(INVALID, f"The compressed stream inside is damaged: {error}.")
    if not stream.eof or stream.unused_data:
        fail(INVALID, "The compressed stream inside is cut short, or something follows it.")


def save(target: Path, pieces: Iterator[bytes]) -> None:
    """Write a new file, private (0600), which gets its name when it is complete."""
    handle, temporary = tempfile.mkstemp(prefix=".decrypt-", dir=target.absolute().parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(handle)
        try:
            target.hardlink_to(temporary)  # unlike renaming, this takes the place of no file
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if os.path.lexists(target):
                raise FileExistsError from None
            Path(temporary).rename(target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Decrypt an ecm-agent archive into JSON.")
    parser.add_argument("file", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="a new file, readable by you alone; without it: stdout")
    arguments = parser.parse_args()
    if not arguments.file.is_file():
        fail(NOT_FOUND, f"There is no regular file {arguments.file}.")
    if arguments.output and os.path.lexists(arguments.output):
        fail(USAGE, f"{arguments.output} exists already, and is left as it is.")
    try:
        with arguments.file.open("rb") as file:
            key = authenticated_key(file, password())
            pieces = document(plaintext(file, key))
            if arguments.output:
                save(arguments.output, pieces)
            else:
                sys.stdout.buffer.writelines(pieces)
                sys.stdout.flush()
    except InvalidTag:
        fail(INVALID, "The archive changed while it was being read.")
    except KeyboardInterrupt:
        fail(INTERRUPTED, "Interrupted.")
    except OSError as error:
        fail(FAILED, f"{error.strerror or error}: {error.filename or arguments.output or arguments.file}")


if __name__ == "__main__":
    main()
