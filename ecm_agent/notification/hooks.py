"""Commands of the user's own around a run: argument lists, no shell, facts as environment variables.

A command learns of the run from `ECM_AGENT_HOOK_WHEN` (before, after, on_failure, finally), `_JOB`, `_HOST`, `_VERB`,
`_STARTED_AT` and, once the run has ended, `_OUTCOME` (ok, partial, failed, skipped), `_EXIT_CODE`, `_MESSAGE`,
`_ARCHIVE`, `_SECONDS` and `_FINISHED_AT`. It reads nothing on stdin and has none of our secrets in its environment.
"""

from __future__ import annotations

import logging
import subprocess
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, TypeAlias

from ecm_agent.errors import HookFailed, Skipped
from ecm_agent.model.outcome import Outcome, Started
from ecm_agent.notification.process import GRACE, TookTooLong, run, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Command: TypeAlias = "Sequence[str]"

PREFIX = "ECM_AGENT_HOOK_"
SKIP = 75
"""Exit status (EX_TEMPFAIL) by which a `before` command asks for the run to be left out."""

_LONGEST_FACT = 4096
_LAST_BYTES, _LAST_LINES = 8192, 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hooks:
    """The commands around one job's runs. Each has `timeout` seconds; `environ` is what they see of ours."""

    before: Sequence[Command] = ()
    after: Sequence[Command] = ()
    on_failure: Sequence[Command] = ()
    lastly: Sequence[Command] = ()
    timeout: float = 60.0
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def longest_end(self) -> float:
        """How many seconds the commands after a failed run take at most."""
        return (len(self.on_failure) + len(self.lastly)) * (self.timeout + GRACE)

    def begin(self, started: Started) -> None:
        """Run the `before` commands in order. Raises `Skipped` and `HookFailed`; those after it are not run."""
        facts = {**facts_of(started), "when": "before"}
        run_hooks(self.before, facts, environ=self.environ, timeout=self.timeout)

    def end(self, outcome: Outcome) -> list[HookFailed]:
        """Run `after` when all went well, `on_failure` when not all did, neither for a skipped run; then `finally`.

        Every command is run, whatever became of the one before it. Gives their failures. What interrupts the others
        does not keep those of `finally` from being run.
        """
        failures: list[HookFailed] = []
        try:
            if outcome.status == "ok":
                failures += self._failures("after", self.after, outcome)
            elif outcome.status != "skipped":
                failures += self._failures("on_failure", self.on_failure, outcome)
        finally:
            failures += self._failures("finally", self.lastly, outcome)
        return failures

    def _failures(self, when: str, commands: Sequence[Command], outcome: Outcome) -> Iterator[HookFailed]:
        facts = {**facts_of(outcome), "when": when}
        for command in commands:
            try:
                run_hooks([command], facts, environ=self.environ, timeout=self.timeout)
            except HookFailed as failure:
                yield failure


def facts_of(run: Started) -> dict[str, str]:
    """Give what commands may know of a run, or of an `Outcome`."""
    facts = {"job": run.job, "host": run.host, "verb": run.verb, "started_at": run.started_at.isoformat()}
    if isinstance(run, Outcome):
        facts |= {
            "outcome": run.status,
            "exit_code": str(run.exit_code),
            "message": run.message,
            "archive": run.archive,
            "seconds": f"{run.seconds:.3f}",
            "finished_at": run.finished_at.isoformat(),
        }
    return facts


def run_hooks(
    commands: Sequence[Command], facts: Mapping[str, str], *, environ: Mapping[str, str], timeout: float
) -> None:
    """Run commands in order, each with `facts` in its environment as ECM_AGENT_HOOK_<NAME>, for `timeout` seconds each.

    Raises `HookFailed` for the first that is missing, fails or takes too long (its whole process group is ended), and
    `Skipped` for exit status 75 where the fact `when` is "before". No message holds an argument or any output: the
    last lines of it go to the log, at level debug only.
    """
    variables = {PREFIX + name.upper(): value.replace("\0", "")[:_LONGEST_FACT] for name, value in facts.items()}
    for command in commands:
        status = _status(command, {**without_secrets(environ), **variables}, timeout)
        which = f"The hook {command[0]}"
        if status == SKIP and facts.get("when") == "before":
            raise Skipped(f"{which} asked to skip this run (exit {SKIP}).")
        if status != 0:
            how = f"ended with exit code {status}" if status > 0 else f"was ended by signal {-status}"
            raise HookFailed(f"{which} {how}.", hint="Run it by hand, or log at level debug to see what it prints.")


def _status(command: Command, variables: Mapping[str, str], timeout: float) -> int:
    problem, hint = "", ""
    try:
        if not _log.isEnabledFor(logging.DEBUG):
            return run(command, environ=variables, timeout=timeout)[0]
        with TemporaryFile() as output:
            try:
                return run(command, environ=variables, timeout=timeout, output=output)[0]
            finally:
                _log.debug("output of the hook %s:\n%s", command[0], _last_lines(output))
    except TookTooLong:
        problem, hint = f"was ended: it took longer than {timeout:g} seconds", "Raise hooks.timeout if it may."
    except FileNotFoundError:
        problem, hint = "cannot be run: there is no such program", "Write its full path, or add it to PATH."
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        problem = f"cannot be run: {(isinstance(error, OSError) and error.strerror) or 'an argument is impossible'}"
    raise HookFailed(f"The hook {command[0]} {problem}.", hint=hint)


def _last_lines(output: IO[bytes]) -> str:
    size = output.seek(0, 2)
    output.seek(max(0, size - _LAST_BYTES))
    return "\n".join(output.read().decode(errors="replace").splitlines()[-_LAST_LINES:])
