"""backup: an archive counts only once it has been read back, and nothing is let go before."""

from __future__ import annotations

import base64
import io
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

import builders
import pytest
from fakes import FaultyDestination, MemoryDestination, RecordingDestination, UnpluggedDestination
from workplace import PASSWORD, archive

from ecm_agent.archive import Seal, open_archive, write_archive
from ecm_agent.errors import (
    DestinationRefused,
    DestinationUnavailable,
    EcmError,
    PasswordMissing,
    StoreUnreadable,
)
from ecm_agent.history import History
from ecm_agent.jobs import backup as backup_module
from ecm_agent.jobs.backup import BackedUp, backup
from ecm_agent.jobs.compare import differences
from ecm_agent.jobs.deliver import send
from ecm_agent.jobs.export import Exported, export
from ecm_agent.jobs.restore import Terms, restore
from ecm_agent.jobs.safety import Safety
from ecm_agent.jobs.verify import verify
from ecm_agent.model.names import ArchiveName
from ecm_agent.secret import Secret
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from workplace import Workplace

    from ecm_agent.destination.base import Destination
    from ecm_agent.model.journal import Proof
    from ecm_agent.model.manifest import Selection

GONE = DestinationUnavailable("memory: is unavailable: no route.", hint="Look at the cable.")
REFUSED = DestinationRefused("memory: refused.", hint="Look at the rights.")


def the_archive(result: BackedUp) -> ArchiveName:
    name = ArchiveName.parse(result.archive)
    assert name
    return name


def last_run_of(at: Workplace) -> tuple[int, str]:
    run = at.history.last_run("nightly", "backup")
    assert run
    return run.exit_code, run.message


class Log:
    """Notes the stages of a job among other events."""

    def __init__(self, events: list[str]) -> None:
        self._events = events

    def stage(self, title: str, records: int) -> None:
        del records
        self._events.append(title)

    def advance(self, records: int) -> None:
        """Say nothing."""


class LoggedHistory(History):
    """Notes what is put on record among other events."""

    def __init__(self, state_dir: Path, events: list[str]) -> None:
        super().__init__(state_dir)
        self._events = events

    def record_proof(self, destination: str, name: ArchiveName, proof: Proof) -> None:
        self._events.append(f"{destination} on record: {proof.fault or 'good'}")
        super().record_proof(destination, name, proof)


def test_the_order_of_events(at: Workplace) -> None:
    """Snapshot, staged file, proof, put, read back, record, rotation: in that order, destination after destination."""
    events: list[str] = []
    at.progress, at.history = Log(events), LoggedHistory(at.state_dir, events)
    places = [MemoryDestination("a:"), MemoryDestination("b:")]
    for place in places:
        at.plant(archive(datetime(2025, 1, 1, tzinfo=UTC)), destination=place)
    events.clear()
    result = backup(at.job(*(RecordingDestination(place, events) for place in places)), at.context())
    assert result.exit_code == 0
    name = result.archive
    assert events == [
        "a: list",
        "b: list",
        f"Reading {at.store.path}",
        "Checking the archive",
        *("Copying to a:", "a: put", "a: open", f"Reading back {name} from a:", "a: on record: good"),
        *("a: list", "a: delete"),
        *("Copying to b:", "b: put", "b: open", f"Reading back {name} from b:", "b: on record: good"),
        *("b: list", "b: delete"),
    ]


def test_what_is_put_is_what_was_proved(at: Workplace) -> None:
    """The archive in the destination opens with the password, and restores every column of every record."""
    result = backup(at.job(), at.context())
    stored = io.BytesIO(at.memory.archives[the_archive(result)])
    again = SqliteStore(at.home / "again.db")
    restore(stored, again, Safety(None, "laptop"), at.context(), Terms(), source="stored")
    assert differences(at.store, again) == {}
    assert verify(stored, PASSWORD).manifest == result.exported.manifest


