"""The notification protocol: what reaches the service manager, and that nothing goes anywhere without one."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from ecm_agent.systemd import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    """Listen as systemd does; an address that begins with "@" is an abstract one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)
        channel.settimeout(5)
        yield channel


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "notify") if request.param == "path" else f"@ecm-agent-{secrets.token_hex(8)}"


MESSAGES: list[tuple[Callable[[Supervisor], None], bytes]] = [
    (lambda supervisor: supervisor.ready(), b"READY=1"),
    (lambda supervisor: supervisor.alive("naptár: idle"), "WATCHDOG=1\nSTATUS=naptár: idle".encode()),
    (lambda supervisor: supervisor.reloading(12.345678), b"RELOADING=1\nMONOTONIC_USEC=12345678"),
    (lambda supervisor: supervisor.stopping(), b"STOPPING=1"),
    (lambda supervisor: supervisor.needs_longer(90.5), b"EXTEND_TIMEOUT_USEC=90500000"),
]


@pytest.mark.parametrize(("tell", "message"), MESSAGES, ids=[message.decode() for _, message in MESSAGES])
def test_each_message_is_one_datagram(address: str, tell: Callable[[Supervisor], None], message: bytes) -> None:
    """What the agent says reaches the socket named in the environment, by path or abstract, as sd_notify(3) has it."""
    with listening(address) as channel:
        tell(Supervisor({"NOTIFY_SOCKET": address}))
        assert channel.recv(4096) == message
        channel.setblocking(False)
        with pytest.raises(BlockingIOError):
            channel.recv(4096)


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}])
def test_without_a_service_manager_nothing_is_sent(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Started by hand, by cron or in a container, not even a socket is opened."""
    opened = []
    monkeypatch.setattr(socket, "socket", lambda *arguments: opened.append(arguments))
    for tell, _ in MESSAGES:
        tell(Supervisor(environ))
    assert opened == []


@pytest.mark.parametrize("place", ["gone", "not-a-socket", "x" * 200])
def test_a_service_manager_that_does_not_listen_is_no_error(tmp_path: Path, place: str) -> None:
    """A socket that is gone, is none or has an impossible name does not end the daemon."""
    (tmp_path / "not-a-socket").touch()
    supervisor = Supervisor({"NOTIFY_SOCKET": str(tmp_path / place)})
    for tell, _ in MESSAGES:
        tell(supervisor)


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getppid())}, 0.0),
    ],
)
def test_the_watchdog(environ: dict[str, str], seconds: float) -> None:
    """Its period is known in seconds; one that watches another process, whose child we are, is not ours."""
    assert Supervisor(environ).watchdog_seconds == seconds
