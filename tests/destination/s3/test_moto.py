"""A bucket in moto, an imitation of Amazon's: the contract, versions, Object Lock, and how objects are stored."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from contracts.destination_contract import DestinationContract, archive_name, content_of
from fakes import ManualClock
from moto import mock_aws

from ecm_agent.destination.base import Stored
from ecm_agent.destination.s3 import ObjectLock, S3Destination, S3Options
from ecm_agent.errors import AlreadyExists, DestinationRefused, Retained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ecm_agent.destination.base import Destination
    from ecm_agent.model.names import ArchiveName

PART = 5 << 20
SMALL, LARGE = b"content", bytes(2 * PART + 7)
OPTIONS = S3Options("backups", "laptop", region="eu-central-1", part_size=PART, attempts=1)
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(autouse=True)
def amazon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLEEXAMPLE00")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret-of-anybody")
    with mock_aws():
        yield


def made(options: S3Options = OPTIONS, *, locked: bool = False, clock: ManualClock | None = None) -> S3Destination:
    """Give a destination whose bucket exists."""
    bucket = S3Destination(options, clock=clock)
    bucket.client.create_bucket(
        Bucket=options.bucket,
        ObjectLockEnabledForBucket=locked,
        CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
    )
    return bucket


def head(bucket: S3Destination) -> dict[str, Any]:
    return dict(bucket.client.head_object(Bucket=bucket.options.bucket, Key=bucket.key(archive_name())))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


class TestOnMoto(DestinationContract):
    @pytest.fixture
    def destination(self) -> Destination:
        return made()

    @pytest.fixture
    def credentials(self) -> tuple[str, ...]:
        return ("AKIAEXAMPLEEXAMPLE00", "not-a-secret-of-anybody")


class TestInPathStyle(DestinationContract):
    """With the bucket in the path, checksums as boto3 has them, and a part of a bucket deep down."""

    @pytest.fixture
    def destination(self) -> Destination:
        return made(replace(OPTIONS, path_style=True, checksums="always", prefix="/a/b/c/"))


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["whole", "in parts"])
@pytest.mark.parametrize("checksums", ["auto", "always", "never"])
def test_every_kind_of_checksum_makes_a_whole_archive(checksums: Any, content: bytes) -> None:  # noqa: ANN401 (one of three words)
    """Sent whole or in parts, with each setting, an archive comes back, and is never overwritten."""
    bucket = made(replace(OPTIONS, checksums=checksums))
    bucket.put(archive_name(), io.BytesIO(content))
    assert content_of(bucket, archive_name()) == content
    with pytest.raises(AlreadyExists):
        bucket.put(archive_name(), io.BytesIO(b"another"))
    assert bucket.list() == [Stored(archive_name(), len(content))]


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["whole", "in parts"])
def test_an_archive_is_stored_as_asked(content: bytes) -> None:
    """Storage class, encryption with a key of one's own, and the lock are set on the object, however it is sent."""
    clock = ManualClock(NOW)
    options = replace(
        OPTIONS,
        storage_class="STANDARD_IA",
        sse="aws:kms",
        kms_key_id="alias/backups",
        object_lock=ObjectLock("COMPLIANCE", 30),
    )
    bucket = made(options, locked=True, clock=clock)
    sent: list[dict[str, str]] = []
    bucket.client.meta.events.register(
        "before-send.s3", lambda request, **_: sent.append({k.lower(): _text(v) for k, v in request.headers.items()})
    )
    bucket.put(archive_name(), io.BytesIO(content))
    found = head(bucket)
    assert found["StorageClass"] == "STANDARD_IA"
    assert found["ServerSideEncryption"] == "aws:kms"
    assert found["SSEKMSKeyId"].endswith("alias/backups")
    # The imitation forgets the lock of an upload in parts, so what was sent has to do.
    (lock,) = [headers for headers in sent if "x-amz-object-lock-mode" in headers]
    assert lock["x-amz-object-lock-mode"] == "COMPLIANCE"
    assert lock["x-amz-object-lock-retain-until-date"] == f"{NOW + timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}"


def test_encryption_by_the_provider_is_asked_for() -> None:
    """`sse: AES256` goes with every object."""
    bucket = made(replace(OPTIONS, sse="AES256"))
    bucket.put(archive_name(), io.BytesIO(SMALL))
    assert head(bucket)["ServerSideEncryption"] == "AES256"


def test_a_locked_archive_is_retained_until_its_lock_ends() -> None:
    """Deleting a locked archive says until when it stays, and leaves it listed; after that it goes."""
    clock = ManualClock(NOW)
    bucket = made(replace(OPTIONS, object_lock=ObjectLock("GOVERNANCE", 2)), locked=True, clock=clock)
    bucket.put(archive_name(), io.BytesIO(SMALL))
    with pytest.raises(Retained, match=rf"GOVERNANCE\) until {NOW + timedelta(days=2):%Y-%m-%d %H:%M} UTC") as caught:
        bucket.delete(archive_name())
    assert caught.value.hint
    assert bucket.list() == [Stored(archive_name(), len(SMALL))]
    clock.advance(timedelta(days=2))
    bucket.delete(archive_name())
    assert bucket.list() == []


def test_a_legal_hold_retains_without_end() -> None:
    """A hold that somebody put on an archive by hand is respected, whatever the clock says."""
    bucket = made(locked=True)
    bucket.put(archive_name(), io.BytesIO(SMALL))
    bucket.client.put_object_legal_hold(
        Bucket=OPTIONS.bucket, Key=bucket.key(archive_name()), LegalHold={"Status": "ON"}
    )
    with pytest.raises(Retained, match="a legal hold"):
        bucket.delete(archive_name())
    assert bucket.list() == [Stored(archive_name(), len(SMALL))]


