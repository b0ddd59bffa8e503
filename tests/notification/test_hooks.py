"""Hooks: what they are told, what they are not, and what their end means."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from outcomes import outcome, started

from ecm_agent.errors import HookFailed, Skipped
from ecm_agent.notification import process
from ecm_agent.notification.hooks import Hooks, facts_of, run_hooks

if TYPE_CHECKING:
    from ecm_agent.model.outcome import Status

PASSWORD = "correct-horse"
ENVIRON = {"PATH": os.environ["PATH"]}


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-S", "-c", code, *arguments]


def writes_environment(file: Path) -> list[str]:
    code = "import os, sys; open(sys.argv[1], 'a').write(repr(dict(os.environ)) + '\\n')"
    return python(code, str(file))


def appends(file: Path, status: int = 0) -> list[str]:
    code = "import os, sys; open(sys.argv[1], 'a').write(os.environ['ECM_AGENT_HOOK_WHEN'] + ' ')"
    return python(f"{code}; sys.exit({status})", str(file))


def test_a_hook_learns_of_the_run_from_its_environment(tmp_path: Path) -> None:
    """Each fact is a variable; nothing in it is ever read by a shell."""
    nasty = "$(touch /tmp/x); `id` \"'\n"
    Hooks(on_failure=[writes_environment(tmp_path / "seen")], environ=ENVIRON).end(
        outcome("failed", exit_code=15, message=nasty, archive="a.ecm")
    )
    seen = eval((tmp_path / "seen").read_text())  # noqa: S307 (what the hook above wrote)
    assert {name: value for name, value in seen.items() if name.startswith("ECM_AGENT_HOOK_")} == {
        "ECM_AGENT_HOOK_WHEN": "on_failure",
        "ECM_AGENT_HOOK_JOB": "nightly",
        "ECM_AGENT_HOOK_HOST": "laptop",
        "ECM_AGENT_HOOK_VERB": "backup",
        "ECM_AGENT_HOOK_OUTCOME": "failed",
        "ECM_AGENT_HOOK_EXIT_CODE": "15",
        "ECM_AGENT_HOOK_MESSAGE": nasty,
        "ECM_AGENT_HOOK_ARCHIVE": "a.ecm",
        "ECM_AGENT_HOOK_SECONDS": "4.000",
        "ECM_AGENT_HOOK_STARTED_AT": "2026-07-01T02:00:00+00:00",
        "ECM_AGENT_HOOK_FINISHED_AT": "2026-07-01T02:00:04+00:00",
    }


def test_a_hook_sees_no_secret(tmp_path: Path) -> None:
    """Variables that hold a secret, by their name or because the settings say so, are not passed on."""
    secret = dict.fromkeys(
        [
            "ECM_EXPORT_PASSWORD",
            "ECM_EXPORT_PASSWORD_FILE",
            "my_password_2",
            "RESTIC_PASSWD",
            "GPG_PASSPHRASE",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "CREDENTIALS_DIRECTORY",
            "B2_ACCOUNT_KEY",
            "OPENAI_API_KEY",
            "ECM_AGENT_NOTIFY__URLS",
            "ECM_AGENT_JOBS__NIGHTLY__PING__URL",
            "ECM_AGENT_HOOK_LEFT_OVER",
            "PING_ADDRESS",
        ],
        PASSWORD,
    )
    harmless = {**ENVIRON, "HOME": "/home/me", "ECM_AGENT_CONFIG": "/etc/x.yaml", "KEYBOARD": "de"}
    environ = process.without_secrets({**secret, **harmless}, {"PING_ADDRESS"})
    run_hooks([writes_environment(tmp_path / "seen")], {"when": "before"}, environ=environ, timeout=30)
    seen = eval((tmp_path / "seen").read_text())  # noqa: S307 (what the hook above wrote)
    assert seen.items() >= harmless.items()
    assert not seen.keys() & secret.keys()
    assert PASSWORD not in str(seen)


def test_a_hook_has_nothing_to_read() -> None:
    """Its stdin is empty, so that it cannot wait for an answer."""
    run_hooks([python("import sys; sys.exit(len(sys.stdin.read()))")], {}, environ=ENVIRON, timeout=30)


def test_exit_75_before_the_run_skips_it(tmp_path: Path) -> None:
    """The reason names the hook; hooks after it are not run."""
    hooks = Hooks(before=[appends(tmp_path / "a"), appends(tmp_path / "a", 75), appends(tmp_path / "a")])
    with pytest.raises(Skipped, match=r"asked to skip this run \(exit 75\)") as caught:
        hooks.begin(started())
    assert caught.value.exit_code == 75
    assert (tmp_path / "a").read_text() == "before before "


def test_exit_75_at_another_time_is_a_failure() -> None:
    """There is nothing left to skip."""
    with pytest.raises(HookFailed, match="exit code 75"):
        run_hooks([python("raise SystemExit(75)")], {"when": "after"}, environ=ENVIRON, timeout=30)


def test_a_failure_names_the_program_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither arguments nor output are in the error or in what comes along with it; they may hold a secret."""
    late = python("import time; print('correct-horse', flush=True); time.sleep(60)", PASSWORD)
    wrong = python("print('correct-horse'); raise SystemExit(3)", PASSWORD)
    missing = [str(tmp_path / "gone"), PASSWORD]
    impossible = [sys.executable, f"{PASSWORD}\0"]
    messages = []
    for command, timeout in ((late, 0.3), (wrong, 30), (missing, 30), (impossible, 30)):
        with pytest.raises(HookFailed) as caught:
            run_hooks([command], {"when": "before"}, environ=ENVIRON, timeout=timeout)
        assert PASSWORD not in "".join(traceback.format_exception(caught.value)) + caught.value.hint
        messages.append(caught.value.message)
    assert messages == [
        f"The hook {sys.executable} was ended: it took longer than 0.3 seconds.",
        f"The hook {sys.executable} ended with exit code 3.",
        f"The hook {tmp_path / 'gone'} cannot be run: there is no such program.",
        f"The hook {sys.executable} cannot be run: an argument is impossible.",
    ]
    assert caplog.text == ""


