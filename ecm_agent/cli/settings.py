"""The configuration as the command line sees it."""

from __future__ import annotations

import os
import sys
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
    """Give the settings alone. Raises `UsageError` where it is undecided which store is meant."""
    found = loaded(config, store)
    found.refuse_two_stores()
    return found.settings


def settings_without_store(config: Path | None) -> Settings:
    """Give the settings to a command that looks into no store, and so need not know which is meant."""
    return loaded(config).settings


def settings_of_new_store(config: Path | None, store: Path | None, generation: str) -> Settings:
    """Give the settings to the command that makes a store: where none is named, in its generation's usual place."""
    from ecm_agent.config.store import USUAL_STORES

    found = loaded(config, store)
    return found.settings if found.stores is None else loaded(config, USUAL_STORES[generation]).settings


def configure_log(settings: Settings) -> None:
    """Let the log go to stderr, as the settings say."""
    from ecm_agent import log

    log.configure(sys.stderr, json=settings.log.as_json(), level=settings.log.level, environ=os.environ)
