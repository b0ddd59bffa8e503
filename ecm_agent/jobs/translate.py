"""translate: one snapshot of the store into an archive that the memory program's later generations import."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from ecm_agent.archive import Losses, Seal, plan_causantic, write_causantic
from ecm_agent.jobs.verify import verify
from ecm_agent.model.manifest import Manifest
from ecm_agent.model.records import Chunk, Cluster, Edge, Membership, Vector
from ecm_agent.model.schema import MEMORY_TABLES
from ecm_agent.store.base import Oddity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ecm_agent.archive import ReadRecords
    from ecm_agent.jobs.progress import Progress
    from ecm_agent.model.manifest import Selection
    from ecm_agent.model.records import Batch, RecordType
    from ecm_agent.secret import Secret
    from ecm_agent.store.base import Snapshot

_TRANSLATED = (Chunk, Edge, Cluster, Membership, Vector)


class Translated(Struct, frozen=True):
    """What such an archive holds, and what it does not."""

    manifest: Manifest
    """As it was read back, and what it cannot say of itself: what dangled, what was redacted."""
    bytes: int
    spoiled: int
    """Rows left out or changed because of values that the format cannot say."""
    examples: list[Oddity]
    """The first of them."""
    not_written: dict[str, int]
    """What it has no place for: rows by table, and values by `table.column`."""


def translate(
    snapshot: Snapshot, selection: Selection, file: BinaryIO, *, password: Secret | None, progress: Progress, name: str
) -> Translated:
    """Write the archive into an open, empty file, then prove it by reading it to its end.

    Raises as `write_causantic` and `verify` do.
    """
    plan = plan_causantic(snapshot.manifest.created, _reading(snapshot, progress, f"Counting {name}"))
    seal = Seal.draw(password) if password else None
    losses = write_causantic(file, plan, _reading(snapshot, progress, f"Reading {name}"), seal=seal)
    verified = verify(file, password, progress)
    whole = snapshot.manifest
    return Translated(
        manifest=replace(
            verified.manifest,
            dangling=whole.dangling,
            selected_projects=whole.selected_projects,
            redacted=whole.redacted,
            redactions=whole.redactions,
        ),
        bytes=verified.bytes,
        spoiled=losses.rows,
        examples=[Oddity(loss.table, loss.row, loss.found) for loss in losses.examples],
        not_written=_not_written(whole, selection, losses),
    )


def _reading(snapshot: Snapshot, progress: Progress, title: str) -> ReadRecords:
    progress.stage(title, sum(snapshot.manifest.count(kind) or 0 for kind in _TRANSLATED))

    def read(kinds: Collection[RecordType]) -> Iterator[Batch]:
        for batch in snapshot.batches(kinds):
            yield batch
            progress.advance(len(batch))

    return read


def _not_written(manifest: Manifest, selection: Selection, losses: Losses) -> dict[str, int]:
    """Gather what the format has no place for; what was asked to be left out is nothing to tell."""
    rows = {table: rows for table, rows in manifest.rows().items() if rows and table not in MEMORY_TABLES}
    tables = manifest.left_out | rows
    if not selection.vectors:
        tables.pop("vectors", None)
    if manifest.vector_clock_count:
        tables["vector_clocks"] = manifest.vector_clock_count
    return dict(sorted((tables | losses.not_written).items()))
