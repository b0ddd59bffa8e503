"""undo: what the last change of a store found there takes its place again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecm_agent.errors import NotFound

if TYPE_CHECKING:
    from ecm_agent.history import History
    from ecm_agent.model.journal import Restore
    from ecm_agent.store.base import MemoryStore


def to_undo(store: MemoryStore, history: History) -> Restore:
    """Find the last change of a store by this program. Raises `NotFound` when there is nothing to go back to.

    To undo is to restore its safety archive, which makes one of its own: undone twice, all is as it was.
    """
    last = history.last_restore(store.path)
    if last is None:
        raise NotFound(
            f"No change of {store.path} by this program is on record.",
            hint="What was restored where nothing was has nothing to go back to. "
            "A safety archive, if there is one, is restored by its path: ecm-agent import FILE --force",
        )
    if not last.safety_archive:
        raise NotFound(
            f"The last change of {store.path} ({last.what}) kept no safety archive: "
            "the store was empty or not there, or it was told not to.",
            hint="The backups: ecm-agent list",
        )
    return last
