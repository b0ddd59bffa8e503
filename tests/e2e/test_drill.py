"""drill, as its users have it: every destination by itself, each defect with its own words, nothing left behind."""

from __future__ import annotations

import json
import shutil
import signal
from typing import TYPE_CHECKING

import pytest
import spoiled
from nightly import with_bucket, write_configuration
from program import PASSWORD, until
from s3_servers import BUCKET
from workplace import held_elsewhere

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from program import Program
    from s3_servers import RcloneServer


def newest(program: Program) -> Path:
    return max(program.backups.iterdir())


def scratches(program: Program) -> list[Path]:
    return list((program.state / "staging").glob("drill-*"))


def at_work(program: Program) -> bool:
    """Tell whether a drill is writing its scratch store."""
    try:
        return any(path.stat().st_size > 0 for place in scratches(program) for path in place.iterdir())
    except FileNotFoundError:  # took another name since, or is gone
        return False


def test_a_good_archive_is_restored_and_timed(program: Program) -> None:
    """The drill says what it restored and how long it took, and so does the status from then on."""
    assert program.run("backup").code == 0
    assert "last proven restore: never\n" in program.run("status").out
    ended = program.run("drill")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Restored: {newest(program).name} in local:{program.backups}, in ")
    assert "into a scratch store: 5 chunks" in ended.out
    assert list((program.state / "staging").iterdir()) == []
    (told,) = program.run("status", "--json").objects
    assert told["last_proven_restore"]["seconds"] > 0
    status = program.run("status")
    assert status.code == 0
    assert f"last proven restore: just now, {told['last_proven_restore']['seconds']:.1f} s (" in status.out


def test_every_destination_is_drilled_whatever_the_others_say(program: Program, offsite: RcloneServer) -> None:
    """An archive cut short in the bucket is told, with 3 since the directory's is good; the status ends with 1."""
    program = with_bucket(program, offsite)
    assert program.run("backup").code == 0
    (in_bucket,) = (offsite.directory / BUCKET).rglob("*.ecm")
    good = in_bucket.read_bytes()
    in_bucket.write_bytes(spoiled.cut_short(good))
    ended = program.run("drill", "--json")
    assert ended.code == 3
    proved, failed = ended.objects
    assert (proved["message_type"], proved["destination"]) == ("summary", f"local:{program.backups}")
    assert (proved["integrity"], proved["records"]["chunks"], proved["warnings"]) == ("ok", 5, [])
    assert proved["seconds"] > 0
    assert (failed["message_type"], failed["code"]) == ("exit_error", 13)
    assert f"Archive is cut short: it has {len(good) * 3 // 4} bytes" in failed["message"]
    status = program.run("status")
    assert status.code == 1
    assert "NO DRILL" in status.out
    assert program.run("drill", "--from", "offsite").code == 13
    in_bucket.write_bytes(good)
    assert program.run("drill", "all").code == 0
    assert program.run("status").code == 0


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoiled.swapped, "bytes were changed"),
        (lambda content: spoiled.lying(content, PASSWORD), "announces 6 chunks and holds 5"),
        (lambda content: spoiled.dangling(content, PASSWORD), "refers to nowhere"),
    ],
    ids=["swapped", "lying", "dangling"],
)
def test_a_spoiled_archive_ends_with_13(program: Program, spoil: Callable[[bytes], bytes], said: str) -> None:
    """By job, by name and as a file: each defect in its own words, and no scratch store is left."""
    assert program.run("backup").code == 0
    path = newest(program)
    path.write_bytes(spoil(path.read_bytes()))
    shutil.copy(path, program.home / "copy.ecm")
    for what in ("default", path.name, "./copy.ecm"):
        ended = program.run("drill", what)
        assert ended.code == 13
        assert said in ended.err
    assert scratches(program) == []


