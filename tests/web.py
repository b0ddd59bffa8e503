"""A web server on this machine that remembers what it was asked."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


@dataclass
class Web:
    """`asked` are method and target of the requests, `bodies` and `headers` theirs; `answers` are given in turn."""

    address: str = ""
    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[tuple[int, str]] = field(default_factory=list)


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """Have a web server answer during the block, asked directly whatever proxies are set."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    seen = Web()

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.asked.append(f"{self.command} {self.path}")
            seen.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            seen.headers.append(dict(self.headers))
            status, location = seen.answers.pop(0) if seen.answers else (200, "")
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 (the library's name)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        seen.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield seen
        server.shutdown()
        thread.join()
