"""A bucket on a real S3 server process, `rclone serve s3`: the contract, kills, and a server that dies."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from contracts.destination_contract import DestinationContract, archive_name, content_of, interrupted
from fakes import ManualClock
from s3_servers import BUCKET, RcloneServer

from ecm_agent.destination.base import Stored
from ecm_agent.destination.s3 import S3Destination, S3Options
from ecm_agent.errors import DestinationRefused, DestinationUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ecm_agent.destination.base import Destination

PART = 5 << 20
LARGE = b"".join(number.to_bytes(4, "big") for number in range(3 << 20)) + b"tail"
"""Twelve megabytes and a bit: three parts, the last of them small."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RcloneServer]:
    server = RcloneServer(tmp_path_factory.mktemp("rclone")).start()
    yield server
    server.kill()


@pytest.fixture
def options(server: RcloneServer, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> S3Options:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    prefix = f"{request.node.name}/laptop"
    return S3Options(BUCKET, prefix, endpoint_url=server.url, part_size=PART, attempts=2)


@pytest.fixture
def own_server(options: S3Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RcloneServer]:
    """Give a server to start and kill at will."""
    del options  # which sets the credentials of the common server
    server = RcloneServer(tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    yield server
    server.kill()


@pytest.fixture
def bucket(options: S3Options) -> S3Destination:
    return S3Destination(options)


def uploads(bucket: S3Destination) -> list[str]:
    """Name the keys of all unfinished uploads below the prefix; there was one before, or rclone would object."""
    answer = bucket.client.list_multipart_uploads(Bucket=BUCKET, Prefix=bucket.options.folder)
    return [upload["Key"] for upload in answer.get("Uploads", [])]


class TestOnRclone(DestinationContract):
    @pytest.fixture
    def destination(self, bucket: S3Destination) -> Destination:
        return bucket

    @pytest.fixture
    def credentials(self, server: RcloneServer) -> tuple[str, ...]:
        return (server.access_key, server.secret_key)


def test_a_bucket_without_a_prefix_will_do(options: S3Options) -> None:
    """At the top of a bucket archives are put, listed, read and deleted just as well."""
    bucket = S3Destination(replace(options, bucket="top", prefix=""))
    bucket.client.create_bucket(Bucket="top")
    bucket.put(archive_name(), io.BytesIO(b"content"))
    assert bucket.list() == [Stored(archive_name(), 7)]
    assert content_of(bucket, archive_name()) == b"content"
    bucket.delete(archive_name())
    assert bucket.list() == []


def test_a_multipart_archive_comes_back(bucket: S3Destination) -> None:
    """An archive of three parts, sent two at a time, is whole, and no unfinished upload is left."""
    source = io.BytesIO(b"header" + LARGE)
    source.seek(6)
    bucket.put(archive_name(), source)
    assert content_of(bucket, archive_name()) == LARGE
    assert bucket.list() == [Stored(archive_name(), len(LARGE))]
    assert uploads(bucket) == []


def test_a_multipart_archive_of_unknown_size_comes_back(bucket: S3Destination) -> None:
    """A source that cannot tell its size is sent in parts all the same; one that fills its parts exactly too."""
    bucket.put(archive_name(1), interrupted(lambda: LARGE))
    assert content_of(bucket, archive_name(1)) == b"x" * (1 << 20) + LARGE
    bucket.put(archive_name(2), io.BytesIO(LARGE[: 2 * PART]))
    assert content_of(bucket, archive_name(2)) == LARGE[: 2 * PART]


def test_over_a_thousand_archives_are_listed(options: S3Options, own_server: RcloneServer) -> None:
    """A listing of several pages is complete, in time order, and holds only what is ours and right here."""
    place = own_server.directory / BUCKET / "laptop"
    (place / "deeper").mkdir(parents=True)
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    names = [replace(archive_name(), created=begin + timedelta(hours=hour)) for hour in range(1203)]
    for name in names:
        (place / str(name)).write_bytes(b"x")
    (place / "notes.txt").write_bytes(b"foreign")
    (place / "deeper" / str(archive_name())).write_bytes(b"elsewhere")
    own_server.start()
    options = replace(options, prefix="laptop", endpoint_url=own_server.url)
    assert S3Destination(options).list() == [Stored(name, 1) for name in names]
    assert S3Destination(replace(options, page_size=100)).list() == [Stored(name, 1) for name in names]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit, OSError])
