"""The environment as a layer of configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ecm_agent.config.destinations import LocalDestinationSettings, ObjectLockSettings, S3DestinationSettings
from ecm_agent.config.loading import load

if TYPE_CHECKING:
    from ecm_agent.config.settings import Settings


def settings(tmp_path: Path, text: str = "", **environ: str) -> Settings:
    file = tmp_path / "conf.yaml"
    file.write_text(text)
    return load(file, environ={"HOME": "/home/me", **environ}, cwd=tmp_path).settings


def test_a_whole_section_is_json(tmp_path: Path) -> None:
    """A section, a job and a list may each be one JSON value."""
    jobs = settings(tmp_path, ECM_AGENT_JOBS='{"Nightly": {"projects": ["a,b"]}, "weekly": {}}').jobs
    assert (list(jobs), jobs["Nightly"].projects) == (["Nightly", "weekly"], ["a,b"])
    job = settings(tmp_path, ECM_AGENT_JOBS__NIGHTLY='{"vectors": false, "retention": {"keep_last": 2}}').jobs[
        "nightly"
    ]
    assert (job.vectors, job.retention.keep_last) == (False, 2)


def test_lists_of_names_may_be_separated_by_commas(tmp_path: Path) -> None:
    """`a, b` is the list of both; a name that looks like a number is still a name."""
    job = settings(tmp_path, ECM_AGENT_JOBS__DEFAULT__PROJECTS="web, 2024").jobs["default"]
    assert job.projects == ["web", "2024"]
    assert settings(tmp_path, ECM_AGENT_JOBS__DEFAULT__PROJECTS='["a,b"]').jobs["default"].projects == ["a,b"]
    assert settings(tmp_path, ECM_AGENT_JOBS__DEFAULT__PROJECTS="2024").jobs["default"].projects == ["2024"]


def test_a_password_command_is_a_json_list(tmp_path: Path) -> None:
    """Commas in a command are the command's own."""
    command = settings(tmp_path, ECM_AGENT_PASSWORD__COMMAND='["pass", "show", "a,b"]').password.command
    assert command == ["pass", "show", "a,b"]


def test_case_does_not_matter_in_names_of_variables(tmp_path: Path) -> None:
    """A job made by a variable is lower-cased; one of the file keeps the file's spelling."""
    assert list(settings(tmp_path, ECM_AGENT_JOBS__NightLy__VECTORS="no").jobs) == ["nightly"]
    jobs = settings(tmp_path, "jobs: {NightLy: {compress: gzip}}", ecm_agent_jobs__nightly__vectors="0").jobs
    assert {name: (job.compress, job.vectors) for name, job in jobs.items()} == {"NightLy": ("gzip", False)}


def test_the_default_destination_can_be_moved_by_one_variable(tmp_path: Path) -> None:
    """A container needs no file to keep its archives elsewhere."""
    moved = settings(tmp_path, ECM_AGENT_DESTINATIONS__LOCAL__PATH="/backups")
    assert moved.destinations["local"] == LocalDestinationSettings(path=Path("/backups"))
    assert moved.jobs["default"].destinations == ["local"]


def test_a_bucket_can_be_had_by_variables_alone(tmp_path: Path) -> None:
    """Every key of a bucket has a variable, its lock as well."""
    found = settings(
        tmp_path,
        ECM_AGENT_DESTINATIONS__OFFSITE__TYPE="s3",
        ECM_AGENT_DESTINATIONS__OFFSITE__BUCKET="backups",
        ECM_AGENT_DESTINATIONS__OFFSITE__PATH_STYLE="true",
        ECM_AGENT_DESTINATIONS__OFFSITE__PARALLEL="2",
        ECM_AGENT_DESTINATIONS__OFFSITE__OBJECT_LOCK__MODE="GOVERNANCE",
        ECM_AGENT_DESTINATIONS__OFFSITE__OBJECT_LOCK__DAYS="30",
    )
    place = found.destinations["offsite"]
    assert isinstance(place, S3DestinationSettings)
    assert (place.bucket, place.path_style, place.parallel) == ("backups", True, 2)
    assert place.object_lock == ObjectLockSettings(mode="GOVERNANCE", days=30)


def test_where_the_file_is_is_not_a_setting(tmp_path: Path) -> None:
    """ECM_AGENT_CONFIG names the file and is no mistyped key; other programs' variables do not concern us."""
    assert settings(tmp_path, "host: h", ECM_AGENT_CONFIG="/gone", ECM_EXPORT_PASSWORD="x", STORE="y").host == "h"
