"""The command on topics: recluster."""

from collections.abc import Callable
from typing import Annotated

import typer

from ecm_agent.cli import options, passwords
from ecm_agent.cli.changes import reclustered
from ecm_agent.cli.screen import screen
from ecm_agent.cli.settings import settings_of

MIN_CLUSTER_SIZE = 5  # of jobs.recluster, which a mere --help must not load; a test compares them


def recluster(
    store: options.Store = None,
    config: options.Config = None,
    *,
    dry_run: options.DryRun = False,
    min_cluster_size: Annotated[
        int, typer.Option(metavar="N", min=2, help="How many chunks make a topic.")
    ] = MIN_CLUSTER_SIZE,
    no_safety_archive: options.NoSafetyArchive = False,
    json: options.Json = False,
) -> None:
    """Find the topics of the memory anew from its vectors; what is still the same topic keeps its name."""
    from ecm_agent import wiring
    from ecm_agent.jobs.recluster import recluster as find_topics

    with screen(json=json) as out:
        settings = settings_of(config, store)
        password = passwords.at_hand(settings)
        with out.progress() as progress:
            result = find_topics(
                wiring.store(settings),
                wiring.safety(settings, wanted=not no_safety_archive),
                wiring.context(settings, progress, password),
                dry_run=dry_run,
                min_cluster_size=min_cluster_size,
            )
        out.say(*reclustered(settings.store.path, result, config))
        out.summary("recluster", result, store=str(settings.store.path))


COMMANDS: dict[str, Callable[..., None]] = {"recluster": recluster}
