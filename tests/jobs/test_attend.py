"""attend: one run with everything around it, and one outcome that says how it went."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
import spoiled
from fakes import ManualClock, RecordingDestination, UnpluggedDestination
from workplace import PASSWORD, held_elsewhere

from ecm_agent.errors import HookFailed, LockHeld, PasswordMissing, StoreUnreadable
from ecm_agent.jobs.attend import attend, refuse
from ecm_agent.jobs.job import Job, Verification
from ecm_agent.jobs.progress import Silent
from ecm_agent.lock import held
from ecm_agent.notification.apprise_urls import Recipients
from ecm_agent.notification.around import Around
from ecm_agent.notification.hooks import Hooks
from ecm_agent.notification.notices import Notices
from ecm_agent.notification.ping import Ping
from ecm_agent.schedule import Schedule
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from web import Web
    from workplace import Workplace

    from ecm_agent.destination.base import Listing
    from ecm_agent.jobs.due import Verb
    from ecm_agent.model.outcome import Outcome

VERBS: list[Verb] = ["backup", "send", "verify"]
TELL = """
import os, socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as channel:
    channel.sendall(f"GET /hook/{os.environ['ECM_AGENT_HOOK_WHEN']} HTTP/1.0\\r\\n\\r\\n".encode())
    channel.recv(9)
