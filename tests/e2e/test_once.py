"""`ecm-agent run --once`: everything due, one line about it, a clear exit code; what failed is made good next time."""

from __future__ import annotations

import json
import re
import resource
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from daemon import running
from nightly import stored, write_configuration
from program import PASSWORD, PATIENCE, Ended, until

if TYPE_CHECKING:
    from program import Program
    from s3_servers import RcloneServer

MEGABYTE = 1 << 20


def logged(ended: Ended) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.err.splitlines()]


def archives(program: Program) -> list[str]:
    return sorted(path.name for path in program.backups.iterdir()) if program.backups.is_dir() else []


def standing(program: Program) -> dict[str, Any]:
    """Say what `status` says of the one job."""
    (status,) = program.run("status", "--json").objects
    assert isinstance(status, dict)
    return status


def staged(program: Program) -> list[str]:
    staging = program.state / "staging"
    return sorted(path.name for path in staging.iterdir()) if staging.is_dir() else []


def with_small_files(program: Program, limit: int, *words: str) -> Ended:
    """Run a command that can make no file larger than the limit: to it, the disk is full."""

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    with subprocess.Popen(
        program.command(*words),
        cwd=program.home,
        env=program.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limited,  # noqa: PLW1509 (no threads before exec)
    ) as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in err, err
    return Ended(process.returncode, out, err)


def test_without_a_configuration_it_backs_up_once(program: Program) -> None:
    """With nothing configured the first call backs up, the second finds nothing due; the password is nowhere."""
    first, second = program.run("run", "--once"), program.run("run", "--once")
    assert (first.code, first.out) == (0, "")
    assert second == Ended(0, "", "")
    assert len(archives(program)) == 1
    for written in (first.err.encode(), *program.files().values()):
        assert PASSWORD.encode() not in written


def test_one_line_says_all_of_a_run(program: Program) -> None:
    """The log on stderr is JSON, and its one line on a run has its outcome, counts, bytes and seconds by stage."""
    ended = program.run("run", "--once")
    (line,) = logged(ended)
    (name,) = archives(program)
    assert (line["event"], line["level"], line["outcome"], line["exit_code"]) == ("run finished", "info", "ok", 0)
    assert (line["job"], line["verb"], line["archive"]) == ("default", "backup", name)
    assert line["counts"]["chunks"] == 5
    assert line["bytes"] == (program.backups / name).stat().st_size
    assert line["destinations"] == {"local": "verified"}
    assert 0 < sum(line["stages"].values()) <= line["seconds"]


def test_at_debug_the_password_is_not_logged_either(program: Program) -> None:
    """At the level that says most, and where a destination fails, the password is in no line and no file."""
    write_configuration(program, log={"level": "debug"}, destinations={"local": {"path": str(program.store)}})
    ended = program.run("run", "--once")
    assert ended.code == 15
    for written in (ended.out.encode(), ended.err.encode(), *program.files().values()):
        assert PASSWORD.encode() not in written


@pytest.mark.parametrize(
    ("job", "password", "said"),
    [({}, None, "There is no password that can be had"), ({"schedule": None}, PASSWORD, "No job has a schedule.")],
    ids=["no password", "no schedule"],
)
def test_what_could_never_work_is_refused(
    program: Program, job: dict[str, Any], password: str | None, said: str
) -> None:
    """Without a password or a schedule it ends with 2 and says why."""
    write_configuration(program, job=job)
    ended = program.run("run", "--once", ECM_EXPORT_PASSWORD=password)
    assert ended.code == 2
    assert f"ecm-agent: {said}" in ended.err
    assert archives(program) == []


def test_a_missing_password_is_told_and_put_on_record(program: Program) -> None:
    """A backup that cannot begin for want of a password is a failed run: hooks and `status` hear of it."""
    write_configuration(program, job={"hooks": {"on_failure": [["touch", str(program.home / "told")]]}})
    ended = program.run("run", "--once", ECM_EXPORT_PASSWORD=None)
    assert ended.code == 2
    assert (program.home / "told").exists()
    assert "no password" in standing(program)["last_run"]["message"]
    assert program.run("run", "--once").code == 0


