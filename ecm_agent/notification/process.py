"""Running another program with an end in sight, and without our secrets in its environment."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from contextlib import suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""

_SECRETIVE = re.compile(
    "PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|(ACCESS|API|PRIVATE|ACCOUNT|DB)_?KEY", re.IGNORECASE
)
_SETTINGS, _CONFIG = "ECM_AGENT_", "ECM_AGENT_CONFIG"


class TookTooLong(Exception):
    """The program was ended because its time was up."""


def without_secrets(environ: Mapping[str, str], also: Collection[str] = ()) -> dict[str, str]:
    """Give an environment without what may be a secret: by its name, or because `also` names it.

    Our own settings (ECM_AGENT_...) may hold secret URLs and go too, all but the path of the configuration file.
    """
    return {
        name: value
        for name, value in environ.items()
        if name not in also
        and not _SECRETIVE.search(name)
        and (name == _CONFIG or not name.upper().startswith(_SETTINGS))
    }


def run(
    argv: Sequence[str],
    *,
    environ: Mapping[str, str],
    timeout: float,
    stdin: bytes | None = None,
    output: IO[bytes] | int = subprocess.DEVNULL,
    grace: float = GRACE,
) -> tuple[int, bytes]:
    """Run a program in a process group of its own; give its exit status and, for `output=PIPE`, what it printed.

    Its errors go where its output goes, save to a pipe. Without `stdin` it reads nothing. Raises `TookTooLong` after
    `timeout` seconds, when the whole group has been ended; `OSError` or `ValueError` when it cannot be started.
    """
    with subprocess.Popen(  # noqa: S603 (an argument list, no shell)
        list(argv),
        env=dict(environ),
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=output,
        stderr=subprocess.DEVNULL if output == subprocess.PIPE else output,
        start_new_session=True,
    ) as process:
        printed, late = b"", False
        try:
            printed = process.communicate(stdin, timeout)[0] or b""
        except subprocess.TimeoutExpired:
            _end(process, grace)
            late = True
        except BaseException:  # the run is being interrupted, and a Ctrl-C does not reach another session
            _end(process, grace)
            raise
    if late:  # not raised above: the library's error, which would come along, holds the arguments
        raise TookTooLong
    return process.returncode, printed


def _end(process: subprocess.Popen[bytes], grace: float) -> None:
    _signal(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(grace)
    _signal(process, signal.SIGKILL)  # also for members of the group that outlive their leader
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody left; on macOS, only the dead are left
        os.killpg(process.pid, number)
