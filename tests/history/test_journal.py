"""The journal: what was proved and how runs ended, in a file whose loss loses no backup."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from ecm_agent.errors import EcmError, LockHeld
from ecm_agent.history import ForgivingHistory, History
from ecm_agent.lock import held
from ecm_agent.model.journal import Pending, Proof, Run, Staged
from ecm_agent.model.names import ArchiveName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MOMENT = datetime(2025, 3, 1, 12, 30, 15, 123_456, tzinfo=UTC)
NAME = ArchiveName("nightly", "laptop", datetime(2025, 3, 1, tzinfo=UTC))
OTHER = ArchiveName("nightly", "laptop", datetime(2025, 3, 2, tzinfo=UTC))
GOOD, BAD = Proof(MOMENT, ""), Proof(MOMENT, "Archive is damaged")


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ecm-agent"


@pytest.fixture
def history(state_dir: Path) -> History:
    return History(state_dir)


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def run(exit_code: int = 0, *, job: str = "nightly", verb: str = "backup", message: str = "", archive: str = "") -> Run:
    return Run(job, verb, MOMENT, MOMENT + timedelta(seconds=2), exit_code, message, archive)


def test_an_empty_journal_knows_nothing(history: History) -> None:
    """Before anything is recorded there is no proof and no run."""
    assert history.proofs("local:/a") == {}
    assert history.last_run("nightly", "backup") is None


def test_the_last_word_on_an_archive_counts(history: History) -> None:
    """A later finding takes the place of an earlier one, for good or ill."""
    history.record_proof("local:/a", NAME, GOOD)
    history.record_proof("local:/a", NAME, BAD)
    assert history.proofs("local:/a") == {str(NAME): BAD}
    assert not history.proofs("local:/a")[str(NAME)].good
    history.record_proof("local:/a", NAME, GOOD)
    assert history.proofs("local:/a")[str(NAME)].good


def test_proofs_are_of_one_destination(history: History) -> None:
    """What was proved of a name in one destination says nothing about that name in another."""
    history.record_proof("local:/a", NAME, GOOD)
    history.record_proof("local:/b", NAME, BAD)
    history.record_proof("local:/b", OTHER, GOOD)
    history.forget("local:/a", OTHER)
    assert history.proofs("local:/a") == {str(NAME): GOOD}
    history.forget("local:/b", NAME)
    assert history.proofs("local:/b") == {str(OTHER): GOOD}
    assert history.proofs("local:/") == {}


def test_runs_are_of_one_job_and_verb(history: History) -> None:
    """The last run of a job is neither another job's nor another verb's."""
    for each in (run(message="first"), run(1, message="last"), run(job="weekly"), run(verb="verify")):
        history.record_run(each)
    assert history.last_run("nightly", "backup") == run(1, message="last")
    assert history.last_success("nightly", "backup") == run(message="first")
    assert history.last_run("weekly", "restore") is None


def test_times_come_back_to_the_microsecond(history: History) -> None:
    """Times are given back as they were, in whatever zone they were told."""
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
    history.record_proof("local:/a", NAME, Proof(elsewhere, ""))
    assert history.proofs("local:/a")[str(NAME)].checked_at == MOMENT


RECORD_AND_DIE = f"""
import os, pathlib, sys
from datetime import datetime
from ecm_agent.history import History
from ecm_agent.model.journal import Proof, Run
from ecm_agent.model.names import ArchiveName
history, moment = History(pathlib.Path(sys.argv[1])), datetime.fromisoformat("{MOMENT}")
history.record_proof("local:/a", ArchiveName.parse("{NAME}"), Proof(moment, ""))
history.record_run(Run("nightly", "backup", moment, moment, 3, "half"))
os.kill(os.getpid(), 9)
"""


def test_a_restart_forgets_nothing(history: History, state_dir: Path) -> None:
    """What one process has recorded, another reads, even after the first was killed."""
    arguments = [sys.executable, "-c", RECORD_AND_DIE, str(state_dir)]
    ended = subprocess.run(arguments, check=False)
    assert ended.returncode == -9
    assert history.proofs("local:/a") == {str(NAME): GOOD}
    assert history.last_run("nightly", "backup") == Run("nightly", "backup", MOMENT, MOMENT, 3, "half")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def scribble(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)


def overwrite(path: Path) -> None:
    path.write_bytes(b"this was a journal once")


@pytest.mark.parametrize("damage", [cut, scribble, overwrite], ids=["cut short", "pages lost", "another file"])
@pytest.mark.usefixtures("open_umask")
def test_a_damaged_journal_is_set_aside(history: History, state_dir: Path, damage: Callable[[Path], None]) -> None:
    """A damaged journal is kept under another name, and a new private one begun: no backup fails for want of notes."""
    history.record_proof("local:/a", NAME, GOOD)
    journal = state_dir / "history.db"
    damage(journal)
    damaged = journal.read_bytes()
    history.record_proof("local:/a", OTHER, GOOD)
    assert history.proofs("local:/a") == {str(OTHER): GOOD}
    (aside,) = state_dir.glob("history.db.damaged-*")
    assert aside.read_bytes() == damaged
    assert journal.stat().st_mode & 0o777 == 0o600


def test_an_empty_file_is_an_empty_journal(history: History, state_dir: Path) -> None:
    """A journal of no bytes at all is taken for a new one."""
    state_dir.mkdir(parents=True)
    (state_dir / "history.db").touch()
    assert history.proofs("local:/a") == {}
    assert [path.name for path in state_dir.iterdir()] == ["history.db"]


def test_a_journal_set_right_by_another_process_is_not_set_aside(
    history: History, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that meet the damage the slower finds the new journal of the quicker, and goes on with that."""
    history.record_proof("local:/a", NAME, GOOD)
    overwrite(state_dir / "history.db")

    @contextmanager
    def overtaken(*arguments: Any, **options: Any) -> Iterator[None]:  # noqa: ANN401 (passed on as they come)
        monkeypatch.setattr("ecm_agent.history.journal.held", held)
        History(state_dir).record_run(run(message="the quicker one's"))
        with held(*arguments, **options):
            yield

    monkeypatch.setattr("ecm_agent.history.journal.held", overtaken)
    history.record_proof("local:/a", OTHER, GOOD)
    assert history.last_run("nightly", "backup") == run(message="the quicker one's")
    assert history.proofs("local:/a") == {str(OTHER): GOOD}
    assert len(list(state_dir.glob("history.db.damaged-*"))) == 1