def test_a_wrong_password_in_the_credential_ends_with_12(program: Program) -> None:
    """A credential that holds another password than the archive was sealed with is found by the drill."""
    credentials = program.home / "credentials"
    credentials.mkdir(mode=0o700)
    source = {"ECM_EXPORT_PASSWORD": None, "CREDENTIALS_DIRECTORY": str(credentials)}
    write_configuration(program, password={"credential": "ecm"}, destinations={"local": {"path": str(program.backups)}})
    (credentials / "ecm").write_text(PASSWORD)
    assert program.run("backup", **source).code == 0
    assert program.run("drill", **source).code == 0
    (credentials / "ecm").write_text("another")
    ended = program.run("drill", **source)
    assert (ended.code, "Decryption failed" in ended.err) == (12, True)


def test_what_is_meant(program: Program) -> None:
    """A job, all, latest, an archive's name or a file's path; what is none of these is told, with what is near."""
    assert program.run("backup").code == 0
    assert program.run("export", "-o", "plain.json", "--no-encrypt").code == 0
    for what in ("default", "all", "latest", newest(program).name, "plain.json", str(newest(program))):
        assert program.run("drill", what).code == 0, what
    assert "Did you mean default?" in program.run("drill", "defualt").err
    assert [program.run("drill", *words).code for words in (["nope"], ["all", "--job", "default"])] == [10, 2]
    assert program.run("drill", "--job", "no").code == 10
    assert program.run("drill", "--from", "no").code == 10


def test_a_drill_waits_for_nobody_unless_told_to(program: Program) -> None:
    """While another process works on the job, a drill of it ends with 11; a file is no job's."""
    assert program.run("backup").code == 0
    with held_elsewhere(program.state / "locks" / "default.lock"):
        assert program.run("drill").code == 11
        assert program.run("drill", str(newest(program))).code == 0
    with held_elsewhere(program.state / "locks" / ".file.lock"):
        assert program.run("drill", str(newest(program))).code == 11


def test_at_a_terminal_the_password_is_asked_for_once(program: Program) -> None:
    """One prompt for all that is drilled, and no progress bar left on the screen."""
    write_configuration(
        program,
        destinations={name: {"type": "local", "path": str(program.home / name)} for name in ("here", "there")},
    )
    assert program.run("backup").code == 0
    ended = program.answering("drill", answers=[("Enter decryption password: ", PASSWORD)], ECM_EXPORT_PASSWORD=None)
    assert ended.code == 0
    assert ended.out.count("Restored: ") == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"])
def test_an_interrupted_drill_leaves_nothing(busy: Program, number: signal.Signals, code: int) -> None:
    """Ended half-way, a drill takes its scratch store with it, and the archive is as proved as it was."""
    assert busy.run("backup").code == 0
    with busy.started("drill") as process:
        until(process, lambda: at_work(busy))
        process.send_signal(number)
        _, err = process.communicate()
    assert (process.returncode, "Traceback" in err) == (code, False)
    assert list((busy.state / "staging").iterdir()) == []
    assert busy.run("status").code == 0


@pytest.mark.parametrize("what", ["default", "file"])
@pytest.mark.parametrize("next_command", ["drill", "backup"])
def test_what_a_killed_drill_leaves_is_private_and_swept(
    busy: Program, modes: Callable[[Path], dict[str, str]], what: str, next_command: str
) -> None:
    """Killed half-way, of a job or of a file: nobody else can read it, and the next drill or backup removes it."""
    assert busy.run("backup").code == 0
    staging = busy.state / "staging"
    argument = "default" if what == "default" else str(newest(busy))

    with busy.started("drill", argument) as process:
        until(process, lambda: at_work(busy))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    left = modes(staging)
    assert len(left) >= 2
    assert {mode for path, mode in left.items() if "/" not in path} == {"700"}
    assert {mode for path, mode in left.items() if "/" in path} == {"600"}
    assert busy.run(next_command).code == 0
    assert list(staging.iterdir()) == []


def test_the_journal_tells_the_seconds(program: Program) -> None:
    """--json and the status speak of the same time."""
    assert program.run("backup").code == 0
    (drilled,) = program.run("drill", "--json").objects
    status = json.loads(program.run("status", "--json").out)
    assert status["last_proven_restore"]["seconds"] == pytest.approx(drilled["seconds"], abs=1e-5)
