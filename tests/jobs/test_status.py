"""list and status: what is kept where, and what is known of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from fakes import FaultyDestination, MemoryDestination
from msgspec import structs
from workplace import archive

from ecm_agent.errors import DestinationUnavailable
from ecm_agent.jobs.status import PATIENCE, kept_in, status_of
from ecm_agent.model.journal import Pending, Run
from ecm_agent.schedule import Schedule

if TYPE_CHECKING:
    from workplace import Workplace

    from ecm_agent.jobs.job import Job
    from ecm_agent.model.names import ArchiveName


def day(number: int, *, job: str = "nightly", host: str = "laptop") -> ArchiveName:
    return archive(datetime(2025, 2, number, tzinfo=UTC), job=job, host=host)


def run(number: int, exit_code: int) -> Run:
    moment = datetime(2025, 2, number, tzinfo=UTC)
    return Run("nightly", "backup", moment, moment, exit_code, "")


def test_the_list_has_every_archive_with_its_last_proof(at: Workplace) -> None:
    """Archives of every job and host are listed, oldest first, each as proved, faulty or not yet checked."""
    at.plant(day(3), proved=False)
    at.plant(day(1, job="weekly", host="server"))
    at.plant(day(2), fault="Archive is damaged")
    kept = kept_in("memory", at.memory, at.history)
    assert [(one.name, one.job, one.host, one.verified, one.fault) for one in kept] == [
        ("weekly-server-20250201T000000Z.ecm", "weekly", "server", True, ""),
        ("nightly-laptop-20250202T000000Z.ecm", "nightly", "laptop", False, "Archive is damaged"),
        ("nightly-laptop-20250203T000000Z.ecm", "nightly", "laptop", False, ""),
    ]
    assert [one.checked_at for one in kept] == [day(1).created, day(2).created, None]
    assert {one.bytes for one in kept} == {len(next(iter(at.memory.archives.values())))}


def test_a_job_without_a_past(at: Workplace) -> None:
    """Before the first run there is no last run, no success, and nothing in the destination."""
    status = status_of(at.job(), at.context())
    assert (status.last_run, status.last_success) == (None, None)
    (place,) = status.destinations
    assert (place.archives, place.bytes, place.newest_verified, place.faults, place.error) == (0, 0, None, {}, "")


def test_a_failed_run_does_not_hide_the_last_success(at: Workplace) -> None:
    """The last run is the last one; the last success is the last that ended with 0, so not a partial one."""
    for each in (run(1, 0), run(2, 3), run(3, 14)):
        at.history.record_run(each)
    status = status_of(at.job(), at.context())
    assert status.last_run == run(3, 14)
    assert status.last_success == run(1, 0)


def test_only_this_job_and_host_count(at: Workplace) -> None:
    """Numbers, newest proof and faults are those of the job's own archives on this host."""
    at.plant(day(1))
    at.plant(day(2))
    at.plant(day(3), fault="Archive is damaged")
    at.plant(day(4), proved=False)
    at.plant(day(5, job="weekly"))
    at.plant(day(6, host="server"), fault="Archive is damaged")
    (place,) = status_of(at.job(), at.context()).destinations
    assert place.archives == 4
    assert place.newest_verified
    assert place.newest_verified.name == str(day(2))
    assert place.faults == {str(day(3)): "Archive is damaged"}


def test_an_archive_from_the_future_is_reported(at: Workplace) -> None:
    """It is not the newest, and all is not well: while it is there nothing is removed."""
    at.plant(day(1))
    ahead = at.plant(archive(at.clock.now() + timedelta(days=400)))
    status = status_of(at.job(), at.context())
    (place,) = status.destinations
    assert place.newest_verified
    assert (place.newest_verified.name, place.ahead, status.well) == (str(day(1)), [str(ahead)], False)


def test_a_destination_out_of_reach_is_reported(at: Workplace) -> None:
    """What cannot be seen is said to be so, and the other destinations are shown."""
    at.plant(day(1))
    gone = FaultyDestination(MemoryDestination("nas:"), {"list": [DestinationUnavailable("nas: is unavailable.")]})
    unseen, seen = status_of(at.job(gone, at.memory), at.context()).destinations
    assert (unseen.label, unseen.error, unseen.newest_verified) == ("nas:", "nas: is unavailable.", None)
    assert (seen.archives, seen.error) == (1, "")


