"""rotate: what the policy no longer keeps goes, and nothing else ever does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

import builders
import pytest
from fakes import FaultyDestination, MemoryDestination
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec import structs
from workplace import PASSWORD, archive, held_elsewhere

from ecm_agent.errors import DestinationRefused, DestinationUnavailable, EcmError, LockHeld
from ecm_agent.jobs.backup import backup
from ecm_agent.jobs.rotate import rotate, rotate_all
from ecm_agent.model.manifest import Selection
from ecm_agent.model.names import ArchiveName
from ecm_agent.retention import Policy
from ecm_agent.secret import Secret
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from workplace import Workplace

    from ecm_agent.jobs.job import Job

NEW_YEAR = datetime(2025, 1, 1, 2, tzinfo=UTC)
REFUSED = DestinationRefused("memory: refused.")


def days(count: int) -> list[ArchiveName]:
    """Name the archives of so many days up to NEW_YEAR, newest first."""
    return [archive(NEW_YEAR - timedelta(days=day)) for day in range(count)]


def test_a_year_of_daily_backups_leaves_what_was_promised(at: Workplace) -> None:
    """After a year, the last 7 days, the ends of the last 4 weeks and of the last 12 months are there, and no other."""
    at.clock.jump(NEW_YEAR - timedelta(days=365))
    job = at.job(policy=Policy(keep_daily=7, keep_weekly=4, keep_monthly=12))
    for _ in range(366):
        assert backup(job, at.context()).exit_code == 0
        at.clock.advance(timedelta(days=1))
    last = NEW_YEAR.date()
    past = [last - timedelta(days=ago) for ago in range(366)]
    sundays = [day for day in past if day.isoweekday() == 7]
    month_ends = [day for day in past if (day + timedelta(days=1)).day == 1]
    expected = {*past[:7], last, *sundays[:3], *month_ends[:11]}
    assert {name.created.date() for name in at.memory.archives} == expected
    assert len(expected) == 7 + 2 + 10  # the last Sunday and the end of December are among the seven days
    assert date(2024, 2, 29) in expected
    assert set(at.history.proofs("memory:")) == {str(name) for name in at.memory.archives}


def test_what_others_put_there_stays(at: Workplace) -> None:
    """Archives of other jobs and other hosts are neither removed nor counted, however old and however many."""
    others = [archive(NEW_YEAR - timedelta(days=day), job="weekly") for day in range(5)]
    others += [archive(NEW_YEAR - timedelta(days=day), host="laptop-2") for day in range(5)]
    others += [archive(NEW_YEAR - timedelta(days=day), host="lap") for day in range(5)]
    for name in [*others, *days(3)]:
        at.plant(name)
    at.clock.jump(NEW_YEAR)
    rotation = rotate(at.job(), "d0", at.context())
    assert rotation.removed == [str(name) for name in reversed(days(3)[1:])]
    assert set(at.memory.archives) == {*others, days(3)[0]}
    assert [one.candidate.name for one in rotation.decisions] == [str(name) for name in days(3)]


def test_unverified_archives_are_neither_removed_nor_counted(at: Workplace) -> None:
    """An archive that was never read back, or not well, stays, and takes no other's place."""
    names = days(6)
    at.plant(names[0], proved=False)
    at.plant(names[1], fault="Decryption failed")
    at.plant(names[2])
    at.plant(names[3], proved=False)
    at.plant(names[4])
    at.plant(names[5], fault="Archive is damaged")
    at.clock.jump(NEW_YEAR)
    rotation = rotate(at.job(), "d0", at.context())
    assert rotation.removed == [str(names[4])]
    assert set(at.memory.archives) == {*names} - {names[4]}


