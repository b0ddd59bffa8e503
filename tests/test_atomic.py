"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from stat import S_ISDIR
from threading import Barrier
from typing import TYPE_CHECKING, BinaryIO, NoReturn

import pytest

from ecm_agent import atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LEFTOVER = ".ecm-agent-0123456789abcdef.partial"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


@pytest.fixture(params=["hard links", "no hard links"])
def _either_file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    if request.param == "no hard links":
        monkeypatch.setattr(os, "link", refuse)


@pytest.fixture(params=[0o000, 0o022, 0o077])
def _any_umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def write(target: Path, then: Callable[[BinaryIO], None], *, overwrite: bool = False) -> None:
    with atomic.new_file(target, overwrite=overwrite) as file:
        file.write(b"still in the buffer")
        then(file)


def make_unwritable(file: BinaryIO) -> None:
    read_only = os.open(os.devnull, os.O_RDONLY)
    os.dup2(read_only, file.fileno())
    os.close(read_only)


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


@pytest.mark.usefixtures("_either_file_system")
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_appears_at_the_end(target: Path, overwrite: bool) -> None:
    """Until the block ends there is only a temporary file beside the target; afterwards there is only the target."""
    with atomic.new_file(target, overwrite=overwrite) as file:
        file.write(b"whole")
        file.flush()
        (only,) = names(target.parent)
        assert atomic.is_temporary(only)
    assert names(target.parent) == ["target"]
    assert target.read_bytes() == b"whole"


def test_overwriting_replaces_at_the_end(target: Path) -> None:
    """Overwriting keeps the old content until the block ends, and the old file for whoever has it open."""
    target.write_bytes(b"old")
    with target.open("rb") as reader:
        with atomic.new_file(target, overwrite=True) as file:
            file.write(b"new")
            file.flush()
            assert target.read_bytes() == b"old"
        assert target.read_bytes() == b"new"
        assert reader.read() == b"old"
    assert names(target.parent) == ["target"]


@pytest.mark.usefixtures("_either_file_system")
def test_a_taken_name_is_not_overwritten(target: Path) -> None:
    """Without leave to overwrite, a taken name is an error, the old content stays, and nothing else is left."""
    target.write_bytes(b"old")
    with pytest.raises(FileExistsError), atomic.new_file(target, overwrite=False) as file:
        file.write(b"new")
    assert target.read_bytes() == b"old"
    assert names(target.parent) == ["target"]


@pytest.mark.usefixtures("_either_file_system")
def test_a_dangling_link_takes_a_name_too(target: Path) -> None:
    """A link to nowhere under the target's name is neither followed nor replaced."""
    target.symlink_to("nowhere")
    with pytest.raises(FileExistsError), atomic.new_file(target, overwrite=False) as file:
        file.write(b"new")
    assert names(target.parent) == ["target"]
    assert target.is_symlink()


@pytest.mark.usefixtures("_either_file_system")
def test_a_name_is_taken_once(target: Path) -> None:
    """Of several writers that finish at the same time exactly one gets the name, with its own content."""
    barrier = Barrier(8, timeout=60)

    def write(number: int) -> bool:
        try:
            with atomic.new_file(target, overwrite=False) as file:
                file.write(bytes([number]))
                barrier.wait()
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(write, range(8)))
    assert won.count(True) == 1
    assert target.read_bytes() == bytes([won.index(True)])
    assert names(target.parent) == ["target"]


