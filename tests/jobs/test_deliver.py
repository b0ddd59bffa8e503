"""deliver: what cannot arrive now waits on disk and is sent later, from what was exported once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO

import pytest
from fakes import FaultyDestination, MemoryDestination, RecordingDestination, UnpluggedDestination
from workplace import PASSWORD

from ecm_agent.archive import fingerprint
from ecm_agent.errors import DestinationUnavailable, EcmError
from ecm_agent.history import History
from ecm_agent.jobs.backup import backup
from ecm_agent.jobs.deliver import keep_within_bound, retry_at, send, staged_path, waiting_now
from ecm_agent.model.journal import Pending
from ecm_agent.model.names import ArchiveName
from ecm_agent.retention import Policy
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from workplace import Workplace

    from ecm_agent.jobs.job import Job

NIGHT = timedelta(days=1)
NEW_PASSWORD = Secret("another one entirely")
LOST_ANSWER = DestinationUnavailable("No answer.")


class Stages:
    """Keeps the titles of stages."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    def stage(self, title: str, records: int) -> None:
        del records
        self.titles.append(title)

    def advance(self, records: int) -> None:
        """Say nothing."""


class GarblingDestination(MemoryDestination):
    """Damages the first archive that is put."""

    garbles = True

    def put(self, name: ArchiveName, source: BinaryIO) -> None:
        super().put(name, source)
        if self.garbles:
            self.archives[name] = self.archives[name][:-1] + b"!!"
            self.garbles = False


class UnwritableHistory(History):
    """A journal that does not take what is `refused`, such as "expect d0" or "settle d1"."""

    refused: frozenset[str] = frozenset()

    def expect(self, pending: Pending) -> None:
        self._refuse(f"expect {pending.destination}")
        super().expect(pending)

    def settle(self, job: str, archive: str, destination: str) -> None:
        self._refuse(f"settle {destination}")
        super().settle(job, archive, destination)

    def _refuse(self, what: str) -> None:
        if what in self.refused:
            raise EcmError("The journal is full.")


class ForgetfulDestination(MemoryDestination):
    """Takes the first archive that is put, and breaks off before it says so."""

    breaks = True

    def put(self, name: ArchiveName, source: BinaryIO) -> None:
        super().put(name, source)
        if self.breaks:
            self.breaks = False
            raise LOST_ANSWER


def nights(at: Workplace, job: Job, count: int) -> list[ArchiveName]:
    """Back up on some nights; gives the names of the archives."""
    names = []
    for _ in range(count):
        name = ArchiveName.parse(backup(job, at.context()).archive)
        assert name
        names.append(name)
        at.clock.advance(NIGHT)
    return names


def staged(at: Workplace) -> list[str]:
    return sorted(path.name for path in (at.state_dir / "staging").iterdir())


def keeping_all(at: Workplace, *places: MemoryDestination | FaultyDestination | RecordingDestination) -> Job:
    return at.job(*places, policy=Policy(keep_last=99))


def test_send_brings_what_waited_oldest_first_without_an_export(at: Workplace) -> None:
    """Archives that could not be sent wait, private, and are sent in the order of their age from what lies there."""
    events: list[str] = []
    place = UnpluggedDestination(at.memory)
    job = keeping_all(at, place)
    names = nights(at, job, 3)
    content = [staged_path(job, name).read_bytes() for name in names]
    assert {staged_path(job, name).stat().st_mode & 0o777 for name in names} == {0o600}
    place.down, at.history, at.progress = False, History(at.state_dir), Stages()
    sent = send(keeping_all(at, RecordingDestination(at.memory, events)), at.context())
    assert (sent.exit_code, [one.archive for one in sent.deliveries]) == (0, [str(name) for name in names])
    assert list(at.memory.archives) == names
    assert list(at.memory.archives.values()) == content
    assert all(at.history.proofs("memory:")[str(name)].good for name in names)
    assert not [title for title in at.progress.titles if title.startswith("Reading /")]
    assert staged(at) == []
    assert at.history.pending("nightly") == []
    assert [run.exit_code for run in at.runs("send")] == [0]


def test_the_next_run_catches_up(at: Workplace) -> None:
    """The first run that reaches a destination again sends its own archive and what waited, with one export."""
    place = UnpluggedDestination(at.memory)
    job = keeping_all(at, place)
    waited = nights(at, job, 2)
    place.down, at.history, at.progress = False, History(at.state_dir), Stages()
    result = backup(job, at.context())
    assert result.exit_code == 0
    assert [one.archive for one in result.caught_up] == [str(name) for name in waited]
    assert len(at.memory.archives) == 3
    assert at.progress.titles.count(f"Reading {at.store.path}") == 1
    assert staged(at) == []


