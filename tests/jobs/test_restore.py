"""restore: an archive takes the place of what a store holds, and nothing that was there is lost."""

from __future__ import annotations

import hashlib
import io
import re
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import builders
import pytest
from workplace import PASSWORD, Workplace

from ecm_agent.archive import is_encrypted
from ecm_agent.errors import (
    ArchiveInvalid,
    DecryptionFailed,
    EcmError,
    PasswordMissing,
    StoreUnreadable,
    UsageError,
)
from ecm_agent.jobs import safety as safety_module
from ecm_agent.jobs.compare import differences
from ecm_agent.jobs.export import export
from ecm_agent.jobs.restore import Restored, Terms, restore
from ecm_agent.jobs.safety import Safety
from ecm_agent.jobs.verify import verify
from ecm_agent.model.manifest import Manifest, Selection
from ecm_agent.secret import Secret
from ecm_agent.store.base import nothing
from ecm_agent.store.encryption import Encryption
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import BinaryIO

    from ecm_agent.model.records import Batch
    from ecm_agent.store.base import Replaced

CREATED = datetime(2025, 2, 1, tzinfo=UTC)
ALL = Selection()


def exported(store: SqliteStore, selection: Selection = ALL, password: Secret | None = PASSWORD) -> io.BytesIO:
    file = io.BytesIO()
    export(store, selection, file, password=password, compression="none", created=CREATED)
    return file


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def into(
    store: SqliteStore,
    archive: BinaryIO,
    at: Workplace,
    *,
    password: Secret | None = PASSWORD,
    force: bool = False,
    dry_run: bool = False,
) -> Restored:
    safety = Safety(at.state_dir / "safety", "laptop")
    terms = Terms(force=force, dry_run=dry_run)
    return restore(archive, store, safety, at.context(password), terms, source="memory.ecm")


@pytest.fixture
def target(at: Workplace) -> SqliteStore:
    """Make a store as old as the workplace's own (which no archive says), with another memory."""
    store = builders.sqlite_store(at.home / "target.db")
    batches = builders.memory()
    batches[0] = [builders.chunk("c3", content="what was there before"), builders.chunk("c1", "seed-catalog")]
    builders.fill(store, batches)
    return store


def copy_of(store: SqliteStore) -> SqliteStore:
    copy = SqliteStore(store.path.with_name("copy.db"))
    copy.path.write_bytes(store.path.read_bytes())
    return copy


def test_the_archive_takes_the_stores_place(at: Workplace, target: SqliteStore) -> None:
    """After a restore the store holds what the archive's store held, every column, and nothing else."""
    result = into(target, exported(at.store), at)
    assert differences(at.store, target) == {}
    assert builders.rows_of(at.store.path) == builders.rows_of(target.path)
    assert (result.chunks_before, result.manifest.chunk_count, result.dry_run) == (5, 5, False)


def test_of_an_encrypted_store_no_plain_copy_is_kept(at: Workplace) -> None:
    """Without a password for its safety archive it is not replaced, unless none is wanted, and nothing is left."""
    store = SqliteStore(at.home / "encrypted.db", Encryption(lambda: [Secret("a key")], new=True))
    builders.fill(store, builders.memory())
    before = builders.contents(store)
    archive = exported(at.store, password=None)
    with pytest.raises(PasswordMissing, match="no password to encrypt its safety archive") as caught:
        into(store, archive, at, password=None)
    assert "--no-safety-archive" in caught.value.hint
    assert builders.contents(store) == before
    assert not list(at.state_dir.rglob("safety-*"))
    assert into(store, exported(at.store), at).kept.undoable
    restore(archive, store, Safety(None, "laptop"), at.context(None), Terms(), source="memory.json")
    assert store.encrypted()


