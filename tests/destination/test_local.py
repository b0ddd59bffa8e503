"""A directory as a destination: the contract, and what only a file system can do to it."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, NoReturn

import pytest
from contracts.destination_contract import DestinationContract, archive_name, content_of

from ecm_agent import atomic
from ecm_agent.destination.local import LocalDestination
from ecm_agent.errors import DestinationRefused, DestinationUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ecm_agent.destination.base import Destination

REFUSED = [errno.EACCES, errno.EPERM, errno.EROFS]
UNAVAILABLE = [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EMFILE]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ecm" / "backups"


@pytest.fixture
def local(path: Path) -> LocalDestination:
    return LocalDestination(path)


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


class TestLocalDestination(DestinationContract):
    @pytest.fixture
    def destination(self, local: LocalDestination) -> Destination:
        return local


class TestWithoutHardLinks(DestinationContract):
    """A file system such as FAT, where a name cannot be taken by linking."""

    @pytest.fixture
    def destination(self, local: LocalDestination, monkeypatch: pytest.MonkeyPatch) -> Destination:
        def refuse(*_: object) -> NoReturn:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "link", refuse)
        return local


@pytest.mark.usefixtures("no_umask")
def test_archives_are_private(local: LocalDestination, path: Path) -> None:
    """Whatever the umask, only the owner can read an archive, its directory, or the parents made for it."""
    local.put(archive_name(), io.BytesIO(b"content"))
    assert (path / str(archive_name())).stat().st_mode & 0o7777 == 0o600
    assert path.stat().st_mode & 0o7777 == 0o700
    assert path.parent.stat().st_mode & 0o7777 == 0o700


def test_listing_makes_no_directory(local: LocalDestination, path: Path) -> None:
    """Looking, opening or deleting in a directory that is not there does not make it."""
    assert local.list() == []
    local.delete(archive_name())
    assert not path.parent.exists()


def test_the_check_leaves_an_empty_directory(local: LocalDestination, path: Path) -> None:
    """A check leaves no probe behind, under no name at all."""
    local.check()
    assert list(path.iterdir()) == []


def test_foreign_names_are_invisible(local: LocalDestination, path: Path) -> None:
    """Only regular files with names of ours are listed: no other file, temporary file, directory, link or pipe."""
    local.put(archive_name(1), io.BytesIO(b"content"))
    (path / "notes.txt").write_bytes(b"foreign")
    (path / f"{archive_name(2)}.tmp").write_bytes(b"foreign")
    (path / ".ecm-agent-0123456789abcdef.partial").write_bytes(b"unfinished")
    (path / str(archive_name(3))).mkdir()
    (path / str(archive_name(4))).symlink_to(path / str(archive_name(1)))
    os.mkfifo(path / str(archive_name(5)))
    assert [stored.name for stored in local.list()] == [archive_name(1)]


def _link(place: Path) -> None:
    place.with_name("secret").write_bytes(b"not for you")
    place.symlink_to("secret")


@pytest.mark.parametrize("plant", [_link, os.mkfifo, os.mkdir])
def test_only_regular_files_are_opened(local: LocalDestination, path: Path, plant: Callable[[Path], None]) -> None:
    """A link, a pipe or a directory under an archive's name is refused: not followed, not waited for."""
    local.check()
    plant(path / str(archive_name()))
    with pytest.raises(DestinationRefused) as caught:
        local.open(archive_name())
    assert type(caught.value) is DestinationRefused
    assert caught.value.hint


def test_deleting_a_planted_link_spares_its_target(local: LocalDestination, path: Path) -> None:
    """Deleting never reaches through a link."""
    local.check()
    _link(path / str(archive_name()))
    local.delete(archive_name())
    assert [entry.name for entry in path.iterdir()] == ["secret"]


