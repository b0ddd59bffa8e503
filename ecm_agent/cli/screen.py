"""What people and programs see: results, errors and progress, as text or as JSON."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ecm_agent.cli.output import output
from ecm_agent.errors import PARTIAL, EcmError, LockHeld, Skipped
from ecm_agent.jobs.progress import Progress, Silent
from ecm_agent.model.journal import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCHEMA = 1
"""Version of the JSON output; a change that could break a reader raises it. Readers ignore keys they do not know."""

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
"""What a name in somebody else's archive must not say to a terminal, and how it is shown instead."""


def exit_code_of(codes: list[int]) -> int:
    """Give the first failure's code when everything failed, "partial" when some things went well, 0 when all did.

    What was put off on purpose, or because another process is at it, counts only where nothing else was done.
    """
    put_off = {Skipped.exit_code, LockHeld.exit_code}
    codes = [code for code in codes if code not in put_off] or codes
    if not any(codes):
        return 0
    return PARTIAL if {0, PARTIAL} & set(codes) else codes[0]


def _harmless(text: str) -> str:
    """Show control characters instead of sending them."""
    return text.translate(_CONTROLS)


class Screen:
    """Results go to stdout, everything else to stderr; with `json` every result is one object on one line."""

    def __init__(self, *, json: bool) -> None:
        self.json = json

    def say(self, *lines: str) -> None:
        """Print lines for people; with --json they are left out."""
        if lines and not self.json:
            print(*map(_harmless, lines), sep="\n")  # noqa: T201 (the face prints)

    def warn(self, text: str) -> None:
        if self.json:
            self.emit("warning", {"message": text})
        else:
            print(f"warning: {_harmless(text)}", file=sys.stderr)  # noqa: T201 (the face prints)

    def emit(self, message_type: str, body: Mapping[str, object]) -> None:
        """Print an object for programs; without --json nothing."""
        if self.json:
            from json import dumps

            from msgspec import to_builtins

            whole = to_builtins({"schema": SCHEMA, "message_type": message_type, **body})
            line = dumps(whole, ensure_ascii=False, separators=(",", ":"))
            # JSON is UTF-8 in any locale; half a character, as a path may hold, comes out as the escape it is in JSON.
            sys.stdout.buffer.write(line.encode(errors="backslashreplace") + b"\n")
            sys.stdout.buffer.flush()

    def summary(self, command: str, result: object, **more: object) -> None:
        """Print a result for programs: a struct or a mapping, with whatever else is worth saying."""
        if self.json:
            from msgspec import to_builtins

            body = {"command": command, **to_builtins(result), **more}
            if isinstance(about := body.get("manifest"), dict):
                about.pop("schema", None)  # long, and `inspect` gives it
            self.emit("summary", body)

    def fail(self, error: EcmError) -> None:
        self._complain(error.exit_code, error.kind, error.message, error.hint)

    def end(self, how: str, code: int) -> None:
        """Say that a signal ends the command."""
        self._complain(code, "interrupted", f"{how}; nothing was left half-done.")

    def _complain(self, code: int, kind: str, message: str, hint: str = "") -> None:
        self.emit("exit_error", {"code": code, "kind": kind, "message": message, "hint": hint})
        if not self.json:
            print(f"ecm-agent: {_harmless(message)}", file=sys.stderr)  # noqa: T201 (the face prints)
            if hint:
                print(f"hint: {_harmless(hint)}", file=sys.stderr)  # noqa: T201 (the face prints)

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
    with output():
        try:
            yield shown
        except EcmError as error:
            shown.fail(error)
            raise SystemExit(error.exit_code) from None
        except KeyboardInterrupt:
            shown.end("Interrupted", INTERRUPTED)
            raise SystemExit(INTERRUPTED) from None
        except Terminated as signalled:
            shown.end("Terminated", signalled.exit_code)
            raise


@contextmanager
def tried(out: Screen, codes: list[int], what: str = "") -> Iterator[None]:
    """Report an error of the block, about `what`, and note its exit code, so that what comes next is tried as well."""
    try:
        yield
    except EcmError as error:
        out.fail(type(error)(f"{what}: {error.message}", hint=error.hint) if what else error)
        codes.append(error.exit_code)


class Terminated(SystemExit):
    """SIGTERM or SIGHUP on its way out: everything is cleaned up after, as after any other exit."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        super().__init__(self.exit_code)
