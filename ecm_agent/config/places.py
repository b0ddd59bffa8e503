"""What the machine says where the configuration does not: home, the usual directories and stores, the time zone."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ecm_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_STATE_VARIABLE = "STATE_DIRECTORY"


def expanded(text: str | Path, *, base: Path, environ: Mapping[str, str]) -> Path:
    """Make a path absolute: a leading `~` is the home directory, a relative path starts from `base`.

    Nothing else is expanded. Raises `ValueError`, with a text for the user, for what looks as if it should be.
    """
    written = str(text)
    if not written:
        raise ValueError("is empty")
    if "\0" in written:
        raise ValueError("holds a character that no path can hold")
    if written.startswith("$") or "${" in written:
        raise ValueError("starts with or holds a variable, which is not expanded; only ~ is")
    first, _, rest = written.partition("/")
    if first == "~":
        return home(environ) / rest.lstrip("/")
    if first.startswith("~"):
        raise ValueError("starts with another user's home directory, which is not expanded; only ~ is")
    return base / written


def home(environ: Mapping[str, str]) -> Path:
    """Give the home directory: HOME, else the user database's. Raises `UsageError` where neither knows one."""
    if path := _absolute(environ, "HOME"):
        return path
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        raise UsageError("This user has no home directory.", hint="Set HOME to a directory.") from None


def config_home(environ: Mapping[str, str]) -> Path:
    return (_absolute(environ, "XDG_CONFIG_HOME") or home(environ) / ".config") / "ecm-agent"


def state_directory(environ: Mapping[str, str]) -> tuple[Path, str]:
    """Give the state directory where the configuration names none, and what says so."""
    if first := environ.get(_STATE_VARIABLE, "").partition(":")[0]:
        return Path(first), _STATE_VARIABLE
    if shared := _absolute(environ, "XDG_STATE_HOME"):
        return shared / "ecm-agent", "XDG_STATE_HOME"
    return home(environ) / ".local/state/ecm-agent", "default"


def found_of(usual: Iterable[Path]) -> tuple[Path, ...]:
    """Give which of these there are, the first of them where one is only another name of it.

    What one may not look at, and a link that leads nowhere, counts as being there: nothing else takes its place unsaid.
    """
    found: list[Path] = []
    for path in usual:
        if _may_be_there(path) and not any(_same(path, other) for other in found):
            found.append(path)
    return tuple(found)


def time_zone(environ: Mapping[str, str], etc: Path = Path("/etc")) -> tuple[str, str]:
    """Give the system's IANA zone and what says so: TZ, the link `etc`/localtime, `etc`/timezone, else UTC."""
    if "TZ" in environ and (name := _iana(environ["TZ"].removeprefix(":") or "UTC")):
        return name, "TZ"
    for text in (_target(etc / "localtime"), _line(etc / "timezone")):
        if name := _iana(text):
            return name, "default"
    return "UTC", "default"


def _absolute(environ: Mapping[str, str], variable: str) -> Path | None:
    """Read a directory from a variable; the XDG rules say to overlook one that is not absolute."""
    path = Path(environ.get(variable, ""))
    return path if path.is_absolute() else None


def _may_be_there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _iana(text: str) -> str | None:
    name = text.rpartition("zoneinfo/")[2].removeprefix("posix/").removeprefix("right/")
    try:
        return ZoneInfo(name).key
    except (OSError, ValueError, KeyError):
        return None


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _line(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, ValueError):
        return ""
