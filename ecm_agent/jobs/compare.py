"""Whether two stores hold the same memory, record by record."""

from __future__ import annotations

from itertools import groupby, zip_longest
from typing import TYPE_CHECKING

from ecm_agent.model.manifest import Selection
from ecm_agent.model.records import RECORD_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecm_agent.model.records import AnyRecord
    from ecm_agent.store.base import MemoryStore, Snapshot


def differences(one: MemoryStore, other: MemoryStore) -> dict[str, int]:
    """Count the records that differ or are missing on one side, by section; empty when the stores hold the same.

    Every column counts, and the order in which the records were written: after a record that is missing on one side,
    those that follow it in its section differ as well.
    """
    with one.snapshot(Selection(), "") as left, other.snapshot(Selection(), "") as right:
        sections = zip(RECORD_TYPES, _sections(left), _sections(right), strict=True)
        unequal = {kind.section: sum(a != b for a, b in zip_longest(mine, yours)) for kind, mine, yours in sections}
    return {section: count for section, count in unequal.items() if count}


def _sections(snapshot: Snapshot) -> Iterator[Iterator[AnyRecord]]:
    """Give the records of every section, in the order of `RECORD_TYPES`, none where there are none."""
    groups = groupby(_records(snapshot), key=lambda record: record.section)
    waiting = next(groups, None)
    for kind in RECORD_TYPES:
        if waiting and waiting[0] == kind.section:
            yield waiting[1]
            waiting = next(groups, None)
        else:
            yield iter(())


def _records(snapshot: Snapshot) -> Iterator[AnyRecord]:
    for batch in snapshot.batches():
        yield from batch