def test_a_ping_whose_address_is_gone_stops_no_job(program: Program) -> None:
    """Its own job runs without it and the log says so; others are untouched. By hand it is refused."""
    gone = str(program.home / "gone")
    job = {"schedule": "0 2 1 1 *"}
    configuration = {"jobs": {"good": job, "other": {**job, "ping": {"file": gone}}}}
    (program.home / "ecm-agent.yaml").write_text(json.dumps(configuration))
    ended = program.run("run", "--once")
    assert ended.code == 0
    assert [(line["job"], line["level"]) for line in logged(ended)] == [
        ("good", "info"),
        ("other", "warning"),
        ("other", "info"),
    ]
    assert gone in logged(ended)[1]["event"]
    assert len(archives(program)) == 2
    for refused in (program.run("backup", "other"), program.run("run")):
        assert refused.code == 2
        assert gone in refused.err


def test_a_notification_that_cannot_be_had_stops_no_job(program: Program) -> None:
    """Where the variable with the addresses is not set, the backup is made and the log has the reason."""
    write_configuration(program, notify={"env": "NOT_SET"})
    ended = program.run("run", "--once")
    assert ended.code == 0
    assert [line["event"] for line in logged(ended)] == ["The variable NOT_SET is not set.", "run finished"]
    assert len(archives(program)) == 1


def test_a_skipped_run_ends_with_75(program: Program) -> None:
    """A `before` command that ends with 75 puts the run off: exit 75, on record, and asked again the next time."""
    write_configuration(program, job={"hooks": {"before": [["/bin/sh", "-c", "exit 75"]]}})
    for _ in range(2):
        ended = program.run("run", "--once")
        assert ended.code == 75
        assert logged(ended)[-1]["outcome"] == "skipped"
    assert standing(program)["last_run"]["exit_code"] == 75
    assert "asked to skip" in standing(program)["last_run"]["message"]
    write_configuration(program)
    assert program.run("run", "--once").code == 0
    assert len(archives(program)) == 1


def test_a_hook_that_fails_is_tried_again(program: Program) -> None:
    """A `before` command that fails is a failed run, and the next call tries again without waiting."""
    write_configuration(program, job={"hooks": {"before": [["false"]]}})
    ended = program.run("run", "--once")
    assert ended.code == 1
    assert logged(ended)[-1]["message"] == "The hook false ended with exit code 1."
    write_configuration(program)
    assert program.run("run", "--once").code == 0


def test_offsite_down_for_a_night(with_offsite: Program, offsite: RcloneServer) -> None:
    """A bucket out of reach: the local copy is proved, exit 3, status says what waits; later that archive is sent."""
    offsite.kill()
    assert with_offsite.run("run", "--once").code == 3
    (name,) = archives(with_offsite)
    status = standing(with_offsite)
    assert [(one["archive"], one["destination"]) for one in status["waiting"]] == [(name, "offsite")]
    assert [place["newest_verified"] is not None for place in status["destinations"]] == [True, False]
    assert staged(with_offsite) == [name]
    again = with_offsite.run("run", "--once")
    assert (again.code, [line["verb"] for line in logged(again)]) == (15, ["send"])
    offsite.start()
    assert with_offsite.run("run", "--once").code == 0
    assert archives(with_offsite) == stored(offsite) == [name]
    status = standing(with_offsite)
    assert (status["waiting"], status["well"]) == ([], True)
    assert staged(with_offsite) == []
    assert with_offsite.run("run", "--once") == Ended(0, "", "")


def test_backup_sends_what_waits(with_offsite: Program, offsite: RcloneServer) -> None:
    """`backup` after a night without the bucket brings it both archives, however short a time after the failure."""
    offsite.kill()
    assert with_offsite.run("run", "--once").code == 3
    offsite.start()
    assert with_offsite.run("backup").code == 0
    assert len(archives(with_offsite)) == 2
    assert archives(with_offsite) == stored(offsite)


