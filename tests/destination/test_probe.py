"""Trying out a destination: what is found on good and bad ones, and that nothing of it stays."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from contracts.destination_contract import archive_name
from fakes import ManualClock
from moto import mock_aws
from s3_servers import BUCKET, Exchange, Proxy, RcloneServer

from ecm_agent.clock import SystemClock
from ecm_agent.destination.base import Stored
from ecm_agent.destination.local import LocalDestination
from ecm_agent.destination.probe import probe
from ecm_agent.destination.retrying import RetryingDestination
from ecm_agent.destination.s3 import ObjectLock, S3Destination, S3Options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ecm_agent.destination.base import Destination
    from ecm_agent.destination.finding import Finding

OFTEN = ["reach", "put", "list", "read", "never overwrite"]
BUCKETS = ["ranges", "conditional write", "checksums", "object lock", "upload in parts", "unfinished uploads", "clock"]
AMAZON = S3Options("backups", "laptop", region="us-east-1", attempts=1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RcloneServer]:
    server = RcloneServer(tmp_path_factory.mktemp("rclone")).start()
    yield server
    server.kill()


@pytest.fixture
def options(server: RcloneServer, monkeypatch: pytest.MonkeyPatch) -> S3Options:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    return S3Options(BUCKET, "laptop", endpoint_url=server.url, attempts=1)


@pytest.fixture
def amazon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLEEXAMPLE00")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret-of-anybody")
    with mock_aws():
        yield


def found(destination: Destination) -> dict[str, Finding]:
    return {finding.check: finding for finding in probe(destination, SystemClock())}


def bad(findings: dict[str, Finding]) -> dict[str, str]:
    """Give the outcomes that are not ok, each of which says what to do."""
    assert all(finding.advice for finding in findings.values() if finding.outcome != "ok")
    return {check: finding.outcome for check, finding in findings.items() if finding.outcome != "ok"}


def test_a_good_directory_is_found_good(tmp_path: Path) -> None:
    """Everything is tried, and the directory looks the same afterwards, archives and all."""
    local = LocalDestination(tmp_path / "backups")
    local.put(archive_name(), io.BytesIO(b"content"))
    findings = found(local)
    assert list(findings) == [*OFTEN, "room", "permissions", "delete", "clean up"]
    assert bad(findings).keys() <= {"room"}
    assert [entry.name for entry in (tmp_path / "backups").iterdir()] == [str(archive_name())]


def test_a_directory_others_may_empty_is_warned_of(tmp_path: Path) -> None:
    """The right to write in a directory is the right to remove archives from it."""
    (tmp_path / "backups").mkdir(mode=0o700)
    (tmp_path / "backups").chmod(0o777)
    permissions = found(LocalDestination(tmp_path / "backups"))["permissions"]
    assert permissions.outcome == "warning"
    assert permissions.advice.startswith("chmod go-w ")


def test_a_place_that_cannot_be_reached_is_one_finding(tmp_path: Path) -> None:
    """Where nothing answers, nothing else is tried."""
    (tmp_path / "file").write_bytes(b"")
    (finding,) = probe(LocalDestination(tmp_path / "file"), SystemClock())
    assert (finding.check, finding.outcome) == ("reach", "failed")
    assert finding.advice


def test_a_real_server_is_found_out(options: S3Options) -> None:
    """Rclone does everything but heed the condition of a write, and the probe says so; nothing of it stays."""
    bucket = S3Destination(options)
    bucket.put(archive_name(), io.BytesIO(b"content"))
    findings = found(RetryingDestination(bucket))
    assert list(findings) == [*OFTEN, *BUCKETS, "delete", "clean up"]
    assert bad(findings) == {"conditional write": "warning"}
    assert "ignores If-None-Match" in findings["conditional write"].found
    assert "MD5" in findings["checksums"].found
    keys = bucket.client.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [entry["Key"] for entry in keys] == [bucket.key(archive_name())]
    assert bucket.list() == [Stored(archive_name(), 7)]


def test_a_lock_that_would_be_ignored_is_a_failure(options: S3Options) -> None:
    """Rclone takes a lock without a word and forgets it: who asked for one is told."""
    locked = S3Destination(replace(options, object_lock=ObjectLock("COMPLIANCE", 30)))
    assert bad(found(locked))["object lock"] == "failed"


@pytest.mark.usefixtures("amazon")
@pytest.mark.parametrize("lock", [None, ObjectLock("COMPLIANCE", 30)])
def test_amazon_is_found_good(lock: ObjectLock | None) -> None:
    """With a lock and without, conditions are heeded, and not even an older version of the probe stays."""
    bucket = S3Destination(replace(AMAZON, object_lock=lock))
    bucket.client.create_bucket(Bucket="backups", ObjectLockEnabledForBucket=lock is not None)
    findings = found(bucket)
    # The imitation compares no checksum; a real server does (see above).
    assert bad(findings).keys() <= {"checksums"}
    assert findings["object lock"].found == (
        "archives are locked (COMPLIANCE, 30 days)" if lock else "archives are not locked"
    )
    assert not {"Versions", "DeleteMarkers"} & bucket.client.list_object_versions(Bucket="backups").keys()


@pytest.mark.usefixtures("amazon")
@pytest.mark.parametrize(("minutes", "outcome"), [(0, "ok"), (5, "warning"), (-5, "warning"), (20, "failed")])
def test_a_wrong_clock_is_found_out(minutes: int, outcome: str) -> None:
    """A clock that is minutes off is warned of before it is so wrong that signatures are refused."""
    bucket = S3Destination(AMAZON)
    bucket.client.create_bucket(Bucket="backups")
    clock = ManualClock(datetime.now(UTC) + timedelta(minutes=minutes))
    findings = {finding.check: finding for finding in probe(bucket, clock)}
    assert findings["clock"].outcome == outcome


@pytest.mark.parametrize(
    ("refused", "check"),
    [
        (("POST", "uploads"), "upload in parts"),
        (("GET", "uploads"), "unfinished uploads"),
        (("DELETE", "uploadId"), "upload in parts"),
        (("DELETE", ""), "delete"),
    ],
)
def test_a_missing_right_is_named(
    server: RcloneServer, options: S3Options, refused: tuple[str, str], check: str
) -> None:
    """Credentials that lack one right fail in the check that needs it, with the rights they should have."""
    command, word = refused

    def script(exchange: Exchange) -> bool:
        hit = exchange.command == command and (word in exchange.path if word else "?" not in exchange.path)
        return hit and exchange.refuse(403, "AccessDenied", "Access Denied")

    with Proxy(server.port, script) as proxy:
        findings = found(S3Destination(replace(options, endpoint_url=proxy.url)))
    assert check in bad(findings)
    assert "s3:" in findings[check].advice


def test_the_command_says_what_it_found(options: S3Options, tmp_path: Path) -> None:
    """`destination test` tries every destination, prints findings as text or JSON, and ends with 15 when one failed."""
    file = tmp_path / "conf.yaml"
    file.write_text(
        f"{{state_dir: {tmp_path}/state, destinations: {{disk: {{path: disk}}, "
        f"offsite: {{type: s3, bucket: {BUCKET}, endpoint_url: '{options.endpoint_url}'}}, "
        f"wrong: {{type: s3, bucket: no-such-bucket, endpoint_url: '{options.endpoint_url}', attempts: 1}}}}}}"
    )
    command = [sys.executable, "-m", "ecm_agent", "destination", "test", "--config", str(file)]
    text = subprocess.run([*command, "disk"], check=False, capture_output=True, text=True)
    assert text.returncode == 0, text.stderr
    assert f"disk: local:{tmp_path}/disk" in text.stdout
    done = subprocess.run([*command, "--json"], check=False, capture_output=True, text=True)
    assert done.returncode == 15, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    outcomes = {(line["destination"], line["check"]): line["outcome"] for line in lines}
    assert outcomes["offsite", "put"] == "ok"
    assert outcomes["offsite", "conditional write"] == "warning"
    assert [key for key, outcome in outcomes.items() if outcome == "failed"] == [("wrong", "reach")]
