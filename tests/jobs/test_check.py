"""check: the newest archive every time, the older ones in turn, and what is found is on record."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from fakes import FaultyDestination, MemoryDestination, UnpluggedDestination
from hypothesis import given
from hypothesis import strategies as st
from workplace import archive

from ecm_agent.destination.base import Stored
from ecm_agent.errors import DestinationRefused, DestinationUnavailable
from ecm_agent.jobs.backup import backup
from ecm_agent.jobs.check import check, share_of, turn
from ecm_agent.jobs.verify import verify_stored
from ecm_agent.retention import Policy
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random
    from typing import BinaryIO

    from workplace import Workplace

    from ecm_agent.jobs.job import Level
    from ecm_agent.model.names import ArchiveName

DAY = timedelta(days=1)
START = datetime(2025, 1, 1, tzinfo=UTC)
NEW_PASSWORD = Secret("another one entirely")


class ColdDestination(MemoryDestination):
    """Lists every archive, and gives none of those that have gone `cold`."""

    cold: frozenset[ArchiveName] = frozenset()

    def open(self, name: ArchiveName) -> BinaryIO:
        if name in self.cold:
            raise DestinationRefused(f"{name} would have to be thawed first.")
        return super().open(name)


def stocked(at: Workplace, count: int = 3) -> list[ArchiveName]:
    """Make archives, a day apart, oldest first."""
    job = at.job(policy=Policy(keep_last=99))
    for _ in range(count):
        assert backup(job, at.context()).exit_code == 0
        at.clock.advance(DAY)
    return sorted(at.memory.archives)


def longer(content: bytes) -> bytes:
    return content + b"\0"


def shorter(content: bytes) -> bytes:
    return content[:-1]


def otherwise_begun(content: bytes) -> bytes:
    return b"PK" + content[2:]


def flipped(content: bytes) -> bytes:
    return content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]


@pytest.mark.parametrize("level", ["quick", "decrypt", "drill"])
def test_good_archives_are_found_good(at: Workplace, level: Level) -> None:
    """Where all is well every level says so, for every archive, and puts it on record."""
    names = stocked(at)
    checked = check(at.job(), at.context(), level, share=1.0)
    assert (checked.exit_code, checked.faults) == (0, "")
    assert sorted(one.archive for one in checked.findings) == [str(name) for name in names]
    assert [(run.exit_code, run.message) for run in at.runs("verify")] == [(0, "")]


@pytest.mark.parametrize("level", ["quick", "decrypt", "drill"])
@pytest.mark.parametrize("damage", [longer, shorter, otherwise_begun])
@pytest.mark.parametrize("which", [0, -1], ids=["oldest", "newest"])
def test_every_level_finds_a_changed_size_and_a_changed_beginning(
    at: Workplace, level: Level, damage: Callable[[bytes], bytes], which: int
) -> None:
    """Even the quick look notices them; the fault is on record, so that no rotation counts on the archive."""
    name = stocked(at)[which]
    at.memory.archives[name] = damage(at.memory.archives[name])
    for each in (check(at.job(), at.context(), level, share=1.0) for _ in range(2)):
        assert each.exit_code in {12, 13}
        assert [one.archive for one in each.findings if one.error] == [str(name)]
        assert not at.history.proofs("memory:")[str(name)].good
        assert at.runs("verify")[-1].exit_code == each.exit_code


@pytest.mark.parametrize("level", ["decrypt", "drill"])
def test_reading_everything_finds_a_flipped_bit(at: Workplace, level: Level) -> None:
    """A bit that flipped in an archive of the right size is found by decrypting it, and is beyond a quick look."""
    name = stocked(at)[-1]
    at.memory.archives[name] = flipped(at.memory.archives[name])
    assert check(at.job(), at.context(), "quick", share=1.0).exit_code == 0
    assert check(at.job(), at.context(), level, share=1.0).exit_code in {12, 13}
    assert not at.history.proofs("memory:")[str(name)].good


def test_a_quick_look_sees_every_size_whatever_the_share(at: Workplace) -> None:
    """An old archive cut short is noticed by the first quick look, not when its turn comes."""
    names = stocked(at, 6)
    at.memory.archives[names[3]] = at.memory.archives[names[3]][:100]
    checked = check(at.job(), at.context(), "quick", share=0.01)
    assert [one.archive for one in checked.findings if one.error] == [str(names[3])]


def test_a_quick_look_is_no_proof(at: Workplace) -> None:
    """What was never decrypted does not become proved by its first bytes."""
    name = stocked(at, 1)[0]
    at.history.forget("memory:", name)
    assert check(at.job(), at.context(), "quick", share=1.0).exit_code == 0
    assert at.history.proofs("memory:") == {}


def test_a_fault_is_gone_once_the_archive_reads_whole_again(at: Workplace) -> None:
    """A fault on record stays until all of the archive has been read and was good."""
    name = stocked(at, 1)[0]
    good = at.memory.archives[name]
    at.memory.archives[name] = good[:-1]
    check(at.job(), at.context(), "quick", share=1.0)
    at.memory.archives[name] = good
    check(at.job(), at.context(), "quick", share=1.0)
    assert not at.history.proofs("memory:")[str(name)].good
    check(at.job(), at.context(), "decrypt", share=1.0)
    assert at.history.proofs("memory:")[str(name)] == at.proof(at.clock.now(), size=len(good))


def test_one_destination_never_hides_another(at: Workplace) -> None:
    """A destination that cannot be listed is one finding; the archives of the others are checked all the same."""
    stocked(at, 2)
    down = UnpluggedDestination(MemoryDestination("bucket:"))
    checked = check(at.job(down, at.memory), at.context(), "decrypt", share=1.0)
    assert checked.exit_code == 15
    assert [(one.label, bool(one.error)) for one in checked.findings] == [
        ("bucket:", True),
        ("memory:", False),
        ("memory:", False),
    ]
    assert "bucket:" in checked.faults


def test_one_archive_never_hides_another(at: Workplace) -> None:
    """A fault in the newest archive does not keep the older ones from being read; a lost connection is no fault."""
    names = stocked(at, 3)
    before = at.history.proofs("memory:")
    place = FaultyDestination(at.memory, {"open": [DestinationUnavailable("No route.")]})
    checked = check(at.job(place), at.context(), "decrypt", share=1.0)
    assert [one.archive for one in checked.findings if one.error] == [str(names[-1])]
    proofs = at.history.proofs("memory:")
    assert proofs[str(names[-1])] == before[str(names[-1])]
    assert {proofs[str(name)].checked_at for name in names[:-1]} == {at.clock.now()}


def test_others_archives_are_not_looked_at(at: Workplace) -> None:
    """Archives of other jobs and hosts in the same place are none of this job's business."""
    stocked(at, 1)
    at.plant(archive(START, job="other"), proved=False)
    at.plant(archive(START, host="desktop"), proved=False)
    checked = check(at.job(), at.context(), "decrypt", share=1.0)
    assert (len(checked.findings), checked.exit_code) == (1, 0)


