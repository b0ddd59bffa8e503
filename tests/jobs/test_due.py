"""due: sleep, restarts, clock changes and failures lose no backup, make none twice, and hide nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from fakes import MemoryDestination, UnpluggedDestination
from workplace import held_elsewhere

from ecm_agent.history import History
from ecm_agent.jobs.attend import perform
from ecm_agent.jobs.backup import backup
from ecm_agent.jobs.due import next_run, tasks
from ecm_agent.jobs.job import Verification
from ecm_agent.model.journal import Run
from ecm_agent.retention import Policy
from ecm_agent.schedule import Schedule

if TYPE_CHECKING:
    from workplace import Workplace

    from ecm_agent.destination.base import Destination
    from ecm_agent.jobs.job import Job

BERLIN = ZoneInfo("Europe/Berlin")
TICK = timedelta(seconds=30)
MINUTE = timedelta(minutes=1)
UTC_ZONE = ZoneInfo("UTC")


def nightly(at: Workplace, *places: Destination, text: str = "0 2 * * *", zone: ZoneInfo = UTC_ZONE) -> Job:
    job = at.job(*places, policy=Policy(keep_last=999))
    return replace(job, schedule=Schedule.parse(text, timezone=zone))


def after_a_success(at: Workplace, job: Job, moment: datetime) -> None:
    """Have a backup made at a moment."""
    at.clock.jump(moment)
    assert backup(job, at.context()).exit_code == 0


def begun(at: Workplace, after: datetime) -> list[datetime]:
    """Say when the backups that were not skipped began, since some moment."""
    return [run.started_at for run in at.runs("backup") if run.exit_code != 75 and run.started_at > after]


def skips(at: Workplace, verb: str = "backup") -> list[str]:
    return [run.message for run in at.runs(verb) if run.exit_code == 75]


def test_a_laptop_asleep_over_the_slot_catches_up_once_soon_after_waking(at: Workplace) -> None:
    """Asleep from 01:50 to 07:30, the 02:00 job runs once, at the first look; the next night it is punctual again."""
    job, start = nightly(at), datetime(2025, 3, 1, 2, tzinfo=UTC)
    after_a_success(at, job, start)
    at.clock.jump(datetime(2025, 3, 2, 1, 40, tzinfo=UTC))
    at.pass_time(job, datetime(2025, 3, 2, 1, 50, tzinfo=UTC), TICK)
    assert begun(at, start) == []
    at.clock.jump(datetime(2025, 3, 2, 7, 30, tzinfo=UTC))  # the stopwatch slept as well
    outcomes = at.pass_time(job, datetime(2025, 3, 2, 8, 30, tzinfo=UTC), TICK)
    assert [outcome.status for outcome in outcomes] == ["ok"]
    assert begun(at, start) == [datetime(2025, 3, 2, 7, 30, 30, tzinfo=UTC)]
    assert skips(at) == []
    at.clock.jump(datetime(2025, 3, 3, 1, 50, tzinfo=UTC))
    at.pass_time(job, datetime(2025, 3, 3, 2, 10, tzinfo=UTC), TICK)
    assert begun(at, start)[1:] == [datetime(2025, 3, 3, 2, tzinfo=UTC)]


@pytest.mark.parametrize("day", [datetime(2025, 3, 30, tzinfo=BERLIN), datetime(2025, 10, 26, tzinfo=BERLIN)])
@pytest.mark.parametrize("text", ["30 2 * * *", "0 2 * * *", "0 3 * * *", "@daily"])
def test_the_days_of_the_clock_changes_run_once(at: Workplace, day: datetime, text: str) -> None:
    """In Berlin 02:30 does not exist on one day and comes twice on another: on both the job runs exactly once."""
    job = nightly(at, text=text, zone=BERLIN)
    midnight = day.astimezone(UTC)
    after_a_success(at, job, midnight - timedelta(hours=12))
    at.clock.jump(midnight - MINUTE)
    at.pass_time(job, (day + timedelta(days=1)).astimezone(UTC) - 10 * MINUTE, 10 * MINUTE)
    assert len(begun(at, midnight - timedelta(hours=12))) == 1
    assert skips(at) == []


def test_a_clock_set_back_runs_at_once_and_says_so(at: Workplace) -> None:
    """A success dated in the future proves nothing about today: the job runs at the first look, once."""
    job = nightly(at)
    after_a_success(at, job, datetime(2026, 1, 1, tzinfo=UTC))
    at.clock.jump(datetime(2025, 6, 1, 12, tzinfo=UTC))
    (task,) = tasks([job], at.context())
    assert "backwards" in task.reason
    assert "backwards" in str(task)
    outcomes = at.pass_time(job, datetime(2025, 6, 1, 13, tzinfo=UTC), TICK)
    assert [outcome.status for outcome in outcomes] == ["ok"]
    assert begun(at, datetime.min.replace(tzinfo=UTC))[1:] == [datetime(2025, 6, 1, 12, 0, 30, tzinfo=UTC)]


def test_a_fortnight_powered_off_is_made_good_once_and_on_record(at: Workplace) -> None:
    """Of fourteen slots the last is made good, and the other thirteen are on record as skipped, with the first."""
    job, start = nightly(at), datetime(2025, 3, 1, 2, tzinfo=UTC)
    after_a_success(at, job, start)
    at.history = History(at.state_dir)
    at.clock.jump(datetime(2025, 3, 15, 9, tzinfo=UTC))
    at.pass_time(job, datetime(2025, 3, 15, 11, tzinfo=UTC), TICK)
    assert len(begun(at, start)) == 1
    (skipped,) = skips(at)
    assert "13 slots" in skipped
    assert "2025-03-02 02:00" in skipped


def killed(at: Workplace, job: Job) -> None:
    """Leave what a process leaves that is killed while it backs up: its note that it has begun."""
    at.history.begin_run(job.name, "backup", at.clock.now())


def test_a_run_that_was_killed_is_told_of_and_made_up_for(at: Workplace) -> None:
    """It could not say so itself. A machine that went down is the likeliest cause: the next look tries again."""
    job, start = nightly(at), datetime(2025, 3, 1, 2, tzinfo=UTC)
    after_a_success(at, job, start)
    at.clock.jump(start + timedelta(days=1))
    killed(at, job)
    outcomes = at.pass_time(job, at.clock.now() + timedelta(minutes=10), TICK)
    assert [(outcome.status, outcome.verb) for outcome in outcomes] == [("failed", "backup"), ("ok", "backup")]
    assert "The run that began at 2025-03-02 02:00:00 UTC ended without a word" in outcomes[0].message
    assert at.history.begun(job.name) == {}


def test_a_run_that_is_killed_again_and_again_rests_ever_longer(at: Workplace) -> None:
    """A store too large for the machine's memory must not be exported at every look."""
    job, start = nightly(at), datetime(2025, 3, 1, 2, tzinfo=UTC)
    after_a_success(at, job, start)
    at.clock.jump(start + timedelta(days=1))
    attempts = []
    for _ in range(6 * 120):
        at.clock.advance(TICK)
        for task in tasks([job], at.context()):
            if task.lost:
                perform(task, job, at.context(), at.audience)
            else:
                attempts.append(at.clock.now())
                killed(at, job)
    assert 6 < len(attempts) < 12
    assert attempts[-1] - attempts[-2] >= timedelta(hours=1)


