"""What people and programs see: results, errors and progress, as text or as JSON."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ecm_agent.errors import EcmError, LockHeld, Skipped
from ecm_agent.jobs.progress import Progress, Silent

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = 1
"""Version of the JSON output; a change that could break a reader raises it. Readers ignore keys they do not know."""

INTERRUPTED = 130
PARTIAL = 3
"""Exit code of a command that finished, but not everything."""


def exit_code_of(codes: list[int]) -> int:
    """Give the one code all failures share, or "partial" when they differ or other things went well; 0 without any.

    What was put off on purpose, or because another process is at it, counts only where nothing else was done.
    """
    put_off = {Skipped.exit_code, LockHeld.exit_code}
    codes = [code for code in codes if code not in put_off] or codes
    worst = {code for code in codes if code}
    if not worst:
        return 0
    return worst.pop() if len(worst) == 1 and 0 not in codes else PARTIAL


class Screen:
    """Results go to stdout, everything else to stderr; with `json` every result is one object on one line."""

    def __init__(self, *, json: bool) -> None:
        self.json = json

    def say(self, *lines: str) -> None:
        """Print lines for people; with --json they are left out."""
        if not self.json:
            print(*lines, sep="\n")  # noqa: T201 (the face prints)

    def warn(self, text: str) -> None:
        if self.json:
            self.emit("warning", {"message": text})
        else:
            print(f"warning: {text}", file=sys.stderr)  # noqa: T201 (the face prints)

    def emit(self, message_type: str, body: dict[str, Any]) -> None:
        """Print an object for programs; without --json nothing."""
        if self.json:
            import msgspec

            print(msgspec.json.encode({"schema": SCHEMA, "message_type": message_type, **body}).decode())  # noqa: T201 (the face prints)

    def summary(self, command: str, result: object, **more: Any) -> None:  # noqa: ANN401 (any JSON value)
        """Print a result for programs: a struct or a mapping, with whatever else is worth saying."""
        if self.json:
            import msgspec

            self.emit("summary", {"command": command, **msgspec.to_builtins(result), **more})

    def fail(self, error: EcmError) -> None:
        body = {"code": error.exit_code, "kind": error.kind, "message": error.message, "hint": error.hint}
        self.emit("exit_error", body)
        if not self.json:
            print(f"ecm-agent: {error.message}", file=sys.stderr)  # noqa: T201 (the face prints)
            if error.hint:
                print(f"hint: {error.hint}", file=sys.stderr)  # noqa: T201 (the face prints)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Show progress while the block runs, on a terminal; elsewhere nothing."""
        if self.json or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield Silent()
            return
        from ecm_agent.cli.bar import bar

        with bar() as progress:
            yield progress


@contextmanager
def screen(*, json: bool) -> Iterator[Screen]:
    """Run a command: give it its screen, turn errors into messages and exit codes."""
    shown = Screen(json=json)
    try:
        yield shown
        sys.stdout.flush()
    except EcmError as error:
        shown.fail(error)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        shown.fail(_Interrupted("Interrupted; nothing was left half-done."))
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:  # the reader of our output has gone; there is nobody left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


class _Interrupted(EcmError):
    exit_code = INTERRUPTED
    kind = "interrupted"