def test_a_damaged_journal_is_left_to_the_process_that_is_at_it(
    history: History, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another holds the lock the damaged file is not touched; that the journal cannot be used is said."""
    history.record_run(run())
    overwrite(state_dir / "history.db")
    monkeypatch.setattr("ecm_agent.history.journal._PATIENCE", 0.0)
    with held(state_dir / "locks" / ".journal.lock", "the journal"):
        with pytest.raises(EcmError, match="cannot be used: Another process") as caught:
            history.record_run(run())
        assert not isinstance(caught.value, LockHeld)
    assert list(state_dir.glob("history.db.damaged-*")) == []


@pytest.mark.usefixtures("open_umask")
def test_the_journal_is_private(history: History, state_dir: Path) -> None:
    """Whatever the umask, only the owner can read the journal and the directories made for it."""
    history.record_run(run())
    assert (state_dir / "history.db").stat().st_mode & 0o777 == 0o600
    assert state_dir.stat().st_mode & 0o777 == 0o700
    assert state_dir.parent.stat().st_mode & 0o777 == 0o700


def test_a_journal_that_cannot_be_written_is_named(history: History, state_dir: Path) -> None:
    """Where the journal cannot be, the error says where and why, in words."""
    state_dir.parent.mkdir()
    state_dir.write_bytes(b"a file in the directory's place")
    with pytest.raises(EcmError, match=f"{state_dir}/history.db cannot be used: [A-Z]") as caught:
        history.proofs("local:/a")
    assert caught.value.hint


def test_a_foreign_database_is_not_touched(history: History, state_dir: Path) -> None:
    """A database that is no journal of ours is reported, and neither changed nor moved away."""
    state_dir.mkdir(parents=True)
    path = state_dir / "history.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE mine (x); PRAGMA user_version = 7")
    before = path.read_bytes()
    with pytest.raises(EcmError, match="no such table"):
        history.record_run(run())
    assert path.read_bytes() == before
    assert [each.name for each in state_dir.iterdir()] == ["history.db"]


def test_names_that_are_not_utf_8_are_recorded(history: History) -> None:
    """A path of bytes that are no text can be part of a label and of a message."""
    label = os.fsdecode(b"local:/backups/\xff")
    history.record_proof(label, NAME, GOOD)
    assert history.proofs(label) == {str(NAME): GOOD}
    history.record_run(run(message=f"{label} is full"))
    last = history.last_run("nightly", "backup")
    assert last
    assert last.message == "local:/backups/\\udcff is full"


def waiting(archive: ArchiveName, place: str = "bucket", *, job: str = "nightly", attempts: int = 0) -> Pending:
    return Pending(job, str(archive), place, MOMENT, attempts, MOMENT + timedelta(hours=1), "no route" * attempts)


def test_what_waits_is_given_oldest_archive_first(history: History, state_dir: Path) -> None:
    """Whatever the order in which it was noted, and by whom: another process reads the same."""
    for each in (waiting(OTHER), waiting(NAME, "share"), waiting(NAME), waiting(NAME, job="weekly")):
        history.expect(each)
    assert History(state_dir).pending("nightly") == [waiting(NAME), waiting(NAME, "share"), waiting(OTHER)]
    assert history.pending("weekly") == [waiting(NAME, job="weekly")]
    assert history.pending("monthly") == []


def test_what_waits_is_in_order_of_time_whatever_the_host_is_called(history: History) -> None:
    """The host's name stands before the time in an archive's, and may have been changed in between."""
    older, newer = replace(NAME, host="zeta"), replace(OTHER, host="alpha")
    for each in (waiting(newer), waiting(older)):
        history.expect(each)
    assert history.pending("nightly") == [waiting(older), waiting(newer)]


def test_what_a_staged_archive_is_goes_with_its_last_destination(history: History) -> None:
    """It is known while anybody waits for the archive, and of that archive alone."""
    for each in (waiting(NAME), waiting(NAME, "share"), waiting(OTHER)):
        history.expect(each)
    noted = [Staged(str(name), "ab" * 32, 7, "kin", "key") for name in (NAME, OTHER)]
    for one in noted:
        history.record_staged(one)
    history.settle("nightly", str(NAME), "bucket")
    assert [history.staged(str(name)) for name in (NAME, OTHER)] == noted
    history.settle("nightly", str(NAME), "share")
    assert [history.staged(str(name)) for name in (NAME, OTHER)] == [None, noted[1]]


def test_a_try_is_of_one_archive_in_one_destination(history: History) -> None:
    """The last one counts, it is no proof and takes none away, and it is forgotten with the archive."""
    history.record_proof("local:/a", NAME, GOOD)
    for day in range(2):
        history.record_try("local:/a", NAME, MOMENT + timedelta(days=day))
    history.record_try("local:/b", OTHER, MOMENT)
    assert history.tries("local:/a") == {str(NAME): MOMENT + timedelta(days=1)}
    assert history.proofs("local:/a") == {str(NAME): GOOD}
    assert history.proofs("local:/b") == {}
    history.forget("local:/a", NAME)
    assert history.tries("local:/a") == {}
    assert history.tries("local:/b") == {str(OTHER): MOMENT}


@pytest.mark.parametrize("version", [1, 2])
def test_a_journal_of_an_earlier_version_keeps_what_it_knows(history: History, state_dir: Path, version: int) -> None:
    """What later versions added is there after the first use, and what was on record is unchanged."""
    history.record_proof("local:/a", NAME, GOOD)
    history.expect(waiting(NAME))
    salt = history.salt()
    with closing(sqlite3.connect(state_dir / "history.db")) as journal:
        added = ["staged", "tries"] + ["restores"] * (version < 2)
        journal.executescript("".join(f"DROP TABLE {table};" for table in added) + f"PRAGMA user_version = {version}")
    assert history.tries("local:/a") == {}
    assert history.staged(str(NAME)) is None
    assert history.last_restore(state_dir) is None
    assert (history.proofs("local:/a"), history.salt()) == ({str(NAME): GOOD}, salt)
    assert history.pending("nightly") == [waiting(NAME)]


def test_another_attempt_takes_the_place_of_the_one_before(history: History) -> None:
    """Of one archive for one destination there is one note: the latest."""
    for attempts in range(3):
        history.expect(waiting(NAME, attempts=attempts))
    assert history.pending("nightly") == [waiting(NAME, attempts=2)]


def test_what_has_arrived_no_longer_waits(history: History) -> None:
    """Settling strikes off one archive of one job for one destination, and may be done twice."""
    others = [waiting(NAME, "share"), waiting(OTHER)]
    for each in (*others, waiting(NAME), waiting(NAME, job="weekly")):
        history.expect(each)
    for _ in range(2):
        history.settle("nightly", str(NAME), "bucket")
    assert history.pending("nightly") == others
    assert history.pending("weekly") == [waiting(NAME, job="weekly")]


def test_the_last_archive_is_that_of_the_last_run_that_made_one(history: History) -> None:
    """A run that made an archive counts although it could not be sent; one without an archive does not."""
    assert history.last_archive("nightly") is None
    made = [run(archive="a.ecm"), run(15, archive="b.ecm")]
    for each in (*made, run(14), run(75), run(archive="c.ecm", job="weekly"), run(archive="d.ecm", verb="send")):
        history.record_run(each)
    assert history.first_archive("nightly") == made[0]
    assert history.last_archive("nightly") == made[1]


def test_a_skipped_run_is_no_attempt(history: History) -> None:
    """The last attempt is the last run that was not skipped, however it ended."""
    assert history.last_attempt("nightly", "backup") is None
    for each in (run(message="good"), run(14, message="bad"), run(75), run(75)):
        history.record_run(each)
    assert history.last_attempt("nightly", "backup") == run(14, message="bad")


@pytest.mark.parametrize(
    ("runs", "failures"),
    [
        ([], 0),
        ([run()], 0),
        ([run(1), run(14)], 2),
        ([run(1), run(), run(14), run(1)], 2),
        ([run(1), run(15, archive="a.ecm")], 0),
        ([run(3, archive="a.ecm"), run(1)], 1),
        ([run(1), run(75), run(1), run(75)], 2),
        ([run(), run(75)], 0),
        ([run(1), run(job="weekly"), run(verb="verify")], 1),
        ([run(), run(1, job="weekly"), run(1, verb="verify")], 0),
    ],
)
def test_failures_in_a_row(history: History, runs: list[Run], failures: int) -> None:
    """They count from the last run that made an archive or went well; skips and other jobs do not count."""
    for each in runs:
        history.record_run(each)
    assert history.failures_since_success("nightly", "backup") == failures


def test_a_forgiving_journal_stops_nothing(state_dir: Path) -> None:
    """Where the journal cannot be used, the forgiving one knows nothing, takes everything, and keeps the reason."""
    state_dir.parent.mkdir()
    state_dir.touch()
    journal = ForgivingHistory(state_dir)
    journal.record_proof("local:/a", NAME, GOOD)
    assert journal.proofs("local:/a") == {}
    assert journal.salt() == b""
    assert journal.problem is not None
    assert str(state_dir / "history.db") in journal.problem.message


def test_a_forgiving_journal_is_the_journal(state_dir: Path, history: History) -> None:
    """Where the journal can be used, the forgiving one is no different."""
    journal = ForgivingHistory(state_dir)
    journal.record_proof("local:/a", NAME, GOOD)
    assert history.proofs("local:/a") == {str(NAME): GOOD}
    assert (journal.salt(), journal.problem) == (history.salt(), None)
