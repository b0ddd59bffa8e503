"""What import and restore share: an open archive's records take the place of a store's."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from ecm_agent.cli import passwords, render
from ecm_agent.cli.screen import PARTIAL

if TYPE_CHECKING:
    from ecm_agent.cli.opening import Stored
    from ecm_agent.cli.screen import Screen
    from ecm_agent.config.settings import Settings
    from ecm_agent.model.names import ArchiveName
    from ecm_agent.secret import Secret


def restore_from(  # noqa: PLR0913 (one parameter for each option)
    file: BinaryIO,
    source: str,
    settings: Settings,
    out: Screen,
    *,
    command: str,
    dry_run: bool,
    force: bool,
    safety_archive: bool,
    name: ArchiveName | None = None,
    stored: Stored | None = None,
) -> None:
    """Restore an open archive, called `source` in messages; end with "partial" when the store has no place for all.

    `stored` is given for an archive of a destination, with what the report should say of the way there.
    """
    from ecm_agent import wiring
    from ecm_agent.archive import is_encrypted
    from ecm_agent.jobs.restore import restore

    if stored:
        password: Secret | None = stored.password
    else:
        password = passwords.to_decrypt(settings) if is_encrypted(file) else passwords.at_hand(settings)
    with out.progress() as progress:
        restored = restore(
            file,
            wiring.store(settings),
            wiring.safety(settings, wanted=safety_archive),
            wiring.context(settings, progress, password),
            force=force,
            dry_run=dry_run,
            name=name,
        )
    out.say(*render.restored(source, settings.store.path, restored))
    if stored:
        out.say(*render.passed_over(stored.opened))
    whence = stored.found() if stored else {"archive": source, "destination": None, "passed_over": []}
    out.summary(command, restored, **whence, store=str(settings.store.path))
    if restored.replaced.no_place:
        raise SystemExit(PARTIAL)