def test_an_upload_cut_short_is_aborted(bucket: S3Destination, failure: type[BaseException]) -> None:
    """Ctrl-C, SIGTERM and a failing source, all in the third part, leave no parts to pay for, and pass through."""

    def fail() -> bytes:
        raise failure

    class Source(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(size) or fail()

    with pytest.raises(failure):
        bucket.put(archive_name(), Source(LARGE))
    assert uploads(bucket) == []
    assert bucket.list() == []


PUT_HALF = """
import os, sys
from ecm_agent.destination.s3 import S3Destination, S3Options
from ecm_agent.model.names import ArchiveName
class Source:
    left = 11
    def seekable(self): return False
    def read(self, size):
        if self.left:
            self.left -= 1
            return bytes(1 << 20)
        os.write(1, b"half-way\\n")
        return sys.stdin.buffer.read()
url, prefix, name = sys.argv[1:]
options = S3Options("backups", prefix, endpoint_url=url, part_size=5 << 20)
S3Destination(options).put(ArchiveName.parse(name), Source())
"""


def test_a_killed_upload_leaves_nothing_visible(bucket: S3Destination) -> None:
    """After `kill -9` in the middle of an upload nothing is listed; a day later the sweep removes its parts."""
    assert bucket.options.endpoint_url
    arguments = [bucket.options.endpoint_url, bucket.options.prefix, str(archive_name())]
    command = [sys.executable, "-c", PUT_HALF, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"half-way\n"
        writer.send_signal(signal.SIGKILL)
    assert uploads(bucket) == [bucket.key(archive_name())]
    assert bucket.list() == []
    assert bucket.sweep_stale_uploads(archive_name()) == 0
    later = S3Destination(bucket.options, clock=ManualClock(datetime.now(UTC) + timedelta(days=1, minutes=1)))
    assert later.sweep_stale_uploads(archive_name()) == 1
    assert uploads(bucket) == []
    bucket.put(archive_name(), io.BytesIO(b"second try"))
    assert content_of(bucket, archive_name()) == b"second try"


def test_a_put_sweeps_up_and_spares_what_is_not_ours(bucket: S3Destination) -> None:
    """Every put removes our stale uploads; those of others, and below other prefixes, stay."""
    folder = bucket.options.folder
    foreign = [f"{folder}holiday.mp4", f"{folder}deeper/{archive_name()}"]
    for key in [bucket.key(archive_name(2)), *foreign]:
        bucket.client.create_multipart_upload(Bucket=BUCKET, Key=key)
    later = S3Destination(bucket.options, clock=ManualClock(datetime.now(UTC) + timedelta(days=2)))
    later.put(archive_name(1), io.BytesIO(b"content"))
    assert sorted(uploads(bucket)) == sorted(foreign)


def test_a_server_that_dies_and_comes_back(options: S3Options, own_server: RcloneServer) -> None:
    """A server killed in the middle of an upload is unavailable, not refused; once it is back, the next put works."""
    own_server.start()
    bucket = S3Destination(replace(options, endpoint_url=own_server.url, attempts=1))

    class Source(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 2 * PART:
                own_server.kill()
            return super().read(size)

    with pytest.raises(DestinationUnavailable) as caught:
        bucket.put(archive_name(), Source(LARGE))
    assert caught.value.hint
    for use in (bucket.list, bucket.check, lambda: bucket.open(archive_name())):
        with pytest.raises(DestinationUnavailable):
            use()
    own_server.start()
    assert bucket.list() == []
    bucket.put(archive_name(), io.BytesIO(LARGE))
    assert content_of(bucket, archive_name()) == LARGE


def _wrong_secret(server: RcloneServer) -> tuple[str, str]:
    return server.access_key, "not-the-secret"


def _wrong_key(server: RcloneServer) -> tuple[str, str]:
    return "AKIANOBODYNOBODY0000", server.secret_key


@pytest.mark.parametrize(
    ("keys", "said"), [(_wrong_secret, "the secret key does not fit"), (_wrong_key, "the access key is unknown")]
)
def test_wrong_credentials_are_refused(
    server: RcloneServer, options: S3Options, monkeypatch: pytest.MonkeyPatch, keys: object, said: str
) -> None:
    """A real server's refusal of either key says which one it is, and shows neither."""
    assert callable(keys)
    access_key, secret_key = keys(server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret_key)
    with pytest.raises(DestinationRefused, match=said) as caught:
        S3Destination(options).check()
    assert type(caught.value) is DestinationRefused
    assert caught.value.hint
    assert access_key not in caught.value.message
    assert secret_key not in caught.value.message


def test_a_missing_bucket_is_refused(options: S3Options) -> None:
    """No bucket is ever made: a name that is not there is said to be wrong by every method."""
    bucket = S3Destination(replace(options, bucket="no-such-bucket"))
    for use in (
        bucket.check,
        bucket.list,
        lambda: bucket.sweep_stale_uploads(archive_name()),
        lambda: bucket.put(archive_name(), io.BytesIO(b"content")),
    ):
        with pytest.raises(DestinationRefused, match="there is no such bucket") as caught:
            use()
        assert type(caught.value) is DestinationRefused


def test_staging_is_private_and_leaves_nothing(options: S3Options, tmp_path: Path) -> None:
    """What is fetched lies in the staging directory only while it is open, under no name."""
    staging = tmp_path / "state" / "staging"
    bucket = S3Destination(options, staging=staging)
    bucket.put(archive_name(), io.BytesIO(b"content"))
    with bucket.open(archive_name()) as file:
        assert file.read() == b"content"
        assert list(staging.iterdir()) == []
    assert staging.stat().st_mode & 0o7777 == 0o700


def test_trouble_with_staging_is_said_to_be_ours(bucket: S3Destination, tmp_path: Path) -> None:
    """What cannot be kept here, not there, is named as such, with the key that helps."""
    bucket.put(archive_name(), io.BytesIO(b"content"))
    (tmp_path / "file").write_bytes(b"")
    elsewhere = S3Destination(bucket.options, staging=tmp_path / "file" / "staging")
    with pytest.raises(DestinationUnavailable, match="cannot be kept in") as caught:
        elsewhere.open(archive_name())
    assert "state_dir" in caught.value.hint


def test_the_library_is_loaded_only_for_a_bucket(tmp_path: Path) -> None:
    """With local destinations only, `list` and `status` do not even look at the library of buckets."""
    file = tmp_path / "conf.yaml"
    file.write_text(f"{{store: {{path: m.db}}, state_dir: {tmp_path}, destinations: {{disk: {{path: disk}}}}}}")
    for command in ("list", "status"):
        arguments = [sys.executable, "-X", "importtime", "-m", "ecm_agent", command, "--config", str(file)]
        done = subprocess.run(arguments, check=False, capture_output=True, text=True)
        assert done.returncode == {"list": 0, "status": 1}[command], done.stderr[-2000:]  # nothing is proved yet
        loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
        assert "ecm_agent" in loaded
        assert not loaded & {"boto3", "botocore", "urllib3"}


def test_a_backup_goes_to_a_bucket_and_comes_back(server: RcloneServer, options: S3Options, tmp_path: Path) -> None:
    """The program itself, with a directory and a bucket: backed up, read back and proved in both, listed, restored."""
    environ = {**os.environ, "ECM_EXPORT_PASSWORD": "correct-horse", "HOME": str(tmp_path)}
    file = tmp_path / "conf.yaml"
    file.write_text(
        f"{{store: {{path: memory.db}}, state_dir: state, destinations: {{disk: {{path: disk}}, offsite: {{type: s3, "
        f"bucket: {BUCKET}, prefix: {options.prefix}, endpoint_url: '{server.url}'}}}}}}"
    )

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "ecm_agent", *arguments, "--config", str(file)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environ, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert server.secret_key not in done.stdout + done.stderr
        return done.stdout

    run("init")
    assert run("backup").count("proved  ") == 2
    assert run("list", "--from", "offsite").count(".ecm") == 1
    run("verify", "latest", "--from", "offsite")
    run("restore", "latest", "--from", "offsite", "--force")
