"""The configuration as users meet it: a file, variables, and mistakes in both."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from program import Program

FILE = """
timezone: Europe/Berlin
host: laptop
destinations:
  local: {type: local, path: ~/archives}
  disk: {type: local, path: disk}
jobs:
  nightly: {destinations: [local, disk], retention: {keep_last: 2}}
  kiosk: {destinations: [disk], projects: [café-kiosk], compress: zstd}
  wrong: {destinations: [disk], projects: [no such project]}
"""


def test_a_file_is_found_checked_and_followed(program: Program) -> None:
    """The file in the working directory is checked, shown with where each key is from, and obeyed, job by job."""
    (program.home / "ecm-agent.yaml").write_text(FILE)
    ended = program.run("config", "check")
    assert (ended.code, ended.out) == (0, f"The configuration is sound ({program.home}/ecm-agent.yaml).\n")

    ended = program.run("config", "show", ECM_AGENT_JOBS__NIGHTLY__COMPRESS="gzip")
    rows = {line.split()[0]: line for line in ended.out.splitlines()}
    assert rows["timezone"].endswith(f"{program.home}/ecm-agent.yaml:2")
    assert rows["jobs.nightly.compress"].split()[1:] == ["gzip", "ECM_AGENT_JOBS__NIGHTLY__COMPRESS"]
    assert rows["store.path"].split()[1:] == [str(program.store), "default", "(found)"]

    ended = program.run("backup")
    assert ended.code == 3
    assert "ecm-agent: Job 'wrong': There is no project 'no such project' in the store." in ended.err
    assert len(list((program.home / "archives").iterdir())) == 1
    names = sorted(path.name for path in (program.home / "disk").iterdir())
    assert [name.partition("-20")[0] for name in names] == ["kiosk-laptop", "nightly-laptop"]

    ended = program.run("list", "--from", "disk")
    assert "+01:00" in ended.out or "+02:00" in ended.out
    assert program.run("verify", "--all", "--job", "kiosk").code == 0
    ended = program.run("restore", "--job", "kiosk", "--store", "kiosk.db")
    assert ended.code == 0
    assert ": 2 chunks.\n" in ended.out
    ended = program.run("restore", "--job", "kiosk")
    assert ended.code == 2
    assert "the archive holds only the projects 'café-kiosk'" in ended.err


def test_rotation_gives_its_reasons(program: Program) -> None:
    """A dry run of rotate names every archive with why it stays or goes, and removes none; the real one removes it."""
    (program.home / "ecm-agent.yaml").write_text("jobs: {default: {retention: {keep_last: 1}}}\n")
    assert program.run("backup").code == 0
    (first,) = program.backups.iterdir()
    older = first.with_name("default-other-20200101T000000Z.ecm")
    older.write_bytes(first.read_bytes())
    ended = program.run("backup")
    assert ended.code == 0
    assert f"  removed {first.name}: no rule keeps it\n" in ended.out
    (second,) = (path for path in program.backups.iterdir() if path != older)
    ended = program.run("rotate", "--dry-run")
    assert ended.code == 0
    assert ended.out.splitlines()[1].split() == ["ARCHIVE", "BECAUSE"]
    assert ended.out.splitlines()[2].split() == [second.name, "keep", "last", "1"]
    assert older.name not in ended.out
    assert "dry run" in ended.out
    assert older.exists()


def test_a_mistyped_key_is_named_with_the_nearest(program: Program) -> None:
    """A mistyped key or variable ends any command with 2, naming the place and the nearest right one."""
    (program.home / "ecm-agent.yaml").write_text("jobs:\n  nightly: {compres: zstd}\n")
    for words in (["config", "check"], ["backup"], ["list"]):
        ended = program.run(*words)
        assert ended.code == 2
        assert f"jobs.nightly.compres ({program.home}/ecm-agent.yaml:2)" in ended.err
        assert "did you mean compress?" in ended.err
    (program.home / "ecm-agent.yaml").unlink()
    ended = program.run("config", "check", ECM_AGENT_STOER__PATH="memory.db")
    assert ended.code == 2
    assert "ECM_AGENT_STOER__PATH" in ended.err
    assert "did you mean store.path?" in ended.err
    assert not program.backups.exists()


def test_the_schema_is_json(bare: Program) -> None:
    """The schema that editors use is printed as JSON, and nothing else is."""
    ended = bare.run("config", "schema")
    assert ended.code == 0
    assert set(json.loads(ended.out)["properties"]) >= {"store", "password", "destinations", "jobs"}
