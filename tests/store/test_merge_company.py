"""A merge in company: of writers that do not let go, readers that look on, and whatever goes wrong around it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from builders import chunk, contents, execute, fill, flat, manifest_of, membership, memory, sqlite_store
from contracts.store_contract import Interruption, breaking_off
from injection import ARRIVING, dry_run, merge, replacement, scene, state
from msgspec.structs import replace

from ecm_agent.errors import EcmError, MergeConflicts, StoreUnreadable
from ecm_agent.model.records import Membership
from ecm_agent.store import connection
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ecm_agent.model.records import AnyRecord, Batch
    from ecm_agent.store.base import OnConflict

MODES = ["DELETE", "WAL"]
ERRORS = [OSError("the network is gone"), sqlite3.OperationalError("another database"), Interruption()]


@pytest.fixture(params=MODES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteStore:
    return scene(tmp_path / "memory.db", request.param)


@pytest.fixture
def missing(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "memory.db")


@pytest.mark.parametrize("act", [merge, dry_run])
def test_a_writer_that_does_not_let_go_is_told_of(
    store: SqliteStore, act: Callable[[SqliteStore], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another program writes, a merge waits for it, then says so; neither one's work is touched."""
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.01)
    before = state(store.path)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE chunks SET agent_id = 'theirs'")
        with pytest.raises(StoreUnreadable, match=r"is locked by another program \(waited 0\.01 s\)") as caught:
            act(store)
        assert "wait" in caught.value.hint
        writer.execute("ROLLBACK")
    assert state(store.path) == before
    act(store)


def test_a_reader_that_does_not_let_go_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a WAL, a merge cannot be completed while somebody reads: it says so, and the store is as it was."""
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.01)
    store = scene(tmp_path / "memory.db", "DELETE")
    before = state(store.path)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM chunks").fetchone()
        with pytest.raises(StoreUnreadable, match="is locked by another program"):
            merge(store)
    assert state(store.path) == before


def test_a_reader_sees_the_old_memory_until_the_new_one_is_whole(tmp_path: Path) -> None:
    """Whoever looks in the middle of a merge finds all of the old content; who began before its end keeps it."""
    store = sqlite_store(tmp_path / "memory.db")
    execute(store.path, "PRAGMA journal_mode = WAL")
    seen: list[list[AnyRecord]] = []

    def looked_at() -> Iterator[Batch]:
        for batch in ARRIVING:
            yield batch
            seen.append(contents(store))

    with closing(sqlite3.connect(store.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        count = "SELECT count(*) FROM chunks"
        assert reader.execute(count).fetchone() == (5,)
        merge(store, looked_at())
        assert reader.execute(count).fetchone() == (5,)
        reader.execute("COMMIT")
        assert reader.execute(count).fetchone() == (8,)
    assert seen == [list(flat(memory()))] * len(ARRIVING)


@pytest.mark.parametrize("leftover", ["memory.db-wal", "memory.db-journal"])
def test_a_leftover_without_its_store_is_in_the_way(missing: SqliteStore, leftover: str) -> None:
    """A WAL or journal whose store is missing may hold its last changes: neither a merge nor a plan passes it over."""
    missing.path.with_name(leftover).write_bytes(b"the last changes")
    for act in (merge, dry_run, lambda store: store.compare(manifest_of(ARRIVING), ARRIVING)):
        with pytest.raises(StoreUnreadable, match=f"{leftover} without its memory.db"):
            act(missing)
    assert [path.name for path in missing.path.parent.iterdir()] == [leftover]
    assert missing.path.with_name(leftover).read_bytes() == b"the last changes"


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_records_that_break_off_change_nothing(store: SqliteStore, error: BaseException) -> None:
    """An error raised by the archive, after however many batches, comes through, and the store is as it was."""
    before = state(store.path)
    for number in range(len(ARRIVING) + 1):
        with pytest.raises(type(error) if not isinstance(error, sqlite3.Error) else StoreUnreadable):
            merge(store, breaking_off(ARRIVING[:number], error))
        assert state(store.path) == before


@pytest.mark.parametrize("error", [ERRORS[0], ERRORS[-1]], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("act", [merge, replacement])
def test_records_that_break_off_make_no_store(
    missing: SqliteStore, act: Callable[..., None], error: BaseException
) -> None:
    """Where there was no store there is none, and the error is not taken for one of writing it."""
    with pytest.raises(type(error)) as caught:
        act(missing, breaking_off(ARRIVING[:1], error))
    assert caught.value is error
    assert list(missing.path.parent.iterdir()) == []


def test_what_cannot_be_prepared_changes_nothing(store: SqliteStore) -> None:
    """`prepare` sees the store as it was; an error of its own comes through, and the archive is not even looked at."""
    before = state(store.path)

    def fail() -> None:
        assert len(contents(store)) == len(list(flat(memory()))) - len(memory()[-1])
        raise EcmError("no room for a safety archive")

    with pytest.raises(EcmError, match="no room"):
        store.merge(manifest_of(ARRIVING), breaking_off([], Interruption()), prepare=fail)
    assert state(store.path) == before


def test_conflicts_that_must_not_be_leave_the_store_alone(store: SqliteStore) -> None:
    """With `fail`, everything is found out, the first few are named, and nothing is merged."""
    before = state(store.path)
    with pytest.raises(MergeConflicts, match=r"chunks c4 \(content\)") as caught:
        store.merge(manifest_of(ARRIVING), ARRIVING, "fail")
    assert caught.value.exit_code == 16
    assert state(store.path) == before


def test_without_a_conflict_fail_is_no_obstacle(store: SqliteStore) -> None:
    """With `fail`, a merge without conflicts is done."""
    later = replace(chunk("c3", content="low water at 10:30"), vector_clock={"ui": 9, "human": 1})
    changes = store.merge(manifest_of([]), [[later]], "fail")
    assert changes.total("updated") == 1
    assert later in contents(store)


@pytest.mark.parametrize("policy", ["fail", "theirs"])
def test_a_distance_that_no_archive_names_is_neither_a_conflict_nor_lost(
    missing: SqliteStore, policy: OnConflict
) -> None:
    """Memberships read off the clusters of an archive that has none of its own say only who belongs to what."""
    fill(missing, memory())
    implied: list[Batch] = [[chunk("n1")], [membership("c3", "k2", 0.0), membership("n1", "k2", 0.0)]]
    manifest = replace(manifest_of(implied), membership_count=None)
    changes = missing.merge(manifest, implied, policy)
    assert (changes.total("skipped"), changes.total("added")) == (1, 2)
    assert [record for record in contents(missing) if isinstance(record, Membership)] == [
        *memory()[4],
        membership("n1", "k2", 0.0),
    ]