def test_a_destination_still_out_of_reach_is_not_asked_for_what_waits(at: Workplace) -> None:
    """A run that cannot deliver its own archive does not try the older ones as well."""
    place = UnpluggedDestination(at.memory)
    job = keeping_all(at, place)
    first, _ = nights(at, job, 2)
    (one,) = [one for one in at.history.pending("nightly") if one.archive == str(first)]
    assert one.attempts == 1


def test_the_wait_before_a_retry_doubles_up_to_an_hour(at: Workplace) -> None:
    """Five minutes after the first failure, then twice as long each time, at most an hour."""
    job = at.job(UnpluggedDestination(at.memory))
    backup(job, at.context())
    waits = []
    for _ in range(7):
        (one,) = at.history.pending("nightly")
        wait = retry_at(one) - at.clock.now()
        waits.append(wait // timedelta(minutes=1))
        at.clock.advance(wait - timedelta(seconds=1))
        assert waiting_now(job, at.context()) == []
        at.clock.advance(timedelta(seconds=1))
        assert waiting_now(job, at.context()) == [one]
        send(job, at.context())
    assert waits == [5, 10, 20, 40, 60, 60, 60]


def test_attempts_without_end_overflow_nothing(at: Workplace) -> None:
    """After years of failures the wait is still an hour."""
    now = at.clock.now()
    assert retry_at(Pending("nightly", "a", "d0", now, 10**6, now, "")) == now + timedelta(hours=1)


def test_a_clock_set_back_does_not_hold_up_sending(at: Workplace) -> None:
    """An attempt dated in the future is no reason to wait for that future."""
    job = at.job(UnpluggedDestination(at.memory))
    backup(job, at.context())
    at.clock.jump(at.clock.now() - timedelta(days=400))
    assert len(waiting_now(job, at.context())) == 1


def test_a_staged_file_that_vanished_is_given_up(at: Workplace) -> None:
    """What is no longer on disk cannot be sent: that is on record as a failed run, once, and nothing waits for it."""
    place = UnpluggedDestination(at.memory)
    job = at.job(place)
    (name,) = nights(at, job, 1)
    staged_path(job, name).unlink()
    place.down = False
    assert send(job, at.context()).exit_code == 1
    assert at.history.pending("nightly") == []
    assert str(name) in at.runs("send")[0].message
    assert send(job, at.context()).exit_code == 0


def test_a_destination_gone_from_the_configuration_is_given_up(at: Workplace) -> None:
    """What waits for a destination that is no longer configured is given up on record, and its staged file goes."""
    job = at.job(MemoryDestination("m0:"), UnpluggedDestination(at.memory))
    (name,) = nights(at, job, 1)
    fewer = replace(job, destinations={"d0": job.destinations["d0"]})
    assert waiting_now(fewer, at.context())
    sent = send(fewer, at.context())
    assert [(one.archive, one.destination) for one in sent.deliveries] == [(str(name), "d1")]
    assert at.history.pending("nightly") == []
    assert waiting_now(fewer, at.context()) == []
    assert "d1" in at.runs("send")[0].message
    assert staged(at) == []


def test_the_staged_file_goes_when_the_last_destination_has_it(at: Workplace) -> None:
    """Of two destinations out of reach, the first that has the archive leaves the staged file for the second."""
    places = [UnpluggedDestination(MemoryDestination(f"m{number}:")) for number in range(2)]
    job = at.job(MemoryDestination("m:"), *places)
    assert backup(job, at.context()).exit_code == 3
    (name,) = staged(at)
    places[0].down = False
    assert send(job, at.context()).exit_code == 3
    assert staged(at) == [name]
    assert [one.destination for one in at.history.pending("nightly")] == ["d2"]
    places[1].down = False
    assert send(job, at.context()).exit_code == 0
    assert staged(at) == []


def test_an_attempt_whose_answer_was_lost_is_recognised(at: Workplace) -> None:
    """Where the archive has arrived without anybody hearing of it, the next attempt finds and proves it."""
    place = ForgetfulDestination()
    job = at.job(place)
    result = backup(job, at.context())
    assert result.deliveries[0].error == LOST_ANSWER.message
    assert send(job, at.context()).exit_code == 0
    assert at.history.proofs("memory:")[result.archive].good
    assert staged(at) == []


def test_another_archive_under_the_name_is_a_fault_and_stays(at: Workplace) -> None:
    """A name taken by something else is never overwritten nor freed by us, however often it is tried."""
    place = UnpluggedDestination(at.memory)
    job = at.job(place)
    (name,) = nights(at, job, 1)
    at.memory.archives[name] = foreign = b"somebody else's"
    place.down = False
    for _ in range(2):
        assert send(job, at.context()).exit_code == 13
        assert at.memory.archives == {name: foreign}
    assert staged(at) == [str(name)]
    assert [one.attempts for one in at.history.pending("nightly")] == [3]


def test_another_good_archive_under_the_name_stays_as_well(at: Workplace) -> None:
    """An archive that opens, but holds something else, is not taken for ours and is left where it is."""
    older = MemoryDestination("older:")
    (first,) = nights(at, at.job(older), 1)
    place = UnpluggedDestination(at.memory)
    job = at.job(place)
    (name,) = nights(at, job, 1)
    at.memory.archives[name] = older.archives[first]
    place.down = False
    assert send(job, at.context()).exit_code == 13
    assert at.memory.archives[name] == older.archives[first]


def test_what_arrives_damaged_makes_room_for_the_next_attempt(at: Workplace) -> None:
    """An archive damaged on its way is removed again, is no success, and the next attempt puts it whole."""
    place = GarblingDestination()
    job = at.job(place)
    result = backup(job, at.context())
    assert result.exit_code in {12, 13}
    assert place.archives == {}
    assert staged(at) == [result.archive]
    assert send(job, at.context()).exit_code == 0
    assert [str(name) for name in place.archives] == [result.archive]
    assert at.history.proofs("memory:")[result.archive].good


def test_a_staged_file_damaged_while_it_waited_is_not_sent(at: Workplace) -> None:
    """What has been lying is proved again before it is sent anywhere."""
    place = UnpluggedDestination(at.memory)
    job = at.job(place)
    (name,) = nights(at, job, 1)
    content = bytearray(staged_path(job, name).read_bytes())
    content[-1] ^= 1
    staged_path(job, name).write_bytes(content)
    place.down = False
    assert send(job, at.context()).exit_code in {12, 13}
    assert at.memory.archives == {}


def test_a_staged_file_that_cannot_be_read_stops_nothing_else(at: Workplace) -> None:
    """Trouble with the staging disk is one delivery's fault; the next archive is sent all the same."""
    place = UnpluggedDestination(at.memory)
    job = at.job(place)
    first, second = nights(at, job, 2)
    staged_path(job, first).unlink()
    staged_path(job, first).mkdir()
    place.down = False
    sent = send(job, at.context())
    assert sent.exit_code == 3
    assert str(staged_path(job, first)) in sent.faults
    assert list(at.memory.archives) == [second]


@pytest.mark.parametrize("lost", ["journal", "entries"])
def test_staged_archives_nobody_knows_of_are_sent_all_the_same(at: Workplace, lost: str) -> None:
    """After a kill between staging and noting it, or the loss of the journal, the next run sends what lies there."""
    place = UnpluggedDestination(at.memory)
    job = keeping_all(at, place)
    (name,) = nights(at, job, 1)
    if lost == "journal":
        (at.state_dir / "history.db").unlink()
    else:
        at.history.settle("nightly", str(name), "d0")
    foreign = at.state_dir / "staging" / str(replace(name, job="other"))
    foreign.write_bytes(b"another job's")
    place.down = False
    result = backup(job, at.context())
    assert [one.archive for one in result.caught_up] == [str(name)]
    assert len(at.memory.archives) == 2
    assert staged(at) == [foreign.name]


def sizes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_the_bound_drops_the_oldest_never_the_newest(at: Workplace, kept: int) -> None:
    """Of what waits the newest stay, as many as there is room for and at least one; each drop is on record."""
    job = keeping_all(
        at, UnpluggedDestination(MemoryDestination("m0:")), UnpluggedDestination(MemoryDestination("m1:"))
    )
    names = nights(at, job, 4)
    size = sizes(at.state_dir / "staging") // 4
    narrow = replace(job, staging_bytes=kept * (size + 20))
    dropped = keep_within_bound(narrow, at.context())
    stay = names[-max(kept, 1) :]
    gone = [str(name) for name in names if name not in stay]
    assert sorted(dropped) == gone
    assert staged(at) == [str(name) for name in stay]
    assert {one.archive for one in at.history.pending("nightly")} == {str(name) for name in stay}
    messages = [run.message for run in at.runs("send") if run.exit_code == 1]
    assert len(messages) == 2 * len(gone)
    assert all(any(name in message and "dropped" in message for message in messages) for name in gone)
    assert keep_within_bound(narrow, at.context()) == []


def test_a_run_keeps_within_the_bound(at: Workplace) -> None:
    """A backup that adds to what waits drops what no longer fits, and never its own archive."""
    job = replace(at.job(UnpluggedDestination(at.memory)), staging_bytes=1)
    names = nights(at, job, 2)
    assert staged(at) == [str(names[-1])]


def test_names_of_one_job_sort_by_time(at: Workplace) -> None:
    """What waits is given oldest first whatever the order in which it began to wait."""
    names = nights(at, at.job(UnpluggedDestination(at.memory)), 3)
    for name in reversed(names):
        now = at.clock.now()
        at.history.expect(Pending("nightly", str(name), "d0", now, 1, now, ""))
    assert [one.archive for one in at.history.pending("nightly")] == [str(name) for name in names]


def test_the_bound_counts_time_whatever_the_host_is_called(at: Workplace) -> None:
    """After the host was given another name the newest still stays, though its name sorts before the older one's."""
    job = replace(at.job(UnpluggedDestination(at.memory)), host="zeta", staging_bytes=1)
    nights(at, job, 1)
    (name,) = nights(at, replace(job, host="alpha"), 1)
    assert staged(at) == [str(name)]
    assert [one.archive for one in at.history.pending("nightly")] == [str(name)]


def waiting_with_an_earlier_password(at: Workplace, place: UnpluggedDestination) -> tuple[Job, ArchiveName, bytes]:
    """Have an archive wait, and the password changed; gives its job, its name and its bytes. The place is back."""
    job = keeping_all(at, place)
    (name,) = nights(at, job, 1)
    place.down = False
    return job, name, staged_path(job, name).read_bytes()


@pytest.mark.parametrize("sent_by", ["backup", "send"])
def test_what_waited_when_the_password_changed_arrives(at: Workplace, sent_by: str) -> None:
    """It is read back byte for byte, and on record as proved with the password it was proved with, not with today's."""
    job, name, content = waiting_with_an_earlier_password(at, UnpluggedDestination(at.memory))
    if sent_by == "send":
        deliveries = send(job, at.context(NEW_PASSWORD)).deliveries
    else:
        deliveries = backup(job, at.context(NEW_PASSWORD)).caught_up
    assert [(one.archive, one.error, one.decrypted) for one in deliveries] == [(str(name), "", False)]
    assert at.memory.archives[name] == content
    assert at.history.proofs("memory:")[str(name)] == at.proof(at.clock.now(), size=len(content))
    assert staged(at) == []
    assert at.history.pending("nightly") == []
    assert at.history.staged(str(name)) is None


def test_an_archive_of_an_earlier_password_goes_on_waiting_like_any_other(at: Workplace) -> None:
    """A destination out of reach once more makes no difference, and when it is back the archive arrives."""
    place = UnpluggedDestination(at.memory)
    job, name, _ = waiting_with_an_earlier_password(at, place)
    place.down = True
    assert send(job, at.context(NEW_PASSWORD)).exit_code == 15
    place.down = False
    assert send(job, at.context(NEW_PASSWORD)).exit_code == 0
    assert list(at.memory.archives) == [name]


def test_an_archive_of_an_earlier_password_is_sent_with_that_one_as_well(at: Workplace) -> None:
    """With the password it was sealed with it is decrypted where it arrives, whatever was tried meanwhile."""
    place = UnpluggedDestination(at.memory)
    job, name, _ = waiting_with_an_earlier_password(at, place)
    place.down = True
    send(job, at.context(NEW_PASSWORD))
    place.down = False
    (delivery,) = send(job, at.context()).deliveries
    assert (delivery.error, delivery.decrypted) == ("", True)
    assert at.history.proofs("memory:")[str(name)].good


def test_a_staged_file_of_an_earlier_password_that_was_damaged_is_not_sent(at: Workplace) -> None:
    """One bit is enough: it is no longer what was proved, and the hint says which file to remove."""
    job, name, content = waiting_with_an_earlier_password(at, UnpluggedDestination(at.memory))
    staged_path(job, name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (delivery,) = send(job, at.context(NEW_PASSWORD)).deliveries
    assert delivery.exit_code == 13
    assert str(staged_path(job, name)) in delivery.hint
    assert at.memory.archives == {}
    staged_path(job, name).unlink()
    send(job, at.context(NEW_PASSWORD))
    assert at.history.pending("nightly") == []


def test_what_was_damaged_before_it_began_to_wait_is_not_noted_as_proved(at: Workplace) -> None:
    """What is noted of a staged file is what opens, not what is found there when the sending has failed."""

    class Damaging(UnpluggedDestination):
        def put(self, name: ArchiveName, source: BinaryIO) -> None:
            path = staged_path(job, name)
            path.write_bytes(path.read_bytes()[:-1])
            super().put(name, source)

    job = at.job(Damaging(at.memory))
    (name,) = nights(at, job, 1)
    assert at.history.staged(str(name)) is None


def test_what_arrives_otherwise_than_it_was_sent_makes_room_with_an_earlier_password_too(at: Workplace) -> None:
    """Bytes damaged on their way are found by comparing, and removed; the next attempt puts them whole."""
    garbling = GarblingDestination()
    garbling.garbles = False
    place = UnpluggedDestination(garbling)
    job, name, content = waiting_with_an_earlier_password(at, place)
    garbling.garbles = True
    assert send(job, at.context(NEW_PASSWORD)).exit_code == 13
    assert garbling.archives == {}
    assert not at.history.proofs("memory:")[str(name)].good
    assert send(job, at.context(NEW_PASSWORD)).exit_code == 0
    assert garbling.archives == {name: content}
    assert at.history.proofs("memory:")[str(name)].key == fingerprint(PASSWORD, at.history.salt())


def test_an_archive_nobody_knows_anything_of_needs_its_own_password(at: Workplace) -> None:
    """Where the journal that knew it is lost, nothing proves it but its password; what to do is said, and works."""
    job, name, _ = waiting_with_an_earlier_password(at, UnpluggedDestination(at.memory))
    (at.state_dir / "history.db").unlink()
    (delivery,) = backup(job, at.context(NEW_PASSWORD)).caught_up
    assert delivery.exit_code == 12
    assert "ecm-agent run --once" in delivery.hint
    assert str(staged_path(job, name)) in delivery.hint
    assert send(job, at.context()).exit_code == 0
    assert staged(at) == []


@pytest.mark.parametrize("refused", ["expect d0", "expect d1", "settle d0", "settle d1"])
@pytest.mark.parametrize("down", [None, 0, 1])
def test_a_journal_that_fails_stops_no_delivery(at: Workplace, refused: str, down: int | None) -> None:
    """Whatever it does not take is said, the other destination has its archive, and the next run makes it good."""
    at.history = journal = UnwritableHistory(at.state_dir)
    memories = [MemoryDestination(f"m{number}:") for number in range(2)]
    places = [UnpluggedDestination(memory) for memory in memories]
    for number, place in enumerate(places):
        place.down = number == down
    job = keeping_all(at, *places)
    journal.refused = frozenset({refused})
    result = backup(job, at.context())
    for number, (one, memory) in enumerate(zip(result.deliveries, memories, strict=True)):
        away = number == down
        unnoted = refused == f"{'expect' if away else 'settle'} d{number}"
        assert bool(one.error) == (away or unnoted)
        assert ("The journal is full." in one.error) == unnoted
        assert [str(name) for name in memory.archives] == ([] if away else [result.archive])
    journal.refused, places[0].down, places[1].down = frozenset(), False, False
    backup(job, at.context())
    assert all(result.archive in map(str, memory.archives) for memory in memories)
    assert at.history.pending("nightly") == []
    assert staged(at) == []


def test_a_drop_that_cannot_be_noted_leaves_the_file(at: Workplace) -> None:
    """What the journal still has as waiting is not removed from under it."""
    at.history = journal = UnwritableHistory(at.state_dir)
    job = keeping_all(at, UnpluggedDestination(at.memory))
    names = nights(at, job, 2)
    journal.refused = frozenset({"settle d0"})
    keep_within_bound(replace(job, staging_bytes=1), at.context())
    assert staged(at) == [str(name) for name in names]
    journal.refused = frozenset()
    keep_within_bound(replace(job, staging_bytes=1), at.context())
    assert staged(at) == [str(names[1])]
