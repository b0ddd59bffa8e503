"""The dead-man's switch: what it is told, how hard we try, and that nobody learns its address."""

from __future__ import annotations

import json
import socket
import threading
import time
import traceback
from typing import TYPE_CHECKING

import pytest
from outcomes import outcome, started

from ecm_agent.errors import UsageError
from ecm_agent.notification.ping import Ping
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from web import Web

UUID = "5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278"


def ping(url: str, timeout: float = 10.0) -> Ping:
    return Ping(Secret(url), timeout=timeout, pauses=(0.0, 0.0))


@pytest.mark.parametrize(
    ("status", "code", "target"),
    [
        ("ok", 0, f"/{UUID}?create=1"),
        ("partial", 3, f"/{UUID}/3?create=1"),
        ("failed", 13, f"/{UUID}/13?create=1"),
        ("failed", 0, f"/{UUID}/fail?create=1"),
        ("failed", 256, f"/{UUID}/fail?create=1"),
    ],
)
def test_the_end_of_a_run_is_told_by_the_path(web: Web, status: str, code: int, target: str) -> None:
    """Success is the address itself, anything else its exit code or /fail; the query stays at the end."""
    assert ping(f"{web.address}/{UUID}?create=1").finish(outcome(status, exit_code=code, message="secret log")) == ""
    assert web.asked == [f"POST {target}"]
    body = {"job": "nightly", "host": "laptop", "outcome": status, "exit_code": code, "seconds": 4.0}
    assert json.loads(web.bodies[0]) == body


def test_the_start_of_a_run_is_told(web: Web) -> None:
    """With /start, also where the address ends with a slash."""
    assert ping(f"{web.address}/{UUID}/").start(started()) == ""
    assert web.asked == [f"POST /{UUID}/start"]
    assert json.loads(web.bodies[0]) == {"job": "nightly", "host": "laptop", "outcome": "started"}


def test_a_skipped_run_is_no_sign_of_life(web: Web) -> None:
    """Nothing was backed up, so nothing is said: skipping for ever must raise the alarm."""
    assert ping(web.address).finish(outcome("skipped")) == ""
    assert web.asked == []


def test_trying_again(web: Web) -> None:
    """Twice more after a server's error or a "not now"."""
    web.answers[:] = [(503, ""), (429, "")]
    assert ping(web.address).start(started()) == ""
    assert len(web.asked) == 3
    web.answers[:] = [(500, "")] * 4
    assert ping(web.address).start(started()) == "The ping to 127.0.0.1 did not arrive: the server answered 500."
    assert len(web.asked) == 6


def test_a_wrong_address_is_not_tried_again(web: Web) -> None:
    """The answer will not change."""
    web.answers[:] = [(404, "")]
    assert "the server answered 404" in ping(f"{web.address}/{UUID}").start(started())
    assert len(web.asked) == 1


def test_a_login_in_the_address_is_a_header(web: Web) -> None:
    """And no part of the request's target."""
    assert ping(web.address.replace("//", "//me:p%40ss@") + "/x").start(started()) == ""
    assert web.asked == ["POST /x/start"]
    assert web.headers[0]["Authorization"] == "Basic bWU6cEBzcw=="


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/hostname", "gopher://127.0.0.1/"])
def test_a_redirect_does_not_leave_the_web(web: Web, target: str) -> None:
    """Only http and https are followed."""
    web.answers[:] = [(302, target)]
    assert "the server answered 302" in ping(web.address).start(started())


def test_a_redirect_within_the_web_is_followed(web: Web) -> None:
    """And takes no login along."""
    web.answers[:] = [(302, f"{web.address}/other")]
    assert ping(web.address.replace("//", "//me:pass@")).start(started()) == ""
    assert web.asked == ["POST /start", "GET /other"]
    assert "Authorization" not in web.headers[1]


def test_a_server_that_says_nothing_holds_nobody_up() -> None:
    """A connection that is never answered, and a name that is never found, end with the timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/{UUID}"
        assert ping(url, timeout=0.1).start(started()).endswith("there was no answer in time.")
    never = threading.Event()
    slow = Ping(Secret(f"http://h/{UUID}"), post=lambda *_: (never.wait(20), None)[1], timeout=0.1, pauses=())
    began = time.monotonic()
    assert slow.start(started()).endswith("there was no answer in time.")
    never.set()
    assert time.monotonic() - began < 10


def test_no_error_shows_the_address() -> None:
    """Neither its path nor its login, whatever goes wrong."""
    address = f"http://me:{UUID}@127.0.0.1:1/{UUID}?key={UUID}"
    errors: list[Exception] = [
        OSError(f"cannot reach {address}"),
        ValueError(address),
    ]

    def failing(error: Exception) -> Ping:
        def post(url: str, body: bytes, timeout: float) -> None:
            del url, body, timeout
            raise error

        return Ping(Secret(address), post=post, pauses=())

    texts = [failing(error).start(started()) for error in errors]
    texts += [ping(address).start(started()), repr(ping(address))]
    assert all("127.0.0.1" in text for text in texts)
    assert UUID not in "".join(texts)


@pytest.mark.parametrize(
    "address",
    [f"ftp://h/{UUID}", f"file:///{UUID}", UUID, f"https:///{UUID}", f"http://h:{UUID}/x", f"http://[{UUID}/"],
)
def test_what_is_no_web_address_is_refused(address: str) -> None:
    """When it is configured, without showing it."""
    with pytest.raises(UsageError) as caught:
        Ping(Secret(address))
    assert UUID not in "".join(traceback.format_exception(caught.value))
