"""destination test."""

from typing import TYPE_CHECKING, Annotated

import typer

from ecm_agent.cli import options, render
from ecm_agent.cli.screen import screen
from ecm_agent.cli.settings import settings_without_store
from ecm_agent.errors import DestinationRefused

if TYPE_CHECKING:
    from ecm_agent.destination.finding import Finding

app = typer.Typer(help="Try destinations out.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Try destinations out."""


@app.command("test")
def try_out(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Which destination.", show_default="all")] = None,
    config: options.Config = None,
    *,
    json: options.Json = False,
) -> None:
    """Try all that backups need of a destination, say what was found, and leave nothing behind."""
    from ecm_agent import wiring
    from ecm_agent.clock import SystemClock
    from ecm_agent.destination.probe import probe

    with screen(json=json) as out:
        failed = []
        for each, place in wiring.destinations(settings_without_store(config), name).items():
            findings: list[Finding] = probe(place, SystemClock())
            out.say(f"{each}: {place.label}", *render.probed(findings))
            for finding in findings:
                out.summary("destination test", finding, destination=each)
            failed += [each] if any(finding.outcome == "failed" for finding in findings) else []
        if failed:
            raise SystemExit(DestinationRefused.exit_code)
