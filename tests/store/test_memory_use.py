"""Reading a store, writing and merging into one take as much memory for a large one as for a small one."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Any

import pytest
from builders import CREATED, exhaust, manifest_of
from msgspec.structs import replace

from ecm_agent.model.manifest import Selection
from ecm_agent.model.records import Chunk, Edge, Membership, Vector
from ecm_agent.sample import Shape, batches
from ecm_agent.sample.timeline import PROJECT_ROOTS
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ecm_agent.model.records import AnyRecord, Batch
    from ecm_agent.store.base import Changes

MEGABYTE = 1 << 20


def shape(chunks: int) -> Shape:
    """Make most records edges, whose batches are the largest, so that both stores have more than one full one."""
    return Shape(chunks=chunks, text_bytes=200, dimensions=4, clusters=3, edges_per_chunk=5)


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> dict[int, SqliteStore]:
    """Give stores of about 2,000 and 20,000 records, by their number."""
    stores = {}
    for chunks in (280, 2800):
        store = SqliteStore(tmp_path_factory.mktemp("sizes") / "memory.db")
        replaced = store.replace(manifest_of([]), batches(shape(chunks)))
        stores[sum(replaced.records.values())] = store
    return stores


def peak(store: SqliteStore, selection: Selection, target: Path | None = None) -> int:
    """Give the most bytes Python held at a time while reading (and writing elsewhere) a whole store."""
    tracemalloc.start()
    try:
        with store.snapshot(selection, CREATED) as snapshot:
            if target:
                SqliteStore(target).replace(snapshot.manifest, snapshot.batches())
            else:
                exhaust(snapshot)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("projects", [None, tuple(PROJECT_ROOTS)], ids=["all", "all by name"])
def test_reading_takes_constant_memory(sizes: dict[int, SqliteStore], projects: tuple[str, ...] | None) -> None:
    """Ten times the records, all or selected, take little memory, not much more than few that fill one batch."""
    few, many = sizes
    assert 1_900 < few < 2_300
    assert 19_000 < many < 23_000
    selection = Selection(projects=projects)
    small, large = peak(sizes[few], selection), peak(sizes[many], selection)
    assert large < 2.5 * small
    assert large < 4 * MEGABYTE


def test_writing_takes_constant_memory(sizes: dict[int, SqliteStore], tmp_path: Path) -> None:
    """Going straight from one store into another, ten times the records take hardly more memory."""
    small, large = (peak(store, Selection(), tmp_path / str(records)) for records, store in sizes.items())
    assert large < 2.5 * small
    assert large < 6 * MEGABYTE


def half_known(store: SqliteStore) -> Iterator[Batch]:
    """Give the records of a store, every other one under another name or changed."""
    with store.snapshot(Selection(), CREATED) as snapshot:
        for batch in snapshot.batches():
            records: Any = list(batch)
            records[1::2] = map(_renamed, records[1::2])
            yield records


def _renamed(record: AnyRecord) -> AnyRecord:
    match record:
        case Membership():
            return replace(record, distance=0.5)
        case Vector():
            return replace(record, chunk_id=f"other {record.chunk_id}")
        case Chunk():
            return replace(record, id=f"other {record.id}", content="changed")
        case Edge():
            return replace(record, id=f"other {record.id}", weight=1.0)
    return record


def peak_of(work: Callable[[], Changes]) -> tuple[int, Changes]:
    """Give the most bytes Python held at a time, and what came of it."""
    tracemalloc.start()
    try:
        changes = work()
        return tracemalloc.get_traced_memory()[1], changes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dry_run", [False, True], ids=["done", "tried"])
def test_merging_takes_constant_memory(sizes: dict[int, SqliteStore], tmp_path: Path, dry_run: bool) -> None:
    """Ten times the records, of which some are new, some known and some folded, take hardly more memory."""
    peaks = []
    for records, source in sizes.items():
        store = SqliteStore(Path(copyfile(source.path, tmp_path / f"{records}.db")))
        peak, changes = peak_of(lambda: store.merge(manifest_of([]), half_known(source), dry_run=dry_run))  # noqa: B023 (called at once)
        assert all(changes.total(fate) > records / 20 for fate in ("added", "folded", "skipped"))
        peaks.append(peak)
    assert peaks[1] < 2.5 * peaks[0]
    assert peaks[1] < 6 * MEGABYTE


def test_comparing_takes_constant_memory(sizes: dict[int, SqliteStore]) -> None:
    """What a replacement would change is found out a batch at a time."""
    peaks = []
    for records, store in sizes.items():
        peak, changes = peak_of(lambda: store.compare(manifest_of([]), half_known(store)))  # noqa: B023 (as above)
        assert all(changes.total(fate) > records / 20 for fate in ("added", "removed", "skipped"))
        peaks.append(peak)
    assert peaks[1] < 2.5 * peaks[0]
    assert peaks[1] < 6 * MEGABYTE
