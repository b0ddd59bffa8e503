"""Files that appear whole or not at all. The only place that renames, links or replaces a file."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedRandom
    from pathlib import Path

_PREFIX, _SUFFIX = ".ecm-agent-", ".partial"


def is_temporary(name: str) -> bool:
    """Tell whether a file name is that of an unfinished file of ours."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def private_directory(path: Path) -> Path:
    """Make a directory (and its parents) readable by its owner only. One that is already there keeps its mode."""
    missing = [directory for directory in (path, *path.parents) if not directory.is_dir()]
    for directory in reversed(missing):  # `parents=True` would leave the parents open to everybody
        directory.mkdir(mode=0o700, exist_ok=True)
        sync_directory(directory.parent)
    return path


@contextmanager
def new_file(target: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Give a private temporary file (mode 0600, readable and writable) that becomes `target` when the block ends well.

    It lies in the target's own directory and is flushed to the disk, with its directory, before it takes the name;
    a kill at any moment leaves the old target or none. When the block raises, the temporary file is removed.

    Raises `FileExistsError` when `target` exists and `overwrite` is false, and `OSError` as the file system does.
    """
    sweep(target.parent)
    temporary, file = _create_locked(target.parent)
    with file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            publish(temporary, target, overwrite=overwrite)
        except BaseException:
            file.raw.close()  # drops what is still buffered: on a full disk, writing it would hide the first error
            raise
        finally:
            with suppress(OSError):
                temporary.unlink()


@contextmanager
def flushing(file: BinaryIO) -> Iterator[None]:
    """Let the disk take what was written into an open file while the block reads it. Raises as `os.fsync` does."""
    file.flush()
    with ThreadPoolExecutor(max_workers=1) as pool:
        flushed = pool.submit(os.fsync, file.fileno())
        yield
    flushed.result()


def _create_locked(directory: Path) -> tuple[Path, BufferedRandom]:
    while True:
        path = directory / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
        file = open(path, "xb+", opener=_private)  # noqa: SIM115 (Path.open takes no opener; the caller closes)
        _lock(file.fileno())
        if os.fstat(file.fileno()).st_nlink:  # else a sweep took it for a dead one's before the lock was on it
            return path, file
        file.close()


def publish(temporary: Path, target: Path, *, overwrite: bool) -> None:
    """Give a finished file its name, durably. Raises `FileExistsError` when the name is taken and must not be."""
    if overwrite:
        os.replace(temporary, target)  # noqa: PTH105 (this module is where replacing is allowed)
    else:
        _publish_new(temporary, target)
    sync_directory(target.parent)


def _publish_new(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links (FAT, some network shares)
        _rename_new(temporary, target)
    else:
        temporary.unlink()


def _rename_new(temporary: Path, target: Path) -> None:
    with _opened_directory(target.parent) as directory:
        _lock(directory)  # looking and renaming are two steps: writers of ours take turns
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        os.replace(temporary, target)  # noqa: PTH105 (the same)


def _lock(descriptor: int) -> None:
    with suppress(OSError):  # a file system without locks: there a sweep can take no file for a dead one's either
        fcntl.flock(descriptor, fcntl.LOCK_EX)


@contextmanager
def _opened_directory(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable, where its file system knows how."""
    with _opened_directory(path) as descriptor:
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise


def sweep(directory: Path) -> None:
    """Remove unfinished files whose writer is dead: a living writer holds a lock on its own."""
    for leftover in directory.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(OSError), open(leftover, "rb+", opener=_unfollowed) as file:  # NFS locks what it can write
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leftover.unlink()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _unfollowed(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe of that name must not hold us up


def set_aside(path: Path) -> Path:
    """Rename a damaged file out of the way, keeping it; gives its new place, which never was another file's."""
    aside = path.with_name(f"{path.name}.damaged-{secrets.token_hex(4)}")
    os.replace(path, aside)  # noqa: PTH105 (this module is where replacing is allowed)
    return aside
