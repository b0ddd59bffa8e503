"""`ecm-agent run`: what it refuses to start with, how it stops, what signals do, and what a kill leaves."""

from __future__ import annotations

import io
import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from daemon import Daemon, running
from nightly import stored, with_bucket, write_configuration
from program import PASSWORD

from ecm_agent import atomic
from ecm_agent.jobs.verify import verify
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from program import Program
    from s3_servers import RcloneServer

LAST_WORDS = 12
"""Seconds that a run told to end may take for it, before it is killed; with a little for a slow machine."""


def named(directory: Path) -> list[Path]:
    """Give what has a name of its own in a directory: no unfinished file has."""
    found = sorted(directory.iterdir()) if directory.is_dir() else []
    return [path for path in found if not atomic.is_temporary(path.name)]


def unfinished(directory: Path) -> bool:
    return directory.is_dir() and any(atomic.is_temporary(path.name) for path in directory.iterdir())


def is_whole(archive: Path) -> bool:
    return bool(verify(io.BytesIO(archive.read_bytes()), Secret(PASSWORD)).manifest.chunk_count)


def stopped(daemon: Daemon, number: signal.Signals = signal.SIGTERM) -> int:
    daemon.tell(number)
    return daemon.ended()


def below_a_file(program: Program) -> dict[str, Any]:
    return {"destinations": {"nas": {"path": str(program.store / "backups")}}}


@pytest.mark.parametrize(
    ("configuration", "password", "code", "said"),
    [
        (lambda _: {}, None, 2, "There is no password that can be had without asking for it."),
        (lambda _: {"job": {"schedule": None}}, PASSWORD, 2, "No job has a schedule."),
        (lambda _: {"job": {"schedule": "0 25 * * *"}}, PASSWORD, 2, "schedule"),
        (lambda _: {"job": {"shedule": "@daily"}}, PASSWORD, 2, "shedule"),
        (below_a_file, PASSWORD, 15, "memory.db/backups refused: "),
    ],
    ids=["no password", "no schedule", "impossible schedule", "unknown key", "a path below a file"],
)
def test_it_refuses_to_start(
    program: Program, configuration: Callable[[Program], dict[str, Any]], password: str | None, code: int, said: str
) -> None:
    """What could only fail at night is refused at the start, with its exit code and a sentence with a hint."""
    write_configuration(program, **configuration(program))
    ended = program.run("run", ECM_EXPORT_PASSWORD=password)
    assert ended.code == code
    assert said in ended.err
    assert ended.err.startswith("ecm-agent: ")
    assert "hint: " in ended.err
    assert named(program.backups) == []


def test_it_refuses_to_start_with_a_wrong_key(with_offsite: Program) -> None:
    """A bucket that does not take the key is refused at the start, and the key is not shown."""
    ended = with_offsite.run("run", AWS_SECRET_ACCESS_KEY="wrong-wrong-wrong")
    assert ended.code == 15
    assert "the secret key does not fit" in ended.err
    assert "wrong-wrong" not in ended.err


def test_a_bucket_that_is_down_is_no_reason_not_to_start(with_offsite: Program, offsite: RcloneServer) -> None:
    """Out of reach is not refused: the daemon starts, says so once however many jobs, and makes the local copies."""
    file = with_offsite.home / "ecm-agent.yaml"
    configuration = json.loads(file.read_text())
    configuration["jobs"]["other"] = configuration["jobs"]["default"]
    file.write_text(json.dumps(configuration))
    offsite.kill()
    with running(with_offsite) as daemon:
        assert daemon.until_said("run finished", times=2)["outcome"] == "partial"
        assert len(daemon.said("out of reach for now")) == 1
        daemon.until_said("run ended")
        assert stopped(daemon) == 0
    assert len(named(with_offsite.backups)) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_when_idle_it_stops_at_once(program: Program, number: signal.Signals) -> None:
    """The daemon backs up what is due when it starts, and told to stop when idle it ends with 0 within seconds."""
    with running(program) as daemon:
        daemon.until_said("run ended")
        told = time.monotonic()
        assert stopped(daemon, number) == 0
        assert time.monotonic() - told < 5
        for secret in (daemon.log.read_text(), *map(str, program.files().values())):
            assert PASSWORD not in secret
    assert len(named(program.backups)) == 1


def test_a_run_in_hand_is_finished(busy: Program) -> None:
    """Told to stop while it backs up, the daemon finishes that first: a whole archive, exit 0."""
    with running(busy) as daemon:
        daemon.until(lambda: unfinished(busy.state / "staging"))
        assert stopped(daemon) == 0
        assert daemon.said("run finished")[0]["outcome"] == "ok"
    (archive,) = named(busy.backups)
    assert is_whole(archive)
    assert named(busy.state / "staging") == []


def test_a_run_that_outlasts_the_grace_is_abandoned(program: Program) -> None:
    """After the grace the run is ended with its hook: 143, nothing half-written, and the next run succeeds."""
    begun, slow = program.home / "begun", "touch begun; exec sleep 60"
    write_configuration(program, job={"hooks": {"before": [["/bin/sh", "-c", slow]]}}, daemon={"grace": "1s"})
    with running(program) as daemon:
        daemon.until(begun.exists)
        told = time.monotonic()
        assert stopped(daemon) == 143
        assert 1 <= time.monotonic() - told < 1 + LAST_WORDS
        assert len(daemon.said("run abandoned; it will be made up for at the next start")) == 1
    assert named(program.backups) == []
    write_configuration(program)
    assert program.run("run", "--once").code == 0
    assert len(named(program.backups)) == 1