def test_what_was_proved_elsewhere_is_not_proved_here(at: Workplace) -> None:
    """A proof counts for the destination it was made in: the same names in another one are unverified."""
    other = MemoryDestination("other:")
    for name in days(4):
        at.plant(name)
        at.plant(name, proved=False, destination=other)
    at.clock.jump(NEW_YEAR)
    rotation = rotate(at.job(other), "d0", at.context())
    assert rotation.removed == []
    assert len(other.archives) == 4


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Make any policy that validates."""
    last, hourly, daily, weekly, monthly, yearly = counts = [draw(st.integers(0, 5)) for _ in range(6)]
    within = draw(st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=900)))
    assume(within or any(counts))
    return Policy(last, hourly, daily, weekly, monthly, yearly, within, draw(st.integers(1, 3)))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    policy=policies(),
    proved=st.lists(st.booleans(), min_size=8, max_size=8),
    ahead=st.integers(-100, 100),
)
def test_the_newest_proved_archive_outlives_every_policy(
    at: Workplace, policy: Policy, proved: list[bool], ahead: int
) -> None:
    """Whatever policy, proofs and clock, the newest proved archive stays, and so does every unproved one."""
    names = [archive(NEW_YEAR - timedelta(days=day**2, hours=day)) for day in range(8)]
    for name, good in zip(names, proved, strict=True):
        at.plant(name, proved=good, fault="" if good else "Archive is damaged")
    at.clock.jump(NEW_YEAR + timedelta(days=ahead))
    rotate(at.job(policy=policy), "d0", at.context())
    good_ones = [name for name, good in zip(names, proved, strict=True) if good]
    assert set(good_ones[: policy.keep_minimum]) <= set(at.memory.archives)
    assert set(names) - set(good_ones) <= set(at.memory.archives)


def test_a_dry_run_removes_nothing_and_takes_no_lock(at: Workplace) -> None:
    """A dry run gives the same decisions as the rotation, with reasons, even while another process works on the job."""
    for name in days(3):
        at.plant(name)
    at.clock.jump(NEW_YEAR)
    job = at.job()
    with held_elsewhere(job.lock):
        (planned,) = rotate_all(job, at.context(), dry_run=True)
        with pytest.raises(LockHeld):
            list(rotate_all(job, at.context(), dry_run=False))
    assert len(at.memory.archives) == 3
    assert [one.reasons for one in planned.decisions] == [("last 1",), (), ()]
    assert planned.removed == []
    (done,) = rotate_all(job, at.context(), dry_run=False)
    assert done.decisions == planned.decisions
    assert done.removed == [str(name) for name in reversed(days(3)[1:])]


def test_a_delete_that_fails_is_reported_and_the_others_go_on(at: Workplace) -> None:
    """Of three archives to remove, one that cannot be is named with the reason; the other two are gone."""
    for name in days(4):
        at.plant(name)
    at.clock.jump(NEW_YEAR)
    rotation = rotate(at.job(FaultyDestination(at.memory, {"delete": [None, REFUSED]})), "d0", at.context())
    assert rotation.failures == {str(days(4)[2]): REFUSED.message}
    assert rotation.removed == [str(days(4)[3]), str(days(4)[1])]
    assert set(at.memory.archives) == {days(4)[0], days(4)[2]}
    assert str(days(4)[2]) in at.history.proofs("memory:")


def test_what_the_journal_cannot_forget_is_removed_all_the_same(at: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that is gone counts as removed, and not as one that could not be, when its proof stays behind."""

    def forget(destination: str, name: ArchiveName) -> NoReturn:
        raise EcmError(f"The journal cannot forget {name} in {destination}.")

    for name in days(3):
        at.plant(name)
    at.clock.jump(NEW_YEAR)
    monkeypatch.setattr(at.history, "forget", forget)
    rotation = rotate(at.job(), "d0", at.context())
    assert (rotation.removed, rotation.failures) == ([str(name) for name in reversed(days(3)[1:])], {})
    assert set(at.memory.archives) == {days(3)[0]}


def test_one_destination_out_of_reach_does_not_stop_the_others(at: Workplace) -> None:
    """A destination that cannot be listed is reported with its error; the next one is rotated."""
    for name in days(2):
        at.plant(name)
    at.clock.jump(NEW_YEAR)
    gone = FaultyDestination(MemoryDestination(), {"list": [DestinationUnavailable("No route.", hint="Wait.")]})
    unseen, seen = rotate_all(at.job(gone, at.memory), at.context(), dry_run=False)
    assert (unseen.error, unseen.hint, unseen.exit_code) == ("No route.", "Wait.", 15)
    assert unseen.decisions == []
    assert seen.removed == [str(days(2)[1])]


