"""Real servers on this machine's loopback for tests: rclone's, and one that plays a script in front of another."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

BUCKET = "backups"
_DEADLINE = 30


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RcloneServer:
    """`rclone serve s3` on a directory, with credentials of its own; the bucket is a directory in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.access_key = f"AKIA{secrets.token_hex(8).upper()}"
        self.secret_key = secrets.token_hex(20)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        (self.directory / BUCKET).mkdir(parents=True, exist_ok=True)
        command = [str(Path(sys.executable).with_name("rclone")), "serve", "s3", "--addr", f"127.0.0.1:{self.port}"]
        command += ["--auth-key", f"{self.access_key},{self.secret_key}", "--config", os.devnull, str(self.directory)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _answering(self.port, self._process)
        return self

    def pause(self) -> None:
        """Have it say nothing more, while its port stays open."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process:
            self._process.kill()
            self._process.wait()


def _answering(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _DEADLINE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise RuntimeError(f"no server at port {port}")


class Exchange(BaseHTTPRequestHandler):
    """One request on its way to the server behind; a script may answer it, spoil it or let it pass."""

    protocol_version = "HTTP/1.1"
    _body: bytes | None = None

    @property
    def body(self) -> bytes:
        """What the client sends; read from it only when somebody wants to know."""
        if self._body is None:
            self._body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return self._body

    def handle_any(self) -> None:
        server = self.server
        assert isinstance(server, Proxy)
        self._body = None
        with server.lock:
            server.seen.append((self.command, {name.lower(): value for name, value in self.headers.items()}))
        if not server.script(self):
            self.answer(*self.forwarded())

    def forwarded(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """Have the server behind do it, and give its answer."""
        server = self.server
        assert isinstance(server, Proxy)
        with closing(HTTPConnection("127.0.0.1", server.behind, timeout=_DEADLINE)) as connection:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            connection.request(self.command, self.path, self.body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes, cut: int | None = None) -> None:
        """Send an answer; with `cut` only so much of its body, and then nothing more."""
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                self.send_header(name, value)
        length = dict(headers).get("Content-Length") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True

    def refuse(self, status: int, code: str, message: str = "") -> bool:
        """Answer with an error of S3's kind; gives true, so that a script can return it."""
        assert self.body is not None  # a client that is still sending would not see the answer
        text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        self.answer(status, [("Content-Type", "application/xml")], b"" if self.command == "HEAD" else text)
        return True

    def log_message(self, *_: object) -> None:
        pass

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 (the library's names)


class Proxy(ThreadingHTTPServer):
    """A server in front of another. `script` gets each request first, and tells whether it has answered it."""

    daemon_threads = True

    def __init__(self, behind: int, script: Callable[[Exchange], bool]) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.behind = behind
        self.script = script
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that hung up is the point of some tests."""

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()