def test_an_abandoned_run_runs_its_last_hooks(program: Program) -> None:
    """After the grace what is to happen whatever happens still happens; the run is on record, and made up for."""
    begun, slow = program.home / "begun", ["/bin/sh", "-c", "touch begun; exec sleep 60"]
    lastly = ["/bin/sh", "-c", "echo $ECM_AGENT_HOOK_WHEN $ECM_AGENT_HOOK_EXIT_CODE > told"]
    write_configuration(program, job={"hooks": {"before": [slow], "finally": [lastly]}}, daemon={"grace": "1s"})
    with running(program) as daemon:
        daemon.until(begun.exists)
        assert stopped(daemon) == 143
        assert daemon.said("run finished")[0]["message"] == "Terminated."
    assert (program.home / "told").read_text() == "finally 143\n"
    (status,) = program.run("status", "--json").objects
    assert (status["last_run"]["exit_code"], status["last_run"]["message"]) == (143, "Terminated.")
    write_configuration(program)
    with running(program) as daemon:
        assert daemon.until_said("run finished")["outcome"] == "ok"


def test_a_run_stuck_on_a_silent_server_is_abandoned(busy: Program, offsite: RcloneServer) -> None:
    """A server that says nothing more keeps no daemon from stopping; what it did not get is sent the next time."""
    program = with_bucket(busy, offsite, daemon={"grace": "1s"})
    with running(program) as daemon:
        daemon.until(lambda: bool(named(program.backups)))
        offsite.pause()
        told = time.monotonic()
        assert stopped(daemon) == 143
        assert time.monotonic() - told < 1 + LAST_WORDS
    offsite.resume()
    assert program.run("run", "--once").code == 0
    archives = named(program.backups)
    assert [path.name for path in archives] == stored(offsite)
    assert all(is_whole(path) for path in archives)
    assert named(program.state / "staging") == []


def test_sighup_takes_a_new_configuration(program: Program) -> None:
    """After SIGHUP a job that was not there before is run at the next look; a bad configuration changes nothing."""
    file = write_configuration(program)
    with running(program) as daemon:
        daemon.until_said("run ended")
        file.write_text("jobs: {default: {shedule: '@daily'}}")
        daemon.tell(signal.SIGHUP)
        refused = daemon.until_said("configuration not taken; the old one stays")
        assert "shedule" in refused["reason"]
        file.write_text("jobs: {default: {schedule: '@yearly'}, projects: {schedule: '@yearly'}}")
        daemon.tell(signal.SIGHUP)
        daemon.until_said("configuration reloaded")
        assert daemon.until_said("run finished", times=2)["job"] == "projects"
        daemon.until_said("run ended", times=2)
        assert stopped(daemon) == 0
    assert len(named(program.backups)) == 2


def test_sigusr1_runs_what_is_due(program: Program) -> None:
    """SIGUSR1 has the daemon look at once: nothing due is nothing done, and what has fallen due is run."""
    write_configuration(program)
    with running(program) as daemon:
        daemon.until_said("run ended")
        (program.state / "history.db").unlink()  # no success is on record now
        daemon.tell(signal.SIGUSR1)
        daemon.until_said("run ended", times=2)
        daemon.tell(signal.SIGUSR1)
        told = time.monotonic()
        assert stopped(daemon) == 0  # of two signals at once, the system may give the second to another thread
        assert time.monotonic() - told < 5
        assert len(daemon.said("run begins")) == 2
    assert len(named(program.backups)) == 2


def test_a_password_that_goes_missing_is_told_once(program: Program) -> None:
    """When what is due cannot be begun, the log has the reason, the journal has the failure, and there is no loop."""
    secret = program.home / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    write_configuration(program, password={"file": str(secret)})
    with running(program, ECM_EXPORT_PASSWORD=None) as daemon:
        daemon.until_said("run ended")
        secret.unlink()
        (program.state / "history.db").unlink()
        daemon.tell(signal.SIGUSR1)
        assert str(secret) in daemon.until_said("nothing can be begun")["reason"]
        assert daemon.until_said("run ended", times=2)["exit_code"] == 2
        assert daemon.said("run finished")[1]["outcome"] == "failed"
        daemon.tell(signal.SIGUSR1)
        assert stopped(daemon) == 0
        assert len(daemon.said("run begins")) == 2


@pytest.mark.parametrize("moment", ["staging", "staged", "putting", "put"])
def test_a_kill_leaves_nothing_to_clear(busy: Program, moment: str) -> None:
    """Killed with its child at any point of a run: nothing half listed, old archives intact, a restart makes good."""
    write_configuration(busy)
    assert busy.run("backup").code == 0
    (old,) = named(busy.backups)
    content, staging = old.read_bytes(), busy.state / "staging"
    (busy.state / "history.db").unlink()
    reached = {
        "staging": lambda: unfinished(staging),
        "staged": lambda: bool(named(staging)),
        "putting": lambda: unfinished(busy.backups),
        "put": lambda: len(named(busy.backups)) > 1,
    }
    with running(busy) as daemon:
        daemon.until(reached[moment])
        daemon.tell_all(signal.SIGKILL)
        assert daemon.process.wait() == -signal.SIGKILL
        assert daemon.said("run finished") == []
    assert old.read_bytes() == content
    listed = busy.run("list", "--json").objects
    assert [one["name"] for one in listed] == [path.name for path in named(busy.backups)]
    assert all(is_whole(path) for path in named(busy.backups))
    with running(busy) as daemon:
        assert daemon.until_said("run finished", times=2)["outcome"] == "ok"
        told = daemon.said("run finished")[0]
        assert (told["outcome"], "ended without a word" in told["message"]) == ("failed", True)
        daemon.until_said("run ended")
        assert stopped(daemon) == 0
    assert not unfinished(busy.backups)
    assert list(staging.iterdir()) == []
    assert all(is_whole(path) for path in named(busy.backups))
    assert old.read_bytes() == content