@pytest.mark.parametrize("command", [("run", "--once"), ("backup",)], ids=["run --once", "backup"])
def test_a_full_disk_under_staging(busy: Program, command: tuple[str, ...]) -> None:
    """Where there is no room to stage: exit 1, a sentence, no trace, older archives untouched; with room it works."""
    write_configuration(busy)
    assert busy.run("backup").code == 0
    before = {path: path.read_bytes() for path in busy.backups.iterdir()}
    if command == ("run", "--once"):
        (busy.state / "history.db").unlink()  # so that it is due
    ended = with_small_files(busy, MEGABYTE, *command)
    assert ended.code == 1
    assert f"cannot be staged in {busy.state / 'staging'}: File too large" in ended.err
    assert {path: path.read_bytes() for path in busy.backups.iterdir()} == before
    assert staged(busy) == []
    assert busy.run(*command).code == 0
    assert len(archives(busy)) == 2


def test_a_full_disk_under_a_destination(busy: Program) -> None:
    """A destination without room: exit 15, nothing half-written there, the archive waits, and arrives with room."""
    write_configuration(busy)
    assert busy.run("backup").code == 0
    (old,) = busy.backups.iterdir()
    old.rename(old.with_name(re.sub(r"\d{8}T", "20250101T", old.name)))  # no name of this second may be taken unseen
    away = busy.backups.rename(busy.home / "unmounted")
    busy.backups.touch()
    assert busy.run("backup").code == 15
    busy.backups.unlink()
    away.rename(busy.backups)
    before = {path: path.read_bytes() for path in busy.backups.iterdir()}
    ended = with_small_files(busy, MEGABYTE, "run", "--once")
    assert ended.code == 15
    assert f"local:{busy.backups} has no space left: File too large" in ended.err
    assert {path: path.read_bytes() for path in busy.backups.iterdir()} == before
    assert [one["attempts"] for one in standing(busy)["waiting"]] == [2]
    assert busy.run("run", "--once").code == 0
    assert len(archives(busy)) == 2
    assert staged(busy) == []


def test_the_daemon_and_a_backup_take_turns(busy: Program) -> None:
    """While the daemon works, `backup` and `run --once` end with 11; `backup --wait-lock` waits for its turn."""
    write_configuration(busy)
    staging = busy.state / "staging"
    with running(busy) as daemon:
        daemon.until(lambda: staging.is_dir() and any(staging.iterdir()))
        daemon.tell_all(signal.SIGSTOP)
        for command in (("backup",), ("run", "--once")):
            ended = busy.run(*command)
            assert ended.code == 11
            assert "Another process is working on job 'default'." in ended.err
        with busy.started("backup", "--wait-lock", "30s") as waiting:
            daemon.tell_all(signal.SIGCONT)
            out, err = waiting.communicate(timeout=PATIENCE)
            assert (waiting.returncode, err) == (0, ""), out
        assert daemon.until_said("run finished")["outcome"] == "ok"
    assert len(archives(busy)) == 2


def test_the_daemon_leaves_a_backup_alone(busy: Program) -> None:
    """While `backup` works, the daemon puts its own run off, says so, and does not try over and over."""
    with busy.started("backup") as backup:
        staging = busy.state / "staging"
        until(backup, lambda: staging.is_dir() and any(staging.iterdir()))
        backup.send_signal(signal.SIGSTOP)
        with running(busy) as daemon:
            assert daemon.until_said("run finished")["outcome"] == "skipped"
            daemon.until_said("run ended")
            backup.send_signal(signal.SIGCONT)
            assert backup.wait(PATIENCE) == 0
            daemon.tell(signal.SIGTERM)
            assert daemon.ended() == 0
            assert len(daemon.said("run begins")) == 1
    assert len(archives(busy)) == 1
