"""From files, variables and the command line to settings: what wins, what it means, and where it came from."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ecm_agent.config.destinations import LocalDestinationSettings
from ecm_agent.config.loading import Loaded, load, show
from ecm_agent.errors import UsageError
from ecm_agent.model.names import host_label


class Desk:
    """A home and a working directory of its own, and the few variables a test names."""

    def __init__(self, root: Path) -> None:
        self.home, self.cwd = root / "home", root / "work"
        self.home.mkdir()
        self.cwd.mkdir()

    def load(self, config: Path | None = None, /, overrides: dict[str, Any] | None = None, **environ: str) -> Loaded:
        return load(config, environ={"HOME": str(self.home), **environ}, cwd=self.cwd, overrides=overrides or {})

    def write(self, text: str, path: str = "work/ecm-agent.yaml") -> Path:
        file = self.home.parent / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_without_any_configuration_one_job_backs_up_the_usual_store(desk: Desk) -> None:
    """Nothing configured: job default, destination local below the home directory, 7 days 4 weeks 12 months."""
    loaded = desk.load()
    settings = loaded.settings
    assert loaded.file is None
    assert settings.store.path == desk.home / ".ecm/memory.db"
    assert settings.state_dir == desk.home / ".local/state/ecm-agent"
    assert settings.host == host_label(os.uname().nodename)
    assert settings.password.env == "ECM_EXPORT_PASSWORD"
    assert settings.destinations == {"local": LocalDestinationSettings(path=desk.home / ".ecm/backups")}
    assert list(settings.jobs) == ["default"]
    job = settings.jobs["default"]
    assert (job.destinations, job.compress, job.projects, job.vectors) == (["local"], "none", [], None)
    policy = job.retention.policy()
    assert (policy.keep_daily, policy.keep_weekly, policy.keep_monthly, policy.keep_last) == (7, 4, 12, 0)


def test_an_empty_file_is_no_configuration(desk: Desk) -> None:
    """A file with only comments changes nothing."""
    file = desk.write("# nothing yet\n")
    assert desk.load().file == file
    assert desk.load().settings == desk.load(Path("/dev/null")).settings


def test_a_file_that_names_only_jobs_keeps_the_default_destination(desk: Desk) -> None:
    """Jobs of one's own replace the default job, and go to the default destination."""
    desk.write("jobs: {nightly: {compress: gzip}, weekly: {}}")
    settings = desk.load().settings
    assert list(settings.jobs) == ["nightly", "weekly"]
    assert settings.jobs["nightly"].destinations == ["local"]
    assert settings.jobs["weekly"].retention.keep_monthly == 12


def test_a_file_that_names_only_destinations_keeps_the_default_job(desk: Desk) -> None:
    """The default job goes to every destination there is."""
    desk.write("destinations: {nas: {type: local, path: /mnt/nas}, usb-1: {type: local, path: /mnt/usb}}")
    settings = desk.load().settings
    assert settings.jobs["default"].destinations == ["nas", "usb-1"]


def test_an_empty_list_of_destinations_means_all(desk: Desk) -> None:
    """`destinations: []` means all, as `projects: []` does."""
    desk.write("jobs: {nightly: {destinations: []}}")
    assert desk.load().settings.jobs["nightly"].destinations == ["local"]


def test_a_retention_policy_is_complete_as_written(desk: Desk) -> None:
    """A rule that is not given keeps nothing: the default policy does not shine through."""
    desk.write("jobs: {nightly: {retention: {keep_last: 3, keep_within: 36h}}}")
    policy = desk.load().settings.jobs["nightly"].retention.policy()
    assert (policy.keep_last, policy.keep_daily, policy.keep_within) == (3, 0, timedelta(hours=36))


