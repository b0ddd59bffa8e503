"""merge and undo as jobs: what is kept before, what is on record after, and the way back."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import builders
import pytest
from msgspec.structs import replace
from spoiled import announcing
from workplace import PASSWORD, Workplace

from ecm_agent.archive import open_archive, write_archive
from ecm_agent.atomic import private_directory
from ecm_agent.errors import ArchiveInvalid, MergeConflicts, NotFound
from ecm_agent.jobs.export import export
from ecm_agent.jobs.restore import Restored, Terms, restore
from ecm_agent.jobs.safety import Safety, undoable
from ecm_agent.jobs.undo import to_undo
from ecm_agent.model.manifest import Selection
from ecm_agent.model.records import Membership
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from typing import BinaryIO

    from ecm_agent.store.base import MemoryStore, OnConflict

MADE = datetime(2025, 2, 1, tzinfo=UTC)


def archive_of(store: SqliteStore) -> io.BytesIO:
    file = io.BytesIO()
    export(store, Selection(), file, password=PASSWORD, compression="none", created=MADE)
    return file


@pytest.fixture
def there(at: Workplace) -> SqliteStore:
    """Make a store that shares chunks with the workplace's own, one of which differs, and has one more."""
    store = SqliteStore(at.home / "there.db")
    batches = builders.memory()
    batches[0] = [builders.chunk("c3", content="what was there before"), builders.chunk("c1"), builders.chunk("c9")]
    builders.fill(store, batches)
    return store


def merge(
    at: Workplace,
    store: MemoryStore,
    archive: BinaryIO,
    on_conflict: OnConflict = "ours",
    *,
    dry_run: bool = False,
    keep: int | None = None,
) -> Restored:
    safety, terms = Safety(at.state_dir / "safety", "laptop", keep), Terms(True, on_conflict, dry_run=dry_run)
    return restore(archive, store, safety, at.context(), terms, source="memory.ecm")


def undo(at: Workplace, store: MemoryStore) -> Restored:
    last = to_undo(store, at.history)
    with Path(last.safety_archive).open("rb") as file:
        safety = Safety(at.state_dir / "safety", "laptop")
        return restore(file, store, safety, at.context(), Terms(force=True), source=last.safety_archive)


def safety_archives(at: Workplace) -> list[Path]:
    return sorted((at.state_dir / "safety").glob("*"))


def test_a_merge_can_be_undone_and_that_as_well(at: Workplace, there: SqliteStore) -> None:
    """Undo gives back every table as it was before the merge; undone twice, the merge is there again."""
    before = builders.rows_of(there.path)
    result = merge(at, there, archive_of(at.store), "theirs")
    after = builders.rows_of(there.path)
    assert after != before
    assert result.kept.undoable
    assert result.kept.safety_archive
    at.clock.advance(timedelta(seconds=1))
    undo(at, there)
    assert builders.rows_of(there.path) == before
    at.clock.advance(timedelta(seconds=1))
    undo(at, there)
    assert builders.rows_of(there.path) == after


def test_a_wrong_replace_can_be_undone(at: Workplace, there: SqliteStore) -> None:
    """After a store was replaced by the wrong archive, undo gives back its content, table by table."""
    before = builders.rows_of(there.path)
    safety = Safety(at.state_dir / "safety", "laptop")
    restore(archive_of(at.store), there, safety, at.context(), Terms(), source="memory.ecm")
    assert builders.rows_of(there.path) != before
    undo(at, there)
    assert builders.rows_of(there.path) == before


def grow(at: Workplace, store: SqliteStore, name: str, keep: int | None) -> str:
    """Merge one more chunk into a store, a second later; give the name of the safety archive."""
    source = SqliteStore(at.home / f"{name}.db")
    builders.fill(source, [[builders.chunk(name)]])
    at.clock.advance(timedelta(seconds=1))
    kept = merge(at, store, archive_of(source), keep=keep).kept.safety_archive
    assert kept
    return Path(kept).name