def test_nothing_to_check_is_well(at: Workplace) -> None:
    """An empty destination has nothing wrong with it that a check could find."""
    assert check(at.job(), at.context(), "drill", share=0.5).exit_code == 0


def test_a_failing_drill_is_on_record(at: Workplace) -> None:
    """A drill that fails is a failed drill and a failed verification on record, with what was wrong."""
    name = stocked(at, 1)[0]
    at.memory.archives[name] = flipped(at.memory.archives[name])
    checked = check(at.job(), at.context(), "drill", share=1.0)
    (drilled,), (verified,) = at.runs("drill"), at.runs("verify")
    assert drilled.exit_code == verified.exit_code == checked.exit_code != 0
    assert str(name) in drilled.message
    assert str(name) in verified.message


def test_only_the_newest_is_drilled(at: Workplace) -> None:
    """A drill restores the newest archive of each destination; the older ones are read."""
    names = stocked(at, 3)
    assert check(at.job(), at.context(), "drill", share=1.0).exit_code == 0
    (drilled,) = at.runs("drill")
    assert str(names[-1]) in drilled.message
    assert {proof.checked_at for proof in at.history.proofs("memory:").values()} == {at.clock.now()}


@given(
    count=st.integers(0, 40),
    share=st.one_of(st.floats(0.01, 1.0), st.integers(1, 60).map(lambda number: 1 / number)),
    order=st.randoms(use_true_random=False),
    known=st.integers(0, 40),
)
def test_after_one_over_share_checks_every_archive_had_its_turn(
    count: int, share: float, order: Random, known: int
) -> None:
    """Whatever was tried before and when, 1/share checks see every archive, and each of them the newest."""
    own = [Stored(archive(START + number * DAY), 1) for number in range(count)]
    some = order.sample(own, min(known, count))
    tried = {str(one.name): START + number * DAY for number, one in enumerate(some)}
    seen = set()
    for number in range(math.ceil(1 / share)):
        chosen = turn(own, tried, share, START + 1000 * DAY)
        assert own[-1:] == chosen[:1]
        assert len(chosen) <= 1 + math.ceil(share * count)
        for one in chosen:
            tried[str(one.name)] = START + (100 + number) * DAY
            seen.add(one)
    assert seen == set(own)


def test_an_archive_from_the_future_is_not_the_newest() -> None:
    """It has its turn as the others have; where there is nothing else, it is the newest all the same."""
    own = [Stored(archive(START + number * DAY), 1) for number in (0, 1, 400)]
    assert turn(own, {}, 0.5, START + 2 * DAY) == [own[1], own[2]]
    assert turn(own[2:], {}, 0.5, START) == own[2:]