@pytest.mark.parametrize(
    ("span", "meant"), [("14d", timedelta(days=14)), ("2w", timedelta(weeks=2)), ("1h", timedelta(hours=1))]
)
def test_spans_of_time_are_hours_days_or_weeks(desk: Desk, span: str, meant: timedelta) -> None:
    """A span means what its unit says."""
    desk.write(f"jobs: {{nightly: {{retention: {{keep_within: {span}}}}}}}")
    assert desk.load().settings.jobs["nightly"].retention.policy().keep_within == meant


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(desk: Desk) -> None:
    """Command line > environment > file > defaults."""
    desk.write("host: from-file")
    assert desk.load().settings.host == "from-file"
    assert desk.load(ECM_AGENT_HOST="from-variable").settings.host == "from-variable"
    assert desk.load(overrides={"host": "from-flag"}, ECM_AGENT_HOST="v").settings.host == "from-flag"


def test_layers_are_merged_key_by_key(desk: Desk) -> None:
    """A variable changes the one key it names, however deep, and leaves its neighbours."""
    desk.write("jobs: {nightly: {compress: gzip, retention: {keep_daily: 9, keep_last: 2}}}")
    job = desk.load(ECM_AGENT_JOBS__NIGHTLY__RETENTION__KEEP_DAILY="30").settings.jobs["nightly"]
    assert (job.compress, job.retention.keep_daily, job.retention.keep_last) == ("gzip", 30, 2)


def test_a_password_source_replaces_the_one_below_it(desk: Desk) -> None:
    """Of two layers that name a source of the password the higher one counts, though they name different keys."""
    desk.write("password: {command: [pass, show, ecm]}")
    password = desk.load(ECM_AGENT_PASSWORD__FILE="~/password").settings.password
    assert (password.file, password.command) == (desk.home / "password", None)


def test_relative_paths_start_where_they_were_written(desk: Desk) -> None:
    """In the file from its directory; in a variable or on the command line from the current directory."""
    file = desk.write("{store: {path: a.db}, password: {file: ../secret}}", "etc/conf.yaml")
    assert desk.load(file).settings.store.path == file.parent / "a.db"
    assert desk.load(file).settings.password.file == file.parent / "../secret"
    assert desk.load(file, ECM_AGENT_STORE__PATH="b.db").settings.store.path == desk.cwd / "b.db"
    flag = {"store": {"path": Path("c.db")}}
    assert desk.load(file, overrides=flag).settings.store.path == desk.cwd / "c.db"


def test_every_path_may_start_with_the_home_directory(desk: Desk) -> None:
    """`~` and `~/...` are the home directory wherever a path may stand."""
    desk.write("{store: {path: ~/m.db}, state_dir: '~', destinations: {d: {type: local, path: ~/d}}}")
    settings = desk.load().settings
    assert settings.store.path == desk.home / "m.db"
    assert settings.state_dir == desk.home
    assert settings.destinations["d"] == LocalDestinationSettings(path=desk.home / "d")


@pytest.mark.parametrize("written", ["$HOME/m.db", "/x/${USER}/m.db", "~bob/m.db", "''", '"a\\0b"'])
def test_what_looks_expandable_but_is_not_is_refused(desk: Desk, written: str) -> None:
    """A path with a variable in it would be a strange directory, not the one that was meant."""
    desk.write(f"store:\n  path: {written}")
    with pytest.raises(UsageError, match=r"store\.path \(.*ecm-agent.yaml:2\): (starts with|is empty|holds a char)"):
        desk.load()


def test_the_first_file_there_is_counts(desk: Desk) -> None:
    """--config, then $ECM_AGENT_CONFIG, then ./ecm-agent.yaml, then the user's own; the others are not read."""
    last = desk.write("host: user", "home/.config/ecm-agent/config.yaml")
    assert desk.load().file == last
    shared = desk.write("host: xdg", "xdg/ecm-agent/config.yaml")
    assert desk.load(XDG_CONFIG_HOME=str(shared.parents[1])).file == shared
    here = desk.write("host: here")
    assert desk.load().file == here
    named = desk.write("host: named", "named.yaml")
    assert desk.load(ECM_AGENT_CONFIG="../named.yaml").settings.host == "named"
    flag = desk.write("host: flag", "flag.yaml")
    assert desk.load(flag, ECM_AGENT_CONFIG=str(named)).settings.host == "flag"


