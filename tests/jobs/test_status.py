"""list and status: what is kept where, and what is known of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fakes import FaultyDestination, MemoryDestination
from workplace import archive

from ecm_agent.errors import DestinationUnavailable
from ecm_agent.history import Run
from ecm_agent.jobs.status import kept_in, status_of

if TYPE_CHECKING:
    from workplace import Workplace

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
    status = status_of(at.job(), at.history)
    assert (status.last_run, status.last_success) == (None, None)
    (place,) = status.destinations
    assert (place.archives, place.bytes, place.newest_verified, place.faults, place.error) == (0, 0, None, {}, "")


def test_a_failed_run_does_not_hide_the_last_success(at: Workplace) -> None:
    """The last run is the last one; the last success is the last that ended with 0, so not a partial one."""
    for each in (run(1, 0), run(2, 3), run(3, 14)):
        at.history.record_run(each)
    status = status_of(at.job(), at.history)
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
    (place,) = status_of(at.job(), at.history).destinations
    assert place.archives == 4
    assert place.newest_verified
    assert place.newest_verified.name == str(day(2))
    assert place.faults == {str(day(3)): "Archive is damaged"}


def test_a_destination_out_of_reach_is_reported(at: Workplace) -> None:
    """What cannot be seen is said to be so, and the other destinations are shown."""
    at.plant(day(1))
    gone = FaultyDestination(MemoryDestination("nas:"), {"list": [DestinationUnavailable("nas: is unavailable.")]})
    unseen, seen = status_of(at.job(gone, at.memory), at.history).destinations
    assert (unseen.label, unseen.error, unseen.newest_verified) == ("nas:", "nas: is unavailable.", None)
    assert (seen.archives, seen.error) == (1, "")
