"""Files that hold a secret."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ecm_agent.errors import UsageError

LONGEST = 65536
"""Bytes a secret may have."""


def content(path: Path, which: str, error_of: type[UsageError], *, private: bool = True) -> bytes:
    """Read a file that holds a secret, up to one byte more than `LONGEST`.

    `which` names it in messages. Raises `error_of` when it cannot be read, is no regular file, or, with `private`, is
    open to everyone.
    """
    try:
        # Without O_NONBLOCK the opening of a named pipe would wait for its other end.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise error_of(f"Could not use {which}: it is not a regular file.")
            if private and mode & stat.S_IROTH:
                raise error_of(f"Could not use {which}: everyone can read it.", hint=f"chmod 600 {path}")
            return file.read(LONGEST + 1)
    except IsADirectoryError:
        raise error_of(f"Could not use {which}: it is a directory.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "that is no path"
        raise error_of(f"Could not read {which}: {reason}.") from None
