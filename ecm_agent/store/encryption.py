"""Which stores are encrypted, and the keys to them.

Two SQLites in one process know nothing of each other's locks, and closing a file gives up all that the process holds on
it. So while an encrypted file is open, the standard library's SQLite has no business with it, not even a look. It never
has with the journals beside one: what it cannot read there it takes for garbage, and clears it away.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from stat import S_ISREG
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

from ecm_agent.errors import StoreUnreadable
from ecm_agent.store.ciphers import CIPHERS, Cipher, open_encrypted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ecm_agent.secret import Secret

KEY_HINT = (
    "Set ECM_DB_KEY or CAUSANTIC_DB_KEY to its key (or either with _FILE added to a file that holds it), "
    "or name a source in the configuration (store: {key: …})."
)

Inode: TypeAlias = tuple[int, int]
"""A regular file, whatever leads to it: device and number."""

_FIRST_LOOK = "SELECT 1 FROM sqlite_master"  # SQLite looks into the file only now
_PAGE = 512  # the smallest page SQLite has: an encrypted database is a multiple of it, too
_NO_FILE: Inode = (0, 0)
_LOOKING = Lock()
_OPEN: Counter[Inode] = Counter()
"""The encrypted files that are open, and how often."""
_CIPHERS: dict[Inode, Cipher] = {}
"""The ciphers that fitted; which of the two it is costs a tenth of a second to find out."""


def _no_keys() -> Iterable[Secret]:
    return ()


@dataclass(frozen=True, slots=True)
class Encryption:
    """What is known of the encryption of stores.

    `find_keys` gives the keys that may open one, the likeliest first; it is called only for stores that are encrypted
    or are to be. `new` says whether a store that is made is encrypted, with the first of them and with `cipher`.
    """

    find_keys: Callable[[], Iterable[Secret]] = _no_keys
    cipher: Cipher = CIPHERS[0]
    new: bool = False

    def like(self, path: Path) -> Encryption:
        """Give what makes a store as the one at `path` is, where there is one: encrypted if it is, plain if not."""
        if _inode(path) is None:
            return self
        return replace(self, new=is_encrypted(path), cipher=cipher_of(path) or self.cipher)


UNENCRYPTED = Encryption()


def is_encrypted(path: Path) -> bool:
    """Whether there is an encrypted database. Nothing is changed, nor any lock of this process given up."""
    with _LOOKING:
        return _is_encrypted(path, _inode(path))


def cipher_of(path: Path) -> Cipher | None:
    """Name the cipher of an encrypted store that was opened before."""
    return _CIPHERS.get(_inode(path) or _NO_FILE)


def open_if_encrypted(path: Path, uri: str, encryption: Encryption, busy_seconds: float) -> sqlite3.Connection | None:
    """Open an encrypted store with whichever key and cipher fit; `None` for what is no such store.

    Raises `StoreUnreadable` where none fits.
    """
    with _LOOKING:
        inode = _inode(path)
        if inode is None or not _is_encrypted(path, inode):
            return None
        _OPEN[inode] += 1
    try:
        cipher, key = _fitting(path, encryption)
        _CIPHERS[inode] = cipher
        return _opened(path, uri, cipher, key, busy_seconds, partial(_release, inode))
    except BaseException:
        _release(inode)
        raise


def begin_encrypted(path: Path, encryption: Encryption, busy_seconds: float) -> sqlite3.Connection:
    """Open an empty file that is to be an encrypted store. Raises `StoreUnreadable` where there is no key."""
    key = next(iter(encryption.find_keys()), None)
    if key is None:
        raise StoreUnreadable(f"{path} is to be encrypted, and there is no key to do it with.", hint=KEY_HINT)
    inode = _inode(path) or _NO_FILE
    _CIPHERS[inode] = encryption.cipher
    with _LOOKING:
        _OPEN[inode] += 1
    try:
        uri = f"{path.absolute().as_uri()}?mode=rw"
        return _opened(path, uri, encryption.cipher, key, busy_seconds, partial(_release, inode))
    except BaseException:
        _release(inode)
        raise


def _release(inode: Inode) -> None:
    with _LOOKING:
        _OPEN[inode] -= 1
        if not _OPEN[inode]:
            del _OPEN[inode]


def _is_encrypted(path: Path, inode: Inode | None) -> bool:
    return inode is not None and (inode in _OPEN or (_refused(path) and _looks_random(path)))


def _fitting(path: Path, encryption: Encryption) -> tuple[Cipher, Secret]:
    likeliest = cipher_of(path) or encryption.cipher
    tried = False
    for key in encryption.find_keys():
        tried = True
        for cipher in sorted(CIPHERS, key=lambda cipher: cipher != likeliest):
            if _fits(path, cipher, key):
                return cipher, key
    if not tried:
        raise StoreUnreadable(f"{path} looks like an encrypted database, and there is no key to it.", hint=KEY_HINT)
    raise StoreUnreadable(
        f"{path} looks like an encrypted database, and the key does not open it.",
        hint=f"{KEY_HINT} If the key is right, the file is damaged: move it away, then: ecm-agent restore latest",
    )


def _fits(path: Path, cipher: Cipher, key: Secret) -> bool:
    """Whether a key opens a store: tried without a look at its journals."""
    try:
        with closing(_opened(path, _untouched(path), cipher, key, 0)) as connection:
            connection.execute(_FIRST_LOOK).fetchone()
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_NOTADB:
            raise
        return False
    return True


def _opened(
    path: Path, uri: str, cipher: Cipher, key: Secret, busy_seconds: float, closed: Callable[[], object] | None = None
) -> sqlite3.Connection:
    try:
        return open_encrypted(uri, cipher, key, busy_seconds, closed)
    except ImportError:
        raise StoreUnreadable(
            f"{path} is encrypted, and the library for encrypted stores is not installed.",
            hint="pip install 'ecm-agent[encrypted-store]'",
        ) from None


def _refused(path: Path) -> bool:
    """Whether the standard library's SQLite says that a file is no database of its own."""
    try:
        with closing(sqlite3.Connection(_untouched(path), uri=True)) as connection:
            connection.execute(_FIRST_LOOK)
    except sqlite3.DatabaseError as error:
        return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB
    return False


def _untouched(path: Path) -> str:
    """Give the URI that opens a file without locks, and without a look at its journals."""
    return f"{path.absolute().as_uri()}?mode=ro&immutable=1"


def _looks_random(path: Path) -> bool:
    """Tell encrypted pages: among 1024 random bytes about 250 of the 256 values occur, in text about 70."""
    try:
        with path.open("rb") as file:
            begin, size = file.read(2 * _PAGE), os.fstat(file.fileno()).st_size
    except OSError:
        return False
    return len(begin) == 2 * _PAGE and len(set(begin)) > 3 * 64 and size % _PAGE == 0


def _inode(path: Path) -> Inode | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if S_ISREG(found.st_mode) else None
