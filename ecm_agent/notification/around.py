"""Everything that happens around a run, in order: one call before it, one after it, whatever became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ecm_agent.errors import PARTIAL
from ecm_agent.notification.hooks import Hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ecm_agent.model.outcome import Outcome, Started
    from ecm_agent.notification.notices import Notices
    from ecm_agent.notification.ping import Ping


@dataclass(frozen=True, slots=True)
class Around:
    """The hooks, the dead-man's switch and the messages of one job, each if there is one."""

    hooks: Hooks = field(default_factory=Hooks)
    ping: Ping | None = None
    notices: Notices | None = None
    lacking: Sequence[str] = ()
    """Why a ping or message that was asked for is not among these."""

    def begin(self, started: Started) -> list[str]:
        """Run the `before` hooks, then ping. Gives what went wrong without mattering to the run, for the log.

        Raises `Skipped` and `HookFailed`: then there is no run, but its outcome is still to be given to `end`.
        """
        self.hooks.begin(started)
        return [problem for problem in [self.ping.start(started) if self.ping else ""] if problem]

    def end(self, outcome: Outcome) -> tuple[Outcome, list[str]]:
        """Run the hooks that follow, then ping and tell. Gives the outcome and what went wrong. Never raises.

        A hook that fails after a run in which all went well makes it partial; the backup itself is as good as it was.
        """
        failures = [failure.message for failure in self.hooks.end(outcome)]
        if failures and outcome.status == "ok":
            outcome = replace(outcome, status="partial", exit_code=PARTIAL, message=" ".join(failures))
        missed = [self.ping.finish(outcome)] if self.ping else []
        missed += self.notices.tell(outcome) if self.notices else []
        return outcome, [*failures, *self.lacking, *filter(None, missed)]