def test_a_run_that_is_under_way_was_not_killed(at: Workplace) -> None:
    """While a process is at the job, that it has not ended says nothing; nor does a run that was asked for at once."""
    job = nightly(at)
    killed(at, job)
    with held_elsewhere(job.lock):
        assert [task.lost for task in tasks([job], at.context())] == [None]
    assert [bool(task.lost) for task in tasks([job], at.context(), at_once=True)] == [True, False]


def test_one_missed_slot_is_on_record_as_one(at: Workplace) -> None:
    """After two nights off one slot is made good, and one skipped."""
    job, start = nightly(at), datetime(2025, 3, 1, 2, tzinfo=UTC)
    after_a_success(at, job, start)
    at.clock.jump(datetime(2025, 3, 3, 9, tzinfo=UTC))
    at.look(job)
    (skipped,) = skips(at)
    assert "the slot 2025-03-02 02:00" in skipped


def test_missed_slots_are_told_once_although_the_run_fails(at: Workplace) -> None:
    """While the job that catches up fails or is skipped again and again, what was missed is not told again."""
    job = nightly(at)
    after_a_success(at, job, datetime(2025, 3, 1, 2, tzinfo=UTC))
    at.clock.jump(datetime(2025, 3, 15, 9, tzinfo=UTC))
    with held_elsewhere(job.lock):
        at.pass_time(job, datetime(2025, 3, 15, 9, 30, tzinfo=UTC), MINUTE)
    content = at.store.path.read_bytes()
    at.store.path.write_bytes(b"no store")
    at.pass_time(job, datetime(2025, 3, 15, 10, 30, tzinfo=UTC), MINUTE)
    at.store.path.write_bytes(content)
    at.pass_time(job, datetime(2025, 3, 15, 12, tzinfo=UTC), MINUTE)
    assert len([message for message in skips(at) if "slots" in message]) == 1
    assert at.runs("backup")[-1].exit_code == 0


