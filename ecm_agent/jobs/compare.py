"""Whether two stores hold the same memory, record by record."""

from __future__ import annotations

from collections import Counter
from itertools import zip_longest
from typing import TYPE_CHECKING

from ecm_agent.model.manifest import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecm_agent.model.records import AnyRecord
    from ecm_agent.store.base import MemoryStore, Snapshot


def differences(one: MemoryStore, other: MemoryStore) -> dict[str, int]:
    """Count the records that differ or are missing on one side, by section; empty when the stores hold the same.

    Every column counts, and the order in which the records were written.
    """
    with one.snapshot(Selection(), "") as left, other.snapshot(Selection(), "") as right:
        pairs = zip_longest(_records(left), _records(right))
        unequal = Counter((a or b).section for a, b in pairs if a != b)
    return dict(unequal)


def _records(snapshot: Snapshot) -> Iterator[AnyRecord]:
    for batch in snapshot.batches():
        yield from batch
