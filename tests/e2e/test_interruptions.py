"""Killed, terminated, interrupted, or with nobody listening: nothing half-done is ever seen."""

from __future__ import annotations

import io
import shlex
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import builders
import pytest
from nightly import write_configuration
from program import PASSWORD, until

from ecm_agent import atomic
from ecm_agent.jobs.compare import differences
from ecm_agent.jobs.verify import verify
from ecm_agent.secret import Secret
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from program import Program

OLD = b"last week's archive"


def unfinished(directory: Path) -> list[Path]:
    return [path for path in directory.glob(".*") if atomic.is_temporary(path.name)]


def size_of_unfinished(directory: Path) -> int:
    try:
        return sum(path.stat().st_size for path in unfinished(directory))
    except FileNotFoundError:  # finished since the directory was read
        return 0


def has_open(pid: int, directory: Path) -> bool:
    """Tell whether a process has a file in a directory open, be it one without a name."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since
            if str(descriptor.readlink()).startswith(f"{directory}/"):
                return True
    return False


def is_whole(content: bytes) -> bool:
    return verify(io.BytesIO(content), Secret(PASSWORD)).manifest.chunk_count == 10_000


def test_a_killed_export_leaves_the_old_file_or_the_new(busy: Program) -> None:
    """Killed as it begins to write, half-way or at the end: the file is the old one or the whole new one."""
    out = busy.home / "out"
    out.mkdir()
    target = out / "memory.ecm"
    whole = busy.store.stat().st_size // 2
    for least in (0, whole // 4, whole // 2, whole):
        target.write_bytes(OLD)
        with busy.started("export", "-o", str(target)) as process:
            until(process, lambda least=least: bool(unfinished(out)) and size_of_unfinished(out) >= least)  # type: ignore[misc] # mypy has no type for a lambda's default
            process.send_signal(signal.SIGKILL)
            process.wait()
        content = target.read_bytes()
        assert content == OLD or is_whole(content)
    target.unlink()
    with busy.started("export", "-o", str(target)) as process:
        until(process, lambda: bool(unfinished(out)))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not target.exists() or is_whole(target.read_bytes())
    assert busy.run("export", "-o", str(target)).code == 0
    assert [path.name for path in out.iterdir()] == ["memory.ecm"]
    assert is_whole(target.read_bytes())


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGTERM, 143, "Terminated"), (signal.SIGINT, 130, "Interrupted"), (signal.SIGHUP, 129, "Terminated")],
    ids=["SIGTERM", "SIGINT", "SIGHUP"],
)
@pytest.mark.parametrize("moment", ["staging", "putting"])
def test_an_interrupted_backup_leaves_nothing_half_done(
    busy: Program, number: signal.Signals, code: int, said: str, moment: str
) -> None:
    """Ended while staging or putting: the signal's exit code, a word, no traceback, nothing half-written."""
    with busy.started("backup") as process:
        if moment == "staging":
            until(process, lambda: has_open(process.pid, busy.state / "staging"))
        else:
            until(process, lambda: size_of_unfinished(busy.backups) > 0)
        process.send_signal(number)
        _, err = process.communicate()
    assert process.returncode == code
    assert err == f"ecm-agent: {said}; nothing was left half-done.\n"
    for place in (busy.state / "staging", busy.backups):
        assert unfinished(place) == []
        assert all(is_whole(path.read_bytes()) for path in place.glob("*.ecm"))
    assert busy.run("backup").code == 0
    assert list((busy.state / "staging").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_backup_runs_its_last_hooks(program: Program, number: signal.Signals) -> None:
    """What is to happen whatever happens, happens; where it goes wrong that is said before the word on the signal."""
    begun, slow = program.home / "begun", ["/bin/sh", "-c", "touch begun; exec sleep 60"]
    lastly = ["/bin/sh", "-c", "echo $ECM_AGENT_HOOK_EXIT_CODE > told; exit 9"]
    write_configuration(program, job={"hooks": {"before": [slow], "finally": [lastly]}})
    with program.started("backup") as process:
        until(process, begun.exists)
        process.send_signal(number)
        _, err = process.communicate()
    assert process.returncode == 128 + number
    assert (program.home / "told").read_text() == f"{128 + number}\n"
    first, last = err.splitlines()
    assert first == "warning: job 'default': The hook /bin/sh ended with exit code 9."
    assert last.endswith("nothing was left half-done.")
    (status,) = program.run("status", "--json").objects
    assert status["last_run"]["exit_code"] == 128 + number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_an_interrupted_restore_leaves_the_old_memory(busy: Program, number: signal.Signals) -> None:
    """Ended while the store is being replaced: the store holds what it held, and there is nothing to undo.

    The safety archive goes again; a killed process leaves it, whole.
    """
    assert busy.run("export", "-o", "large.ecm").code == 0
    batches = builders.memory()
    busy.store.unlink()
    builders.fill(SqliteStore(busy.store), batches)
    before = SqliteStore(busy.home / "before.db")
    shutil.copy(busy.store, before.path)
    size = busy.store.stat().st_size
    with busy.started("import", "large.ecm") as process:
        until(process, lambda: busy.store.stat().st_size > size)
        process.send_signal(number)
        process.wait()
    assert process.returncode in {128 + number, -number}
    assert differences(before, SqliteStore(busy.store)) == {}
    left = [verify(io.BytesIO(path.read_bytes()), Secret(PASSWORD)) for path in (busy.state / "safety").iterdir()]
    assert [one.manifest.chunk_count for one in left] == ([5] if number is signal.SIGKILL else [])
    assert busy.run("undo").code == 10


@pytest.mark.parametrize("words", ["list", "list --json", "import no.ecm --json", "config show", "--help", "--version"])
def test_a_reader_that_leaves_is_no_error(program: Program, words: str) -> None:
    """With nobody reading, as in `… | head -0`, a command ends without a word on stderr but its own."""
    assert program.run("backup").code == 0
    read_nothing = f"{shlex.join(program.command(*words.split()))} | true"
    ended = subprocess.run(
        ["/bin/sh", "-c", read_nothing],
        cwd=program.home,
        env=program.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == ""


@pytest.mark.parametrize("words", ["list", "list --json", "status", "--help", "--version"])
def test_a_full_disk_under_the_output_is_said(program: Program, words: str) -> None:
    """Where what a command prints cannot be written, it says so in a sentence and ends with 1."""
    assert program.run("backup").code == 0
    with open("/dev/full", "w") as full:  # noqa: PTH123 (a device)
        ended = subprocess.run(
            program.command(*words.split()),
            cwd=program.home,
            env=program.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (1, "ecm-agent: The system says: No space left on device.\n")


def test_closed_streams_are_no_error(program: Program) -> None:
    """Started without standard input or output, a command does its work."""
    closed = f"exec {shlex.join(program.command('backup'))} <&- >&-"
    arguments = ["/bin/sh", "-c", closed]
    ended = subprocess.run(
        arguments, cwd=program.home, env=program.environment(), stderr=subprocess.PIPE, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(list(program.backups.iterdir())) == 1


def test_the_password_is_in_no_command_line(busy: Program) -> None:
    """While a backup runs, neither its own command line nor any other process's holds the password."""
    with busy.started("backup") as process:
        until(process, lambda: size_of_unfinished(busy.backups) > 0)
        seen = [process.pid]
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                assert PASSWORD.encode() not in path.read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            seen.append(int(path.parent.name))
        assert process.wait() == 0
    assert process.pid in seen[1:]
