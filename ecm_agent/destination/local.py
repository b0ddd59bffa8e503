"""A directory of archives on a file system."""

from __future__ import annotations

import errno
import io
import os
import stat
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from ecm_agent.atomic import new_file, private_directory
from ecm_agent.destination.base import Listing, Stored, in_time_order
from ecm_agent.errors import AlreadyExists, DestinationRefused, DestinationUnavailable, NotFound
from ecm_agent.model.names import ArchiveName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _typeshed import WriteableBuffer

_BLOCK = 1 << 20
_PROBE = b"ecm-agent was here"

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_ACCESS = "Give the user who runs ecm-agent the right to read and write there."
_PATH = "Set the destination's path to a directory."
_REFUSALS = {
    errno.EACCES: _ACCESS,
    errno.EPERM: _ACCESS,
    errno.EROFS: "Mount the file system writable, or choose another path.",
    errno.ENOTDIR: _PATH,
    errno.EEXIST: _PATH,
    errno.ELOOP: _PATH,
    errno.EISDIR: "Move the directory that has an archive's name out of the way.",
    errno.ENAMETOOLONG: "Choose a shorter path, or a shorter name for the job.",
}
"""What no second try can mend, and what can. Any other error of a file system may pass: a disk that was unplugged,
a share that went away, too many open files."""


class LocalDestination:
    """The `Destination` that is a directory, made on first use: directories 0700, archives 0600."""

    def __init__(self, path: Path, *, make: bool = True) -> None:
        """Take the directory's path as it is: nothing is expanded, nothing is touched.

        `make=False` is for one that has been used before: where it is missing now, a disk is not mounted, and a new
        directory in its place would take backups nobody looks for there, and none can be said to be gone.
        """
        self._make = make
        self.path = path
        self.label = f"local:{path}"

    def _directory(self) -> Path:
        self._refuse_unmounted()
        return private_directory(self.path)

    def _refuse_unmounted(self) -> None:
        if not self._make and not self.path.is_dir():
            raise DestinationUnavailable(
                f"{self.label} is missing, though archives were stored there.",
                hint=f"Is the disk mounted? To begin anew: mkdir -p {self.path}",
            )

    def put(self, name: ArchiveName, source: BinaryIO) -> None:
        with ExitStack() as stack:
            with explained(self.label):
                self._directory()
                file = stack.enter_context(new_file(self.path / str(name), overwrite=False))
            while block := source.read(_BLOCK):  # outside `explained`: its errors are none of ours
                with explained(self.label):
                    file.write(block)
            with explained(self.label, taken=name):
                stack.pop_all().close()

    def open(self, name: ArchiveName) -> io.BufferedReader:
        with explained(self.label, missing=name):
            self._refuse_unmounted()
            # O_NONBLOCK: opening a pipe would wait for its writer.
            descriptor = os.open(self.path / str(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise DestinationRefused(
                f"{self.label} holds {name}, but not as a regular file.", hint=_REFUSALS[errno.EISDIR]
            )
        _forget_cached(descriptor)
        return io.BufferedReader(_StoredFile(descriptor, self.label), _BLOCK)

    def list(self) -> Listing:
        with explained(self.label):
            self._refuse_unmounted()
            return in_time_order(self._stored())

    def _stored(self) -> Iterator[Stored]:
        with suppress(FileNotFoundError), os.scandir(self.path) as entries:
            for entry in entries:
                name = ArchiveName.parse(entry.name)
                if name is None or not entry.is_file(follow_symlinks=False):
                    continue
                with suppress(FileNotFoundError):  # deleted since the directory was read
                    yield Stored(name, entry.stat(follow_symlinks=False).st_size)

    def delete(self, name: ArchiveName) -> None:
        with explained(self.label):
            (self.path / str(name)).unlink(missing_ok=True)

    def check(self) -> None:
        with explained(self.label):
            self._directory()
            with tempfile.TemporaryFile(dir=self.path) as probe:
                probe.write(_PROBE)
                probe.flush()
                os.fsync(probe.fileno())
                _forget_cached(probe.fileno())
                probe.seek(0)
                if probe.read() != _PROBE:
                    raise OSError(errno.EIO, "What was written does not read back")


class _StoredFile(io.FileIO):
    """A file whose errors while reading (a dying disk, a share that went away) are the destination's."""

    def __init__(self, descriptor: int, label: str) -> None:
        super().__init__(descriptor)
        self._label = label

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        with explained(self._label):
            return super().readinto(buffer)

    def readall(self) -> bytes:
        with explained(self._label):
            return super().readall()


@contextmanager
def explained(label: str, *, taken: ArchiveName | None = None, missing: ArchiveName | None = None) -> Iterator[None]:
    """Turn an `OSError` into one of ours; `taken` and `missing` name the archive that it can be about."""
    try:
        yield
    except OSError as error:
        if taken and isinstance(error, FileExistsError):
            raise AlreadyExists(f"{label} already holds {taken}.") from error
        if missing and isinstance(error, FileNotFoundError):
            raise NotFound(f"{label} holds no {missing}.") from error
        raise _refusal(label, error) from error


def _refusal(label: str, error: OSError) -> DestinationRefused:
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        hint = "Free some space there (or raise the limit on file sizes), then try again."
        return DestinationUnavailable(f"{label} has no space left: {reason}.", hint=hint)
    if error.errno in _REFUSALS:
        return DestinationRefused(f"{label} refused: {reason}.", hint=_REFUSALS[error.errno])
    return DestinationUnavailable(
        f"{label} is unavailable: {reason}.", hint="Check that its disk is there and healthy."
    )


def _forget_cached(descriptor: int) -> None:
    """Make the next read come from the disk, since a cached page proves nothing about it. The file must be synced."""
    if hasattr(os, "posix_fadvise"):  # macOS has none
        with suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