sys.exit(int(sys.argv[2]))
"""


def telling(web: Web, status: int = 0) -> list[str]:
    """Give a command that tells the web server when it is run, and ends with a status."""
    return [sys.executable, "-S", "-c", TELL, web.address.rpartition(":")[2], str(status)]


def surrounded(at: Workplace, web: Web, *, before: int = 0, after: int = 0, job: Job | None = None) -> Job:
    """Give a job with a hook of every kind and a ping; all of them tell the web server."""
    hooks = Hooks(
        before=[telling(web, before)],
        after=[telling(web, after)],
        on_failure=[telling(web)],
        lastly=[telling(web)],
    )
    ping = Ping(Secret(f"{web.address}/ping"), pauses=(0.0, 0.0))
    return replace(job or at.job(), around=Around(hooks, ping))


BEGIN = ["GET /hook/before", "POST /ping/start"]


def test_all_goes_well(at: Workplace, web: Web) -> None:
    """Before, start ping, the run, after, finally, success ping: in that order."""
    outcome = attend(surrounded(at, web), "backup", at.context(), at.audience)
    assert (outcome.status, outcome.exit_code, outcome.message) == ("ok", 0, "")
    assert outcome.archive == str(next(iter(at.memory.archives)))
    assert web.asked == [*BEGIN, "GET /hook/after", "GET /hook/finally", "POST /ping"]
    assert (at.audience.outcomes, at.audience.errors, at.audience.problems) == ([outcome], [], [])
    assert json.loads(web.bodies[-1])["outcome"] == "ok"


def test_the_work_lies_between(at: Workplace, web: Web) -> None:
    """The start ping is sent before anything is put, and the hooks after it hear when all of it is done."""
    place = RecordingDestination(at.memory, web.asked)
    attend(surrounded(at, web, job=at.job(place)), "backup", at.context(), at.audience)
    work = [number for number, event in enumerate(web.asked) if event.startswith("memory:")]
    assert web.asked[: min(work)] == BEGIN
    assert web.asked[max(work) + 1 :] == ["GET /hook/after", "GET /hook/finally", "POST /ping"]


def test_a_failed_run(at: Workplace, web: Web) -> None:
    """on_failure in the place of after, and the ping gets the exit code; the error is heard before the outcome."""
    at.store.path.write_bytes(b"no store")
    outcome = attend(surrounded(at, web), "backup", at.context(), at.audience)
    assert (outcome.status, outcome.exit_code) == ("failed", 14)
    assert web.asked == [*BEGIN, "GET /hook/on_failure", "GET /hook/finally", "POST /ping/14"]
    (error,) = at.audience.errors
    assert isinstance(error, StoreUnreadable)
    assert outcome.message == error.message
    assert [run.exit_code for run in at.runs("backup")] == [14]


def test_a_partial_run(at: Workplace, web: Web) -> None:
    """A run that did not reach every destination is no success to those who watch."""
    job = at.job(at.memory, UnpluggedDestination(at.memory))
    outcome = attend(surrounded(at, web, job=job), "backup", at.context(), at.audience)
    assert (outcome.status, outcome.exit_code) == ("partial", 3)
    assert outcome.archive
    assert "no route" in outcome.message
    assert web.asked == [*BEGIN, "GET /hook/on_failure", "GET /hook/finally", "POST /ping/3"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_before_hook_can_ask_to_skip(at: Workplace, web: Web, verb: Verb) -> None:
    """Exit status 75 leaves the run out: nothing is touched, the reason is on record, nobody is pinged."""
    outcome = attend(surrounded(at, web, before=75), verb, at.context(), at.audience)
    assert (outcome.status, outcome.exit_code) == ("skipped", 75)
    assert at.memory.archives == {}
    assert web.asked == ["GET /hook/before", "GET /hook/finally"]
    (run,) = at.runs(verb)
    assert (run.exit_code, run.message) == (75, outcome.message)
    assert "asked to skip" in run.message


@pytest.mark.parametrize("verb", VERBS)
def test_a_failing_before_hook_fails_the_run(at: Workplace, web: Web, verb: Verb) -> None:
    """What has to be done first was not: nothing is touched, and the failure is told and on record."""
    events: list[str] = []
    job = surrounded(at, web, before=7, job=at.job(RecordingDestination(at.memory, events)))
    outcome = attend(job, verb, at.context(), at.audience)
    assert (outcome.status, outcome.exit_code) == ("failed", 1)
    assert events == []
    assert web.asked == ["GET /hook/before", "GET /hook/on_failure", "GET /hook/finally", "POST /ping/1"]
    assert isinstance(at.audience.errors[0], HookFailed)
    (run,) = at.runs(verb)
    assert (run.exit_code, run.message) == (1, outcome.message)


def test_a_before_hook_that_fails_or_skips_is_not_run_at_every_look(at: Workplace, web: Web) -> None:
    """A job kept from running by its hook is tried again after five minutes, and then ever more rarely if it fails."""
    schedule = Schedule.parse("0 2 * * *", timezone=ZoneInfo("UTC"))
    for status, times in ((75, 5), (7, 3)):
        web.asked.clear()
        job = replace(surrounded(at, web, before=status), schedule=schedule)
        at.pass_time(job, at.clock.now() + timedelta(minutes=24), timedelta(seconds=30))
        assert web.asked.count("GET /hook/before") == times
        at.clock.advance(timedelta(minutes=60))


def test_an_after_hook_that_fails_makes_it_partial(at: Workplace, web: Web) -> None:
    """The backup is as good as it was, but not everything went well; the problem is heard of."""
    outcome = attend(surrounded(at, web, after=9), "backup", at.context(), at.audience)
    assert (outcome.status, outcome.exit_code) == ("partial", 3)
    assert len(at.memory.archives) == 1
    assert web.asked[-1] == "POST /ping/3"
    assert outcome.message in at.audience.problems


def test_pings_that_are_not_heard_change_nothing(at: Workplace) -> None:
    """A dead-man's switch out of reach is a problem to hear of, and neither failure nor delay of a backup."""
    around = Around(ping=Ping(Secret("http://127.0.0.1:9/x"), pauses=(0.0, 0.0)))
    outcome = attend(replace(at.job(), around=around), "backup", at.context(), at.audience)
    assert outcome.status == "ok"
    assert len(at.audience.problems) == 2


@pytest.mark.parametrize("verb", VERBS)
def test_a_job_another_process_works_on_is_skipped(at: Workplace, web: Web, verb: Verb) -> None:
    """Somebody else is at it: a skip with its reason on record, no failure, and no hook or ping comes between."""
    job = surrounded(at, web)
    with held_elsewhere(job.lock):
        outcome = attend(job, verb, at.context(), at.audience)
        with pytest.raises(LockHeld, match="nightly"):
            raise at.audience.errors[0]
    assert (outcome.status, outcome.exit_code) == ("skipped", 11)
    (run,) = at.runs(verb)
    assert run.exit_code == 75
    assert "Another process" in run.message
    assert at.memory.archives == {}
    assert web.asked == []


