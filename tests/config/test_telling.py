"""The keys for hooks, pings, notifications and the log; their addresses are secrets."""

from __future__ import annotations

import traceback
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ecm_agent.config.addresses import notify_addresses, ping_address, secret_variables
from ecm_agent.config.loading import Loaded, load, show
from ecm_agent.errors import UsageError
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "https://hc.example/hunter2"


def loaded(tmp_path: Path, text: str, **environ: str) -> Loaded:
    file = tmp_path / "conf.yaml"
    file.write_text(text)
    return load(file, environ={"HOME": "/home/me", **environ}, cwd=tmp_path)


def mistake(tmp_path: Path, text: str, **environ: str) -> str:
    with pytest.raises(UsageError) as caught:
        loaded(tmp_path, text, **environ)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    return caught.value.message.replace(str(tmp_path / "conf.yaml"), "FILE")


def test_hooks_are_lists_of_commands(tmp_path: Path) -> None:
    """Each key a list, each command a list of words; `finally` too, though Python has its own use for the word."""
    text = "jobs: {n: {hooks: {before: [[a, b], [c]], finally: [[d]], timeout: 5m}}}"
    hooks = loaded(tmp_path, text).settings.jobs["n"].hooks
    assert (hooks.before, hooks.after, hooks.on_failure, hooks.lastly) == ([["a", "b"], ["c"]], [], [], [["d"]])
    assert hooks.seconds() == 300.0


def test_hooks_from_the_environment(tmp_path: Path) -> None:
    """As JSON, `finally` among them."""
    variable = {"ECM_AGENT_JOBS__N__HOOKS__FINALLY": '[["d", "e"]]'}
    found = loaded(tmp_path, "jobs: {n: {}}", **variable)
    assert found.settings.jobs["n"].hooks.lastly == [["d", "e"]]
    assert found.sources["jobs.n.hooks.finally"] == "ECM_AGENT_JOBS__N__HOOKS__FINALLY"


@pytest.mark.parametrize("duration", ["30s", "5m", "2h", "1d"])
def test_durations(tmp_path: Path, duration: str) -> None:
    """Seconds, minutes, hours and days."""
    notify = loaded(tmp_path, f"notify: {{repeat: {duration}}}").settings.notify
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[duration[-1]]
    assert notify.interval() == timedelta(**{unit: int(duration[:-1])})


def test_the_key_on_is_a_word(tmp_path: Path) -> None:
    """YAML 1.1 takes a bare `on` for true; as a key it is what it says."""
    assert loaded(tmp_path, "notify:\n  on: [success]\n").settings.notify.on == ["success"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "jobs: {n: {hooks: {before: [hunter2, x]}}}",
            "jobs.n.hooks.before (FILE:1): must be a list of commands, each a list of words, such as ",
        ),
        ("jobs: {n: {hooks: {before: [[]]}}}", "jobs.n.hooks.before (FILE:1): must not be empty"),
        ("jobs: {n: {hooks: {finaly: []}}}", "jobs.n.hooks.finaly (FILE:1): unknown key; did you mean finally?"),
        (
            "jobs: {n: {hooks: {lastly: []}}}",
            "jobs.n.hooks.lastly (FILE:1): unknown key",
        ),
        (
            "jobs: {n: {hooks: {timeout: 60}}}",
            "jobs.n.hooks.timeout (FILE:1): must be text; put it in quotes if it looks like something else",
        ),
        (
            "jobs: {n: {hooks: {timeout: 2w}}}",
            "jobs.n.hooks.timeout (FILE:1): must be a number of seconds, minutes, hours or days such as ",
        ),
        ("jobs: {n: {ping: hunter2}}", "jobs.n.ping (FILE:1): must be a section with keys of its own"),
        ("jobs: {n: {ping: {}}}", "jobs.n.ping (FILE:1): must have exactly one of the keys env, file and url"),
        (
            "jobs: {n: {ping: {url: hunter2, env: X}}}",
            "jobs.n.ping (FILE:1): must have exactly one of the keys env, file and url",
        ),
        ("jobs: {n: {ping: {url: ''}}}", "jobs.n.ping.url (FILE:1): must not be empty"),
        ("jobs: {n: {ping: {url: [hunter2]}}}", "jobs.n.ping.url (FILE:1): must be text"),
        ("notify: {urls: slack://hunter2}", "notify.urls (FILE:1): must be a list, such as [one, two]"),
        ("notify: {urls: [5]}", "notify.urls (FILE:1): must be text"),
        ("notify: {on: [sucess]}", "notify.on (FILE:1): must be failure, recovery, success or always"),
        ("notify: {on: []}", "notify.on (FILE:1): must not be empty"),
        ("log: {level: loud}", "log.level (FILE:1): must be debug, info, warning or error"),
        ("log: {format: xml}", "log.format (FILE:1): must be auto, text or json"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, line: str) -> None:
    """In plain words, at their place, never showing a value."""
    assert mistake(tmp_path, text).startswith(line)


def test_addresses_are_never_shown(tmp_path: Path) -> None:
    """Neither by `config show` nor by any repr; of hooks only the programs are shown."""
    found = loaded(
        tmp_path,
        f"notify: {{urls: [slack://hunter2, {SECRET}]}}\n"
        f"jobs: {{n: {{ping: {{url: '{SECRET}'}}, hooks: {{after: [[curl, {SECRET}], [sync]]}}}}}}",
    )
    shown = {key: value for key, value, _ in show(found)}
    assert shown["notify.urls"] == ["…", "…"]
    assert shown["jobs.n.ping.url"] == "…"
    assert shown["jobs.n.hooks.after"] == [["curl", "..."], ["sync"]]
    assert "hunter2" not in f"{found!r} {found.settings} {shown}"


def test_a_ping_address_from_each_source(tmp_path: Path) -> None:
    """Written in the file itself, in a variable, or in a private file of its own."""
    (tmp_path / "ping").write_text(f"{SECRET}\n")
    (tmp_path / "ping").chmod(0o600)
    for source in (f"url: '{SECRET}'", "env: PING", "file: ping"):
        ping = loaded(tmp_path, f"jobs: {{n: {{ping: {{{source}}}}}}}").settings.jobs["n"].ping
        assert ping
        assert ping_address(ping, environ={"PING": SECRET}) == Secret(SECRET)


def test_the_addresses_of_notifications_add_up(tmp_path: Path) -> None:
    """Those written, those of the variable, those of the file, where blank lines and comments do not count."""
    (tmp_path / "list").write_text("# mine\nd://4\n\n  e://5  \n")
    (tmp_path / "list").chmod(0o600)
    notify = loaded(tmp_path, "notify: {urls: ['a://1'], env: NOTIFY, file: list}").settings.notify
    addresses = notify_addresses(notify, environ={"NOTIFY": " b://2\nc://3 "})
    assert addresses == [Secret(each) for each in ("a://1", "b://2", "c://3", "d://4", "e://5")]


def test_what_cannot_be_read_is_said_without_showing_it(tmp_path: Path) -> None:
    """A variable that is not set; a file that is missing, open to everyone, empty, or no text."""
    file = tmp_path / "list"
    notify = loaded(tmp_path, "notify: {file: list}").settings.notify
    variable = loaded(tmp_path, "notify: {env: NOTIFY}").settings.notify

    def refusal(content: bytes, mode: int = 0o600) -> str:
        file.write_bytes(content)
        file.chmod(mode)
        with pytest.raises(UsageError) as caught:
            notify_addresses(notify, environ={})
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))
        assert "assword" not in caught.value.message
        return caught.value.message

    assert refusal(b"a://hunter2", 0o644).endswith("everyone can read it.")
    for content in (b"", b"# only a comment", b"\xffhunter2", b"a://hunter2 " * 10_000):
        assert "one address a line" in refusal(content)
    file.unlink()
    with pytest.raises(UsageError, match="No such file"):
        notify_addresses(notify, environ={})
    with pytest.raises(UsageError, match="The variable NOTIFY is not set"):
        notify_addresses(variable, environ={"NOTIFY": " "})


def test_the_variables_that_hold_secrets_are_known(tmp_path: Path) -> None:
    """So that hooks do not get them: those of the password, the store's key, the pings and the notifications."""
    text = "password: {env: MINE}\nstore: {key: {env: SAFE}}\nnotify: {env: PEOPLE}\n"
    text += "jobs: {a: {ping: {env: SWITCH}}, b: {}}"
    settings = loaded(tmp_path, text).settings
    assert secret_variables(settings) == {
        "ECM_EXPORT_PASSWORD",
        "ECM_DB_KEY",
        "CAUSANTIC_DB_KEY",
        "MINE",
        "SAFE",
        "PEOPLE",
        "SWITCH",
    }


def test_the_format_of_the_log(tmp_path: Path) -> None:
    """Text, JSON, or by whether there is a terminal."""
    formats = [loaded(tmp_path, f"log: {{format: {each}}}").settings.log.as_json() for each in ("auto", "text", "json")]
    assert formats == [None, False, True]
