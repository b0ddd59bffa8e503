"""Counting what became of records, and keeping the first few that somebody will want to see."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

from ecm_agent.model.records import RECORD_TYPES
from ecm_agent.store.base import Changes, Conflict, Oddity, Tally
from ecm_agent.store.reading import row_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ecm_agent.store.base import Fate
    from ecm_agent.store.cells import SqlValue

EXAMPLES = 20
"""How many conflicts and dropped records are named; all are counted."""


_SECTIONS = [kind.section for kind in RECORD_TYPES]


class Counted(Protocol):
    """A table whose records are counted."""

    @property
    def section(self) -> str: ...


class Count:
    """Takes the fate of one record after the other."""

    def __init__(self) -> None:
        self._fates: Counter[tuple[str, str | None, Fate]] = Counter()
        self._conflicts: list[Conflict] = []
        self._dropped: list[Oddity] = []
        self._dangling = 0

    def add(self, table: Counted, project: SqlValue, fate: Fate, records: int = 1) -> None:
        """Count records of a table, and of a project where they belong to one, that met a fate."""
        self._fates[table.section, project_name(project), fate] += records

    def change(self, table: Counted, project: SqlValue, fate: Fate, was: Fate) -> None:
        """Give a record that was counted already another fate."""
        self.add(table, project, was, -1)
        self.add(table, project, fate)

    def met(self, *fates: Fate) -> bool:
        """Whether any record met one of these fates."""
        return any(records for (_, _, fate), records in self._fates.items() if fate in fates)

    def name_conflict(self, found: Conflict) -> None:
        if len(self._conflicts) < EXAMPLES:
            self._conflicts.append(found)

    def name_dropped(self, found: Oddity) -> None:
        self._dangling += 1
        if len(self._dropped) < EXAMPLES:
            self._dropped.append(found)

    def changes(self, no_place: Mapping[str, int], *, none: bool) -> Changes:
        """Sum up: a tally for each section and project, in the order of an archive's sections and of names."""
        tallies: dict[tuple[str, str | None], Tally] = {}
        for (section, project, fate), records in self._fates.items():
            tally = tallies.setdefault((section, project), Tally(section, project))
            setattr(tally, fate, records)
        in_order = sorted(tallies.values(), key=_order)
        return Changes(in_order, self._conflicts, self._dropped, dict(no_place), none, dangling=self._dangling)


def _order(tally: Tally) -> tuple[int, str, str]:
    """Order tallies: an archive's sections first, then other tables by name."""
    known = _SECTIONS.index(tally.section) if tally.section in _SECTIONS else len(_SECTIONS)
    return known, tally.section, tally.project or ""


def project_name(slug: SqlValue) -> str | None:
    """Make the name of a project printable; `None` stands for none."""
    return None if slug is None else row_name(slug)
