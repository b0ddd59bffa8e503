"""Messages through apprise, to a server on this machine, and what is remembered of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from outcomes import BEGAN, outcome, started

from ecm_agent.errors import HookFailed, Skipped, UsageError
from ecm_agent.model.outcome import ended_by
from ecm_agent.notification import apprise_urls
from ecm_agent.notification.apprise_urls import Recipients
from ecm_agent.notification.around import Around
from ecm_agent.notification.hooks import Hooks
from ecm_agent.notification.notices import Notices
from ecm_agent.notification.ping import Ping
from ecm_agent.notification.policy import Notice
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from web import Web

TOKEN = "hunter2-hunter2"
NOTICE = Notice("failure", "A title", "A text.\nOf two lines.")
DAY = timedelta(days=1)


def recipients(*urls: str, timeout: float = 60.0) -> Recipients:
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return Recipients([Secret(url) for url in urls], environ=environ, timeout=timeout)


def to(web: Web) -> str:
    return web.address.replace("http://", f"json://me:{TOKEN}@") + "/inbox"


def test_a_message_reaches_its_service(web: Web) -> None:
    """Title and text as they are; nothing else of ours."""
    sent = recipients(to(web)).send(NOTICE)
    assert (sent.arrived, sent.problems) == (1, [])
    assert web.asked == ["POST /inbox"]
    body = json.loads(web.bodies[0])
    assert (body["title"], body["message"], body["type"]) == (NOTICE.title, NOTICE.body, "failure")


def test_one_service_that_fails_stops_no_other(web: Web) -> None:
    """Each failure is named by its place and service, never by its address."""
    web.answers[:] = [(500, ""), (200, "")]
    mixed = recipients(to(web), to(web), f"slack://{TOKEN}")
    sent = mixed.send(NOTICE)
    assert sent.arrived == 1
    assert sent.problems == [
        "The notification 1 (json) was not sent.",
        "The notification 3 (slack) was not sent: its address is not understood.",
    ]
    assert TOKEN not in f"{mixed!r} {sent}"


def test_addresses_are_checked_without_sending(web: Web) -> None:
    """What the library does not understand is a mistake in the configuration."""
    recipients(to(web)).check()
    assert web.asked == []
    with pytest.raises(UsageError, match=r"the address of notification 2 \(slack\)\.") as caught:
        recipients(to(web), f"slack://{TOKEN}").check()
    assert TOKEN not in caught.value.message + caught.value.hint


def test_what_has_no_scheme_is_refused_at_once() -> None:
    """By its place in the list: it may be a token on its own."""
    with pytest.raises(UsageError, match="address of notification 2 is not a URL") as caught:
        recipients("json://localhost", TOKEN)
    assert TOKEN not in caught.value.message + caught.value.hint


def test_a_missing_library_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """When notifications are configured, not when the first one is due."""
    monkeypatch.setattr(apprise_urls, "find_spec", lambda _: None)
    recipients()
    with pytest.raises(UsageError, match="apprise") as caught:
        recipients("json://localhost")
    assert "ecm-agent[notify]" in caught.value.hint


def test_a_service_that_hangs_is_given_up(web: Web) -> None:
    """A message that is never done fails, and raises nothing."""
    began = time.monotonic()
    sent = recipients(to(web), timeout=0.01).send(NOTICE)
    assert (sent.arrived, len(sent.problems)) == (0, 1)
    assert "longer than 0.01 seconds" in sent.problems[0]
    assert time.monotonic() - began < 10


def test_the_agent_itself_never_loads_the_library() -> None:
    """It takes half the memory an idle agent may have."""
    code = (
        "import sys; from ecm_agent.notification.apprise_urls import Recipients; from ecm_agent.secret import Secret\n"
        "Recipients([Secret('json://localhost')], environ={}).check(); print('apprise' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_what_was_told_is_remembered_across_restarts(web: Web, tmp_path: Path) -> None:
    """A failure and its recovery, once each, whoever is asked; each job for itself."""
    for at, status in enumerate(["failed", "failed", "ok", "ok"]):
        notices = Notices(recipients(to(web)), tmp_path / "state")
        assert notices.tell(outcome(status, at=BEGAN + at * timedelta(hours=1))) == []
    titles = [json.loads(body)["title"] for body in web.bodies]
    assert titles == [
        "ecm-agent: backup of job nightly on laptop failed",
        "ecm-agent: backup of job nightly on laptop works again",
    ]
    assert [path.name for path in (tmp_path / "state/told").iterdir()] == ["nightly-backup.json"]
    assert (tmp_path / "state/told/nightly-backup.json").stat().st_mode & 0o77 == 0


@pytest.mark.parametrize("content", [b"", b"\xff{", b'{"sent": 5}'])
def test_a_damaged_note_only_repeats_a_message(web: Web, tmp_path: Path, content: bytes) -> None:
    """It is as if nothing had been told."""
    (tmp_path / "told").mkdir()
    (tmp_path / "told/nightly-backup.json").write_bytes(content)
    assert Notices(recipients(to(web)), tmp_path).tell(outcome("failed")) == []
    assert len(web.asked) == 1


def test_no_room_for_the_note_harms_nothing(web: Web, tmp_path: Path) -> None:
    """The message is sent all the same."""
    (tmp_path / "told").write_text("a file where the directory should be")
    assert Notices(recipients(to(web)), tmp_path).tell(outcome("failed")) == []
    assert len(web.asked) == 1


def leaves_a_mark(path: Path, status: int = 0) -> list[str]:
    return ["sh", "-c", f'echo "$ECM_AGENT_HOOK_WHEN $ECM_AGENT_HOOK_OUTCOME" >> "$0"; exit {status}', str(path)]


def test_everything_around_a_run_happens_in_order(web: Web, tmp_path: Path) -> None:
    """Before: hooks, ping. After: hooks, ping, message."""
    mark = leaves_a_mark(tmp_path / "ran")
    hooks = Hooks(before=[mark], after=[mark], on_failure=[mark], lastly=[mark])
    around = Around(
        hooks, Ping(Secret(f"{web.address}/uuid"), pauses=()), Notices(recipients(to(web)), tmp_path, on=["always"])
    )
    assert around.begin(started()) == []
    assert around.end(outcome("ok")) == (outcome("ok"), [])
    assert (tmp_path / "ran").read_text() == "before \nafter ok\nfinally ok\n"
    assert web.asked == ["POST /uuid/start", "POST /uuid", "POST /inbox"]


def test_a_hook_that_fails_after_a_good_run_makes_it_partial(web: Web, tmp_path: Path) -> None:
    """And that is what the switch hears."""
    around = Around(Hooks(after=[leaves_a_mark(tmp_path / "ran", 4)]), Ping(Secret(web.address), pauses=()))
    ended, problems = around.end(outcome("ok"))
    assert (ended.status, ended.exit_code, ended.message) == ("partial", 3, "The hook sh ended with exit code 4.")
    assert problems == [ended.message]
    assert web.asked == ["POST /3"]


@pytest.mark.parametrize(
    ("status", "error", "pings"), [(75, Skipped, []), (1, HookFailed, ["POST /1"])], ids=["skip", "failure"]
)
def test_a_run_that_its_hook_forbids(
    web: Web, tmp_path: Path, status: int, error: type[HookFailed | Skipped], pings: list[str]
) -> None:
    """Skipped: `finally` runs and nobody is told. Failed: `on_failure`, `finally`, and the switch hears of it."""
    around = Around(
        Hooks(before=[leaves_a_mark(tmp_path / "ran", status)], lastly=[leaves_a_mark(tmp_path / "ran")]),
        Ping(Secret(web.address), pauses=()),
    )
    with pytest.raises(error) as caught:
        around.begin(started())
    ended, _ = around.end(ended_by(caught.value, started(), finished_at=BEGAN, seconds=0.0))
    assert ended.exit_code == status
    assert (tmp_path / "ran").read_text() == f"before \nfinally {ended.status}\n"
    assert web.asked == pings


def test_nothing_configured_does_nothing() -> None:
    """The usual case."""
    around = Around()
    assert around.begin(started()) == []
    assert around.end(outcome("failed")) == (outcome("failed"), [])
    assert replace(around) == around
