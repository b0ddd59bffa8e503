"""What became of a store is told in words that can be checked, and pasted."""

from __future__ import annotations

from pathlib import Path

import builders
import pytest
from msgspec.structs import replace

from ecm_agent.cli.changes import restored
from ecm_agent.jobs.restore import Restored
from ecm_agent.jobs.safety import Kept
from ecm_agent.store.base import Changes, Conflict, Oddity, Replaced, Tally

MANIFEST = builders.manifest_of([[builders.chunk("c1")], [builders.edge("e1", "c1", "c1")]])
CHANGES = Changes(
    [
        Tally("chunks", "tide-tables", added=2, skipped=1, conflicts=1),
        Tally("chunks", "", updated=1),
        Tally("edges", "tide-tables", added=4, folded=3, dropped=1),
        Tally("clusters", None, skipped=1),
    ],
    [Conflict("chunks", "c1", ["content", "tool_use_count"], "tide-tables"), Conflict("clusters", "k1", ["name"])],
    [Oddity("edges", "e9", "refers to a record that is neither in the archive nor in the store; dropped")],
    {"vector_clocks": 2},
    none=False,
)


def test_the_undo_can_be_pasted() -> None:
    """A restore names the one command that undoes it, quoted for the shell, and what found no place."""
    replaced = Replaced({"chunks": 5}, {"edges.mood": 1})
    result = Restored(
        MANIFEST,
        merge=False,
        dry_run=False,
        chunks_before=3,
        replaced=replaced,
        kept=Kept("/safe.ecm", undoable=True),
    )
    assert list(restored("m.ecm", Path("/my store/memory.db"), result, Path("my.yaml"))) == [
        "Restored m.ecm into /my store/memory.db: 1 chunk, 1 edge.",
        "  left out: 1 value of edges.mood, for which the store has no place",
        "  What was there before (3 chunks) is in /safe.ecm",
        "  To undo: ecm-agent undo --store '/my store/memory.db' --config my.yaml",
    ]


def test_without_a_journal_the_safety_archive_itself_undoes() -> None:
    """Where the restore could not be put on record, the command names the file."""
    result = Restored(MANIFEST, merge=False, dry_run=False, chunks_before=3, kept=Kept("/state dir/safe.ecm"))
    *_, last = restored("m.ecm", Path("m.db"), result, None)
    assert last == "  To undo: ecm-agent import '/state dir/safe.ecm' --force --store m.db"


def test_a_merge_is_told_by_section_and_by_project() -> None:
    """The tables sum up by section and by project; conflicts and dropped records are named, never what they hold."""
    result = Restored(MANIFEST, merge=True, dry_run=False, chunks_before=3, changes=CHANGES)
    assert list(restored("m.ecm", Path("m.db"), result, None)) == [
        "Merged m.ecm into m.db: 1 chunk, 1 edge.",
        "  SECTION   ADDED  UPDATED  SKIPPED  FOLDED  CONFLICTS  DROPPED",
        "  chunks    2      1        1        0       1          0",
        "  edges     4      0        0        3       0          1",
        "  clusters  0      0        1        0       0          0",
        "  PROJECT        ADDED  UPDATED  SKIPPED  FOLDED  CONFLICTS  DROPPED",
        "  ''             0      1        0        0       0          0",
        "  'tide-tables'  6      0        1        3       1          1",
        "  conflict: chunks c1 of project 'tide-tables' differs in content, tool_use_count",
        "  conflict: clusters k1 differs in name",
        "  dropped: edges e9 refers to a record that is neither in the archive nor in the store",
        "  left out: 2 values of vector_clocks, for which the store has no place",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (Changes([Tally("chunks", "", skipped=1)], [], [], {}, none=True), "The store knew all of it already: nothing"),
        (Changes([Tally("chunks", None, conflicts=1)], [], [], {}, none=True), "Nothing"),
        (Changes([Tally("edges", None, dropped=1)], [], [], {}, none=True), "Nothing"),
        (Changes([Tally("chunks", None, skipped=1)], [], [], {"chunks.mood": 1}, none=True), "Nothing"),
    ],
    ids=["known", "conflict", "dropped", "no place"],
)
def test_a_store_is_said_to_know_only_what_it_holds(changes: Changes, said: str) -> None:
    """A merge that changes nothing says that the store knew it all only where nothing differs or is left out."""
    result = Restored(MANIFEST, merge=True, dry_run=False, chunks_before=3, changes=changes)
    assert list(restored("m.ecm", Path("m.db"), result, None))[1] == f"  {said} was changed."


def test_what_is_not_named_is_counted() -> None:
    """Where there are more conflicts and dropped records than are named, the report says how many more."""
    tallies = [Tally("chunks", None, conflicts=3), Tally("mentions", None, dropped=9)]
    changes = Changes(tallies, CHANGES.conflicts, CHANGES.dropped, {"mentions": 7}, none=False, dangling=2)
    lines = list(restored("m.ecm", Path("m.db"), Restored(MANIFEST, True, False, 3, changes=changes), None))
    assert [line for line in lines if "…" in line] == ["  … and 1 more conflict", "  … and 1 more dropped record"]


def test_a_dry_restore_says_that_nothing_happened() -> None:
    """A dry run tells what would come and go, in the conditional."""
    plan = Changes([Tally("chunks", "tide-tables", added=1, removed=1)], [], [], {}, none=False)
    result = Restored(MANIFEST, merge=False, dry_run=True, chunks_before=1, changes=plan)
    assert list(restored("m.ecm", Path("m.db"), result, None)) == [
        "Would restore m.ecm (1 chunk, 1 edge) into m.db, replacing 1 chunk. Nothing was changed: a dry run.",
        "  SECTION  ADDED  UPDATED  SKIPPED  REMOVED",
        "  chunks   1      0        0        1",
        "  PROJECT        ADDED  UPDATED  SKIPPED  REMOVED",
        "  'tide-tables'  1      0        0        1",
    ]


@pytest.mark.parametrize(
    ("version", "folder", "said"),
    [
        (16, ".ecm", "~/.causantic/memory.db"),
        (2, ".causantic", "init --schema causantic"),
        (16, ".causantic", ""),
        (2, ".ecm", ""),
        (16, "elsewhere", ""),
    ],
)
def test_a_new_store_in_the_other_programs_place_is_told(version: int, folder: str, said: str) -> None:
    """Each memory program looks for its own where it always did; between the two a store would lie unseen."""
    result = Restored(replace(MANIFEST, schema_version=version), merge=False, dry_run=False, chunks_before=0, new=True)
    lines = list(restored("m.ecm", Path("/home/me", folder, "memory.db"), result, None))
    assert any(said in line for line in lines[1:]) is bool(said)


def test_what_was_not_made_is_named() -> None:
    """A view or a trigger that an archive only describes is told one by one."""
    result = Restored(
        MANIFEST,
        merge=False,
        dry_run=False,
        chunks_before=0,
        replaced=Replaced({}, {}, not_made=["view latest", "trigger audit"]),
    )
    lines = list(restored("m.ecm", Path("m.db"), result, None))
    assert [line.split(",")[0] for line in lines[1:]] == ["  not made: view latest", "  not made: trigger audit"]
    assert result.partial