@pytest.mark.parametrize(("keep", "left"), [(None, 4), (9, 4), (2, 2), (1, 1)])
def test_so_many_safety_archives_are_kept(at: Workplace, there: SqliteStore, keep: int | None, left: int) -> None:
    """The latest of this store stay, others of it go; what another store has, and what is not on record, stays."""
    other = builders.sqlite_store(at.home / "other.db")
    of_the_other = grow(at, other, "o", keep)
    stranger = at.state_dir / "safety" / "mine.ecm"
    stranger.write_bytes(b"put here by hand")
    made = [grow(at, there, name, keep) for name in ("n1", "n2", "n3", "n4")]
    assert {path.name for path in safety_archives(at)} == {*made[-left:], of_the_other, stranger.name}
    before = builders.rows_of(there.path)
    undo(at, there)
    undo(at, there)
    assert builders.rows_of(there.path) == before


def test_a_change_that_fails_removes_no_safety_archive(at: Workplace, there: SqliteStore) -> None:
    """Only a change that took effect makes an earlier safety archive one too many, its own included."""
    made = [grow(at, there, name, 2) for name in ("n1", "n2")]
    with pytest.raises(MergeConflicts):
        merge(at, there, archive_of(at.store), "fail", keep=1)
    assert [path.name for path in safety_archives(at)] == made


def test_what_a_killed_change_left_goes_with_the_rest(at: Workplace, there: SqliteStore) -> None:
    """A change that never ended kept an archive that nobody needs; it goes once a later one did end."""
    left = at.state_dir / "safety" / "left.ecm"
    private_directory(left.parent)
    left.write_bytes(b"of a process that was killed")
    at.history.begin_restore(there.path, "restore of memory.ecm", str(left), at.clock.now())
    made = grow(at, there, "n1", 1)
    assert [path.name for path in safety_archives(at)] == [made]


def test_conflicts_that_are_to_fail_change_nothing_and_leave_nothing(at: Workplace, there: SqliteStore) -> None:
    """With `fail` the store keeps every byte, no safety archive stays behind, and there is nothing to undo."""
    before = there.path.read_bytes()
    with pytest.raises(MergeConflicts, match=r"chunks c3 \(content\)"):
        merge(at, there, archive_of(at.store), "fail")
    assert there.path.read_bytes() == before
    assert safety_archives(at) == []
    with pytest.raises(NotFound):
        to_undo(there, at.history)


def test_a_merge_that_changes_nothing_is_not_to_be_undone(at: Workplace, there: SqliteStore) -> None:
    """A second merge of one archive keeps no safety archive, and undo still goes back to before the first."""
    before = builders.rows_of(there.path)
    archive = archive_of(at.store)
    merge(at, there, archive, "theirs")
    at.clock.advance(timedelta(seconds=1))
    again = merge(at, there, archive, "theirs")
    assert (again.kept.safety_archive, again.kept.undoable) == (None, False)
    assert len(safety_archives(at)) == 1
    undo(at, there)
    assert builders.rows_of(there.path) == before


def test_a_merge_that_settles_for_what_is_there_is_not_to_be_undone(at: Workplace, there: SqliteStore) -> None:
    """A conflict in which the store keeps its word changes nothing: no safety archive stays, and nothing to undo."""
    result = merge(at, there, archive_of(at.store))
    assert result.changes
    assert (result.changes.total("conflicts"), result.changes.none) == (1, True)
    assert safety_archives(at) == []
    with pytest.raises(NotFound):
        to_undo(there, at.history)


def test_an_interruption_after_the_change_leaves_the_way_back(at: Workplace, there: SqliteStore) -> None:
    """Ctrl-C that comes when all is written loses nothing: the safety archive stays, and undo knows of the change."""
    before = builders.rows_of(there.path)
    archive = open_archive(archive_of(at.store), PASSWORD)
    safety = Safety(at.state_dir / "safety", "laptop")

    def merge_and_be_interrupted() -> None:
        with undoable(there, "merge of memory.ecm", safety, at.context()) as change:
            there.merge(archive.manifest, archive.batches(), "theirs", prepare=change.prepare)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge_and_be_interrupted()
    assert builders.rows_of(there.path) != before
    assert len(safety_archives(at)) == 1
    at.clock.advance(timedelta(seconds=1))
    undo(at, there)
    assert builders.rows_of(there.path) == before


