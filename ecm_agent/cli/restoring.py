"""What import, restore and undo share: an open archive comes into a store, and the report says what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from ecm_agent.cli import passwords, render
from ecm_agent.cli.changes import reclustered
from ecm_agent.cli.changes import restored as told
from ecm_agent.cli.settings import settings_of
from ecm_agent.errors import PARTIAL, MergeConflicts, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from ecm_agent.cli.opening import Stored
    from ecm_agent.cli.screen import Screen
    from ecm_agent.config.settings import Settings
    from ecm_agent.jobs.restore import Restored
    from ecm_agent.jobs.safety import Kept
    from ecm_agent.secret import Secret
    from ecm_agent.store.base import OnConflict


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks of a restore: into which store, and how."""

    config: Path | None = None
    store: Path | None = None
    into: Path | None = None
    merge: bool = False
    on_conflict: OnConflict | None = None
    force: bool = False
    dry_run: bool = False
    safety_archive: bool = True
    recluster: bool = False

    def settings(self) -> Settings:
        """Load the configuration, the store of the command line in it. Raises `UsageError` for wishes at odds."""
        if self.into and (self.store or self.merge):
            raise UsageError(
                f"--into makes a new store: it does not go with {'--store' if self.store else '--merge'}.",
                hint="To change what a store holds, name it with --store.",
            )
        if not self.merge and (self.on_conflict or self.recluster):
            raise UsageError(f"{'--on-conflict' if self.on_conflict else '--recluster'} goes with --merge.")
        if self.recluster:
            from ecm_agent.clustering import require

            require()
        if self.into and self.into.exists():
            raise UsageError(
                f"There is something at {self.into} already.", hint="To replace what it holds: --store PATH"
            )
        return settings_of(self.config, self.into or self.store)


def restore_from(
    file: BinaryIO,
    source: str,
    settings: Settings,
    out: Screen,
    wishes: Wishes,
    *,
    command: str,
    stored: Stored | None = None,
) -> None:
    """Restore an open archive, called `source` in messages; end with "partial" when the store does not hold all of it.

    `stored` is given for an archive of a destination, with what the report should say of the way there.
    """
    restored = _restored(file, source, settings, out, wishes, stored)
    for warning in restored.warnings:
        out.warn(f"{source}: {warning}; it comes into the store as it is")
    if not restored.manifest.chunk_count:
        out.warn(f"{source} holds no chunks; an older archive may: ecm-agent list")
    out.say(*told(source, settings.store.path, restored, wishes.config))
    if stored:
        out.say(*render.passed_over(stored.opened))
    whence = stored.found() if stored else {"archive": source, "destination": None, "passed_over": []}
    out.summary(command, restored, **whence, store=str(settings.store.path))
    if wishes.dry_run and wishes.on_conflict == "fail" and restored.changes and restored.changes.total("conflicts"):
        raise SystemExit(MergeConflicts.exit_code)
    if wishes.recluster and not wishes.dry_run:
        _recluster(settings, out, wishes, restored.kept)
    if restored.partial:
        raise SystemExit(PARTIAL)


def _recluster(settings: Settings, out: Screen, wishes: Wishes, kept: Kept) -> None:
    """Find the topics of what has been merged; the way back is the merge's, to before both, if it left one."""
    from ecm_agent import wiring
    from ecm_agent.jobs.recluster import recluster

    safety = None if kept.safety_archive else wiring.safety(settings, wanted=wishes.safety_archive)
    with out.progress() as progress:
        context = wiring.context(settings, progress, passwords.at_hand(settings))
        result = recluster(wiring.store(settings), safety, context)
    out.say(*reclustered(settings.store.path, result, wishes.config))
    out.summary("recluster", result, store=str(settings.store.path))


def _restored(
    file: BinaryIO, source: str, settings: Settings, out: Screen, wishes: Wishes, stored: Stored | None
) -> Restored:
    from ecm_agent import wiring
    from ecm_agent.archive import is_encrypted
    from ecm_agent.jobs.restore import Terms, restore

    if stored:
        password: Secret | None = stored.password
    else:
        password = passwords.to_decrypt(settings) if is_encrypted(file) else passwords.at_hand(settings)
    with out.progress() as progress:
        return restore(
            file,
            wiring.store(settings),
            wiring.safety(settings, wanted=wishes.safety_archive),
            wiring.context(settings, progress, password),
            Terms(wishes.merge, wishes.on_conflict or "ours", wishes.force, wishes.dry_run),
            source=source,
            name=stored.opened.located.name if stored else None,
        )