def test_what_is_gone_is_forgotten(at: Workplace) -> None:
    """The proof of a removed archive goes with it, so that a later one of that name starts without."""
    for name in days(2):
        at.plant(name)
    at.clock.jump(NEW_YEAR)
    rotate(at.job(), "d0", at.context())
    assert set(at.history.proofs("memory:")) == {str(days(2)[0])}


def backed_up(at: Workplace, job: Job, password: Secret = PASSWORD) -> ArchiveName:
    """Back up a day later, and give the archive's name."""
    at.clock.advance(timedelta(days=1))
    name = ArchiveName.parse(backup(job, at.context(password)).archive)
    assert name
    return name


def test_an_empty_store_pushes_out_no_full_archive(at: Workplace) -> None:
    """However many archives of an emptied store follow, the last ones that held memory stay."""
    job = at.job(policy=Policy(keep_last=1))
    full = backed_up(at, job)
    builders.execute(at.store.path, *(f"DELETE FROM {table}" for table in ("edges", "chunk_clusters", "chunks")))
    empty = [backed_up(at, job) for _ in range(3)][-1]
    assert list(at.memory.archives) == [full, empty]


def test_what_was_made_before_the_store_was_found_empty_stays(at: Workplace) -> None:
    """A store that was lost and is filled again has not what it had: its archives never replace those before."""
    job = at.job()
    full = [backed_up(at, job)]
    builders.execute(at.store.path, *(f"DELETE FROM {table}" for table in ("edges", "chunk_clusters", "chunks")))
    empty = backed_up(at, job)
    builders.fill(at.store, [[builders.chunk("n1")]])
    again = [backed_up(at, job) for _ in range(3)]
    assert list(at.memory.archives) == [*full, empty, again[-1]]
    (rotation,) = rotate_all(job, at.context(), dry_run=True)
    reasons = {one.candidate.name: one.reasons for one in rotation.decisions}
    assert reasons[str(full[0])] == ("made before the store was found empty",)


def test_the_newest_is_not_one_from_the_future(at: Workplace) -> None:
    """By an archive that a wrong clock dated years ahead nothing is judged: what it is of says nothing of today's."""
    job = at.job()
    ahead = archive(at.clock.now() + timedelta(days=400))
    at.plant(ahead)
    at.history.record_proof("memory:", ahead, structs.replace(at.proof(ahead.created), key="of another password"))
    name = backed_up(at, job)
    (rotation,) = rotate_all(job, at.context(), dry_run=True)
    reasons = {one.candidate.name: one.reasons for one in rotation.decisions}
    assert reasons[str(name)] == ("last 1",)
    assert "sealed with another password than the newest" in reasons[str(ahead)]


def test_another_store_pushes_out_no_archive_of_this_one(at: Workplace) -> None:
    """A job that was pointed at another store, or at some projects only, keeps what it had of the first."""
    job = at.job(policy=Policy(keep_last=1))
    first = backed_up(at, job)
    other = SqliteStore(at.home / "other.db")
    builders.fill(other, builders.memory())
    second = backed_up(at, replace(job, store=other))
    third = backed_up(at, replace(job, selection=Selection(projects=("tide-tables",))))
    assert list(at.memory.archives) == [first, second, third]
    newest = backed_up(at, job)
    assert list(at.memory.archives) == [second, third, newest]


def test_a_slip_in_the_password_pushes_out_no_archive(at: Workplace) -> None:
    """An archive sealed with another password cannot stand in for one that somebody can open."""
    job = at.job(policy=Policy(keep_last=1))
    good = backed_up(at, job)
    slip = backed_up(at, job, Secret("correct horse battery stable"))
    assert list(at.memory.archives) == [good, slip]
    again = backed_up(at, job)
    assert list(at.memory.archives) == [slip, again]


def test_an_archive_that_changed_its_size_counts_as_unproved(at: Workplace) -> None:
    """What has visibly changed since it was proved neither counts nor goes."""
    job = at.job(policy=Policy(keep_last=1))
    cut = backed_up(at, job)
    at.memory.archives[cut] = at.memory.archives[cut][:-1]
    newest = backed_up(at, job)
    assert list(at.memory.archives) == [cut, newest]
