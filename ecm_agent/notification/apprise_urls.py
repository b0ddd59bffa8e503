"""Messages through the apprise library, which knows mail, chat and push services by URL. The URLs are secrets.

The library is an extra of this package, and works in a process of its own: it takes some 45 MB, a service may hang,
and its log holds parts of the URLs.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from ecm_agent.errors import UsageError
from ecm_agent.notification.process import TookTooLong, run, without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ecm_agent.notification.policy import Notice
    from ecm_agent.secret import Secret

Answer: TypeAlias = Literal["sent", "refused", "not understood"]
"""What became of a message; for `check`, "sent" means that the URL is understood."""

_CHILD = "ecm_agent.notification.apprise_child"
_KINDS = {"failure": "failure", "recovery": "success", "success": "success", "always": "info"}


class Task(msgspec.Struct, frozen=True):
    """What the other process is asked, on its stdin; it answers with a list, one `Answer` a URL."""

    urls: list[str]
    title: str = ""
    body: str = ""
    kind: str = "info"
    send: bool = True


class Sent(msgspec.Struct, frozen=True):
    """How many services took a message, and what was wrong with the others, without their URLs."""

    arrived: int
    problems: list[str]


class Recipients:
    """Services that take messages. `repr` and errors never show a URL, only its place in the list and its scheme."""

    def __init__(self, urls: Sequence[Secret], *, environ: Mapping[str, str], timeout: float = 60.0) -> None:
        """Take the URLs; `timeout` (seconds) is for all of them together. Loads nothing.

        Raises `UsageError` when the library is missing or a URL has no scheme.
        """
        self._urls = [url.utf8().decode() for url in urls]
        self._names = [_name(number, url) for number, url in enumerate(self._urls, 1)]
        self._environ = {**without_secrets(environ), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._timeout = timeout
        if urls and not is_installed():
            raise UsageError(
                "Notifications need the apprise library, which is not installed.",
                hint="Install it with: pip install 'ecm-agent[notify]'",
            )

    def __repr__(self) -> str:
        return f"Recipients({', '.join(self._names)})"

    def __len__(self) -> int:
        return len(self._urls)

    def check(self) -> None:
        """Raise `UsageError` for URLs the library does not understand. Sends nothing."""
        answers, problem = self._ask(Task(self._urls, send=False))
        wrong = [name for name, answer in zip(self._names, answers, strict=not problem) if answer != "sent"]
        if wrong or problem:
            text = problem or f"The library does not understand the address of {', '.join(wrong)}."
            raise UsageError(text, hint="https://appriseit.com lists every service and how its URL is written.")

    def send(self, notice: Notice) -> Sent:
        """Send a message to every service. Never raises."""
        if not self._urls:
            return Sent(0, [])
        task = Task(self._urls, notice.title, notice.body, _KINDS[notice.occasion])
        answers, problem = self._ask(task)
        if problem:
            return Sent(0, [problem])
        what = {"refused": "was not sent", "not understood": "was not sent: its address is not understood"}
        pairs = list(zip(self._names, answers, strict=True))
        return Sent(answers.count("sent"), [f"The {name} {what[answer]}." for name, answer in pairs if answer in what])

    def _ask(self, task: Task) -> tuple[list[Answer], str]:
        argv = [sys.executable, "-m", _CHILD]
        content = msgspec.json.encode(task)
        try:
            status, printed = run(
                argv, environ=self._environ, timeout=self._timeout, stdin=content, output=subprocess.PIPE
            )
            answers = msgspec.json.decode(printed, type=list[Answer]) if status == 0 else []
            if len(answers) == len(task.urls):
                return answers, ""
        except TookTooLong:
            return [], f"The notifications were given up: they took longer than {self._timeout:g} seconds."
        except (OSError, ValueError, msgspec.MsgspecError):
            pass
        return [], "The notifications could not be sent: the program that sends them failed."


def is_installed() -> bool:
    return find_spec("apprise") is not None


def _name(number: int, url: str) -> str:
    scheme = re.match(r"([A-Za-z][A-Za-z0-9]{1,20})://", url)
    if scheme is None:
        raise UsageError(f"The address of notification {number} is not a URL.", hint="Write it as service://...")
    return f"notification {number} ({scheme[1].lower()})"