@pytest.mark.parametrize("password", [PASSWORD, None], ids=["with password", "without"])
def test_what_was_there_comes_back(at: Workplace, target: SqliteStore, password: Secret | None) -> None:
    """Importing the safety archive, sealed with the password at hand, else plain, gives the old content back."""
    before = copy_of(target)
    result = into(target, exported(at.store, password=password), at, password=password)
    assert differences(before, target) != {}
    assert result.kept.safety_archive
    path = Path(result.kept.safety_archive)
    assert path.suffix == (".ecm" if password else ".json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with path.open("rb") as file:
        assert is_encrypted(file) is (password is not None)
        into(target, file, at, password=password, force=True)
    assert differences(before, target) == {}


def test_what_leads_nowhere_comes_back_as_well(at: Workplace, target: SqliteStore) -> None:
    """A safety archive holds also edges and memberships of chunks that are gone: what it replaced was so."""
    builders.execute(target.path, "DELETE FROM chunks WHERE id = 'c3'")
    before = builders.rows_of(target.path)
    result = into(target, exported(at.store), at)
    assert result.kept.safety_archive
    with Path(result.kept.safety_archive).open("rb") as file:
        again = into(target, file, at, force=True)
    assert (again.dropped, again.manifest.with_dangling) == (0, True)
    assert builders.rows_of(target.path) == before


@pytest.mark.parametrize("merge", [True, False])
def test_a_change_is_on_record_before_it_takes_effect(
    at: Workplace, target: SqliteStore, monkeypatch: pytest.MonkeyPatch, *, merge: bool
) -> None:
    """Killed right after, the program has it noted: `undo` never takes back an earlier change instead."""
    seen: list[bool] = []
    before, finish = builders.rows_of(target.path), safety_module.Undoable.finish

    def watched(change: safety_module.Undoable) -> None:
        seen.append(builders.rows_of(target.path) == before)
        finish(change)

    monkeypatch.setattr(safety_module.Undoable, "finish", watched)
    safety, terms = Safety(at.state_dir / "safety", "laptop"), Terms(merge=merge, on_conflict="theirs")
    restore(exported(at.store), target, safety, at.context(), terms, source="memory.ecm")
    assert seen[0] is True
    last = at.history.last_restore(target.path)
    assert last
    assert last.what == f"{'merge' if merge else 'restore'} of memory.ecm"
    assert builders.rows_of(target.path) != before


def test_two_restores_in_one_second_keep_both_memories(at: Workplace, target: SqliteStore) -> None:
    """A second safety archive never takes the first one's place, even within the same second."""
    before = copy_of(target)
    archive = exported(at.store)
    first, second = into(target, archive, at), into(target, archive, at)
    assert first.kept.safety_archive
    assert second.kept.safety_archive
    assert first.kept.safety_archive != second.kept.safety_archive
    with Path(first.kept.safety_archive).open("rb") as file:
        into(target, file, at)
    assert differences(before, target) == {}


@pytest.mark.parametrize("there", ["an empty store", "no store"])
def test_nothing_needs_no_safety_archive(at: Workplace, there: str) -> None:
    """For a store that is empty or missing no safety archive is made."""
    target = SqliteStore(at.home / "new" / "memory.db")
    if there == "an empty store":
        target.create()
    result = into(target, exported(at.store), at)
    assert (result.kept.safety_archive, result.chunks_before) == (None, 0)
    assert not (at.state_dir / "safety").exists()
    assert differences(at.store, target) == {}


def test_going_without_a_safety_archive_is_possible(at: Workplace, target: SqliteStore) -> None:
    """Where none is wanted, none is made."""
    safety = Safety(None, "laptop")
    result = restore(exported(at.store), target, safety, at.context(), Terms(), source="memory.ecm")
    assert result.kept.safety_archive is None
    assert differences(at.store, target) == {}


def test_the_safety_archive_comes_before_the_store_is_touched(at: Workplace, target: SqliteStore) -> None:
    """Before anything changes, the safety archive is complete and proves good, and nobody else can write meanwhile."""
    before = copy_of(target)
    seen: list[int] = []

    class Watched(SqliteStore):
        def replace(
            self,
            manifest: Manifest,
            batches: Iterable[Batch],
            prepare: Callable[[], object] = nothing,
            finish: Callable[[], object] = nothing,
        ) -> Replaced:
            def watched() -> None:
                prepare()
                assert sha256(self.path) == sha256(before.path)
                (path,) = (at.state_dir / "safety").iterdir()
                with path.open("rb") as file:
                    seen.append(verify(file, PASSWORD).manifest.chunk_count)
                with (
                    closing(sqlite3.connect(self.path, timeout=0)) as other,
                    pytest.raises(sqlite3.OperationalError, match="locked"),
                ):
                    other.execute("DELETE FROM chunks")

            return super().replace(manifest, batches, watched, finish)

    into(Watched(target.path), exported(at.store), at)
    assert seen == [5]


def fail_to_write(at: Workplace, _: pytest.MonkeyPatch) -> str:
    (at.state_dir / "safety").write_bytes(b"in the way")
    return "No safety archive can be written"


def fail_to_prove(_: Workplace, monkeypatch: pytest.MonkeyPatch) -> str:
    def verify_badly(*_: object, **__: object) -> None:
        raise ArchiveInvalid("Archive is damaged")

    monkeypatch.setattr(safety_module, "verify", verify_badly)
    return "Archive is damaged"


@pytest.mark.parametrize("fail", [fail_to_write, fail_to_prove])
def test_without_its_safety_archive_a_store_stays(
    at: Workplace,
    target: SqliteStore,
    monkeypatch: pytest.MonkeyPatch,
    fail: Callable[[Workplace, pytest.MonkeyPatch], str],
) -> None:
    """When the safety archive cannot be written or proved, the store is not touched and nothing is left of it."""
    archive = exported(at.store)
    at.state_dir.mkdir(exist_ok=True)
    message = fail(at, monkeypatch)
    before = sha256(target.path)
    with pytest.raises(EcmError, match=message):
        into(target, archive, at)
    assert sha256(target.path) == before
    assert not list(at.state_dir.rglob("safety/*"))


def partial(at: Workplace, what: str) -> BinaryIO:
    if what == "projects":
        return exported(at.store, Selection(("tide-tables", "")))
    if what == "vectors":
        return exported(at.store, Selection(vectors=False))
    empty = SqliteStore(at.home / "empty.db")
    empty.create()
    return exported(empty)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("projects", "holds only the projects '', 'tide-tables'"),
        ("vectors", "leaves out vectors"),
        ("empty", "is empty"),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True], ids=["for real", "dry run"])