@pytest.mark.parametrize("path", ["gone.yaml", "ecm-agent.yaml/below", "~/gone.yaml"])
def test_a_file_that_was_named_must_be_there(desk: Desk, path: str) -> None:
    """A named file that is missing is an error that says who named it, not a reason to use another one."""
    desk.write("host: here")
    with pytest.raises(UsageError, match="does not exist") as flag:
        desk.load(Path(path))
    with pytest.raises(UsageError, match="does not exist") as variable:
        desk.load(ECM_AGENT_CONFIG=path)
    assert "--config" in flag.value.hint
    assert "ECM_AGENT_CONFIG" in variable.value.hint
    assert flag.value.exit_code == 2


def test_a_path_to_the_file_is_checked_like_any_other(desk: Desk) -> None:
    """A variable in the path of the file is an error in plain words."""
    with pytest.raises(UsageError, match=r"path in --config starts with or holds a variable"):
        desk.load(Path("$HOME/conf.yaml"))


@pytest.mark.parametrize("named", [True, False])
def test_a_directory_is_no_file(desk: Desk, named: bool) -> None:
    """A directory in the file's place is an error, named or found."""
    folder = desk.cwd / "ecm-agent.yaml"
    folder.mkdir()
    with pytest.raises(UsageError, match="is a directory"):
        desk.load(folder if named else None)


def test_show_gives_every_key_in_effect_and_where_it_was_written(desk: Desk) -> None:
    """default, the file with its line, the variable as spelt, the machine's own variable, or the command line."""
    file = desk.write("store:\n  path: /m.db\njobs:\n  Nightly:\n    destinations: [local]\n")
    loaded = desk.load(
        overrides={"host": "flag"},
        ECM_AGENT_JOBS__NIGHTLY__PROJECTS="a,b",
        ECM_AGENT_STATE_DIR="/s",
        TZ="Europe/Berlin",
    )
    rows = {key: (value, origin) for key, value, origin in show(loaded)}
    assert rows["store.path"] == ("/m.db", f"{file}:2")
    assert rows["host"] == ("flag", "command line")
    assert rows["timezone"] == ("Europe/Berlin", "TZ")
    assert rows["state_dir"] == ("/s", "ECM_AGENT_STATE_DIR")
    assert rows["jobs.Nightly.destinations"] == (["local"], f"{file}:5")
    assert rows["jobs.Nightly.projects"] == (["a", "b"], "ECM_AGENT_JOBS__NIGHTLY__PROJECTS")
    assert rows["jobs.Nightly.retention.keep_daily"] == (7, "default")
    assert rows["destinations.local.path"] == (str(desk.home / ".ecm/backups"), "default")
    assert set(rows) == set(loaded.sources)


def test_a_source_of_the_key_replaces_the_one_below_it(desk: Desk) -> None:
    """As of the password's, one layer says where the store's key is; the rest of the section is merged key by key."""
    desk.write("store: {path: /m.db, key: {command: [pass, show, key]}}")
    store = desk.load(ECM_AGENT_STORE__KEY__FILE="~/key").settings.store
    assert store.key
    assert (store.path, store.key.file, store.key.command) == (Path("/m.db"), desk.home / "key", None)


def test_the_arguments_of_a_key_command_are_never_shown(desk: Desk) -> None:
    """They may hold a secret."""
    desk.write("store: {key: {command: [echo, hunter2]}}")
    shown = {key: value for key, value, _ in show(desk.load())}
    assert shown["store.key.command"] == ["echo", "..."]


