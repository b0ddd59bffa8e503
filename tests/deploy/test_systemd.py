"""The systemd units: what systemd itself says of them, and what must not change in them unnoticed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ecm_agent.errors import UsageError

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/systemd"
UNITS = sorted([*FOLDER.glob("*/*.service"), *FOLDER.glob("*/*.timer")])
DAEMONS = [FOLDER / "user/ecm-agent.service", FOLDER / "system/ecm-agent@.service"]
ONCE = [FOLDER / "user/ecm-agent-once.service", FOLDER / "system/ecm-agent-once@.service"]
PROGRAM = re.compile(r"^(ExecStart=|ExecReload=)\S+", re.MULTILINE)
ANALYZE = shutil.which("systemd-analyze") or ""
# Where skips are forbidden, as in CI, a machine without systemd-analyze fails here.
with_systemd = pytest.mark.skipif(not ANALYZE, reason="there is no systemd-analyze here")


def settings(unit: Path) -> list[tuple[str, str]]:
    """Give a unit's lines as (key, value), in order: systemd allows a key several times."""
    lines = [line for line in unit.read_text().splitlines() if line and line[0] not in "#["]
    return [(key, value) for key, _, value in (line.partition("=") for line in lines)]


def values(unit: Path, key: str) -> list[str]:
    return [value for each, value in settings(unit) if each == key]


def sandbox(unit: Path) -> list[tuple[str, str]]:
    lines = settings(unit)
    begin = lines.index(("LogRateLimitIntervalSec", "0"))
    return [line for line in lines[begin:] if line[0] != "WantedBy"]


def name(unit: Path) -> str:
    return f"{unit.parent.name}/{unit.name}"


def instance(unit: Path, folder: Path, text: str | None = None) -> Path:
    """Write a unit as systemd would find it, a template as alice's; its programs are one that is on this machine."""
    copy = folder / unit.name.replace("@.", "@alice.")
    copy.write_text(PROGRAM.sub(r"\1/bin/sh", unit.read_text() if text is None else text))
    return copy


def analyze(unit: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    scope = ["--user"] if "verify" in arguments and unit.parent.name == "user" else []
    environment = os.environ | {"XDG_RUNTIME_DIR": str(unit.parent), "LC_ALL": "C"}
    command = [ANALYZE, *scope, *arguments, str(unit)]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=unit.parent)


def complaints(unit: Path) -> list[str]:
    """Give what `systemd-analyze verify` says about our units; units of the machine have faults of their own."""
    done = analyze(unit, "verify", "--man=no")
    ours = [line for line in done.stderr.splitlines() if "ecm-agent" in line or str(unit.parent) in line]
    return ours or ([done.stderr] if done.returncode else [])


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Give a folder with `user` and `system`, all units in their places."""
    for unit in UNITS:
        folder = tmp_path / unit.parent.name
        folder.mkdir(exist_ok=True)
        instance(unit, folder)
    return tmp_path


@with_systemd
@pytest.mark.parametrize("unit", UNITS, ids=name)
def test_systemd_understands_every_line(unit: Path, installed: Path) -> None:
    """`systemd-analyze verify` has nothing to say about any unit."""
    assert complaints(installed / unit.parent.name / unit.name.replace("@.", "@alice.")) == []


@with_systemd
@pytest.mark.parametrize(
    "line", ["WatchdogSek=5", "Type=notifi", "SystemCallFilter=@no-such-group", "ExecStart=/no/such"]
)
def test_a_wrong_line_is_noticed(line: str, tmp_path: Path) -> None:
    """The check above can fail: a misspelt key, value, group of system calls or program is reported."""
    key = line.partition("=")[0]
    text = re.sub(rf"^{key}=.*\n|^\[Install\]\n", "", DAEMONS[1].read_text(), flags=re.MULTILINE)
    copy = tmp_path / "ecm-agent@alice.service"
    copy.write_text(PROGRAM.sub(r"\1/bin/sh", text).replace("Type=notify\n", "") + f"[Service]\n{line}\n")
    assert complaints(copy)


@with_systemd
@pytest.mark.parametrize("unit", [*DAEMONS, *ONCE], ids=name)
def test_the_units_are_as_closed_as_the_page_says(unit: Path, tmp_path: Path) -> None:
    """`systemd-analyze security` gives the exposure that stands in docs/deploy.md (another version: a little off)."""
    row = next(line for line in (ROOT / "docs/deploy.md").read_text().splitlines() if f"`{name(unit)}`" in line)
    written = float(row.split("|")[2])
    done = analyze(instance(unit, tmp_path), "security", "--no-pager", "--offline=true")
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) == pytest.approx(written, abs=0.3)


@pytest.mark.parametrize(("daemon", "once"), [*zip(DAEMONS, ONCE, strict=True)], ids=["user", "system"])
def test_a_single_run_is_as_closed_as_the_daemon(daemon: Path, once: Path) -> None:
    """The service behind the timer has the daemon's sandbox, line for line."""
    assert sandbox(daemon) == sandbox(once)
    assert len(sandbox(once)) >= {"user": 15, "system": 30}[once.parent.name]


