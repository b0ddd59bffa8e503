"""Months of backups, restores, merges, undos and mishaps in any order, held against a model that knows no SQL."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import builders
import pytest
from builders import contents
from fakes import MemoryDestination, UnpluggedDestination
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from machine_model import Copy, Memory, Place, Sealed, exact, found, part_of, refusal
from merge_memories import batched, memories
from merge_model import key, merged, said
from msgspec import json
from msgspec.structs import replace
from workplace import Workplace, archive

from ecm_agent.archive import Seal, write_archive
from ecm_agent.errors import (
    ArchiveInvalid,
    DecryptionFailed,
    DestinationRefused,
    NotFound,
    PasswordMissing,
    StoreUnreadable,
)
from ecm_agent.jobs.backup import backup
from ecm_agent.jobs.export import export
from ecm_agent.jobs.locate import LATEST, candidates
from ecm_agent.jobs.opening import first_healthy
from ecm_agent.jobs.restore import Restored, Terms, restore
from ecm_agent.jobs.rotate import rotate_all
from ecm_agent.jobs.safety import Safety
from ecm_agent.jobs.undo import to_undo
from ecm_agent.jobs.verify import verify
from ecm_agent.model.causality import Order, order
from ecm_agent.model.manifest import Selection
from ecm_agent.model.records import Chunk, Edge, Membership, VectorClock
from ecm_agent.retention import Policy
from ecm_agent.secret import Secret
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ecm_agent.jobs.job import Job
    from ecm_agent.model.names import ArchiveName
    from ecm_agent.model.records import AnyRecord
    from ecm_agent.store.base import Changes, Fate

KEEP = 2
PASSWORDS = [Secret("correct horse battery staple"), Secret("another one")]
FATES: tuple[Fate, ...] = ("added", "updated", "skipped", "folded", "conflicts", "dropped")

stores = st.sampled_from(["here", "there"])
labels = st.sampled_from(["d0", "d1"])
any_of = st.integers(0, 9)
"""Chooses one of as many things as there are."""
passwords = st.sampled_from([PASSWORDS[0]] * 5 + PASSWORDS[1:])
perhaps = st.sampled_from([PASSWORDS[0]] * 8 + [PASSWORDS[1], None])
rarely = any_of.map(lambda number: number == 9)
terms = st.builds(
    Terms,
    merge=st.sampled_from([True, True, False]),
    on_conflict=st.sampled_from(["ours", "theirs", "theirs", "fail"]),
    force=rarely.map(lambda seldom: not seldom),
)
jumps = st.sampled_from(
    [timedelta(seconds=1), timedelta(hours=1), timedelta(days=1), -timedelta(seconds=1), -timedelta(days=2)]
)


def as_set(records: Sequence[AnyRecord]) -> dict[tuple[str, tuple[str, ...]], Any]:
    return {(record.section, key(record)): said(record) for record in records}


class TwoMachines(RuleBasedStateMachine):
    """A store with a backup job to two destinations, another store beside it, and archives that were carried about."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        home = Path(self.folder.name)
        self.at = Workplace(home)
        self.stores = {
            "here": Memory(self.at.store, contents(self.at.store)),
            "there": Memory(SqliteStore(home / "there.db")),
        }
        self.files: list[Sealed] = []
        self.places = {name: _place(name) for name in ("d0", "d1")}
        self.waiting: dict[tuple[ArchiveName, str], Sealed] = {}
        self.strangers = {archive(self.at.clock.now(), host="desk"), archive(self.at.clock.now(), job="weekly")}
        for name in self.strangers:
            self.at.plant(name, destination=self.places["d0"].memory)
        self.seen: dict[tuple[str, str], bytes] = {}

    def teardown(self) -> None:
        self.folder.cleanup()

    @property
    def job(self) -> Job:
        return self.at.job(*(place.plug for place in self.places.values()), policy=Policy(keep_last=KEEP))

    @property
    def undoable(self) -> list[tuple[Memory, Sealed]]:
        return [(memory, memory.before) for memory in self.stores.values() if memory.before]

    # What the memory program, the user, the machine and the weather do.

    @rule(store=stores, name=st.sampled_from(["c0", "c1", "c9"]), text=st.sampled_from(["ebb", "flood"]))
    def remember(self, store: str, name: str, text: str) -> None:
        """Have the memory program write a chunk, or change one and tell its clock."""
        memory = self.stores[store]
        if memory.records is None:
            return
        for number, record in enumerate(memory.records):
            if isinstance(record, Chunk) and record.id == name:
                ticked = {**(record.vector_clock or {}), "ui": (record.vector_clock or {}).get("ui", 0) + 1}
                clock = json.encode(ticked).decode()
                _execute(memory, "UPDATE chunks SET content = ?, vector_clock = ? WHERE id = ?", text, clock, name)
                memory.records[number] = replace(record, content=text, vector_clock=ticked)
                return
        memory.records.append(_written(memory, builders.chunk(name, content=text)))

    @rule(store=stores, number=any_of)
    def forget(self, store: str, number: int) -> None:
        """Have the memory program delete a chunk; what hangs on it goes as well."""
        memory = self.stores[store]
        if not memory.chunks or memory.records is None:
            return
        chunks = [record.id for record in memory.records if isinstance(record, Chunk)]
        gone = chunks[number % len(chunks)]
        _execute(memory, "DELETE FROM chunks WHERE id = ?", gone)
        memory.records = [record for record in memory.records if not _hangs_on(record, gone)]

    @rule(by=jumps)
    def jump(self, by: timedelta) -> None:
        """Set the clock, or let time pass."""
        self.at.clock.jump(self.at.clock.now() + by)

    @rule(label=labels, store=stores, what=st.sampled_from(["rot", "plug", "plug", "lose", "wipe"]), number=any_of)
    def suffer(self, label: str, store: str, what: str, number: int) -> None:
        """Let a byte of an archive change, a destination go out of reach or come back, a store be lost or emptied."""
        place, memory = self.places[label], self.stores[store]
        if what == "plug":
            place.plug.down = not place.plug.down
        elif what == "lose":
            memory.store.path.unlink(missing_ok=True)
            memory.records = None
        elif what == "wipe" and memory.records is not None:
            _execute(memory, "DELETE FROM chunks")
            memory.records = [one for one in memory.records if not isinstance(one, (Chunk, Edge, Membership))]
        elif what == "rot" and place.copies:
            name = sorted(place.copies)[number % len(place.copies)]
            if not (copy := place.copies[name]).archive.damaged:
                copy.archive = copy.archive.broken
                place.memory.archives[name] = copy.archive.content

    @initialize(records=memories())
    def begin(self, records: list[AnyRecord]) -> None:
        """Have the other machine know something already."""
        there = self.stores["there"]
        builders.fill(there.store, batched(records))
        there.records = contents(there.store)

    @rule(records=memories() | memories(dangling=True), password=perhaps)
    def arrive(self, records: list[AnyRecord], password: Secret | None) -> None:
        """Bring an archive of a machine of which nothing else is known."""
        file, seal = io.BytesIO(), Seal.draw(password) if password else None
        batches = batched(records)
        write_archive(file, builders.manifest_of(batches), batches, seal=seal, compression="none")
        self.files.append(Sealed(file.getvalue(), records, password))

    # What the program does.

    @rule(
        store=stores,
        password=perhaps,
        projects=st.sampled_from([None, None, None, ("tide-tables",)]),
        no_vectors=rarely,
    )
    def export(
        self, store: str, password: Secret | None, projects: tuple[str, ...] | None, *, no_vectors: bool
    ) -> None:
        """Export a store, or a part of it."""
        memory, selection = self.stores[store], Selection(projects, vectors=not no_vectors)
        if memory.records is None or (
            projects and not any(isinstance(one, Chunk) and one.session_slug in projects for one in memory.records)
        ):
            return
        file, created = io.BytesIO(), self.at.clock.now()
        made = export(memory.store, selection, file, password=password, compression="none", created=created)
        records = part_of(memory.records, selection)
        self.files.append(Sealed(file.getvalue(), records, password, made.manifest.partial))
        assert made.manifest.partial == bool(projects or (len(records) < len(memory.records)))

    @precondition(lambda self: self.files)
    @rule(store=stores, number=any_of, password=perhaps, how=terms, unsafely=rarely, damaged=rarely)
    def bring_in(
        self, store: str, number: int, password: Secret | None, how: Terms, *, unsafely: bool, damaged: bool
    ) -> None:
        """Let an archive take the place of what a store holds, or join it."""
        chosen = self.files[number % len(self.files)]
        if damaged and chosen.password:
            chosen = chosen.broken
        self._restore(self.stores[store], chosen, password, how, safely=not unsafely)

    @rule(store=stores, password=passwords, how=terms, ago=st.sampled_from([None, None, timedelta(hours=1)]))
    def restore(self, store: str, password: Secret, how: Terms, ago: timedelta | None) -> None:
        """Restore the newest proved archive that can be had, or with a time the newest by then."""
        at = self.at.clock.now() - ago if ago else None
        now = self.at.clock.now()
        expected, tried = found(self.places, password, now, at)
        with _failing(None if expected else (ArchiveInvalid, DecryptionFailed, DestinationRefused, NotFound)):
            wanted = candidates(LATEST, self.job, self.job.destinations, self.at.history, now=now, at=at)
            with first_healthy(wanted, self.at.context(password)) as opened:
                assert expected
                name, label = expected
                assert (opened.located.name, opened.located.destination.label) == (name, label)
                chosen = self.places[label].copies[name].archive
                self._restore(self.stores[store], chosen, password, how, name=name, content=opened.file.read())
        for name, label in tried:
            self._lose_faith(name, label, password)

    @rule(password=perhaps)
    def back_up(self, password: Secret | None) -> None:
        """Back up: what can be reached has the archive, proved, and lets old ones go; for the rest it waits."""
        here, name = self.stores["here"], self.job.free_name(self.at.clock.now(), self.at.history)
        if password is None or here.records is None:
            with pytest.raises(PasswordMissing if password is None else StoreUnreadable):
                backup(self.job, self.at.context(password))
            return
        result = backup(self.job, self.at.context(password))
        assert result.archive == str(name)
        fresh = Sealed(b"", list(here.records), password)
        arrived = {one.destination for one in result.deliveries if one.verified}
        assert arrived == {label for label, place in self.places.items() if not place.plug.down}
        self.waiting |= {(name, label): fresh for label in self.places}
        for label in sorted(arrived):
            self._arrived(name, label)
        for waiting, label in sorted(self.waiting):
            if label in arrived:  # whatever password it was sealed with
                self._arrived(waiting, label)
        if not result.faults:
            assert result.exit_code == 0

    @rule(dry_run=st.booleans())
    def rotate(self, *, dry_run: bool) -> None:
        """Rotate: just those go that the policy no longer keeps, and of a destination out of reach none."""
        for rotation in rotate_all(self.job, self.at.context(), dry_run=dry_run):
            place = self.places[rotation.destination]
            assert bool(rotation.error) == place.plug.down
            if not dry_run and not place.plug.down:
                gone = place.rotate(self.at.clock.now(), KEEP)
                assert set(rotation.removed) == set(map(str, gone))

    @precondition(lambda self: self.undoable)
    @rule(number=any_of, password=perhaps)
    def undo(self, number: int, password: Secret | None) -> None:
        """Undo: what the last change found is there again, and what that replaces is kept."""
        memory, before = self.undoable[number % len(self.undoable)]
        kept = Path(to_undo(memory.store, self.at.history).safety_archive)
        self._restore(memory, before, password, Terms(force=True), content=kept.read_bytes())

    # What must hold after every step.

    @invariant()
    def the_stores_hold_what_they_should(self) -> None:
        for memory in self.stores.values():
            assert memory.store.exists() == (memory.records is not None)
            if memory.records is not None:
                assert exact(contents(memory.store)) == exact(memory.records)
                assert memory.store.problems() == []

    @invariant()
    def the_way_back_is_known(self) -> None:
        for memory in self.stores.values():
            if memory.before:
                kept = to_undo(memory.store, self.at.history).safety_archive
                if self.seen.get(("safety", kept)) != (content := Path(kept).read_bytes()):
                    self._hold(content, memory.before)
                    self.seen["safety", kept] = content
            else:
                with pytest.raises(NotFound):
                    to_undo(memory.store, self.at.history)

    @invariant()
    def what_is_called_proved_is_what_it_was(self) -> None:
        for label, place in self.places.items():
            assert set(place.memory.archives) - self.strangers == set(place.copies)
            proofs = self.at.history.proofs(label)
            assert {name for name, copy in place.copies.items() if copy.good} == {
                name for name in place.copies if proofs[str(name)].good
            }
            for name, copy in place.copies.items():
                content = place.memory.archives[name]
                if copy.good and not copy.archive.damaged and self.seen.get((label, str(name))) != content:
                    self._hold(content, copy.archive)
                    self.seen[label, str(name)] = content

    @invariant()
    def strangers_stay(self) -> None:
        assert self.strangers <= self.places["d0"].memory.archives.keys()

    @invariant()
    def what_waits_lies_on_disk(self) -> None:
        pending = {(one.archive, one.destination) for one in self.at.history.pending("nightly")}
        assert pending == {(str(name), label) for name, label in self.waiting}
        staging = self.at.state_dir / "staging"
        staged = {path.name for path in staging.iterdir()} if staging.exists() else set()
        assert staged == {str(name) for name, _ in self.waiting}

    # How it is held against the model.

    def _restore(
        self,
        memory: Memory,
        chosen: Sealed,
        password: Secret | None,
        how: Terms,
        *,
        name: ArchiveName | None = None,
        content: bytes = b"",
        safely: bool = True,
    ) -> None:
        safety = Safety(self.at.state_dir / "safety" if safely else None, "laptop")

        def run(terms: Terms) -> Restored:
            file = io.BytesIO(content or chosen.content)
            return restore(file, memory.store, safety, self.at.context(password), terms, source="it", name=name)

        planned = Terms(how.merge, how.on_conflict, how.force, dry_run=True)
        plan = None
        with _failing(refusal(chosen, memory, password, planned)):
            plan = run(planned).changes
        before, existed = list(memory.records or []), memory.records is not None
        failure = refusal(chosen, memory, password, how)
        with _failing(failure):
            result = run(how)
        if failure:
            return
        assert plan
        now = contents(memory.store)
        kept = Sealed(b"", before, password) if before and safely else None
        changed = not how.merge or not result.changes or not result.changes.none
        assert bool(result.kept.safety_archive) == bool(kept and changed)
        if how.merge:
            if existed:  # what a new store will drop is not foreseen
                assert result.changes == plan
            _check_merge(before, chosen.records, how, result.changes, now)
        else:
            assert exact(now) == exact(chosen.records)
            assert result.replaced
            assert sum(result.replaced.records.values()) == len(chosen.records)
        if changed:
            memory.before = kept
        memory.records = now

    def _hold(self, content: bytes, expected: Sealed) -> None:
        """Check that an archive gives back what it should."""
        target = SqliteStore(Path(self.folder.name) / "look.db")
        file = io.BytesIO(content)
        verify(file, expected.password)
        restore(file, target, Safety(None, "laptop"), self.at.context(expected.password), Terms(force=True), source="")
        assert exact(contents(target)) == exact(expected.records)
        target.path.unlink()

    def _arrived(self, name: ArchiveName, label: str) -> None:
        archived, place = self.waiting.pop((name, label)), self.places[label]
        content = place.memory.archives.get(name, b"")
        place.copies[name] = Copy(Sealed(content, archived.records, archived.password))
        place.rotate(self.at.clock.now(), KEEP)

    def _lose_faith(self, name: ArchiveName, label: str, password: Secret) -> None:
        copy = self.places[label].copies[name]
        if copy.archive.damaged and copy.archive.password == password:
            copy.good = False


