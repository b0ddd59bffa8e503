"""Configurations for unattended runs, as files a user would write."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from s3_servers import BUCKET

if TYPE_CHECKING:
    from pathlib import Path

    from program import Program
    from s3_servers import RcloneServer

JOB = {"schedule": "0 2 1 1 *", "retention": {"keep_last": 9}}


def write_configuration(program: Program, *, job: dict[str, Any] | None = None, **sections: Any) -> Path:  # noqa: ANN401 (any section)
    """Write a configuration of one job, due at once and then once a year, of which much is kept; JSON is YAML."""
    file = program.home / "ecm-agent.yaml"
    file.write_text(json.dumps({"jobs": {"default": {**JOB, **(job or {})}}, **sections}))
    return file


def bucket(server: RcloneServer) -> dict[str, Any]:
    """Give the keys of a destination on a server of ours; one that is down is given up soon."""
    return {"type": "s3", "bucket": BUCKET, "prefix": "laptop", "endpoint_url": server.url, "attempts": 1}


def with_bucket(program: Program, server: RcloneServer, **sections: Any) -> Program:  # noqa: ANN401 (any section)
    """Have the job go to a directory and to a bucket, and give the program with the keys to it."""
    destinations = {"local": {"path": str(program.backups)}, "offsite": bucket(server)}
    write_configuration(program, destinations=destinations, **sections)
    keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    return replace(program, variables={**program.variables, **keys})


def stored(server: RcloneServer) -> list[str]:
    """Name what the bucket holds."""
    return sorted(path.name for path in (server.directory / BUCKET).rglob("*") if path.is_file())
