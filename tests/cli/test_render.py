"""Results as people read them: what each report must not leave unsaid."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from ecm_agent.cli import render
from ecm_agent.cli.screen import Screen
from ecm_agent.jobs.backup import BackedUp
from ecm_agent.jobs.deliver import Delivery
from ecm_agent.jobs.export import Exported
from ecm_agent.jobs.rotate import Rotation
from ecm_agent.jobs.status import DestinationStatus, JobStatus, Kept, ProvenRestore
from ecm_agent.jobs.verify import Verified
from ecm_agent.model.journal import Pending, Run
from ecm_agent.model.manifest import FORMAT, Manifest
from ecm_agent.retention import Candidate, Decision
from ecm_agent.store.base import Oddity

if TYPE_CHECKING:
    from collections.abc import Iterable

MOMENT = datetime(2025, 7, 1, 22, 30, 15, 999_999, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
MANIFEST = Manifest(version="1.0", created="2025-07-01T22:30:15.000Z", chunk_count=5, edge_count=1, cluster_count=0)
EXPORTED = Exported(MANIFEST, encrypted=True, bytes=2048, odd_rows=0, oddities=[], gaps={})


def text(lines: Iterable[str]) -> str:
    return "\n".join(lines)


def test_a_failed_delivery_is_not_called_proved() -> None:
    """A report names each destination as proved or FAILED, with the reason, the hint, and what rotation did."""
    rotation = Rotation("d", [], ["old.ecm"], {"stuck.ecm": "refused."})
    unrotated = Rotation("d", [], [], {}, "No route.", "Wait.", 15)
    deliveries = [
        Delivery("new.ecm", "good", "local:/good", rotation=rotation),
        Delivery("new.ecm", "bad", "local:/bad", "no space left.", "Make room.", 15),
        Delivery("new.ecm", "kept", "local:/kept", rotation=unrotated),
    ]
    lines = list(render.backed_up(BackedUp("nightly", "new.ecm", EXPORTED, deliveries, [], ["older.ecm"], 1.25)))
    assert lines == [
        "nightly: new.ecm, 5 chunks, 1 edge, 2.0 KiB",
        "  proved  local:/good: stored, read back, decrypted, every record counted",
        "  removed old.ecm: no rule keeps it",
        "  could not remove stuck.ecm: refused.",
        "  FAILED  local:/bad: no space left.",
        "  hint: Make room.",
        "          the archive waits on disk and is sent with the next run",
        "  proved  local:/kept: stored, read back, decrypted, every record counted",
        "  could not rotate: No route.",
        "  hint: Wait.",
        "  DROPPED older.ecm: too much was waiting to be sent",
        "  took 1.2 s",
    ]


def test_what_was_not_decrypted_is_not_said_to_be() -> None:
    """An archive of an earlier password that arrived late is called proved, and by what."""
    late = Delivery("old.ecm", "good", "local:/good", decrypted=False)
    lines = list(render.backed_up(BackedUp("nightly", "new.ecm", EXPORTED, [], [late], [], 1.25)))
    assert lines[1:-1] == [
        "  waiting since earlier: old.ecm",
        "  proved  local:/good: stored, read back, the bytes proved with an earlier password",
    ]


def test_rotation_says_why() -> None:
    """Each archive stands with its fate and reason; a dry run says that it was one."""
    decisions = [
        Decision(Candidate("new.ecm", MOMENT, verified=True), keep=True, reasons=("last 1", "daily 2025-07-01")),
        Decision(Candidate("old.ecm", MOMENT, verified=True), keep=False, reasons=()),
    ]
    assert list(render.rotated(Rotation("local", decisions, [], {}), dry_run=True)) == [
        "local:",
        "ARCHIVE          BECAUSE",
        "new.ecm  keep    last 1, daily 2025-07-01",
        "old.ecm  remove  no rule keeps it",
        "Nothing was removed: this was a dry run.",
    ]
    done = text(render.rotated(Rotation("local", decisions, ["old.ecm"], {}), dry_run=False))
    assert done.endswith("removed old.ecm: no rule keeps it")
    assert text(render.rotated(Rotation("local", [], [], {}), dry_run=False)) == "local:\nno archives"
    failed = Rotation("nas", [], [], {}, "No route.", "Wait.", 15)
    assert text(render.rotated(failed, dry_run=True)) == "nas:\ncould not rotate: No route.\nhint: Wait."


def test_the_list_tells_proved_from_faulty_and_unchecked() -> None:
    """The last column says when an archive was proved, that it was not yet, or what is wrong with it."""
    kept = Kept("local", "a.ecm", "nightly", "laptop", MOMENT, 10, MOMENT, "")
    rows = [kept, replace(kept, checked_at=None), replace(kept, fault="Archive is damaged")]
    lines = list(render.listed(rows, BERLIN))
    assert lines[0].split() == ["DESTINATION", "ARCHIVE", "MADE", "SIZE", "PROVED"]
    assert lines[1].endswith("10 B  2025-07-02 00:30:15+02:00")
    assert lines[2].endswith("10 B  not yet")
    assert lines[3].endswith("10 B  NO: Archive is damaged")


def test_the_status_hides_nothing() -> None:
    """The last run with its failure, the last success, and for each destination what is proved, faulty or unseen."""
    run = Run("nightly", "backup", MOMENT, MOMENT, 14, "There is no memory store.")
    destinations = [
        DestinationStatus(
            "local",
            "local:/a",
            archives=1,
            bytes=2048,
            faults={"bad.ecm": "Decryption failed"},
            overdue="nothing is proved here yet",
            drill_fault="bad.ecm in local:/a: Decryption failed",
        ),
        DestinationStatus("nas", "local:/nas", error="local:/nas is unavailable."),
    ]
    waiting = [
        Pending("nightly", "new.ecm", "nas", MOMENT, 2, MOMENT, "No route."),
        Pending("nightly", "new.ecm", "local", MOMENT, 0, MOMENT, ""),  # left by a run that was interrupted
    ]
    proven = ProvenRestore("a.ecm in local:/a", MOMENT, 4.2, 3.5 * 86400)
    status = JobStatus("nightly", "@daily", MOMENT, run, None, None, None, waiting, destinations, proven)
    assert not status.well
    assert list(render.status([status], BERLIN)) == [
        "job nightly",
        "  schedule      @daily, next run 2025-07-02 00:30:15+02:00",
        "  last run      2025-07-02 00:30:15+02:00  exit 14: There is no memory store.",
        "  last success  never",
        "  last proven restore: 3 days ago, 4.2 s (a.ecm in local:/a)",
        "  WAITING       new.ecm for nas, 2 attempts: No route.",
        "  WAITING       new.ecm for local, not tried yet",
        "  local:/a: 1 archive, 2.0 KiB, none proved",
        "    OVERDUE   nothing is proved here yet",
        "    NOT GOOD  bad.ecm: Decryption failed",
        "    NO DRILL  bad.ecm in local:/a: Decryption failed",
        "  OUT OF REACH  local:/nas is unavailable.",
    ]
    new = JobStatus("new", "", None, None, None, None, None, [], [])
    assert new.well
    assert "last run      never" in text(render.status([new], BERLIN))
    assert "last proven restore: never" in text(render.status([new], BERLIN))


@pytest.mark.parametrize(
    ("encrypted", "digests", "told"), [(True, False, False), (False, True, False), (False, False, True)]
)
def test_a_verified_archive_says_when_a_change_would_have_gone_unnoticed(
    *, encrypted: bool, digests: bool, told: bool
) -> None:
    """A seal tells of every change, and so do digests; without either it is said that nothing does."""
    result = Verified(manifest=MANIFEST, records={}, encrypted=encrypted, bytes=1, digests=digests)
    assert ("a change may go unnoticed" in text(render.verified("m.ecm", result))) is told


def test_an_archive_says_what_it_lacks() -> None:
    """Inspecting shows the projects, what was selected or left out, and without the password only what it is."""
    path = Path("m.ecm")
    assert text(render.inspected(path, 2048, FORMAT, None, encrypted=True)) == (
        "m.ecm: ECM archive, 2.0 KiB, encrypted (AES-256-GCM, scrypt)\n  its content needs the password"
    )
    manifest = replace(
        MANIFEST, projects=["", "a b"], selected_projects=["", "a b"], left_out={"notes": 1}, dangling={"edges": 2}
    )
    said = text(render.inspected(path, 10, FORMAT, manifest, encrypted=False))
    assert "m.ecm: ECM archive 1.0, 10 B, not encrypted" in said
    assert "projects   '', 'a b'" in said
    assert "PARTIAL    only these projects were exported" in said
    assert "PARTIAL    table notes (1 row) was left out" in said
    assert "left out   2 rows of edges referring to rows that do not exist" in said


def test_every_warning_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    """Odd rows by name and the rest by number, rows that lead nowhere, tables left behind, an empty store."""
    odd = [Oddity("chunks", "c1", "content is a blob; kept exactly")]
    manifest = replace(MANIFEST, chunk_count=0, dangling={"edges": 1})
    exported = replace(EXPORTED, manifest=manifest, odd_rows=3, oddities=odd, gaps={"notes": 2})
    render.warn(Screen(json=False), exported)
    assert capsys.readouterr().err.splitlines() == [
        "warning: chunks row 'c1': content is a blob; kept exactly",
        "warning: 2 more rows like these",
        "warning: left out of edges: 1 row referring to rows that do not exist",
        "warning: virtual table notes (2 rows) is not in the archive: not of a kind that can be",
        "warning: the store holds no chunks",
    ]