def test_without_hard_links_writers_take_turns(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hard links, the directory is locked while a name is taken, so that no other writer of ours takes it."""
    really_replace = os.replace

    def refuse(*_: object) -> NoReturn:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    def replace(source: Path, destination: Path) -> None:
        other = os.open(target.parent, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(other)
        really_replace(source, destination)

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "replace", replace)
    write(target, lambda _: None)
    assert names(target.parent) == ["target"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failed_block_changes_nothing(target: Path, failure: type[BaseException]) -> None:
    """When the block raises, the old content stays, no temporary file is left, and the error passes through."""

    def fail(_: BinaryIO) -> None:
        raise failure

    target.write_bytes(b"old")
    with pytest.raises(failure):
        write(target, fail, overwrite=True)
    assert target.read_bytes() == b"old"
    assert names(target.parent) == ["target"]


def test_the_first_error_is_the_one_reported(target: Path) -> None:
    """An error in the block is not hidden by buffered bytes that can no longer be written, as on a full disk."""

    def fail(file: BinaryIO) -> None:
        make_unwritable(file)
        raise ValueError("the first")

    with pytest.raises(ValueError, match="the first"):
        write(target, fail)
    assert names(target.parent) == []


def test_bytes_that_cannot_be_written_publish_nothing(target: Path) -> None:
    """A write that fails at the very end of the block is an error, and nothing takes the name."""
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        write(target, make_unwritable)
    assert names(target.parent) == []


@pytest.mark.usefixtures("_any_umask")
def test_a_new_file_is_private(target: Path) -> None:
    """Only its owner can read a file, while it is written and after, whatever the umask and the mode before."""
    target.write_bytes(b"old")
    target.chmod(0o644)
    with atomic.new_file(target, overwrite=True) as file:
        assert os.fstat(file.fileno()).st_mode & 0o7777 == 0o600
    assert target.stat().st_mode & 0o7777 == 0o600


@pytest.mark.usefixtures("_any_umask")
def test_a_new_directory_is_private(tmp_path: Path) -> None:
    """Directories that had to be made are their owner's only; one that was there keeps its mode."""
    tmp_path.chmod(0o755)
    made = atomic.private_directory(tmp_path / "a" / "b")
    assert [path.stat().st_mode & 0o7777 for path in (made, made.parent, tmp_path)] == [0o700, 0o700, 0o755]
    assert atomic.private_directory(made) == made


def test_a_dead_writers_file_is_swept(target: Path) -> None:
    """What a killed writer left behind is removed by the next writer in that directory; other files are not."""
    (target.parent / LEFTOVER).write_bytes(b"half")
    (target.parent / "foreign.partial").write_bytes(b"mine")
    with atomic.new_file(target, overwrite=False):
        pass
    assert names(target.parent) == ["foreign.partial", "target"]


def test_a_sweep_spares_what_was_already_published(target: Path) -> None:
    """A writer killed between taking the name and dropping the temporary one loses nothing to the sweep."""
    (target.parent / LEFTOVER).write_bytes(b"whole")
    target.hardlink_to(target.parent / LEFTOVER)
    atomic.sweep(target.parent)
    assert names(target.parent) == ["target"]
    assert target.read_bytes() == b"whole"


def test_a_living_writers_file_is_spared(target: Path) -> None:
    """A sweep leaves alone what somebody is still writing."""
    with atomic.new_file(target, overwrite=False) as file:
        file.write(b"still ")
        atomic.sweep(target.parent)
        with atomic.new_file(target.with_name("other"), overwrite=False):
            pass
        file.write(b"here")
    assert target.read_bytes() == b"still here"
    assert names(target.parent) == ["other", "target"]


def test_a_file_swept_before_it_was_locked_is_made_again(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep that comes between making a temporary file and locking it costs the writer nothing."""
    really_lock = fcntl.flock
    swept = ExitStack()

    def sweep_first(file: int, operation: int) -> None:
        swept.close()
        really_lock(file, operation)

    def sweep() -> None:
        for path in target.parent.iterdir():
            path.unlink()

    swept.callback(sweep)
    monkeypatch.setattr(fcntl, "flock", sweep_first)
    with atomic.new_file(target, overwrite=False) as file:
        file.write(b"whole")
    assert target.read_bytes() == b"whole"


def test_a_sweep_is_not_held_up(target: Path) -> None:
    """A pipe, a link or a directory under a temporary file's name is neither waited for nor followed."""
    (target.parent / "kept").write_bytes(b"kept")
    os.mkfifo(target.parent / ".ecm-agent-1.partial")
    (target.parent / ".ecm-agent-2.partial").symlink_to("kept")
    (target.parent / ".ecm-agent-3.partial").mkdir()
    before = names(target.parent)
    atomic.sweep(target.parent)
    assert names(target.parent) == before


def test_a_file_system_without_locks_will_do(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where locks are not supported, files are written all the same, and nothing is ever swept."""

    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    (target.parent / LEFTOVER).write_bytes(b"perhaps alive")
    with atomic.new_file(target, overwrite=False) as file:
        file.write(b"whole")
    assert names(target.parent) == [LEFTOVER, "target"]


@pytest.mark.parametrize(("code", "matters"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)])
def test_a_directory_that_cannot_be_synced(
    target: Path, monkeypatch: pytest.MonkeyPatch, code: int, matters: bool
) -> None:
    """A file system that does not sync directories will do; one that fails to is an error."""
    really_sync = os.fsync

    def refuse(descriptor: int) -> None:
        if S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        really_sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    if matters:
        with pytest.raises(OSError, match=os.strerror(code)):
            atomic.sync_directory(target.parent)
    else:
        atomic.sync_directory(target.parent)


def test_the_bytes_are_on_disk_before_the_name(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content is synced before the file takes its name, and the directory after."""
    really_sync = os.fsync
    synced: list[tuple[bool, bool]] = []

    def note(descriptor: int) -> None:
        synced.append((S_ISDIR(os.fstat(descriptor).st_mode), target.exists()))
        really_sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    with atomic.new_file(target, overwrite=False) as file:
        file.write(b"whole")
    assert synced == [(False, False), (True, True)]


def test_what_is_on_its_way_to_the_disk_can_be_read(target: Path) -> None:
    """While the disk takes a file, all that was written into it is there to be read."""
    with atomic.new_file(target, overwrite=False) as file:
        file.write(b"whole")
        with atomic.flushing(file):
            file.seek(0)
            assert file.read() == b"whole"
    assert target.read_bytes() == b"whole"


def test_a_disk_that_does_not_take_it_is_heard_of(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system tells of a failed sync once; it is not lost, and no file appears."""

    def fail(_descriptor: int) -> NoReturn:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def write() -> None:
        with atomic.new_file(target, overwrite=False) as file:
            file.write(b"whole")
            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", fail)
                with atomic.flushing(file):
                    pass

    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        write()
    assert names(target.parent) == []


@pytest.mark.parametrize(
    ("name", "temporary"),
    [(LEFTOVER, True), ("target", False), (".ecm-agent-x", False), ("x.partial", False)],
)
def test_temporary_names(name: str, temporary: bool) -> None:
    """Only names with both our prefix and our suffix are temporary."""
    assert atomic.is_temporary(name) is temporary