def test_a_failing_store_is_tried_again_ever_more_rarely(at: Workplace) -> None:
    """Five minutes after the first failure, then twice as long each time up to an hour, and not at every look."""
    job, start = nightly(at), datetime(2025, 3, 1, 2, tzinfo=UTC)
    after_a_success(at, job, start)
    content = at.store.path.read_bytes()
    at.store.path.write_bytes(b"no store")
    slot = datetime(2025, 3, 2, 2, tzinfo=UTC)
    at.clock.jump(slot - MINUTE)
    at.pass_time(job, slot + timedelta(hours=4), MINUTE)
    assert [(moment - slot) // MINUTE for moment in begun(at, start)] == [0, 5, 15, 35, 75, 135, 195]
    at.store.path.write_bytes(content)
    at.pass_time(job, slot + timedelta(hours=8), MINUTE)
    assert [(moment - slot) // MINUTE for moment in begun(at, start)][7:] == [255]


def test_a_first_run_that_fails_is_not_tried_at_every_look(at: Workplace) -> None:
    """A job that never succeeded is due at once, and after a failure only when it is time to try again."""
    job = nightly(at)
    at.store.path.write_bytes(b"no store")
    start = at.clock.now()
    at.pass_time(job, start + timedelta(minutes=20), TICK)
    assert [moment - start for moment in begun(at, start)] == [TICK, TICK + 5 * MINUTE, TICK + 15 * MINUTE]


def test_a_job_somebody_else_works_on_is_skipped_and_tried_again(at: Workplace) -> None:
    """A skip is on record, is no failure, is not repeated at every look, and the slot is used once it can be."""
    job = nightly(at)
    after_a_success(at, job, datetime(2025, 3, 1, 2, tzinfo=UTC))
    slot = datetime(2025, 3, 2, 2, tzinfo=UTC)
    at.clock.jump(slot - MINUTE)
    with held_elsewhere(job.lock):
        outcomes = at.pass_time(job, slot + timedelta(minutes=12), MINUTE)
    assert {outcome.status for outcome in outcomes} == {"skipped"}
    assert len(skips(at)) == 3
    assert at.history.failures_since_success("nightly", "backup") == 0
    outcomes = at.pass_time(job, slot + timedelta(minutes=30), MINUTE)
    assert [outcome.status for outcome in outcomes] == ["ok"]


def test_a_skipped_check_and_a_skipped_sending_are_not_repeated_at_every_look(at: Workplace) -> None:
    """What else is due behind another process's back waits five minutes as well, and is then done."""
    job = replace(
        nightly(at, UnpluggedDestination(at.memory), MemoryDestination("m:")),
        verification=Verification(Schedule.parse("every 1d", timezone=UTC_ZONE), "quick", timedelta(days=30)),
    )
    backup(job, at.context())
    job = replace(job, schedule=None, destinations={"d0": at.memory, "d1": job.destinations["d1"]})
    start = at.clock.now() + timedelta(hours=25)
    at.clock.jump(start)
    with held_elsewhere(job.lock):
        at.pass_time(job, start + timedelta(minutes=12), MINUTE)
    assert (len(skips(at, "send")), len(skips(at, "verify"))) == (3, 3)
    outcomes = at.pass_time(job, start + timedelta(minutes=30), MINUTE)
    assert [(outcome.verb, outcome.status) for outcome in outcomes] == [("send", "ok"), ("verify", "ok")]


def test_a_bucket_down_all_night_costs_no_second_export(at: Workplace) -> None:
    """The local copy is made and proved at 02:00, the run is partial, and the bucket gets its copy once it is back."""
    bucket = UnpluggedDestination(MemoryDestination("bucket:"))
    job, start = nightly(at, at.memory, bucket), datetime(2025, 3, 1, 2, tzinfo=UTC)
    bucket.down = False
    after_a_success(at, job, start)
    bucket.down = True
    slot = datetime(2025, 3, 2, 2, tzinfo=UTC)
    at.clock.jump(slot - MINUTE)
    (outcome, *retries) = at.pass_time(job, slot + timedelta(hours=6), MINUTE)
    assert (outcome.verb, outcome.status, outcome.exit_code) == ("backup", "partial", 3)
    assert {(retry.verb, retry.status, retry.exit_code) for retry in retries} == {("send", "failed", 15)}
    assert [(retry.started_at - slot) // MINUTE for retry in retries] == [5, 15, 35, 75, 135, 195, 255, 315]
    assert begun(at, start) == [slot]
    assert at.history.proofs("memory:")[outcome.archive].good
    at.history, bucket.down = History(at.state_dir), False
    (sent,) = at.pass_time(job, slot + timedelta(hours=8), MINUTE)
    assert (sent.verb, sent.status) == ("send", "ok")
    assert at.history.proofs("bucket:")[outcome.archive].good
    assert begun(at, start) == [slot]
    assert at.history.pending("nightly") == []


def test_everything_down_all_night_costs_no_second_export_either(at: Workplace) -> None:
    """When no destination can be reached the archive waits, the run failed, and the slot is not exported again."""
    place = UnpluggedDestination(at.memory)
    job = nightly(at, place)
    slot = at.clock.now()
    outcomes = [*at.look(job), *at.pass_time(job, slot + timedelta(hours=3), MINUTE)]
    assert [outcome.verb for outcome in outcomes].count("backup") == 1
    assert {outcome.status for outcome in outcomes} == {"failed"}
    place.down = False
    at.pass_time(job, slot + timedelta(hours=5), MINUTE)
    assert len(at.memory.archives) == 1
    assert len(at.runs("backup")) == 1


def test_backups_come_first(at: Workplace) -> None:
    """Of what is due at one moment, in whatever job, backups are done before sending and checking."""
    verification = Verification(Schedule.parse("every 1d", timezone=UTC_ZONE), "decrypt", timedelta(days=30))
    job = replace(nightly(at, UnpluggedDestination(at.memory)), verification=verification)
    backup(job, at.context())
    at.clock.advance(timedelta(days=3))
    other = replace(job, name="weekly")
    found = [(task.verb, task.job) for task in tasks([job, other], at.context())]
    assert found == [("backup", "nightly"), ("backup", "weekly"), ("send", "nightly"), ("verify", "nightly")]


def test_what_waits_is_counted_in_archives(at: Workplace) -> None:
    """The reason to send counts archives, however many destinations wait for each."""
    places = [UnpluggedDestination(MemoryDestination(f"m{number}:")) for number in range(2)]
    job = at.job(*places)
    reasons = []
    for _ in range(2):
        backup(job, at.context())
        at.clock.advance(timedelta(days=1))
        reasons += [str(task) for task in tasks([job], at.context())]
    assert reasons == [
        "send of nightly: 1 archive waits to be sent",
        "send of nightly: 2 archives wait to be sent",
    ]


def test_checks_count_from_the_first_archive(at: Workplace) -> None:
    """Before there is an archive no check is due; then one interval after the first, and after each check."""
    verification = Verification(Schedule.parse("every 7d", timezone=UTC_ZONE), "decrypt", timedelta(days=30))
    job = replace(nightly(at), verification=verification)
    start = at.clock.now()
    assert [task.verb for task in tasks([job], at.context())] == ["backup"]
    at.look(job)
    at.pass_time(job, start + timedelta(days=22), timedelta(hours=1))
    assert [(run.started_at - start).days for run in at.runs("verify")] == [7, 14, 21]


def test_a_check_that_found_something_is_not_repeated_before_its_time(at: Workplace) -> None:
    """A damaged archive is reported by each check, and makes none of them come earlier."""
    verification = Verification(Schedule.parse("every 7d", timezone=UTC_ZONE), "decrypt", timedelta(days=30))
    job = replace(at.job(), verification=verification)
    start = at.clock.now()
    name = next(iter(at.memory.archives), None) or backup(job, at.context()).archive
    for each in at.memory.archives:
        at.memory.archives[each] = b"damaged"
    at.pass_time(job, start + timedelta(days=15), timedelta(hours=1))
    assert [(run.exit_code, str(name) in run.message) for run in at.runs("verify")] == [(13, True), (13, True)]


def test_without_a_schedule_nothing_is_due(at: Workplace) -> None:
    """A job that is only run by hand is never begun by the agent, and has no next run."""
    assert tasks([at.job()], at.context()) == []
    assert next_run(at.job(), at.context()) is None


def test_the_next_run(at: Workplace) -> None:
    """It is now for a job that never ran, else the first slot after the last archive, past when overdue."""
    job = nightly(at)
    assert next_run(job, at.context()) == at.clock.now()
    after_a_success(at, job, datetime(2025, 3, 1, 12, tzinfo=UTC))
    at.clock.advance(timedelta(days=9))
    assert next_run(job, at.context()) == datetime(2025, 3, 2, 2, tzinfo=UTC)


def test_a_kill_after_noting_what_was_missed_loses_nothing(at: Workplace) -> None:
    """An agent killed right after it noted the missed slots runs the job a little later, and notes nothing twice."""
    job = nightly(at)
    after_a_success(at, job, datetime(2025, 3, 1, 2, tzinfo=UTC))
    at.clock.jump(datetime(2025, 3, 15, 9, tzinfo=UTC))
    now = at.clock.now()
    at.history.record_run(Run("nightly", "backup", now, now, 75, "skipped 13 slots from 2025-03-02 02:00 UTC"))
    outcomes = at.pass_time(job, now + timedelta(minutes=10), TICK)
    assert [outcome.status for outcome in outcomes] == ["ok"]
    assert len(skips(at)) == 1


def test_asked_for_at_once_nothing_rests(at: Workplace) -> None:
    """What failed a moment ago, a backup or a sending, is due to somebody who asks, and later to a tick."""
    job = nightly(at, at.memory, UnpluggedDestination(MemoryDestination("bucket:")))
    at.clock.jump(datetime(2025, 3, 1, 2, tzinfo=UTC))
    assert backup(job, at.context()).exit_code == 3
    assert tasks([job], at.context()) == []
    assert [task.verb for task in tasks([job], at.context(), at_once=True)] == ["send"]
    at.clock.jump(datetime(2025, 3, 2, 2, 1, tzinfo=UTC))
    now = at.clock.now()
    for exit_code in (1, 75):
        History(job.state_dir).record_run(Run(job.name, "backup", now, now, exit_code, "failed, or was skipped"))
        assert "backup" not in [task.verb for task in tasks([job], at.context())]
        assert [task.verb for task in tasks([job], at.context(), at_once=True)] == ["backup", "send"]
