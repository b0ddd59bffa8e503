"""The standard streams: safe to use however the program was started, and sent out however it ends."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def complete_streams() -> None:
    """Make the standard streams safe to use, however the program was started."""
    for stream, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, stream) is None:  # closed (`>&-`); the next file opened would take its place
            setattr(sys, stream, open(os.devnull, mode))  # noqa: SIM115, PTH123 (stays open for good)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that the terminal's encoding lacks must not end a command
        sys.stdout.reconfigure(errors="backslashreplace")


@contextmanager
def output() -> Iterator[None]:
    """Send out what was printed in the block, however it ends, and end with exit code 1 where that cannot be."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # what is still buffered shall fail no second time
        if not isinstance(error, BrokenPipeError):  # then the reader has gone, and there is nobody left to tell
            where = f": {error.filename}" if error.filename else ""
            print(f"ecm-agent: The system says: {error.strerror or error}{where}.", file=sys.stderr)  # noqa: T201 (the face prints)
        raise SystemExit(1) from None
