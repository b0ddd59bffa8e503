"""What is peculiar to a bucket: ranges, conditions, checksums, locks, uploads in parts, and the provider's clock."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from ecm_agent.destination.finding import Finding, Outcome
from ecm_agent.destination.s3.errors import code_of, explained, status_of
from ecm_agent.destination.s3.place import S3Destination
from ecm_agent.errors import EcmError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

    from ecm_agent.clock import Clock
    from ecm_agent.destination.s3.manner import Arguments
    from ecm_agent.model.names import ArchiveName

_CONFLICT, _PRECONDITION_FAILED = 409, 412
_NO_THANKS = {400, 501}
_WORTH_SAYING, _REFUSED_BY_SERVERS = timedelta(minutes=1), timedelta(minutes=15)
_LOCKED_FOR = timedelta(minutes=1)
_LIFECYCLE = "Give the bucket a lifecycle rule that aborts incomplete multipart uploads after a day."


class S3Probing:
    """Probes a bucket below a prefix of its own, without locks: a locked probe could not be removed."""

    def __init__(self, place: S3Destination) -> None:
        self._options = place.options
        prefix = f"{place.options.folder}.ecm-agent-probe-{secrets.token_hex(8)}"
        self.scratch = S3Destination(replace(place.options, prefix=prefix, object_lock=None))
        self._label = place.label

    @property
    def _client(self) -> S3Client:
        return self.scratch.client

    def _where(self, name: ArchiveName | str) -> Arguments:
        return {"Bucket": self._options.bucket, "Key": f"{self.scratch.options.folder}{name}"}

    def peculiarities(self, name: ArchiveName, clock: Clock) -> Iterator[Finding]:
        yield self._tried("ranges", lambda: self._ranges(name))
        yield self._tried("conditional write", lambda: self._condition(name))
        yield self._tried("checksums", lambda: self._checksums(name))
        yield self._tried("object lock", lambda: self._lock(clock))
        yield self._tried("upload in parts", self._parts)
        yield self._tried("unfinished uploads", self._unfinished)
        yield self._tried("clock", lambda: self._clock(clock))

    def _tried(self, check: str, look: Callable[[], Finding]) -> Finding:
        try:
            with explained(self._label):
                return look()
        except EcmError as error:
            return Finding(check, "failed", error.message, error.hint)

    def _ranges(self, name: ArchiveName) -> Finding:
        answer = self._client.get_object(**self._where(name), Range="bytes=4-8")
        got = answer["Body"].read()
        whole = self._client.get_object(**self._where(name))["Body"].read()
        if got == whole[4:9] and answer.get("ContentRange", "").startswith("bytes 4-8"):
            return Finding("ranges", "ok", "a broken download goes on where it broke")
        return Finding(
            "ranges",
            "warning",
            "it gives no archive from the middle on",
            "A download that breaks begins anew; nothing to do where the network is good.",
        )

    def _condition(self, name: ArchiveName) -> Finding:
        from botocore.exceptions import ClientError

        advice = "Give each machine a host name of its own: two of one name could overwrite each other's archive."
        try:
            self._client.put_object(**self._where(name), Body=b"something else", IfNoneMatch="*")
        except ClientError as error:
            if status_of(error) in {_CONFLICT, _PRECONDITION_FAILED}:
                return Finding("conditional write", "ok", "it heeds If-None-Match: of two writers one is refused")
            if status_of(error) not in _NO_THANKS:
                raise
            found = f"it refuses If-None-Match ({code_of(error)}); names are looked for before each write instead"
            return Finding("conditional write", "warning", found, advice)
        found = "it ignores If-None-Match; names are looked for before each write instead"
        return Finding("conditional write", "warning", found, advice)

    def _checksums(self, name: ArchiveName) -> Finding:
        from botocore.exceptions import ClientError

        kind = self.scratch.manners.settled.checksum
        if kind == "none":
            advice = (
                "" if self._options.checksums == "never" else "Nothing to do: every archive is read back and proved."
            )
            return Finding("checksums", "ok", "none is sent with the bytes", advice)
        wrong = self.scratch.manners.settled.checked(b"the bytes this is the checksum of")
        try:
            self._client.put_object(**self._where(f"{name}.wrong"), Body=b"other bytes", **wrong)
        except ClientError as error:
            if status_of(error) not in _NO_THANKS:
                raise
            return Finding("checksums", "ok", f"it takes {kind} and refuses bytes that do not fit it")
        advice = "Nothing to do: every archive is read back and proved. Another setting of checksums may do better."
        return Finding("checksums", "warning", f"it takes {kind}, but does not compare it", advice)

    def _lock(self, clock: Clock) -> Finding:
        from botocore.exceptions import ClientError

        try:
            answer = self._client.get_object_lock_configuration(Bucket=self._options.bucket)
            rule = answer["ObjectLockConfiguration"]
        except ClientError:
            rule = {}
        if self._options.object_lock:
            return self._lock_wanted(clock, enabled=rule.get("ObjectLockEnabled") == "Enabled")
        default = rule.get("Rule", {}).get("DefaultRetention")
        if default:
            found = (
                f"the bucket locks every object by itself ({default.get('Mode')}); so it does this probe's few bytes"
            )
            return Finding("object lock", "warning", found, "Rotation reports archives that are locked as retained.")
        return Finding("object lock", "ok", "archives are not locked")

    def _lock_wanted(self, clock: Clock, *, enabled: bool) -> Finding:
        """Begin an upload that would be locked, which shows whether it may be, and leaves nothing locked behind."""
        lock = self._options.object_lock
        assert lock is not None  # noqa: S101 (the caller has looked)
        if not enabled:
            advice = (
                "Object Lock is switched on when a bucket is made: use such a bucket, or remove object_lock. "
                "Asking for it takes s3:GetBucketObjectLockConfiguration."
            )
            return Finding("object lock", "failed", "the bucket has no Object Lock, or may not be asked", advice)
        until = clock.now() + _LOCKED_FOR
        upload = self._client.create_multipart_upload(
            **self._where("locked"), ObjectLockMode=lock.mode, ObjectLockRetainUntilDate=until
        )
        self._client.abort_multipart_upload(**self._where("locked"), UploadId=upload["UploadId"])
        return Finding("object lock", "ok", f"archives are locked ({lock.mode}, {lock.days} days)")

    def _parts(self) -> Finding:
        where = self._where("parts")
        upload = self._client.create_multipart_upload(**where)["UploadId"]
        self._client.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"a part")
        self._client.abort_multipart_upload(**where, UploadId=upload)
        return Finding("upload in parts", "ok", "large archives can be sent, and what is left of one be removed")

    def _unfinished(self) -> Finding:
        try:
            with explained(self._label):
                left = self._client.list_multipart_uploads(
                    Bucket=self._options.bucket, Prefix=self.scratch.options.folder
                ).get("Uploads", [])
        except EcmError as error:
            found = f"unfinished uploads cannot be found: {error.message}"
            return Finding("unfinished uploads", "warning", found, f"{error.hint} {_LIFECYCLE}")
        if left:
            return Finding("unfinished uploads", "warning", "an aborted upload is still there", _LIFECYCLE)
        return Finding("unfinished uploads", "ok", "uploads that were cut short are found and removed after a day")

    def _clock(self, clock: Clock) -> Finding:
        answer = self._client.list_objects_v2(
            Bucket=self._options.bucket, Prefix=self.scratch.options.folder, MaxKeys=1
        )
        said = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        if not said:
            return Finding("clock", "ok", "the provider does not say what time it is")
        skew = clock.now() - parsedate_to_datetime(said)
        if abs(skew) < _WORTH_SAYING:
            return Finding("clock", "ok", "this machine's clock agrees with the provider's")
        found = (
            f"this machine's clock is {abs(skew).total_seconds():.0f} s {'ahead' if skew > timedelta() else 'behind'}"
        )
        outcome: Outcome = "warning" if abs(skew) < _REFUSED_BY_SERVERS else "failed"
        return Finding("clock", outcome, found, "Set this machine's clock (timedatectl set-ntp true).")

    def clean(self) -> None:
        """Remove all objects below the probe's prefix, their older versions and unfinished uploads as well."""
        where: Arguments = {"Bucket": self._options.bucket, "Prefix": self.scratch.options.folder}
        with suppress(EcmError), explained(self._label):
            for upload in self._client.list_multipart_uploads(**where).get("Uploads", []):
                self._client.abort_multipart_upload(
                    Bucket=self._options.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )
        with explained(self._label):
            for entry in self._client.list_objects_v2(**where).get("Contents", []):
                self._client.delete_object(Bucket=self._options.bucket, Key=entry["Key"])
        with suppress(EcmError), explained(self._label):  # a bucket without versions, or a provider
            self._remove_versions(where)

    def _remove_versions(self, where: Arguments) -> None:
        answer = self._client.list_object_versions(**where)
        for version in [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]:
            self._client.delete_object(Bucket=self._options.bucket, Key=version["Key"], VersionId=version["VersionId"])
