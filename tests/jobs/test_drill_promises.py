"""drill: whatever is wrong with an archive is found, each with its own words and exit code, and put on record."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import builders
import pytest
import spoiled
from fakes import MemoryDestination
from msgspec.structs import replace
from workplace import PASSWORD, archive

from ecm_agent.destination.local import LocalDestination
from ecm_agent.errors import ArchiveInvalid, DecryptionFailed, EcmError
from ecm_agent.jobs.backup import backup
from ecm_agent.jobs.drill import drill, drill_file
from ecm_agent.jobs.locate import Located, all_of
from ecm_agent.jobs.safety import Safety
from ecm_agent.secret import Secret
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from workplace import Workplace

    from ecm_agent.model.records import Batch
    from ecm_agent.store.base import Replaced

WORD = PASSWORD.utf8().decode()
SPOILED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a swapped byte": (spoiled.swapped, "bytes were changed"),
    "cut short": (spoiled.cut_short, r"Archive is cut short: it has \d+ bytes; when it was proved it had \d+"),
    "counts that lie": (partial(spoiled.lying, password=WORD), "it announces 6 chunks and holds 5"),
    "a dangling edge": (partial(spoiled.dangling, password=WORD), "refers to nowhere, which is not among .* chunks"),
}


def in_directory(at: Workplace) -> tuple[Located, Path]:
    """Back up to a directory; gives the archive and its file."""
    place = LocalDestination(at.home / "backups")
    job = at.job(place)
    assert backup(job, at.context()).exit_code == 0
    located = all_of(job, place, at.history)[-1]
    return located, at.home / "backups" / str(located.name)


def nothing_left(at: Workplace) -> bool:
    return list((at.state_dir / "staging").iterdir()) == []


@pytest.mark.parametrize("what", SPOILED)
def test_a_spoiled_archive_is_caught(at: Workplace, what: str) -> None:
    """Exit code 13, what is wrong in its own words, a failed run and no proof on record, and nothing left behind."""
    located, file = in_directory(at)
    spoil, said = SPOILED[what]
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(ArchiveInvalid, match=said):
        drill(at.job(), located, at.context())
    with pytest.raises(ArchiveInvalid, match=said) as caught:  # its size, as it was, outlasts the first finding
        drill(at.job(), located, at.context())
    assert caught.value.exit_code == 13
    run = at.runs("drill")[-1]
    assert (run.exit_code, run.message, run.archive) == (13, f"{located}: {caught.value}", str(located.name))
    assert at.history.proofs(located.destination.label)[str(located.name)].fault == str(caught.value)
    assert nothing_left(at)


def test_a_wrong_password_is_caught(at: Workplace) -> None:
    """Exit code 12 and a failed run; the proof stands, for the archive may be as good as it was."""
    located, _ = in_directory(at)
    with pytest.raises(DecryptionFailed):
        drill(at.job(), located, at.context(Secret("another")))
    assert [run.exit_code for run in at.runs("drill")] == [12]
    assert at.history.proofs(located.destination.label)[str(located.name)].good
    assert nothing_left(at)


def test_what_is_wrong_has_its_own_words(at: Workplace) -> None:
    """No two of the defects are told in the same words."""
    located, file = in_directory(at)
    good = file.read_bytes()
    said = set()
    for spoil, _ in SPOILED.values():
        file.write_bytes(spoil(good))
        with pytest.raises(EcmError) as caught:
            drill(at.job(), located, at.context())
        said.add(str(caught.value))
    assert len(said) == len(SPOILED)


def test_an_archive_smaller_than_it_was_is_judged_by_what_it_holds(at: Workplace) -> None:
    """A good archive passes whatever size is on record of it."""
    located, _ = in_directory(at)
    label = located.destination.label
    proof = at.history.proofs(label)[str(located.name)]
    at.history.record_proof(label, located.name, replace(proof, bytes=10**9))
    assert drill(at.job(), located, at.context()).archive == str(located.name)


def test_the_run_tells_the_seconds_whatever_the_wall_clock_does(at: Workplace) -> None:
    """From the beginning of the run to its end are as many seconds as the drill took, with the clock set back too."""
    located, _ = in_directory(at)

    class Slow:
        def stage(self, title: str, records: int) -> None:
            del title, records
            at.clock.advance(timedelta(seconds=2))
            at.clock.jump(at.clock.now() - timedelta(hours=1))

        def advance(self, records: int) -> None:
            """Say nothing."""

    at.progress = Slow()
    drilled = drill(at.job(), located, at.context())
    (run,) = at.runs("drill")
    assert drilled.seconds == 8.0
    assert (run.finished_at - run.started_at).total_seconds() == drilled.seconds


def test_another_jobs_archive_is_no_proof_of_this_one(at: Workplace) -> None:
    """An archive of another job or host may be drilled; it counts as no restore of this job's."""
    located, _ = in_directory(at)
    other = MemoryDestination("other:")
    for name in (archive(at.clock.now(), job="weekly"), archive(at.clock.now(), host="server")):
        other.archives[name] = (at.home / "backups" / str(located.name)).read_bytes()
        drill(at.job(), Located(name, other, verified=False), at.context())
        assert at.history.proofs("other:")[str(name)].good
    assert at.runs("drill") == []