def test_who_is_told_of_every_run_is_told_of_one_that_another_process_kept_from_beginning(
    at: Workplace, web: Web
) -> None:
    """A message disturbs nobody's work: the occasion "always" has it."""
    urls = [Secret(web.address.replace("http://", "json://") + "/inbox")]
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    told = Notices(Recipients(urls, environ=environ), at.state_dir, ["always"])
    job = replace(at.job(), around=Around(notices=told))
    with held_elsewhere(job.lock):
        attend(job, "backup", at.context(), at.audience)
    assert web.asked == ["POST /inbox"]


def test_what_is_refused_while_another_process_is_at_it_disturbs_nothing(at: Workplace, web: Web) -> None:
    """Not even a run that could not be begun runs the hooks that belong to somebody else's."""
    job = surrounded(at, web)
    with held_elsewhere(job.lock):
        outcome = refuse(job, "backup", PasswordMissing("There is no password."), at.context(None), at.audience)
    assert outcome.status == "skipped"
    assert web.asked == []


def test_every_hook_runs_under_the_lock_of_the_job(at: Workplace) -> None:
    """From before the first hook until after the last no other process can work on the job; then the lock is free."""
    job = at.job()
    script = (
        "import os, pathlib, sys\nfrom ecm_agent.errors import LockHeld\nfrom ecm_agent.lock import held\n"
        "try:\n    with held(pathlib.Path(sys.argv[1]), 'the job'): pass\n"
        "except LockHeld: pathlib.Path(sys.argv[2], os.environ['ECM_AGENT_HOOK_WHEN']).touch()"
    )
    command = [[sys.executable, "-c", script, str(job.lock), str(at.home)]]
    hooks = Hooks(before=command, after=command, on_failure=command, lastly=command, environ=dict(os.environ))
    for _ in range(2):
        attend(replace(job, around=Around(hooks)), "backup", at.context(), at.audience)
        at.store.path.unlink(missing_ok=True)
    assert all((at.home / when).exists() for when in ("before", "after", "on_failure", "finally"))
    with held(job.lock, "the job"):
        pass


