"""`python -m ecm_agent`, and the installed command."""

from __future__ import annotations

import gc
import signal
import sys

from ecm_agent import __version__
from ecm_agent.cli.output import complete_streams, output

# Records come a thousand at a time, and none is in a cycle: the collector need not look for one after every 700 new
# objects, nor while the modules are loaded that make up the program.
gc.set_threshold(20_000)


def main() -> None:
    """Run the command line; the version alone is told without loading it."""
    complete_streams()
    with output():
        if sys.argv[1:] == ["--version"]:
            print(f"ecm-agent {__version__}")  # noqa: T201 (the face prints)
        else:
            _run()


def _run() -> None:
    try:
        from ecm_agent.cli import app

        app.main()
    except KeyboardInterrupt:  # before there was a command that could say so
        raise SystemExit(128 + signal.SIGINT) from None


if __name__ == "__main__":
    main()