def scheduled(job: Job, text: str) -> Job:
    return replace(job, schedule=Schedule.parse(text, timezone=ZoneInfo("UTC")))


def test_a_scheduled_job_without_a_proof_is_overdue(at: Workplace) -> None:
    """Where nothing is proved yet, something is missing; of a job that runs by hand nothing is."""
    status = status_of(scheduled(at.job(), "@daily"), at.context())
    assert status.destinations[0].overdue == "nothing is proved here yet"
    assert not status.well
    assert status_of(at.job(), at.context()).well


def test_overdue_is_what_is_older_than_the_longest_pause(at: Workplace) -> None:
    """A daily job may be a day and some patience old, a job of working days only a weekend; then it is overdue."""
    at.plant(day(7))  # a Friday
    for text, allowed in (("@daily", timedelta(days=1)), ("0 0 * * 1-5", timedelta(days=3))):
        job = scheduled(at.job(), text)
        at.clock.jump(day(7).created + allowed + PATIENCE)
        assert status_of(job, at.context()).well
        at.clock.advance(timedelta(hours=2))
        assert status_of(job, at.context()).destinations[0].overdue == "a proved archive is missing for 2 h 0 min"


def test_a_newer_archive_that_is_not_proved_does_not_count(at: Workplace) -> None:
    """What was stored but never read back leaves the job overdue."""
    at.plant(day(1))
    at.plant(day(7), proved=False)
    at.clock.jump(day(7).created)
    assert status_of(scheduled(at.job(), "@daily"), at.context()).destinations[0].overdue


def test_a_run_that_made_nothing_is_not_well(at: Workplace) -> None:
    """A failed run is told until the next one; one whose archive only had to wait is well once it has arrived."""
    failed = run(1, 14)
    at.history.record_run(failed)
    assert not status_of(at.job(), at.context()).well
    at.history.record_run(structs.replace(failed, exit_code=15, archive=str(day(1))))
    assert status_of(at.job(), at.context()).well
    at.history.expect(Pending("nightly", str(day(1)), "d0", day(1).created, 1, day(1).created, "No route."))
    assert not status_of(at.job(), at.context()).well


def drilled(at: Workplace, number: int, label: str, exit_code: int = 0) -> None:
    """Put a drill of four seconds on record."""
    began, name = day(number).created, str(day(number))
    message = f"{name} in {label}" + (": Archive is damaged" if exit_code else "")
    ended = began + timedelta(seconds=4.2)
    at.history.record_run(Run("nightly", "drill", began, ended, exit_code, message, name))


def test_the_last_proven_restore_is_the_last_that_went_well(at: Workplace) -> None:
    """With the seconds it took and how long ago it was; before the first there is none."""
    assert status_of(at.job(), at.context()).last_proven_restore is None
    drilled(at, 1, "memory:")
    drilled(at, 2, "memory:", exit_code=13)
    at.clock.jump(datetime(2025, 2, 4, 0, 0, 4, 200_000, tzinfo=UTC))
    proven = status_of(at.job(), at.context()).last_proven_restore
    assert proven is not None
    assert (proven.archive, proven.seconds, proven.age_seconds) == (f"{day(1)} in memory:", 4.2, 3 * 86400)


def test_a_destination_whose_last_drill_failed_is_not_well(at: Workplace) -> None:
    """Whatever the drills of other destinations found since; once one goes well there, it is well again."""
    job = at.job(MemoryDestination("a:"), MemoryDestination("a:b"))
    drilled(at, 1, "a:", exit_code=13)
    drilled(at, 1, "a:b")
    status = status_of(job, at.context())
    assert not status.well
    assert [one.drill_fault for one in status.destinations] == [f"{day(1)} in a:: Archive is damaged", ""]
    drilled(at, 2, "a:")
    assert status_of(job, at.context()).well
    drilled(at, 2, "a:b", exit_code=15)
    drilled(at, 3, "a:")
    assert not status_of(job, at.context()).well
    assert status_of(at.job(MemoryDestination("a:")), at.context()).well
