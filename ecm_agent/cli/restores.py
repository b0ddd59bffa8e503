"""Commands that bring memory back, and take that back: restore, undo."""

from collections.abc import Callable
from pathlib import Path

from ecm_agent.cli import options
from ecm_agent.cli.opening import opened
from ecm_agent.cli.screen import screen


def restore(  # noqa: PLR0913 (one parameter for each option)
    archive: options.Archive = "latest",
    job: options.JobName = None,
    from_: options.From = None,
    at: options.At = None,
    store: options.Store = None,
    config: options.Config = None,
    *,
    into: options.Into = None,
    merge: options.Merge = False,
    on_conflict: options.OnConflict = None,
    recluster: options.Recluster = False,
    dry_run: options.DryRun = False,
    force: options.Force = False,
    no_safety_archive: options.NoSafetyArchive = False,
    json: options.Json = False,
) -> None:
    """Replace what the store holds by a backup, or with --merge join the two; what was there is kept."""
    from ecm_agent.cli.restoring import Wishes, restore_from

    wishes = Wishes(config, store, into, merge, on_conflict, force, dry_run, not no_safety_archive, recluster)
    with screen(json=json) as out:
        settings = wishes.settings()
        with opened(archive, settings, out, job=job, from_=from_, at=at) as (source, file, stored):
            restore_from(file, source, settings, out, wishes, command="restore", stored=stored)


def undo(
    store: options.Store = None,
    config: options.Config = None,
    *,
    dry_run: options.DryRun = False,
    no_safety_archive: options.NoSafetyArchive = False,
    json: options.Json = False,
) -> None:
    """Take back the last import, restore, merge, recluster or undo: what it found takes its place again."""
    from ecm_agent import wiring
    from ecm_agent.cli.restoring import Wishes, restore_from
    from ecm_agent.jobs.locate import opened_path
    from ecm_agent.jobs.progress import Silent
    from ecm_agent.jobs.undo import to_undo

    wishes = Wishes(config, store, force=True, dry_run=dry_run, safety_archive=not no_safety_archive)
    with screen(json=json) as out:
        settings = wishes.settings()
        last = to_undo(wiring.store(settings), wiring.context(settings, Silent()).history)
        with opened_path(Path(last.safety_archive)) as archive:
            taking = "Would take" if dry_run else "Taking"
            out.say(f"{taking} back the {last.what} at {last.started_at:%Y-%m-%d %H:%M:%S %Z}.")
            restore_from(archive, last.safety_archive, settings, out, wishes, command="undo")


COMMANDS: dict[str, Callable[..., None]] = {"restore": restore, "undo": undo}
