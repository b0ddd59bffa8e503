"""scratch: a private place for a while, and nothing of a killed process lies there for long."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from workplace import held_elsewhere

from ecm_agent.errors import EcmError, StoreUnreadable
from ecm_agent.jobs.scratch import NO_JOB, lock_of, scratch, sweep

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    staging = tmp_path / "staging"
    staging.mkdir()
    return staging


def leftover(staging: Path, owner: str) -> Path:
    """Leave what a killed drill leaves."""
    directory = staging / f"drill-{owner}-x7_y"
    directory.mkdir(0o700)
    (directory / "memory.db").write_bytes(b"a memory in plain text")
    return directory


def test_it_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    """Whatever the umask, and whether the block ends well or not."""
    before = os.umask(0)
    try:
        with scratch(tmp_path / "state", "nightly") as place:
            assert place.stat().st_mode & 0o777 == 0o700
            assert place.parent.stat().st_mode & 0o777 == 0o700
            (place / "memory.db").write_bytes(b"")
        assert not place.exists()
        with pytest.raises(ZeroDivisionError), scratch(tmp_path / "state", "nightly") as place:
            1 / 0  # noqa: B018 (it raises)
    finally:
        os.umask(before)
    assert not place.exists()


@pytest.mark.parametrize("owner", ["nightly", "weekly", "no.longer_configured", NO_JOB])
def test_what_idle_owners_left_is_swept(tmp_path: Path, staging: Path, owner: str) -> None:
    """The own leftover goes, and that of every other job, of a drilled file, and of a job that is no more."""
    left = leftover(staging, owner)
    sweep(tmp_path, "nightly")
    assert not left.exists()


@pytest.mark.parametrize("owner", ["weekly", NO_JOB])
def test_what_another_is_at_stays(tmp_path: Path, staging: Path, owner: str) -> None:
    """While the owner's lock is held, its scratch directory is left alone."""
    at_work = leftover(staging, owner)
    with held_elsewhere(lock_of(tmp_path, owner)):
        sweep(tmp_path, "nightly")
        assert at_work.exists()


def test_what_is_not_scratch_stays(tmp_path: Path, staging: Path) -> None:
    """An archive that waits to be sent, of a job called "drill" too, and whatever else lies there."""
    (staging / "drill-laptop-20250301T120000Z.ecm").write_bytes(b"an archive")
    (staging / "drill-nightly-link").symlink_to(tmp_path)
    (staging / "other").mkdir()
    sweep(tmp_path, "nightly")
    assert len(list(staging.iterdir())) == 3
    assert staging.exists()


def test_where_nothing_was_ever_staged_there_is_nothing_to_sweep(tmp_path: Path) -> None:
    """Sweeping makes no directory."""
    sweep(tmp_path, "nightly")
    assert list(tmp_path.iterdir()) == []


def test_no_room_is_said(tmp_path: Path) -> None:
    """Where there can be no directory the error names the place and what to set instead."""
    (tmp_path / "staging").write_bytes(b"a file in its place")
    with pytest.raises(EcmError, match="staging") as caught, scratch(tmp_path, "nightly"):
        pass
    assert "state_dir" in caught.value.hint


def test_a_scratch_store_that_cannot_be_written_is_not_the_memory(tmp_path: Path) -> None:
    """Its trouble is told as a want of room for the drill, with 1: 14 would speak of the memory itself."""
    said = r"no place for a drill in .*: The disk is full\."
    with pytest.raises(EcmError, match=said) as caught, scratch(tmp_path, "nightly"):
        raise StoreUnreadable("The disk is full.")
    assert caught.value.exit_code == 1
    assert list((tmp_path / "staging").iterdir()) == []