def test_a_lock_in_a_bucket_without_locks_is_refused() -> None:
    """`object_lock` on a bucket made without it is a refusal that says so, and nothing is stored unlocked instead."""
    bucket = made(replace(OPTIONS, object_lock=ObjectLock("GOVERNANCE", 1)))
    with pytest.raises(DestinationRefused, match="the bucket has no Object Lock"):
        bucket.put(archive_name(), io.BytesIO(SMALL))
    assert bucket.list() == []


def test_in_a_bucket_with_versions_a_deleted_archive_is_gone() -> None:
    """A delete marker counts as deleted: not listed, not found, its name free, and no second marker is laid on it."""
    bucket = made()
    bucket.client.put_bucket_versioning(Bucket=OPTIONS.bucket, VersioningConfiguration={"Status": "Enabled"})
    bucket.put(archive_name(), io.BytesIO(b"first"))
    bucket.delete(archive_name())
    bucket.delete(archive_name())
    assert bucket.list() == []
    markers = bucket.client.list_object_versions(Bucket=OPTIONS.bucket)["DeleteMarkers"]
    assert len(markers) == 1
    bucket.put(archive_name(), io.BytesIO(b"second"))
    assert content_of(bucket, archive_name()) == b"second"


def test_every_page_of_a_listing_is_read() -> None:
    """A listing goes on past the end of a page, a full last one included."""
    bucket = made(replace(OPTIONS, page_size=5))
    names = [replace(archive_name(), created=datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=n)) for n in range(15)]
    for name in names:
        bucket.client.put_object(Bucket=OPTIONS.bucket, Key=bucket.key(name), Body=b"x")
    assert [stored.name for stored in bucket.list()] == names


def test_what_others_are_sending_is_left_for_a_week() -> None:
    """A put clears away what its own job and host left a day ago; another's may be a slow upload, and has a week."""
    clock = ManualClock(NOW)
    bucket = made(clock=clock)
    names = [archive_name(2), archive_name(3, host="desktop"), archive_name(4, job="weekly")]
    for name in names:
        bucket.client.create_multipart_upload(Bucket=OPTIONS.bucket, Key=bucket.key(name))

    def left(age: timedelta, name: ArchiveName) -> set[str]:
        uploads = bucket.client.list_multipart_uploads(Bucket=OPTIONS.bucket)["Uploads"]
        clock.jump(uploads[0]["Initiated"] + age)
        bucket.put(name, io.BytesIO(SMALL))
        left = bucket.client.list_multipart_uploads(Bucket=OPTIONS.bucket).get("Uploads", [])
        return {upload["Key"] for upload in left}

    minute = timedelta(minutes=1)
    assert len(left(timedelta(days=1) - minute, archive_name(5))) == 3
    assert left(timedelta(days=1) + minute, archive_name(6)) == {bucket.key(name) for name in names[1:]}
    assert left(timedelta(days=7) - minute, archive_name(7)) == {bucket.key(name) for name in names[1:]}
    assert left(timedelta(days=7) + minute, archive_name(8)) == set()


def test_a_role_is_taken_on() -> None:
    """With `role_arn` the requests are signed by the role's own short-lived credentials."""
    made()
    bucket = S3Destination(replace(OPTIONS, role_arn="arn:aws:iam::123456789012:role/backup"))
    seen: list[str] = []
    bucket.client.meta.events.register(
        "before-send.s3", lambda request, **_: seen.append(request.headers["Authorization"].decode())
    )
    bucket.check()
    assert "AKIAEXAMPLEEXAMPLE00" not in seen[0]
    assert "Credential=ASIA" in seen[0]


def test_a_profile_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `profile` the keys and the region come from the files of the provider's own tools."""
    (tmp_path / "credentials").write_text(
        "[nas]\naws_access_key_id = AKIAFROMAPROFILE0000\naws_secret_access_key = x\n"
    )
    (tmp_path / "config").write_text("[profile nas]\nregion = eu-north-1\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    client = S3Destination(replace(OPTIONS, profile="nas", region=None)).client
    assert client.meta.region_name == "eu-north-1"
    url = client.generate_presigned_url("list_objects_v2", Params={"Bucket": "backups"})
    assert "AKIAFROMAPROFILE0000" in url


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"profile": "nobody"}, "there is no such profile"),
        ({"endpoint_url": "no address"}, "endpoint_url is not a valid address"),
        ({"bucket": "not a name!"}, "the bucket's name is not a valid one"),
        ({"bucket": "nowhere"}, "there is no such bucket"),
    ],
)
def test_what_cannot_work_is_refused(change: dict[str, Any], said: str) -> None:
    """A missing profile, a bad address or name is a refusal of every method, with what to do."""
    bucket = S3Destination(replace(OPTIONS, **change))
    for use in (bucket.check, bucket.list, lambda: bucket.put(archive_name(), io.BytesIO(SMALL))):
        with pytest.raises(DestinationRefused, match=said) as caught:
            use()
        assert type(caught.value) is DestinationRefused
        assert caught.value.hint


def test_without_credentials_it_says_where_they_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No keys anywhere is a refusal that names the variables and the file."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(DestinationRefused, match="there are no credentials") as caught:
        S3Destination(OPTIONS).check()
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint
