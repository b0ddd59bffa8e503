"""The log: what a line holds, and that no secret is ever in one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "kö\"rrekt\\horse bat'tery%\nstaple"

PREPARED = """
import logging, os, sys, threading, warnings
from datetime import datetime, UTC
from pathlib import Path
from ecm_agent import log
from ecm_agent.secret import Secret
from outcomes import outcome
PASSWORD = os.environ["TEST_PASSWORD"]
log.register(Secret(PASSWORD))
"""

EVERY_WAY = """
class Holder:
    def __init__(self): self.password = PASSWORD
    def __repr__(self): return f"Holder({self.password!r})"

class Broken:
    def __repr__(self): raise ValueError(PASSWORD)

ours, library = log.logger(bound=PASSWORD), logging.getLogger("botocore.auth")
ours.info(PASSWORD)
ours.info("an argument %s and %r", PASSWORD, PASSWORD)
ours.info("fields", s=Secret(PASSWORD), t=f"<{PASSWORD}>", b=PASSWORD.encode(), p=Path("/x") / PASSWORD, h=Holder())
ours.info("nested", a={"b": [{PASSWORD: (PASSWORD, {PASSWORD})}]}, deep=[[[[[[[[[[[PASSWORD]]]]]]]]]]], x=Broken())
ours.info("keys", **{PASSWORD: 1})
ours.info("wrong arguments %d", PASSWORD)
library.warning("%s", PASSWORD)
library.warning("%d", PASSWORD)
library.warning(Holder())
library.error("with an error", exc_info=ValueError(PASSWORD))
logging.getLogger("ecm_agent.notification.hooks").debug("output: %s", PASSWORD)
logging.getLogger().error(f"at the root {PASSWORD}", stack_info=True)
warnings.warn(f"a warning {PASSWORD}")
try:
    try:
        raise KeyError(PASSWORD, {PASSWORD: Holder()})
    except KeyError as error:
        error.add_note(f"a note: {PASSWORD}")
        raise RuntimeError(f"chained {PASSWORD!r}") from error
except RuntimeError:
    ours.exception("failed", password=PASSWORD)
    library.exception("failed")

def fail(): raise ValueError(PASSWORD, Secret(PASSWORD))
thread = threading.Thread(target=fail, name=PASSWORD); thread.start(); thread.join()

class Finalised:
    def __del__(self): raise ValueError(PASSWORD)
Finalised()
log.run_finished(
    outcome("failed", message=f"no: {PASSWORD}"),
    counts={PASSWORD: 1}, size=1, stages={PASSWORD: 1.0}, destinations={"a": PASSWORD},
)
sys.stderr.flush()
fail()
"""


def written(code: str, *, password: str = PASSWORD, **environ: str) -> str:
    """Run code after the preparations in a process of its own; give what it wrote to stdout and stderr."""
    base = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    paths = os.pathsep.join(filter(None, sys.path))
    env = {**base, "TEST_PASSWORD": password, "PYTHONPATH": paths, **environ}
    command = [sys.executable, "-c", PREPARED + textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, check=False, env=env)
    return (done.stdout + done.stderr).decode()


def lines(code: str, **environ: str) -> list[dict[str, Any]]:
    configured = "log.configure(sys.stderr, json=True, level='info', environ=os.environ)\n"
    return [json.loads(line) for line in written(configured + textwrap.dedent(code), **environ).splitlines()]


def disguises(password: str) -> Iterator[str]:
    yield from (password, repr(password)[1:-1], json.dumps(password)[1:-1], repr(password.encode())[2:-1])
    yield from (word for word in password.split("\n") if len(word) > 4)


@pytest.mark.parametrize("form", ["True", "False"], ids=["json", "text"])
@pytest.mark.parametrize("password", [PASSWORD, "hunter2", "12345678", "päßwörd"])
def test_no_password_in_anything_written(form: str, password: str) -> None:
    """Searched in all that is written: fields, arguments, tracebacks, warnings, what nobody caught, what failed."""
    text = written(
        f"log.configure(sys.stderr, json={form}, level='debug', environ=os.environ)\n{EVERY_WAY}", password=password
    )
    assert [disguise for disguise in disguises(password) if disguise in text] == []
    assert text.count("[secret]") > 30
    for said in ("nested", "chained", "at the root", "a warning", "a note", "nobody caught", "could not be raised"):
        assert said in text
    assert "Logging error" not in text
    if form == "True":
        assert all(json.loads(line)["event"] for line in text.splitlines())


def test_the_search_finds_what_is_not_hidden() -> None:
    """Without registering it, the same program shows the password in every line it should."""
    text = written(f"log._forms.clear()\nlog.configure(sys.stderr, json=True, level='debug')\n{EVERY_WAY}")
    assert len([line for line in text.splitlines() if any(each in line for each in disguises(PASSWORD))]) > 12


def test_a_short_secret_is_hidden_where_it_stands_alone() -> None:
    """Cut out of every word it would be given away."""
    (line,) = lines("log.logger().info('abc', a='ab', b=7)", password="ab")
    assert (line["event"], line["a"]) == ("abc", "[secret]")


def test_one_line_says_all_of_a_run() -> None:
    """The canonical line: counts, bytes, seconds by stage, outcome, exit code, destinations."""
    (line,) = lines(
        """
        log.run_finished(
            outcome("partial", message="offsite is down", archive="nightly-laptop-20260701T020000Z.ecm"),
            counts={"chunks": 5, "edges": 0}, size=1234, stages={"export": 1.23456},
            destinations={"local": "verified", "offsite": "no answer"},
        )
        """
    )
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "warning",
        "event": "run finished",
        "job": "nightly",
        "host": "laptop",
        "verb": "backup",
        "outcome": "partial",
        "exit_code": 3,
        "message": "offsite is down",
        "archive": "nightly-laptop-20260701T020000Z.ecm",
        "counts": {"chunks": 5, "edges": 0},
        "bytes": 1234,
        "seconds": 4.0,
        "stages": {"export": 1.235},
        "destinations": {"local": "verified", "offsite": "no answer"},
        "started_at": "2026-07-01T02:00:00+00:00",
        "finished_at": "2026-07-01T02:00:04+00:00",
    }


def test_times_are_utc_in_any_zone() -> None:
    """RFC 3339 with milliseconds and Z; the same moment wherever the machine is."""
    (line,) = lines("import time; before = time.time(); log.logger().info('x', before=before)", TZ="Asia/Tokyo")
    from datetime import UTC, datetime

    said = datetime.strptime(line["timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert abs(said.timestamp() - line["before"]) < 5


def test_of_libraries_only_warnings_are_heard() -> None:
    """With their name; our own records follow the level."""
    heard = lines(
        """
        for name in ("apscheduler.scheduler", "ecm_agent"):
            for level in ("debug", "info", "warning"):
                getattr(logging.getLogger(name), level)(level)
        """
    )
    assert [(line["logger"], line["event"]) for line in heard] == [
        ("apscheduler.scheduler", "warning"),
        ("ecm_agent", "info"),
        ("ecm_agent", "warning"),
    ]


def test_every_value_becomes_json() -> None:
    """Also what JSON has no word for."""
    (line,) = lines(
        "log.logger().info('x', n=None, t=True, f=float('inf'), d=datetime(2026, 1, 1, tzinfo=UTC),"
        " p=Path('/x'), s='\\udc80', q=(1, 2))"
    )
    assert {key: line[key] for key in "ntfdpsq"} == {
        "n": None,
        "t": True,
        "f": "inf",
        "d": "2026-01-01T00:00:00+00:00",
        "p": "/x",
        "s": "\udc80",
        "q": [1, 2],
    }


def test_configuring_again_replaces() -> None:
    """After a reload each record is written once, in the new way."""
    text = written(
        """
        log.configure(sys.stderr, json=False, level="info")
        log.configure(sys.stderr, json=True, level="warning")
        log.logger().info("no"); log.logger().warning("yes")
        """
    )
    assert [json.loads(line)["event"] for line in text.splitlines()] == ["yes"]


def test_unconfigured_it_is_silent() -> None:
    """A command that has its own way of telling does not get a second voice."""
    assert written("log.logger().error('x'); logging.getLogger('ecm_agent.x').error('y')") == ""


def test_loading_it_loads_no_structlog() -> None:
    """Start-up time is a feature."""
    assert written("print('structlog' in sys.modules)") == "False\n"


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_want_them(environ: dict[str, str], coloured: bool) -> None:
    """On a terminal: text, coloured unless NO_COLOR or TERM=dumb; elsewhere JSON."""
    code = """
    class Terminal:
        def isatty(self): return True
        def write(self, text): sys.stdout.write(text)
        def flush(self): pass
    log.configure(Terminal(), json=None, level="info", environ=os.environ)
    log.logger().info("hello", n=1)
    log.configure(sys.stdout, json=None, level="info", environ=os.environ)
    log.logger().info("elsewhere")
    """
    first, second = written(code, **{"TERM": "xterm", **environ}).splitlines()
    assert ("\x1b[" in first) == coloured
    assert "hello" in first
    assert json.loads(second)["event"] == "elsewhere"
