"""The configuration as the command line sees it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecm_agent.config.loading import Loaded
    from ecm_agent.config.settings import Settings


def loaded(config: Path | None, store: Path | None = None) -> Loaded:
    """Load the configuration; `store` is the command line's word on where the memory is."""
    from ecm_agent.config.loading import load

    overrides = {"store": {"path": str(store)}} if store else {}
    return load(config, environ=os.environ, cwd=Path.cwd(), overrides=overrides)


def settings_of(config: Path | None, store: Path | None = None) -> Settings:
    """Give the settings alone."""
    return loaded(config, store).settings
