"""The dead-man's switch: a web address, in the manner of healthchecks.io, that hears of every run.

`<url>/start` when a run begins, `<url>` when all went well, `<url>/<exit code>` when not (`<url>/fail` where there is
no code from 1 to 255). A skipped run is no sign of life and says nothing. Whoever knows the address can speak for us,
so it is a secret.
"""

from __future__ import annotations

import base64
import threading
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage
from typing import IO, TYPE_CHECKING, Any, TypeAlias
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import msgspec

from ecm_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ecm_agent.model.outcome import Outcome, Started
    from ecm_agent.secret import Secret

Post: TypeAlias = Callable[[str, bytes, float], None]
"""Sends a body to a URL within so many seconds; raises when it does not arrive."""

_SCHEMES = {"http", "https"}
_WORTH_ANOTHER_TRY = {408, 425, 429}
_SERVER_ERROR = 500
_EXIT_CODES = range(1, 256)


class Answered(Exception):
    """The server's answer was a status other than success."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the server answered {status}")
        self.status = status


class Ping:
    """One address. No method raises: they give "" when the ping arrived, else why it did not, without the address."""

    def __init__(
        self, url: Secret, *, post: Post | None = None, timeout: float = 10.0, pauses: Sequence[float] = (1.0, 4.0)
    ) -> None:
        """Take the address.

        `timeout` (seconds) is for each step of a try, which has twice that; `pauses` (seconds) are between tries.

        Raises `UsageError`, without showing it, when the address is not one of http or https.
        """
        self._parts = _parts(url)
        self._post = post or post_over_http
        self._timeout = timeout
        self._pauses = pauses

    def __repr__(self) -> str:
        return f"Ping({self.host})"

    @property
    def host(self) -> str:
        return self._parts.hostname or ""

    def start(self, run: Started) -> str:
        """Say that a run begins."""
        return self._send("/start", {"job": run.job, "host": run.host, "outcome": "started"})

    def finish(self, outcome: Outcome) -> str:
        """Say how a run ended."""
        if outcome.status == "skipped":
            return ""
        code = f"/{outcome.exit_code}" if outcome.exit_code in _EXIT_CODES else "/fail"
        body = {
            "job": outcome.job,
            "host": outcome.host,
            "outcome": outcome.status,
            "exit_code": outcome.exit_code,
            "seconds": round(outcome.seconds, 3),
        }
        return self._send("" if outcome.status == "ok" else code, body)

    def _send(self, suffix: str, body: dict[str, Any]) -> str:
        path = self._parts.path.rstrip("/") + suffix if suffix else self._parts.path
        url, content = urlunsplit(self._parts._replace(path=path)), msgspec.json.encode(body)
        reason = ""
        for pause in (0.0, *self._pauses):
            time.sleep(pause)
            error = _caught_within(2 * self._timeout, lambda: self._post(url, content, self._timeout))
            if error is None:
                return ""
            reason = _reason(error)
            if isinstance(error, Answered) and not _worth_another_try(error.status):
                break
        return f"The ping to {self.host} did not arrive: {reason}."


def post_over_http(url: str, body: bytes, timeout: float) -> None:
    """Send `body` as JSON. Raises `Answered` for any answer but success, `OSError` or `HTTPException` for none."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    request = urllib.request.Request(  # noqa: S310 (the scheme was checked)
        urlunsplit(parts._replace(netloc=host, fragment="")), data=body, headers={"Content-Type": "application/json"}
    )
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        # Not a header that a redirect would carry to another host.
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(login).decode()}")
    try:
        urllib.request.build_opener(_SafeRedirects).open(request, timeout=timeout).close()
    except HTTPError as error:
        with error:  # it holds the connection
            raise Answered(error.code) from None


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect from http to http or https, and from https to https only."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme not in {req.type, "https"}:
            raise HTTPError("", code, "redirect refused", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _parts(url: Secret) -> SplitResult:
    parts, sound = urlsplit(""), False
    try:
        parts = urlsplit(url.utf8().decode().strip())
        sound = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        pass  # and not raised from here: the error it would carry along holds the address
    if not sound:
        raise UsageError("The ping address is not a URL.", hint="It begins with https:// or http:// and a host's name.")
    return parts


def _caught_within(seconds: float, call: Callable[[], None]) -> Exception | None:
    """Give the error of a call, which is left behind when it takes too long: looking a name up knows no timeout."""
    ended: list[Exception | None] = []

    def work() -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 (a ping never fails a run)
            ended.append(error)
        else:
            ended.append(None)

    thread = threading.Thread(target=work, name="ping", daemon=True)
    thread.start()
    thread.join(seconds)
    return ended[0] if ended else TimeoutError()


def _worth_another_try(status: int) -> bool:
    return status >= _SERVER_ERROR or status in _WORTH_ANOTHER_TRY


def _reason(error: Exception) -> str:
    """Say what happened in words that cannot hold the address."""
    cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, OSError) else error
    if isinstance(error, Answered):
        return str(error)
    if isinstance(cause, TimeoutError):
        return "there was no answer in time"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return "the answer made no sense" if isinstance(cause, HTTPException) else type(cause).__name__
