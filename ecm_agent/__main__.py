"""`python -m ecm_agent`, and the installed command."""

from __future__ import annotations

from ecm_agent.cli.app import main

if __name__ == "__main__":
    main()