def test_an_archive_damaged_while_staged_goes_nowhere(at: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bit that flips on the staging disk is found before anything is put, and the run is on record as failed."""

    def export_badly(*arguments: object, **options: object) -> Exported:
        exported = export(*arguments, **options)  # type: ignore[arg-type] # passed on as they came
        file = arguments[2]
        assert isinstance(file, io.BufferedRandom)
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
        return exported

    monkeypatch.setattr(backup_module, "export", export_badly)
    events: list[str] = []
    with pytest.raises(EcmError) as caught:
        backup(at.job(RecordingDestination(at.memory, events)), at.context())
    assert caught.value.exit_code == 13
    assert events == ["memory: list"]
    assert last_run_of(at) == (13, caught.value.message)


def changed(position: int) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        copy = bytearray(content)
        copy[position] ^= 1
        return bytes(copy)

    return change


MISREADINGS: dict[str, Callable[[bytes], bytes]] = {
    "salt": changed(4),
    "tag": changed(40),
    "first byte": changed(48),
    "middle": changed(1000),
    "last byte": changed(-1),
    "cut short": lambda content: content[:-1],
    "longer": lambda content: content + b"\0",
    "empty": lambda _: b"",
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("misreading", MISREADINGS)
def test_altered_bytes_are_no_backup(at: Workplace, misreading: str) -> None:
    """What does not read back as it was put is no success: on record as a fault, nothing rotated there, exit not 0."""
    old = at.plant(archive(datetime(2025, 1, 1, tzinfo=UTC)))
    result = backup(at.job(FaultyDestination(at.memory, misread=MISREADINGS[misreading])), at.context())
    (delivery,) = result.deliveries
    assert not delivery.verified
    assert delivery.error
    assert delivery.rotation is None
    assert result.exit_code in {12, 13}
    assert at.history.proofs("memory:")[result.archive].fault == delivery.error
    assert old in at.memory.archives
    assert last_run_of(at) == (result.exit_code, delivery.error)
    assert at.history.last_success("nightly", "backup") is None


def test_another_good_archive_is_not_this_one(at: Workplace) -> None:
    """A destination that gives back an older archive, good as it may be, has not kept this one."""
    first = backup(at.job(), at.context())
    older = at.memory.archives[the_archive(first)]
    at.clock.advance(timedelta(days=1))
    result = backup(at.job(FaultyDestination(at.memory, misread=lambda _: older)), at.context())
    assert result.exit_code == 13
    assert result.archive in result.deliveries[0].error
    assert at.history.proofs("memory:")[result.archive].fault
    assert the_archive(first) in at.memory.archives


def sealed_anew(content: bytes) -> bytes:
    """Give an archive of the very same records under another seal."""
    archive, again = open_archive(io.BytesIO(content), PASSWORD), io.BytesIO()
    write_archive(again, archive.manifest, archive.batches(), seal=Seal.draw(PASSWORD), compression="none")
    assert verify(again, PASSWORD).records == verify(io.BytesIO(content), PASSWORD).records
    return again.getvalue()


def test_the_same_records_under_another_seal_are_not_this_archive(at: Workplace) -> None:
    """Records are not counted again where an archive is kept, so it must be the one of which they were, to the byte."""
    result = backup(at.job(FaultyDestination(at.memory, misread=sealed_anew)), at.context())
    assert result.exit_code == 13
    assert "another archive" in result.deliveries[0].error
    assert at.history.proofs("memory:")[result.archive].fault


@pytest.mark.parametrize("script", [{"put": [GONE]}, {"open": [GONE]}, {"list": [GONE], "put": [GONE]}], ids=str)
@pytest.mark.parametrize("failing", [0, 1, 2])
def test_one_destination_never_stops_another(at: Workplace, script: dict[str, list[EcmError]], failing: int) -> None:
    """Whichever destination fails and however, the others get their archive, proof and rotation; the exit code is 3."""
    memories = [MemoryDestination(f"m{number}:") for number in range(3)]
    for memory in memories:
        at.plant(archive(datetime(2025, 1, 1, tzinfo=UTC)), destination=memory)
    places: list[Destination] = [*memories]
    places[failing] = FaultyDestination(memories[failing], script)
    result = backup(at.job(*places), at.context())
    assert result.exit_code == 3
    assert [delivery.verified for delivery in result.deliveries] == [number != failing for number in range(3)]
    bad = result.deliveries[failing]
    assert (bad.label, bad.error, bad.hint, bad.exit_code) == (f"m{failing}:", GONE.message, GONE.hint, 15)
    for number, memory in enumerate(memories):
        if number != failing:
            assert list(memory.archives) == [the_archive(result)]
            assert at.history.proofs(memory.label)[result.archive].good
    assert archive(datetime(2025, 1, 1, tzinfo=UTC)) in memories[failing].archives
    assert last_run_of(at) == (3, GONE.message)


def test_when_all_fail_the_failure_is_the_exit_code(at: Workplace) -> None:
    """With no destination left, the run ends with the failure's own exit code and names every failure."""
    places = [FaultyDestination(MemoryDestination(), {"put": [error]}) for error in (GONE, REFUSED)]
    result = backup(at.job(*places), at.context())
    assert result.exit_code == 15
    assert last_run_of(at) == (15, f"{GONE.message}; {REFUSED.message}")


def test_a_store_that_cannot_be_read_fails_the_run(at: Workplace) -> None:
    """A missing store is raised as what it is, on record as a failed run, and no destination hears of it."""
    at.store.path.unlink()
    with pytest.raises(StoreUnreadable) as caught:
        backup(at.job(), at.context())
    assert at.memory.archives == {}
    assert last_run_of(at) == (14, caught.value.message)


def test_a_backup_needs_a_password(at: Workplace) -> None:
    """Without a password nothing is written anywhere: what lies in a destination is always encrypted."""
    with pytest.raises(PasswordMissing):
        backup(at.job(), at.context(password=None))
    assert at.memory.archives == {}


@pytest.mark.parametrize("trouble", ["none", "store", "put", "misread"])
def test_staging_holds_only_what_still_has_to_be_sent(at: Workplace, trouble: str) -> None:
    """An archive that did not arrive waits in the staging directory, private; otherwise nothing is left there."""
    fates: dict[str, list[EcmError | None]] = {"put": [GONE]} if trouble == "put" else {}
    misread = MISREADINGS["middle"] if trouble == "misread" else None
    if trouble == "store":
        at.store.path.write_bytes(b"no database")
    with pytest.raises(StoreUnreadable) if trouble == "store" else nullcontext():
        backup(at.job(FaultyDestination(at.memory, fates, misread=misread)), at.context())
    staging = at.state_dir / "staging"
    waiting = [(path.name, path.stat().st_mode & 0o777) for path in staging.iterdir()]
    assert waiting == ([(one.archive, 0o600) for one in at.history.pending("nightly")])
    assert len(waiting) == (trouble in {"put", "misread"})
    assert staging.stat().st_mode & 0o777 == 0o700


def test_no_plaintext_outside_the_store(at: Workplace) -> None:
    """No piece of memory, no id and no password is in any byte that a run leaves in a destination or a state file."""
    secret = "a content to be known again"
    batches = builders.memory()
    batches[0] = [builders.chunk("c3", content=secret), builders.chunk("c1", content=secret * 9)]
    builders.fill(at.store, batches)
    backup(at.job(), at.context())
    everything = [*at.memory.archives.values(), *at.files().values()]
    assert len(everything) >= 2
    words = [secret.encode(), PASSWORD.utf8(), b"tide-tables", b"session of c1", b"ecm-archive"]
    for word in [*words, *(base64.b64encode(word)[:-4] for word in words)]:
        assert not [content for content in everything if word in content]
    assert any(secret.encode() in path.read_bytes() for path in at.home.glob("memory.db*"))


def test_an_archive_is_named_after_its_job_host_and_time(at: Workplace) -> None:
    """The name is <job>-<host>-<YYYYMMDDTHHMMSSZ>.ecm, in UTC, and the archive says the same time."""
    at.clock.jump(datetime(2025, 3, 30, 1, 59, 59, 999_999, tzinfo=UTC))
    result = backup(at.job(), at.context())
    assert result.archive == "nightly-laptop-20250330T015959Z.ecm"
    assert result.exported.manifest.created == "2025-03-30T01:59:59.000Z"


def test_backups_of_one_second_have_names_of_their_own(at: Workplace) -> None:
    """Two runs within a second make two archives; the second is named a second later, in every destination."""
    one, other = MemoryDestination("one:"), MemoryDestination("other:")
    first = backup(at.job(one), at.context())
    second = backup(at.job(one, other), at.context())
    assert first.archive == "nightly-laptop-20250301T120000Z.ecm"
    assert second.archive == "nightly-laptop-20250301T120001Z.ecm"
    assert second.exit_code == 0
    assert list(other.archives) == [the_archive(second)]


@pytest.mark.parametrize("back", [timedelta(seconds=1), timedelta(seconds=10), timedelta(minutes=4, seconds=59)])
def test_after_a_small_correction_of_the_clock_the_newest_is_newest_by_name(at: Workplace, back: timedelta) -> None:
    """Rotation goes by names: the archive just made must never be the one that gives way."""
    first = backup(at.job(), at.context())
    at.clock.jump(at.clock.now() - back)
    second = backup(at.job(), at.context())
    assert list(at.memory.archives) == [the_archive(second)]
    assert the_archive(second).created > the_archive(first).created


def test_after_a_large_one_the_clock_is_believed(at: Workplace) -> None:
    """A day back is no correction: the name says what the clock says, and nothing is removed until it has caught up."""
    backup(at.job(), at.context())
    at.clock.jump(at.clock.now() - timedelta(days=1))
    second = backup(at.job(), at.context())
    assert second.archive == "nightly-laptop-20250228T120000Z.ecm"
    assert len(at.memory.archives) == 2


def test_no_name_lies_before_one_that_is_there(at: Workplace) -> None:
    """Runs that follow one another closely are ahead of the clock, and a second that is free again is not taken."""
    names = [the_archive(backup(at.job(), at.context())) for _ in range(4)]
    at.clock.advance(timedelta(seconds=1))
    names.append(the_archive(backup(at.job(), at.context())))
    assert names == sorted(names)
    assert list(at.memory.archives) == names[-1:]


def test_a_name_that_a_destination_out_of_reach_holds_is_not_given_again(at: Workplace) -> None:
    """When the clock is set back, the next archive can still be sent to a destination that was out of reach then."""
    far = UnpluggedDestination(MemoryDestination("far"))
    far.down = False
    first = backup(at.job(at.memory, far), at.context())
    at.memory.archives.clear()
    far.down = True
    again = backup(at.job(at.memory, far), at.context())
    assert again.archive != first.archive
    far.down = False
    assert send(at.job(at.memory, far), at.context()).exit_code == 0


def test_a_clock_set_back_removes_nothing(at: Workplace) -> None:
    """With the clock years behind, a backup is made and proved, and every archive from the future stays."""
    kept = [at.plant(archive(datetime(2025, 1, day, tzinfo=UTC))) for day in range(1, 20)]
    at.clock.jump(datetime(1999, 12, 31, 23, 59, tzinfo=UTC))
    result = backup(at.job(), at.context())
    assert result.exit_code == 0
    assert sorted(at.memory.archives) == sorted([*kept, the_archive(result)])


def test_a_clock_set_ahead_is_outlived(at: Workplace) -> None:
    """A clock years ahead makes one archive; once it is right again nothing is removed until it has caught up."""
    at.plant(archive(datetime(2025, 2, 28, tzinfo=UTC)))
    at.clock.jump(datetime(2035, 1, 1, tzinfo=UTC))
    ahead = backup(at.job(), at.context())
    assert list(at.memory.archives) == [the_archive(ahead)]
    at.clock.jump(datetime(2025, 3, 1, 12, tzinfo=UTC))
    again = backup(at.job(), at.context())
    assert again.exit_code == 0
    assert sorted(at.memory.archives) == sorted([the_archive(ahead), the_archive(again)])


def test_a_rotation_that_fails_does_not_unmake_the_backup(at: Workplace) -> None:
    """When older archives cannot be listed or deleted, the new one is proved all the same; the exit code is 3."""
    old = at.plant(archive(datetime(2025, 1, 1, tzinfo=UTC)))
    for script in ({"list": [None, GONE]}, {"delete": [GONE]}):
        at.clock.advance(timedelta(days=1))
        result = backup(at.job(FaultyDestination(at.memory, script)), at.context())
        (delivery,) = result.deliveries
        assert delivery.verified
        assert delivery.rotation
        assert GONE.message in {delivery.rotation.error, *delivery.rotation.failures.values()}
        assert result.exit_code == 3
        assert at.history.proofs("memory:")[result.archive].good
        assert old in at.memory.archives


def test_tables_that_cannot_be_archived_make_it_partial(at: Workplace) -> None:
    """A store with rows that cannot be archived is backed up as far as it goes; the exit code is 3."""
    builders.execute(at.store.path, "CREATE VIRTUAL TABLE boxes USING rtree(id, low, high)")
    builders.execute(at.store.path, "INSERT INTO boxes VALUES (1, 0, 1), (2, 0, 1)")
    result = backup(at.job(), at.context())
    assert result.exported.gaps == {"boxes": 2}
    assert result.deliveries[0].verified
    assert result.exit_code == 3


def test_every_archive_has_a_seal_of_its_own(at: Workplace) -> None:
    """Two backups of the same store share neither salt nor nonce nor tag."""
    backup(at.job(one := MemoryDestination("one:")), at.context())
    backup(at.job(other := MemoryDestination("other:")), at.context(Secret("correct horse battery staple")))
    (first,), (second,) = one.archives.values(), other.archives.values()
    assert first[:4] == second[:4]
    assert first[4:20] != second[4:20]
    assert first[20:32] != second[20:32]
    assert first[32:48] != second[32:48]


def test_a_journal_that_fails_as_well_does_not_hide_what_came_first(at: Workplace) -> None:
    """When a run fails and that cannot even be put on record, the failure itself is what is said."""
    job = at.job()

    class Breaking(SqliteStore):
        def snapshot(self, selection: Selection, created: str) -> NoReturn:
            del selection, created
            (job.state_dir / "history.db").unlink()
            (job.state_dir / "history.db").mkdir()
            raise StoreUnreadable("The store has gone.")

    with pytest.raises(StoreUnreadable, match="has gone"):
        backup(replace(job, store=Breaking(at.home / "memory.db")), at.context())