def test_the_arguments_of_a_password_command_are_never_shown(desk: Desk) -> None:
    """They may hold a secret: `config show` gives the program only, and no repr gives them."""
    desk.write("password: {command: [echo, hunter2]}")
    loaded = desk.load()
    shown = {key: value for key, value, _ in show(loaded)}
    assert loaded.settings.password.command == ["echo", "hunter2"]
    assert shown["password.command"] == ["echo", "..."]
    assert "hunter2" not in f"{loaded!r} {loaded.settings} {shown}"


def test_the_process_environment_is_never_read_behind_the_callers_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the environment that is passed in counts."""
    monkeypatch.setenv("ECM_AGENT_HOST", "from-the-process")
    monkeypatch.setenv("HOST", "from-the-process")
    monkeypatch.setenv("STORE__PATH", "/from-the-process")
    settings = desk.load(ECM_AGENT_STATE_DIR="/s").settings
    assert settings.host != "from-the-process"
    assert settings.store.path == desk.home / ".ecm/memory.db"


def test_reading_the_configuration_loads_no_heavy_package() -> None:
    """Neither the cloud's nor the clustering's packages are loaded to read settings."""
    code = "import sys, ecm_agent.config.loading, ecm_agent.config.password; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "pydantic" in loaded
    assert not loaded & {"boto3", "botocore", "numpy", "hdbscan", "cryptography", "sqlite3", "apscheduler", "rich"}


USUAL = {"ecm": ".ecm/memory.db", "causantic": ".causantic/memory.db"}


def with_stores(desk: Desk, *names: str) -> list[Path]:
    paths = [desk.home / USUAL[name] for name in names]
    for path in paths:
        path.parent.mkdir()
        path.touch()
    return paths


@pytest.mark.parametrize("name", USUAL)
def test_the_one_store_there_is_is_meant(desk: Desk, name: str) -> None:
    """Either memory program's store is found where it is the only one, and `config show` says why it was chosen."""
    (path,) = with_stores(desk, name)
    loaded = desk.load()
    assert (loaded.settings.store.path, loaded.stores) == (path, (path,))
    assert loaded.sources["store.path"] == "default (found)"
    loaded.refuse_two_stores()


def test_without_any_store_ecms_place_is_meant(desk: Desk) -> None:
    """A directory without a store in it decides nothing."""
    (desk.home / ".causantic").mkdir()
    loaded = desk.load()
    assert (loaded.settings.store.path, loaded.stores) == (desk.home / USUAL["ecm"], ())
    assert loaded.sources["store.path"] == "default"
    loaded.refuse_two_stores()


def test_of_two_stores_none_is_meant(desk: Desk) -> None:
    """Both are named, and how to choose; that nothing is decided shows beside the value."""
    ours, theirs = with_stores(desk, "ecm", "causantic")
    loaded = desk.load()
    assert (loaded.settings.store.path, loaded.stores) == (ours, (ours, theirs))
    assert loaded.sources["store.path"] == f"undecided: there is {theirs}, too"
    with pytest.raises(UsageError, match=f"at {ours} and another at {theirs}") as caught:
        loaded.refuse_two_stores()
    assert "--store" in caught.value.hint
    assert "store.path" in caught.value.hint


def test_a_store_that_is_named_is_meant_whatever_else_there_is(desk: Desk) -> None:
    """File, variable and command line each settle it: the usual places do not count then. An empty section does not."""
    with_stores(desk, "ecm", "causantic")
    named = [
        desk.load(overrides={"store": {"path": "m.db"}}),
        desk.load(ECM_AGENT_STORE__PATH="m.db"),
        desk.load(desk.write("store: {path: m.db}")),
    ]
    assert {(each.settings.store.path, each.stores) for each in named} == {(desk.cwd / "m.db", None)}
    for each in named:
        each.refuse_two_stores()
    assert desk.load(desk.write("store: {}")).stores is not None