def test_less_than_a_store_needs_force(
    at: Workplace, target: SqliteStore, what: str, why: str, *, dry_run: bool
) -> None:
    """An archive that never was all of a store replaces one only by force; the reason and both ways out are named."""
    archive = partial(at, what)
    before = sha256(target.path)
    with pytest.raises(UsageError, match=why) as caught:
        into(target, archive, at, dry_run=dry_run)
    assert "--into" in caught.value.hint
    assert "--force" in caught.value.hint
    assert sha256(target.path) == before
    result = into(target, archive, at, force=True, dry_run=dry_run)
    assert (sha256(target.path) == before) is dry_run
    assert (result.kept.safety_archive is None) is dry_run


@pytest.mark.parametrize("what", ["projects", "vectors", "empty"])
def test_into_nothing_anything_goes(at: Workplace, what: str) -> None:
    """A partial archive goes into a new store without being forced."""
    new = SqliteStore(at.home / "new.db")
    archive = partial(at, what)
    assert into(new, archive, at).manifest.chunk_count == new.chunk_count()


def test_a_dry_run_changes_nothing(at: Workplace, target: SqliteStore) -> None:
    """A dry run reads the whole archive, counts as the restore does, and leaves every file as it was."""
    archive = exported(at.store)
    before = {path: sha256(path) for path in at.home.rglob("*") if path.is_file()}
    planned = into(target, archive, at, dry_run=True)
    assert {path: sha256(path) for path in at.home.rglob("*") if path.is_file()} == before
    done = into(target, archive, at)
    assert planned.dry_run
    assert planned.kept.safety_archive is None
    assert planned.changes
    assert done.replaced
    came: Counter[str] = Counter()
    for one in planned.changes.tallies:
        came[one.section] += one.added + one.updated + one.skipped
    assert came == done.replaced.records
    assert planned.changes.total("removed", "chunks") == 0
    assert (planned.chunks_before, planned.manifest) == (done.chunks_before, done.manifest)


def test_a_dry_run_makes_no_store(at: Workplace) -> None:
    """A dry run for a store that does not exist makes neither it nor its directory."""
    new = SqliteStore(at.home / "new" / "memory.db")
    into(new, exported(at.store), at, dry_run=True)
    assert not new.path.parent.exists()


@pytest.mark.parametrize("position", [4, 20, 40, 60, 500, -1])
@pytest.mark.parametrize("dry_run", [False, True], ids=["for real", "dry run"])
def test_a_damaged_archive_leaves_the_store(
    at: Workplace, target: SqliteStore, position: int, *, dry_run: bool
) -> None:
    """One flipped bit anywhere in an archive, and the store keeps every byte; no safety archive is made for nothing."""
    archive = exported(at.store)
    archive.getbuffer()[position] ^= 1
    before = sha256(target.path)
    with pytest.raises((ArchiveInvalid, DecryptionFailed)):
        into(target, archive, at, dry_run=dry_run)
    assert sha256(target.path) == before
    assert not (at.state_dir / "safety").exists()


def test_a_plain_archive_that_ends_in_a_lie_leaves_the_store(at: Workplace, target: SqliteStore) -> None:
    """A plain archive whose fault shows only at its very end changes no record of the store."""
    archive = exported(at.store, password=None)
    content = archive.getvalue()
    digest = re.search(rb'"vectors":"([0-9a-f]{64})"', content)
    assert digest
    lie = content.replace(digest[1], b"0" * 64)
    before = copy_of(target)
    with pytest.raises(ArchiveInvalid, match="digest"):
        into(target, io.BytesIO(lie), at)
    assert differences(before, target) == {}


@pytest.mark.parametrize(
    ("password", "error"),
    [(Secret("not this one"), DecryptionFailed), (None, PasswordMissing)],
    ids=["wrong", "missing"],
)
def test_without_the_password_the_store_stays(
    at: Workplace, target: SqliteStore, password: Secret | None, error: type[EcmError]
) -> None:
    """A wrong or missing password is found out before anything else happens."""
    archive = exported(at.store)
    before = sha256(target.path)
    with pytest.raises(error):
        into(target, archive, at, password=password)
    assert sha256(target.path) == before


def test_what_is_no_store_is_not_replaced(at: Workplace) -> None:
    """A file that is no memory store is refused, and stays."""
    target = SqliteStore(at.home / "notes.txt")
    target.path.write_text("not a database")
    with pytest.raises(StoreUnreadable):
        into(target, exported(at.store), at)
    assert target.path.read_text() == "not a database"


def test_a_store_is_restored_from_its_own_backup(at: Workplace) -> None:
    """Restoring a store from an archive of itself changes nothing that can be told."""
    before = builders.rows_of(at.store.path)
    into(at.store, exported(at.store), at)
    assert builders.rows_of(at.store.path) == before