class Interrupting(Silent):
    """Has an exception come while the archive is written, as a signal's handler does."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def stage(self, title: str, records: int) -> None:
        del title, records
        raise self._error


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "Interrupted."),
        (SystemExit(143), 143, "Terminated."),
        (ZeroDivisionError(PASSWORD), 1, "An error that was not expected ended it (ZeroDivisionError)."),
    ],
    ids=["Ctrl-C", "SIGTERM", "a mistake"],
)
def test_what_cuts_a_run_short_is_a_failure_and_goes_on_its_way(
    at: Workplace, web: Web, error: BaseException, code: int, message: str
) -> None:
    """On record, told by the hooks that follow a failure and by the ping, and then raised as what it is."""
    at.progress = Interrupting(error)
    with pytest.raises(type(error)) as caught:
        attend(surrounded(at, web), "backup", at.context(), at.audience)
    assert caught.value is error
    assert web.asked == [*BEGIN, "GET /hook/on_failure", "GET /hook/finally", f"POST /ping/{code}"]
    (run,) = at.runs("backup")
    assert (run.exit_code, run.message) == (code, message)
    (outcome,) = at.audience.outcomes
    assert (outcome.status, outcome.exit_code, outcome.message) == ("failed", code, message)


def test_what_a_signal_ended_is_made_up_for_at_once(at: Workplace) -> None:
    """A run that was told to end is no failure to rest from, and an unfinished check is no check."""
    daily = Schedule.parse("every 1d", timezone=ZoneInfo("UTC"))
    job = replace(at.job(), schedule=daily, verification=Verification(daily, "decrypt", timedelta(days=30)))
    for verb in ("backup", "verify"):
        quiet, at.progress = at.progress, Interrupting(SystemExit(143))
        with pytest.raises(SystemExit):
            at.look(job)
        at.progress = quiet
        assert [(outcome.verb, outcome.status) for outcome in at.look(job)] == [(verb, "ok")]
        at.clock.advance(timedelta(hours=25))
        job = replace(job, schedule=None)


def test_a_sending_that_a_signal_ended_is_made_up_for_at_once(at: Workplace) -> None:
    """What waits to be sent does not wait for the rest that a sending which could not begin is given."""
    place = UnpluggedDestination(at.memory)
    job = at.job(place)
    attend(job, "backup", at.context(), at.audience)
    place.down = False
    at.clock.advance(timedelta(minutes=10))
    quiet, at.progress = at.progress, Interrupting(SystemExit(143))
    with pytest.raises(SystemExit):
        at.look(job)
    at.progress = quiet
    assert [(outcome.verb, outcome.status) for outcome in at.look(job)] == [("send", "ok")]


def test_of_two_agents_at_once_one_works(at: Workplace) -> None:
    """An agent that begins while the first is at work touches nothing; one archive is made."""
    inner: list[Outcome] = []

    class Meanwhile(RecordingDestination):
        def list(self) -> Listing:
            if not inner:
                inner.append(attend(job, "backup", at.context(), at.audience))
            return super().list()

    job = at.job(Meanwhile(at.memory, []))
    outer = attend(job, "backup", at.context(), at.audience)
    assert (outer.status, [one.status for one in inner]) == ("ok", ["skipped"])
    assert len(at.memory.archives) == 1
    assert [run.exit_code for run in at.runs("backup")] == [75, 0]


def test_a_run_that_may_wait_waits_for_its_turn(at: Workplace) -> None:
    """With time to wait, the second run begins when the first has ended."""
    job = at.job()
    with held_elsewhere(job.lock) as holder:

        def end_of_the_other() -> None:
            if at.clock.monotonic() > 30:
                holder.kill()
                holder.wait()

        at.clock.woken = end_of_the_other
        outcome = attend(job, "backup", at.context(), at.audience, wait=60.0)
    assert outcome.status == "ok"
    assert 30 < outcome.seconds < 40


@pytest.mark.parametrize("verb", VERBS)
def test_an_unusable_state_directory_is_an_outcome(at: Workplace, web: Web, verb: Verb) -> None:
    """Even where nothing can be put on record, the run ends with an outcome, and those who watch are told."""
    at.state_dir.write_bytes(b"a file in its place")
    outcome = attend(surrounded(at, web), verb, at.context(), at.audience)
    assert outcome.status == "failed"
    assert web.asked == ["GET /hook/on_failure", "GET /hook/finally", f"POST /ping/{outcome.exit_code}"]
    assert at.audience.outcomes == [outcome]
    (error,) = at.audience.errors
    assert str(at.state_dir) in error.message
    assert "state_dir" in error.hint


@pytest.mark.parametrize("before", [7, 75])
def test_a_hook_whose_end_cannot_be_recorded_is_an_outcome(at: Workplace, web: Web, before: int) -> None:
    """The full disk of the journal hides neither failure nor skip; that it was not recorded is heard of."""
    (at.state_dir / "history.db").mkdir(parents=True)
    outcome = attend(surrounded(at, web, before=before), "backup", at.context(), at.audience)
    assert outcome.status == {7: "failed", 75: "skipped"}[before]
    assert "GET /hook/finally" in web.asked
    assert any("journal" in problem for problem in at.audience.problems)


def test_without_a_password_the_outcome_says_so(at: Workplace) -> None:
    """A missing password fails the run, as any other error of ours does."""
    outcome = attend(at.job(), "backup", at.context(password=None), at.audience)
    assert (outcome.status, outcome.exit_code) == ("failed", 2)


def test_an_outcome_tells_the_time_it_took(at: Workplace) -> None:
    """Seconds are those of the stopwatch, whatever happens to the clock on the wall meanwhile."""

    class Slow:
        def stage(self, title: str, records: int) -> None:
            del title, records
            at.clock.advance(timedelta(seconds=10))
            at.clock.jump(ManualClock().now() - timedelta(days=1))

        def advance(self, records: int) -> None:
            """Say nothing."""

    at.progress = Slow()
    outcome = attend(at.job(), "backup", at.context(), at.audience)
    assert outcome.seconds >= 30
    assert outcome.started_at == ManualClock().now()
    assert outcome.finished_at == at.clock.now()


def test_a_check_does_what_the_verification_says(at: Workplace) -> None:
    """Level and share come from the job; a job without a verification has everything decrypted."""
    job = at.job()
    attend(job, "backup", at.context(), at.audience)
    weekly = Schedule.parse("every 7d", timezone=ZoneInfo("UTC"))
    drilled = replace(job, verification=Verification(weekly, "drill", timedelta(days=28)))
    assert attend(job, "verify", at.context(), at.audience).status == "ok"
    assert at.runs("drill") == []
    assert attend(drilled, "verify", at.context(), at.audience).status == "ok"
    assert len(at.runs("drill")) == 1


def test_a_check_that_finds_a_fault_fails(at: Workplace, web: Web) -> None:
    """A fault found by a scheduled check is told like any failure, and names the archive."""
    job = surrounded(at, web)
    archive = attend(job, "backup", at.context(), at.audience).archive
    for name in at.memory.archives:
        at.memory.archives[name] = b"damaged"
    web.asked.clear()
    outcome = attend(job, "verify", at.context(), at.audience)
    assert (outcome.status, outcome.exit_code) == ("failed", 13)
    assert archive in outcome.message
    assert web.asked == ["GET /hook/before", "GET /hook/on_failure", "GET /hook/finally", "POST /ping/13"]


def test_a_drill_that_fails_is_told(at: Workplace, web: Web) -> None:
    """A scheduled drill that fails, of an archive that decrypts, is told by hooks, ping and message, and names it."""
    urls = [Secret(web.address.replace("http://", "json://") + "/inbox")]
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    job = surrounded(at, web)
    attend(job, "backup", at.context(), at.audience)
    (name,) = at.memory.archives
    at.memory.archives[name] = spoiled.dangling(at.memory.archives[name], PASSWORD.utf8().decode())
    weekly = Schedule.parse("every 7d", timezone=ZoneInfo("UTC"))
    notices = Notices(Recipients(urls, environ=environ), at.state_dir)
    told = replace(job.around, notices=notices)
    job = replace(job, verification=Verification(weekly, "drill", timedelta(days=28)), around=told)
    web.asked.clear()
    web.bodies.clear()
    outcome = attend(job, "verify", at.context(), at.audience)
    assert (outcome.status, outcome.exit_code) == ("failed", 13)
    assert f"{name}: The edge" in outcome.message
    assert web.asked == [
        "GET /hook/before",
        "GET /hook/on_failure",
        "GET /hook/finally",
        "POST /ping/13",
        "POST /inbox",
    ]
    message = json.loads(web.bodies[-1])
    assert message["type"] == "failure"
    assert outcome.message in message["message"]


def test_a_check_that_goes_well_does_not_ping(at: Workplace, web: Web) -> None:
    """A dead-man's switch hears of a success only from a backup, and of a failure from whatever fails."""
    job = surrounded(at, web)
    attend(job, "backup", at.context(), at.audience)
    web.asked.clear()
    for verb in ("verify", "send"):
        assert attend(job, verb, at.context(), at.audience).status == "ok"
    assert [asked for asked in web.asked if "ping" in asked] == []


@pytest.mark.parametrize("verb", VERBS)
def test_what_cannot_be_begun_is_a_failure_that_everybody_hears_of(at: Workplace, web: Web, verb: Verb) -> None:
    """Without so much as a password: failed with the reason, on record, told by the hooks for failures and the ping."""
    job = surrounded(at, web)
    outcome = refuse(job, verb, PasswordMissing("There is no password."), at.context(password=None), at.audience)
    assert (outcome.status, outcome.exit_code, outcome.message) == ("failed", 2, "There is no password.")
    (run,) = at.runs(verb)
    assert (run.exit_code, run.message) == (2, "There is no password.")
    assert web.asked[:2] == ["GET /hook/on_failure", "GET /hook/finally"]
    assert len(web.asked) == 3
    assert at.audience.outcomes == [outcome]


def test_a_ping_that_could_not_be_had_is_heard_of(at: Workplace) -> None:
    """The run is what it would have been; that its ping is missing is said beside it."""
    lacking = "Could not use the file of a ping address."
    outcome = attend(replace(at.job(), around=Around(lacking=[lacking])), "backup", at.context(), at.audience)
    assert (outcome.status, outcome.exit_code) == ("ok", 0)
    assert at.audience.problems == [lacking]