def test_the_last_of_the_output_is_logged_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    """Only there, and only the last twenty lines, also of a hook that fails."""
    caplog.set_level(logging.DEBUG, "ecm_agent")
    with pytest.raises(HookFailed):
        run_hooks(
            [python("for n in range(5000): print('line', n)\nraise SystemExit(1)")], {}, environ=ENVIRON, timeout=30
        )
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
    assert caplog.text.count("line") == 20
    assert "line 4999" in caplog.text


def test_a_late_hook_dies_with_its_children(tmp_path: Path) -> None:
    """At the timeout the whole process group is ended, those included that do not listen to SIGTERM."""
    pids = tmp_path / "pids"
    stubborn = ["sh", "-c", "trap '' TERM; sleep 60 & echo $$ $! > \"$0\"; wait", str(pids)]
    with pytest.raises(process.TookTooLong):
        process.run(stubborn, environ=ENVIRON, timeout=1.0, grace=0.1)
    both = pids.read_text().split()
    assert len(both) == 2
    assert all(is_dead(int(pid)) for pid in both)


def is_dead(pid: int) -> bool:
    """Wait for a process to be gone, or a zombie that nobody has asked after yet; at most five seconds."""
    status = Path(f"/proc/{pid}/stat")
    for _ in range(500):
        try:
            if status.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


def test_a_hook_may_leave_something_running() -> None:
    """A hook that starts a service and ends is done; nobody waits for the service."""
    code = "import os, time\nif os.fork() == 0: time.sleep(20)"
    began = time.monotonic()
    run_hooks([python(code)], {}, environ=ENVIRON, timeout=15)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("ok", "after after finally finally "),
        ("partial", "on_failure finally finally "),
        ("failed", "on_failure finally finally "),
        ("skipped", "finally finally "),
    ],
)
def test_which_hooks_follow_a_run(tmp_path: Path, status: str, expected: str) -> None:
    """`after` follows success, `on_failure` anything less, `finally` everything; one that fails stops no other."""
    file = tmp_path / "ran"
    hooks = Hooks(
        after=[appends(file, 1), appends(file)],
        on_failure=[appends(file, 1)],
        lastly=[appends(file, 1), appends(file)],
        environ=ENVIRON,
    )
    failures = hooks.end(outcome(status))
    assert file.read_text() == expected
    assert len(failures) == (1 if status == "skipped" else 2)


def test_a_run_that_begins_has_no_end_yet() -> None:
    """`before` hooks are told what is known then."""
    assert facts_of(started()).keys() == {"job", "host", "verb", "started_at"}


@pytest.mark.parametrize("status", ["ok", "failed"])
def test_finally_is_run_although_the_commands_before_it_are_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: Status
) -> None:
    """A Ctrl-C during an `after` or `on_failure` command ends that, and what is to happen in any case happens."""
    real = process.run

    def interrupted(argv: list[str], **how: Any) -> tuple[int, bytes]:  # noqa: ANN401 (as it is called)
        if argv == ["cut short"]:
            raise KeyboardInterrupt
        return real(argv, **how)

    monkeypatch.setattr("ecm_agent.notification.hooks.run", interrupted)
    cut = [["cut short"]]
    hooks = Hooks(after=cut, on_failure=cut, lastly=[appends(tmp_path / "a")], environ=ENVIRON)
    with pytest.raises(KeyboardInterrupt):
        hooks.end(outcome(status))
    assert (tmp_path / "a").read_text() == "finally "


def test_the_longest_end_is_that_of_commands_that_will_not_end() -> None:
    """Each of those after a failure may take its time and the five seconds until it is killed."""
    command = [["sleep", "60"]]
    hooks = Hooks(before=command, after=command, on_failure=command * 2, lastly=command, timeout=20.0)
    assert hooks.longest_end == 3 * 25
    assert Hooks().longest_end == 0
