"""Locks between processes: one holder at a time, and none that is dead."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from fakes import ManualClock
from workplace import held_elsewhere

from ecm_agent.errors import EcmError, LockHeld
from ecm_agent.lock import held

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "locks" / "nightly.lock"


def test_the_second_process_is_told_at_once(path: Path) -> None:
    """While one process holds a lock, another one gets `LockHeld`, which names what is being worked on."""
    with held_elsewhere(path), pytest.raises(LockHeld, match="job 'nightly'") as caught, held(path, "job 'nightly'"):
        pass
    assert caught.value.hint


def test_a_dead_holder_holds_nothing(path: Path) -> None:
    """A lock is free the moment its holder is killed, with nothing to clear by hand."""
    with held_elsewhere(path) as holder:
        holder.kill()
        holder.wait()
        with held(path, "the job"):
            pass


def test_a_lock_is_free_after_its_block(path: Path) -> None:
    """Leaving the block, by an error or not, frees the lock; the file stays, private."""
    with pytest.raises(ZeroDivisionError), held(path, "the job"):
        raise ZeroDivisionError
    with held(path, "the job"):
        pass
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_locks_of_two_files_do_not_meet(path: Path) -> None:
    """A lock excludes nobody from another one."""
    with held_elsewhere(path), held(path.with_name("weekly.lock"), "the other job"):
        pass


def test_a_lock_is_taken_once_within_a_process(path: Path) -> None:
    """The same process does not get a lock a second time either."""
    with held(path, "the job"), pytest.raises(LockHeld), held(path, "the job"):
        pass


@pytest.mark.parametrize("place", ["", "locks", "locks/nightly.lock"])
def test_where_there_can_be_no_lock_file_the_error_says_so(path: Path, place: str) -> None:
    """A file in a directory's place, or a directory in the file's, is named, with what to set instead."""
    state = path.parents[1]
    obstacle = state / place
    if obstacle == path:
        path.mkdir(parents=True)
    else:
        obstacle.parent.mkdir(parents=True, exist_ok=True)
        obstacle.touch()
    with pytest.raises(EcmError, match=str(path)) as caught, held(path, "the job"):
        pass
    assert type(caught.value) is EcmError
    assert "state_dir" in caught.value.hint


def test_waiting_ends_when_the_other_ends(path: Path) -> None:
    """With time to wait a lock is taken soon after its holder has gone, long before the time is up."""
    clock = ManualClock()
    with held_elsewhere(path) as holder:

        def end_of_the_other() -> None:
            if clock.monotonic() > 60 and holder.poll() is None:
                holder.kill()
                holder.wait()

        clock.woken = end_of_the_other
        with held(path, "the job", clock=clock, wait=3600.0):
            assert 60 < clock.monotonic() < 65


@pytest.mark.parametrize("wait", [0.0, 30.0])
def test_waiting_has_an_end(path: Path, wait: float) -> None:
    """Where the holder stays, `LockHeld` comes after the time given and not much later; without any, at once."""
    clock = ManualClock()
    with held_elsewhere(path), pytest.raises(LockHeld), held(path, "the job", clock=clock, wait=wait):
        pass
    assert wait <= clock.monotonic() < wait + 1


def test_a_free_lock_is_not_waited_for(path: Path) -> None:
    """However long one would wait, a free lock is taken at once."""
    clock = ManualClock()
    with held(path, "the job", clock=clock, wait=3600.0):
        assert clock.monotonic() == 0


def test_waiting_is_measured_by_the_stopwatch(path: Path) -> None:
    """A clock on the wall that is set back while somebody waits does not make the wait longer."""
    clock = ManualClock()
    long_ago = clock.now() - timedelta(days=365)
    clock.woken = lambda: clock.jump(long_ago)
    with held_elsewhere(path), pytest.raises(LockHeld), held(path, "the job", clock=clock, wait=10.0):
        pass
    assert clock.monotonic() < 11