def test_shares_cover_the_period(at: Workplace) -> None:
    """Weekly checks that are to cover all within four weeks look at a quarter each; rarer ones at everything."""
    assert share_of(7 * DAY, 28 * DAY) == 0.25
    assert share_of(60 * DAY, 28 * DAY) == 1.0
    names = stocked(at, 5)
    seen = set()
    for _ in range(4):
        at.clock.advance(7 * DAY)
        checked = check(at.job(), at.context(), "decrypt", share=0.25)
        assert len(checked.findings) == 2
        seen |= {one.archive for one in checked.findings}
    assert seen == {str(name) for name in names}


def stocked_anew(at: Workplace, count: int) -> list[ArchiveName]:
    """Make archives with another password than those before, a day apart; gives all there are, oldest first."""
    for _ in range(count):
        assert backup(at.job(policy=Policy(keep_last=99)), at.context(NEW_PASSWORD)).exit_code == 0
        at.clock.advance(DAY)
    return sorted(at.memory.archives)


def turns(at: Workplace, level: Level, *, share: float, checks: int) -> set[str]:
    """Check so many times, a week apart; gives what had its turn."""
    seen = set()
    for _ in range(checks):
        checked = check(at.job(), at.context(NEW_PASSWORD), level, share=share)
        seen |= {one.archive for one in checked.findings}
        at.clock.advance(7 * DAY)
    return seen


@pytest.mark.parametrize("level", ["decrypt", "drill"])
def test_a_change_of_the_password_keeps_no_archive_from_its_turn(at: Workplace, level: Level) -> None:
    """Those sealed with the earlier password are passed in their turn, with a note; all others are read in time."""
    old = stocked(at, 4)
    names = stocked_anew(at, 5)
    before = at.history.proofs("memory:")
    assert turns(at, level, share=0.25, checks=4) == {str(name) for name in names}
    assert [run.exit_code for run in at.runs("verify")] == [0, 0, 0, 0]
    after = at.history.proofs("memory:")
    assert {name: after[str(name)] for name in old} == {name: before[str(name)] for name in old}
    assert all(after[str(name)].checked_at > before[str(name)].checked_at for name in names if name not in old)
    said = " ".join(run.message for run in at.runs("verify"))
    assert all(f"{name}: sealed with an earlier password" in said for name in old)
    assert not any(f"{name}: " in said for name in names if name not in old)


def test_the_newest_has_to_open_with_the_password_of_today(at: Workplace) -> None:
    """A password that opens nothing there is, such as one with a slip in it, is a failure of every check."""
    newest = stocked(at, 2)[-1]
    for _ in range(2):
        checked = check(at.job(), at.context(NEW_PASSWORD), "decrypt", share=1.0)
        assert checked.exit_code == 12
        assert [one.archive for one in checked.findings if one.error] == [str(newest)]
    assert at.history.proofs("memory:")[str(newest)].good


def test_an_older_archive_that_never_was_proved_has_to_open(at: Workplace) -> None:
    """Nothing says that it was sealed with another password: that it does not open is a failure, and stays one."""
    name = stocked(at, 1)[0]
    stocked_anew(at, 1)
    at.history.forget("memory:", name)
    for _ in range(2):
        assert check(at.job(), at.context(NEW_PASSWORD), "decrypt", share=1.0).exit_code == 12


@pytest.mark.parametrize("damage", [shorter, otherwise_begun])
def test_what_cannot_be_read_is_looked_at(at: Workplace, damage: Callable[[bytes], bytes]) -> None:
    """An archive sealed with an earlier password whose size or beginning has changed is a fault, and on record."""
    name = stocked(at, 1)[0]
    stocked_anew(at, 1)
    at.memory.archives[name] = damage(at.memory.archives[name])
    checked = check(at.job(), at.context(NEW_PASSWORD), "decrypt", share=1.0)
    assert (checked.exit_code, [one.archive for one in checked.findings if one.error]) == (13, [str(name)])
    assert not at.history.proofs("memory:")[str(name)].good


@pytest.mark.parametrize("level", ["quick", "decrypt"])
def test_what_cannot_be_read_takes_no_other_archive_its_turn(at: Workplace, level: Level) -> None:
    """Archives in cold storage fail at their turn, and again only when every other one has had its own."""
    at.memory = cold = ColdDestination()
    names = stocked_anew(at, 7)
    cold.cold = frozenset(names[:2])
    seen: list[str] = []
    for _ in range(3):
        checked = check(at.job(), at.context(NEW_PASSWORD), level, share=1 / 3)
        seen += [one.archive for one in checked.findings[:3]]
    assert [run.exit_code for run in at.runs("verify")] == [15, 0, 0]
    assert sorted(seen) == sorted([*map(str, names), str(names[-1]), str(names[-1])])


def test_a_proof_by_hand_counts_as_a_turn(at: Workplace) -> None:
    """What was proved since its last turn waits as long as what had its turn at that time."""
    names = stocked(at, 4)
    check(at.job(), at.context(), "decrypt", share=1.0)
    at.clock.advance(DAY)
    verify_stored(at.memory, names[0], at.context())
    at.clock.advance(DAY)
    checked = check(at.job(), at.context(), "decrypt", share=1 / 3)
    assert [one.archive for one in checked.findings] == [str(names[-1]), str(names[1])]