def _check_merge(
    ours: list[AnyRecord], theirs: list[AnyRecord], how: Terms, changes: Changes | None, now: list[AnyRecord]
) -> None:
    expected = merged(ours, theirs, how.on_conflict)
    assert changes
    assert as_set(now) == as_set(expected.records)
    assert {(one.section, fate): 0 for one in changes.tallies for fate in FATES} | dict(expected.fates) == {
        (one.section, fate): changes.total(fate, one.section) for one in changes.tallies for fate in FATES
    }
    assert sum(changes.total(fate) for fate in FATES) == len(theirs)
    after = as_set(now)
    for record in ours:
        name, clock = (record.section, key(record)), "clock" if isinstance(record, VectorClock) else "vector_clock"
        if isinstance(record, (Chunk, VectorClock)) or (isinstance(record, Edge) and name in after):
            assert order(getattr(record, clock) or {}, after[name][clock] or {}) in {Order.SAME, Order.BEFORE}


@contextmanager
def _failing(how: type[Exception] | tuple[type[Exception], ...] | None) -> Iterator[None]:
    """Expect an error of the block, or none."""
    if how is None:
        yield
        return
    with pytest.raises(how):
        yield


def _place(label: str) -> Place:
    memory = MemoryDestination(label)
    plug = UnpluggedDestination(memory)
    plug.down = False
    return Place(memory, plug)


def _execute(memory: Memory, sql: str, *values: object) -> None:
    """Do what the memory program does."""
    with closing(sqlite3.connect(memory.store.path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(sql, values)


def _written(memory: Memory, chunk: Chunk) -> Chunk:
    row = said(chunk)
    cells = [json.encode(value).decode() if isinstance(value, (dict, list)) else value for value in row.values()]
    _execute(memory, f"INSERT INTO chunks ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", *cells)
    return chunk


def _hangs_on(record: AnyRecord, chunk: str) -> bool:
    match record:
        case Chunk():
            return record.id == chunk
        case Edge():
            return chunk in {record.source, record.target}
        case Membership():
            return record.chunk_id == chunk
    return False


TestTwoMachines = TwoMachines.TestCase
TestTwoMachines.settings = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
