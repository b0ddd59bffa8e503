"""Homes for the program: an empty one, one with a memory, and a memory large enough to be caught at work."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import builders
import pytest
from nightly import with_bucket
from program import Program
from s3_servers import RcloneServer

from ecm_agent.model.manifest import VERSION, Manifest
from ecm_agent.sample import Shape, batches
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def bare(tmp_path: Path) -> Program:
    """Give a home in which nothing is."""
    home = tmp_path / "home"
    home.mkdir()
    return Program(home)


@pytest.fixture
def program(bare: Program) -> Program:
    """Give a home with `builders.memory()` as its memory."""
    builders.fill(SqliteStore(bare.store), builders.memory())
    return bare


@pytest.fixture(scope="session")
def large_memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store of some 40 MB."""
    path = tmp_path_factory.mktemp("large") / "memory.db"
    manifest = Manifest(version=VERSION, created="", chunk_count=0, edge_count=0, cluster_count=0)
    SqliteStore(path).replace(manifest, batches(Shape(chunks=10_000, text_bytes=2_000, dimensions=8, clusters=2)))
    return path


@pytest.fixture
def busy(bare: Program, large_memory: Path) -> Program:
    """Give a home whose memory takes a while to back up."""
    bare.store.parent.mkdir(mode=0o700)
    shutil.copy(large_memory, bare.store)
    return bare


@pytest.fixture
def modes() -> Callable[[Path], dict[str, str]]:
    """Give the modes of everything below a directory, by relative path."""

    def modes(directory: Path) -> dict[str, str]:
        return {str(path.relative_to(directory)): f"{path.stat().st_mode & 0o777:o}" for path in directory.rglob("*")}

    return modes


@pytest.fixture
def offsite(tmp_path: Path) -> Iterator[RcloneServer]:
    """Give a running S3 server of the test's own."""
    server = RcloneServer(tmp_path / "offsite").start()
    yield server
    server.kill()


@pytest.fixture
def with_offsite(program: Program, offsite: RcloneServer) -> Program:
    """Give a home with a memory, and a job that goes to a directory and to a bucket."""
    return with_bucket(program, offsite)