def test_a_killed_change_is_no_change(at: Workplace, there: SqliteStore) -> None:
    """Undo passes over a change that never came to its end, and takes back the one before it."""
    merge(at, there, archive_of(at.store), "theirs")
    at.history.begin_restore(there.path, "merge of another.ecm", "/nowhere.ecm", at.clock.now())
    assert to_undo(there, at.history).what == "merge of memory.ecm"


@pytest.mark.parametrize("on_conflict", ["ours", "theirs", "fail"])
def test_a_dry_merge_changes_no_file(at: Workplace, there: SqliteStore, on_conflict: OnConflict) -> None:
    """A plan counts conflicts whatever is to become of them, writes nothing, and is not on record."""
    before = there.path.read_bytes()
    result = merge(at, there, archive_of(at.store), on_conflict, dry_run=True)
    assert result.changes
    assert result.changes.total("conflicts") == 1
    assert there.path.read_bytes() == before
    assert not at.state_dir.exists()


def test_a_broken_archive_leaves_nothing_to_undo(at: Workplace, there: SqliteStore) -> None:
    """A merge that fails half-way changes nothing and is not on record; what it kept before stays on disk."""
    before = builders.rows_of(there.path)
    file = io.BytesIO()
    export(at.store, Selection(), file, password=None, compression="none", created=MADE)
    lie = announcing(file.getvalue(), b'"vectorCount":4', b'"vectorCount":3')
    with pytest.raises(ArchiveInvalid, match="announces 3 vectors"):
        merge(at, there, io.BytesIO(lie))
    assert builders.rows_of(there.path) == before
    with pytest.raises(NotFound):
        to_undo(there, at.history)


def test_nothing_to_go_back_to_is_said(at: Workplace) -> None:
    """A store that was never changed, and one that was restored without a safety archive, have no undo."""
    with pytest.raises(NotFound, match="is on record"):
        to_undo(at.store, at.history)
    terms = Terms(force=True)
    restore(archive_of(at.store), at.store, Safety(None, "laptop"), at.context(), terms, source="memory.ecm")
    with pytest.raises(NotFound, match="kept no safety archive"):
        to_undo(at.store, at.history)


def test_what_an_archive_does_not_say_is_no_conflict(at: Workplace) -> None:
    """Members that an archive of the original program lists without their distances leave the store's as they are."""
    before = builders.rows_of(at.store.path)
    batches = [batch for batch in builders.memory() if not isinstance(batch[0], Membership)]
    file = io.BytesIO()
    manifest = replace(builders.manifest_of(batches), membership_count=None)
    write_archive(file, manifest, batches, seal=None, compression="none")
    result = merge(at, at.store, file, "theirs")
    assert result.changes
    assert (result.changes.none, result.changes.total("skipped", "memberships")) == (True, 3)
    assert builders.rows_of(at.store.path) == before


def test_a_store_made_anew_is_not_taken_back_to_one_that_was_lost(at: Workplace, there: SqliteStore) -> None:
    """Undo after a restore into a place where nothing was finds nothing, whatever happened there before."""
    merge(at, there, archive_of(at.store))
    there.path.unlink()
    restore(archive_of(at.store), there, Safety(None, "laptop"), at.context(), Terms(), source="memory.ecm")
    with pytest.raises(NotFound, match="was empty or not there"):
        to_undo(there, at.history)


def test_the_journal_need_not_work(at: Workplace, there: SqliteStore) -> None:
    """Where the restore cannot be put on record it happens all the same, and says that undo will not know of it."""
    (at.state_dir / "history.db").mkdir(parents=True)
    result = merge(at, there, archive_of(at.store), "theirs")
    assert result.kept.safety_archive
    assert not result.kept.undoable


def test_undo_knows_stores_apart(at: Workplace, there: SqliteStore) -> None:
    """The last change of one store is no other's."""
    merge(at, there, archive_of(at.store), "theirs")
    with pytest.raises(NotFound):
        to_undo(at.store, at.history)
    relative = SqliteStore(there.path.parent / "." / ".." / there.path.parent.name / there.path.name)
    assert to_undo(relative, at.history).what == "merge of memory.ecm"
