"""What became of a store, or would: the words for import, restore, merge, undo and recluster."""

from __future__ import annotations

import shlex
from operator import itemgetter
from typing import TYPE_CHECKING

from ecm_agent.cli.wording import contents, counted, program, redacted, table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ecm_agent.jobs.recluster import Reclustered
    from ecm_agent.jobs.restore import Restored
    from ecm_agent.jobs.safety import Kept
    from ecm_agent.model.manifest import Manifest
    from ecm_agent.store.base import Changes, Fate, Oddity, Tally

_ALWAYS: dict[bool, tuple[Fate, ...]] = {
    True: ("added", "updated", "skipped", "folded", "conflicts"),
    False: ("added", "updated", "skipped", "removed"),
}
"""The columns of the table: of a merge, and of a replacement."""


def restored(source: str, store: Path, result: Restored, config: Path | None) -> Iterator[str]:
    what, before = contents(result.manifest), counted(result.chunks_before, "chunks")
    if result.dry_run:
        how = "merge" if result.merge else "restore"
        there = f"which holds {before}" if result.merge else f"replacing {before}"
        yield f"Would {how} {source} ({what}) into {store}, {there}. Nothing was changed: a dry run."
    else:
        yield f"{'Merged' if result.merge else 'Restored'} {source} into {store}: {what}."
    if result.manifest.redacted:
        yield f"  the archive is redacted: {redacted(result.manifest)}"
    if result.changes:
        if result.changes.none and not result.dry_run:
            knew = not (result.partial or result.changes.total("conflicts"))
            yield "  The store knew all of it already: nothing was changed." if knew else "  Nothing was changed."
        yield from _changes(result.changes, merge=result.merge)
    if result.replaced:
        yield from _dropped(result.replaced.dropped.examples, result.dropped)
    for place, values in sorted(result.no_place.items()):
        yield f"  left out: {counted(values, 'values')} of {place}, for which the store has no place"
    for what in result.not_made:
        yield f"  not made: {what}, which the archive only describes (its SQL: {program()} inspect FILE --json)"
    for section, records in sorted(result.unread.items()):
        yield f"  left out: {counted(records, 'records')} of section {section!r}, which this version does not know"
    if result.new:
        yield from _elsewhere(store, result.manifest)
    yield from _way_back(result.kept, f" ({before})", store, config)


def _elsewhere(store: Path, manifest: Manifest) -> Iterator[str]:
    """Say so where a new store stands in the place of the other memory program."""
    if manifest.later_generation and store.parent.name == ".ecm":
        yield "  This is a memory of Causantic, which looks for it at ~/.causantic/memory.db: move it there"
    elif not manifest.later_generation and store.parent.name == ".causantic":
        yield "  This is a memory of ECM (schema version 2), which Causantic cannot open. To bring it there: move it,"
        yield f"  make Causantic's own ({program()} init --schema causantic), and import the archive with --merge"


def reclustered(store: Path, result: Reclustered, config: Path | None) -> Iterator[str]:
    yield from _sorted_out(store, result)
    for why, vectors in result.left_out.items():
        yield f"  left out     {counted(vectors, 'vectors')}: {why}"
    yield from _way_back(result.back, "", store, config)


def _sorted_out(store: Path, result: Reclustered) -> Iterator[str]:
    if not result.vectors:
        yield f"{store} holds no vectors to cluster; nothing was changed."
        return
    if not result.found:
        yield f"No topics were found among {counted(result.vectors, 'vectors')} of {store}; nothing was changed."
        return
    what = "Would sort" if result.dry_run else "Sorted"
    topics = f"{counted(result.vectors, 'vectors')} into {counted(result.found, 'clusters')}"
    yield f"{what} {topics} in {result.seconds:.1f} s: {store}." + (
        " Nothing was changed: a dry run." if result.dry_run else ""
    )
    if not result.changed:
        yield "  The store has these clusters already: nothing was changed."
    whose = "its name" if result.kept == 1 else "their names"
    yield f"  clusters     {result.kept} kept {whose}, {result.new} new, {result.gone} gone"
    if result.untouched:
        yield f"  untouched    {counted(result.untouched, 'clusters')} of chunks without vectors"
    yield f"  vectors      {result.members} in a cluster, {result.unclustered} in none"


def _way_back(kept: Kept, what: str, store: Path, config: Path | None) -> Iterator[str]:
    """Say where that is which was there before, and the one command that brings it back."""
    if not kept.safety_archive:
        return
    yield f"  What was there before{what} is in {kept.safety_archive}"
    words = ["undo"] if kept.undoable else ["import", kept.safety_archive, "--force"]
    words += ["--store", str(store)] + (["--config", str(config)] if config else [])
    yield f"  To undo: {shlex.join([program(), *words])}"


def _changes(changes: Changes, *, merge: bool) -> Iterator[str]:
    fates = [*_ALWAYS[merge]] + (["dropped"] if changes.total("dropped") else [])
    yield from _table("SECTION", [(one.section, one) for one in changes.tallies], fates)
    by_project = [(repr(one.project), one) for one in changes.tallies if one.project is not None]
    by_project.sort(key=itemgetter(0))
    if by_project:
        yield from _table("PROJECT", by_project, fates)
    for one in changes.conflicts:
        whose = f" of project {one.project!r}" if one.project is not None else ""
        yield f"  conflict: {one.section} {one.record}{whose} differs in {', '.join(one.columns)}"
    yield from _more(changes.total("conflicts") - len(changes.conflicts), "conflicts")
    yield from _dropped(changes.dropped, changes.dangling)


def _dropped(examples: list[Oddity], records: int) -> Iterator[str]:
    for gone in examples:
        yield f"  dropped: {gone.table} {gone.row} {gone.found.removesuffix('; dropped')}"
    yield from _more(records - len(examples), "dropped records")


def _more(unnamed: int, what: str) -> Iterator[str]:
    if unnamed > 0:
        yield f"  … and {counted(unnamed, f'more {what}')}"


def _table(title: str, named: list[tuple[str, Tally]], fates: list[Fate]) -> Iterator[str]:
    """Sum up by name."""
    sums: dict[str, list[int]] = {}
    for name, tally in named:
        row = sums.setdefault(name, [0] * len(fates))
        sums[name] = [total + getattr(tally, fate) for total, fate in zip(row, fates, strict=True)]
    rows = [(name, *map(str, row)) for name, row in sums.items() if any(row)]
    yield from (f"  {line}" for line in table((title, *(fate.upper() for fate in fates)), rows))
