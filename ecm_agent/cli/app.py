"""The commands, gathered; and `main`, which the operating system calls."""

import signal
from types import FrameType
from typing import Annotated, NoReturn

import typer

from ecm_agent import __version__
from ecm_agent.cli import (
    archives,
    backups,
    clusters,
    configuration,
    daemon,
    demonstration,
    destinations,
    drills,
    restores,
)
from ecm_agent.cli.screen import Terminated

app = typer.Typer(
    name="ecm-agent",
    help="Backups that have been read back, for a coding assistant's long-term memory.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (archives, backups, drills, restores, clusters, daemon, demonstration):
    for name, command in commands.COMMANDS.items():
        app.command(name)(command)
app.add_typer(configuration.app, name="config")
app.add_typer(destinations.app, name="destination")


def main() -> None:
    """Run the command line. SIGTERM and a terminal that is closed end it as tidily as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` means it
        signal.signal(signal.SIGHUP, _terminate)
    app(prog_name="ecm-agent")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"ecm-agent {__version__}")  # noqa: T201 (the face prints)
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options before the command."""


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated(number)