def test_a_file_is_drilled_without_a_record(at: Workplace) -> None:
    """A good file passes and a spoiled one does not; the journal hears of neither, and nothing is left behind."""
    located, path = in_directory(at)
    before = (at.history.proofs(located.destination.label), at.runs("drill"))
    with path.open("rb") as file:
        drilled = drill_file(path, file, at.store, at.state_dir, at.context())
    assert (drilled.archive, drilled.label, drilled.manifest.chunk_count) == (str(path), "", 5)
    path.write_bytes(spoiled.dangling(path.read_bytes(), WORD))
    with path.open("rb") as file, pytest.raises(ArchiveInvalid):
        drill_file(path, file, at.store, at.state_dir, at.context())
    assert (at.history.proofs(located.destination.label), at.runs("drill")) == before
    assert nothing_left(at)


def test_a_safety_archive_that_keeps_what_leads_nowhere_is_declined(at: Workplace) -> None:
    """A store that is not sound would come of it, as it was not before: that is said, and is no damage."""
    builders.execute(at.store.path, "DELETE FROM chunks WHERE id = 'c3'")
    path = Path(Safety(at.home / "safety", "laptop").save(at.store, at.context()).path)
    with path.open("rb") as file, pytest.raises(EcmError, match="cannot be drilled") as caught:
        drill_file(path, file, at.store, at.state_dir, at.context())
    assert not isinstance(caught.value, ArchiveInvalid)
    assert nothing_left(at)


@pytest.mark.parametrize("table", ["chunks", "harbours"])
def test_another_row_number_is_caught(at: Workplace, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that came back under another number than it had is not the same, whatever it holds."""
    builders.execute(
        at.store.path, "CREATE TABLE harbours (name TEXT); INSERT INTO harbours VALUES ('kiel'), ('holtenau')"
    )
    builders.execute(at.store.path, f"UPDATE {table} SET rowid = rowid + 10")
    located, _ = in_directory(at)
    assert drill(at.job(), located, at.context()).warnings == []
    replace_all = SqliteStore.replace

    def renumbering(store: SqliteStore, *arguments: Any, **options: Any) -> Replaced:  # noqa: ANN401 (whatever it takes)
        replaced = replace_all(store, *arguments, **options)
        builders.execute(store.path, f"UPDATE {table} SET rowid = 99 WHERE rowid = (SELECT max(rowid) FROM {table})")
        return replaced

    monkeypatch.setattr(SqliteStore, "replace", renumbering)
    section = "rows" if table == "harbours" else table
    with pytest.raises(ArchiveInvalid, match=f"its {section} differ"):
        drill(at.job(), located, at.context())


def test_odd_vectors_and_clocks_are_no_fault(at: Workplace) -> None:
    """What was odd in the store is odd in the archive: the drill passes and warns."""
    odd: list[Batch] = builders.memory()
    odd[-1] = [*odd[-1], builders.vector("c5", 1.0, 2.0, 3.0)]
    builders.fill(at.store, odd)
    builders.execute(at.store.path, "UPDATE edges SET vector_clock = '{\"ui\":-1}' WHERE id = 'e1'")
    located, _ = in_directory(at)
    warnings = drill(at.job(), located, at.context()).warnings
    assert warnings == [
        "vectors that name no model differ in their dimensions: 4 of 2 (first: 'c3'), 1 of 3 (first: 'c5')",
        "there are vector clocks that are not a count for each agent: 1 (edges 'e1')",
    ]