@pytest.mark.parametrize("below", ["", "deeper", "deeper/still"])
def test_a_file_in_the_directorys_place_is_refused(tmp_path: Path, below: str) -> None:
    """A path that is a file, or leads through one, is refused by every method, never taken for an empty directory."""
    (tmp_path / "file").write_bytes(b"mine")
    local = LocalDestination(tmp_path / "file" / below)
    for use in (
        local.check,
        local.list,
        lambda: local.put(archive_name(), io.BytesIO(b"content")),
        lambda: local.open(archive_name()),
        lambda: local.delete(archive_name()),
    ):
        with pytest.raises(DestinationRefused) as caught:
            use()
        assert type(caught.value) is DestinationRefused
        assert caught.value.hint
    assert (tmp_path / "file").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("code", "kind"),
    [(code, DestinationRefused) for code in REFUSED] + [(code, DestinationUnavailable) for code in UNAVAILABLE],
)
def test_the_error_says_whether_to_try_again(
    local: LocalDestination, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[DestinationRefused]
) -> None:
    """A file system that takes no new file is a refusal or a passing trouble, by its reason, and names the place."""
    local.check()
    really_open = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_ACCMODE != os.O_RDONLY:
            raise OSError(code, os.strerror(code))
        return really_open(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    for use in (local.check, lambda: local.put(archive_name(), io.BytesIO(b"content"))):
        with pytest.raises(DestinationRefused) as caught:
            use()
        assert type(caught.value) is kind
        assert local.label in caught.value.message
        assert caught.value.hint
    assert local.list() == []


def test_an_error_while_reading_is_the_destinations(local: LocalDestination, path: Path) -> None:
    """A disk that fails under an open archive is reported as the destination's trouble, in small reads and in large."""
    local.put(archive_name(), io.BytesIO(b"content"))
    for size in (1, -1):
        with local.open(archive_name()) as file:
            unreadable = os.open(path, os.O_RDONLY)
            os.dup2(unreadable, file.fileno())
            os.close(unreadable)
            with pytest.raises(DestinationRefused, match=r"[Ii]s a directory"):
                file.read(size)


def test_reading_reads_the_disk(local: LocalDestination, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening an archive asks the system to forget all it remembers of the file, before anything is read."""
    forgotten: list[tuple[int, int, int, int]] = []

    def advise(descriptor: int, offset: int, length: int, advice: int) -> None:
        forgotten.append((os.fstat(descriptor).st_ino, offset, length, advice))

    monkeypatch.setattr(os, "POSIX_FADV_DONTNEED", 4, raising=False)
    monkeypatch.setattr(os, "posix_fadvise", advise, raising=False)
    local.put(archive_name(), io.BytesIO(b"content"))
    with local.open(archive_name()):
        assert forgotten[-1] == ((path / str(archive_name())).stat().st_ino, 0, 0, 4)


def test_a_system_without_advice_will_do(local: LocalDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system takes no advice on its cache, everything else works."""
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    local.check()
    local.put(archive_name(), io.BytesIO(b"content"))
    assert content_of(local, archive_name()) == b"content"


IN_A_SMALL_WORLD = """
import io, pathlib, resource, sys
from ecm_agent.destination.local import LocalDestination
from ecm_agent.errors import EcmError
from ecm_agent.model.names import ArchiveName
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    LocalDestination(pathlib.Path(sys.argv[1])).put(ArchiveName.parse(sys.argv[2]), io.BytesIO(bytes(int(sys.argv[3]))))
except EcmError as error:
    print(error.kind, error.message)
"""


@pytest.mark.parametrize("size", [100_001, 5_000_000])
def test_a_full_disk_leaves_nothing(local: LocalDestination, path: Path, size: int) -> None:
    """A disk that fills up half-way, or with the last byte, is said to be full, and holds neither archive nor rest."""
    arguments = [sys.executable, "-c", IN_A_SMALL_WORLD, str(path), str(archive_name()), str(size)]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert done.stdout.startswith(f"destination_unavailable {local.label} has no space left")
    assert list(path.iterdir()) == []


PUT_HALF = """
import pathlib, sys
from ecm_agent.destination.local import LocalDestination
from ecm_agent.model.names import ArchiveName
class Source:
    def __init__(self): self.blocks = [b"x" * 5_000_000]
    def read(self, size):
        if self.blocks: return self.blocks.pop()
        print("half-way", flush=True)
        return sys.stdin.buffer.read()
LocalDestination(pathlib.Path(sys.argv[1])).put(ArchiveName.parse(sys.argv[2]), Source())
"""


def test_a_kill_leaves_nothing_visible(local: LocalDestination, path: Path) -> None:
    """After a kill in the middle of a put nothing is listed, the name is free, and the next put tidies up."""
    arguments = [sys.executable, "-c", PUT_HALF, str(path), str(archive_name())]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"half-way\n"
        writer.send_signal(signal.SIGKILL)
    (leftover,) = path.iterdir()
    assert atomic.is_temporary(leftover.name)
    assert leftover.stat().st_size >= 4_000_000
    assert local.list() == []
    local.put(archive_name(), io.BytesIO(b"second try"))
    assert [entry.name for entry in path.iterdir()] == [str(archive_name())]
    assert content_of(local, archive_name()) == b"second try"


def test_a_directory_that_was_used_and_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    """Where archives were stored before, a missing directory is a disk that is not mounted, not a fresh start."""
    place = LocalDestination(tmp_path / "disk", make=False)
    with pytest.raises(DestinationUnavailable, match="missing, though archives were stored there"):
        place.put(archive_name(), io.BytesIO(b"archive"))
    for attempt in (place.check, place.list, lambda: place.open(archive_name())):
        with pytest.raises(DestinationUnavailable, match="missing"):
            attempt()
    assert not (tmp_path / "disk").exists()
    (tmp_path / "disk").mkdir()
    place.put(archive_name(), io.BytesIO(b"archive"))
    assert len(place.list()) == 1