@pytest.mark.parametrize("unit", DAEMONS, ids=name)
def test_the_daemon_is_watched_and_comes_back(unit: Path) -> None:
    """It reports its start and its life, is started again after a failure, but not when a person has to act first."""
    assert values(unit, "Type") == ["notify"]
    assert values(unit, "WatchdogSec") == ["5min"]
    assert values(unit, "Restart") == ["on-failure"]
    assert values(unit, "RestartPreventExitStatus") == [str(UsageError.exit_code)]
    assert values(unit, "ExecReload") == ["/bin/kill -HUP $MAINPID"]


@pytest.mark.parametrize("unit", ONCE, ids=name)
def test_only_a_skip_counts_as_success(unit: Path) -> None:
    """A run that did not do everything (3) fails its unit; one that was skipped on purpose (75) does not."""
    assert values(unit, "Type") == ["oneshot"]
    assert values(unit, "SuccessExitStatus") == ["75"]


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".timer"], ids=name)
def test_every_timer_starts_a_service_of_its_name(unit: Path) -> None:
    """Each timer has its service beside it, and belongs to the timers that start with the machine."""
    assert unit.with_suffix(".service").exists()
    assert values(unit, "WantedBy") == ["timers.target"]


@pytest.mark.parametrize("unit", ONCE, ids=name)
def test_a_timer_makes_up_for_the_time_the_machine_was_off(unit: Path) -> None:
    """The timers of backups are persistent; the calendar they go by is finer than any nightly schedule."""
    assert values(unit.with_suffix(".timer"), "Persistent") == ["true"]
    assert values(unit.with_suffix(".timer"), "OnCalendar") == ["hourly"]


@pytest.mark.parametrize("unit", UNITS, ids=name)
def test_a_missing_directory_does_not_fail_a_unit(unit: Path) -> None:
    """On a fresh host a path that is not there yet is passed over ("-"), not answered with 226/NAMESPACE."""
    keys = ("BindPaths", "BindReadOnlyPaths", "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths")
    assert [value for key in keys for value in values(unit, key) if not value.startswith("-")] == []


@pytest.mark.parametrize("unit", UNITS, ids=name)
def test_no_unit_has_a_setting_that_would_harm(unit: Path) -> None:
    """RemoveIPC= would take from the user's other programs, StateDirectory= lie elsewhere than a terminal looks."""
    assert values(unit, "RemoveIPC") == []
    if unit.parent.name == "user":
        assert values(unit, "StateDirectory") == []


@pytest.mark.parametrize("unit", [DAEMONS[1], ONCE[1]], ids=name)
def test_the_password_comes_from_the_credential(unit: Path) -> None:
    """The variable for the password's file names the credential that the unit loads."""
    (credential,) = values(unit, "LoadCredential")
    assert values(unit, "Environment") == [f"ECM_EXPORT_PASSWORD_FILE=%d/{credential.partition(':')[0]}"]
