"""The destination that is a bucket, or the part of one below a prefix."""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import chain
from tempfile import TemporaryFile
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO

from ecm_agent.atomic import private_directory
from ecm_agent.clock import Clock, SystemClock
from ecm_agent.destination.base import Listing, Stored, in_time_order
from ecm_agent.destination.s3.client import connected
from ecm_agent.destination.s3.download import Download
from ecm_agent.destination.s3.errors import code_of, explained, status_of
from ecm_agent.destination.s3.manner import Arguments, Manner, Manners
from ecm_agent.destination.s3.options import S3Options, part_sizes, parts_in_flight
from ecm_agent.destination.s3.retention import HINT, denied_for_a_lock, lock_on
from ecm_agent.destination.s3.upload import MultipartUpload, parts_of, remaining
from ecm_agent.destination.throttle import Throttle
from ecm_agent.errors import AlreadyExists, DestinationUnavailable, EcmError, Retained
from ecm_agent.model.names import ArchiveName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef, MultipartUploadTypeDef

_STALE, _STALE_OF_OTHERS = timedelta(days=1), timedelta(days=7)
"""How old an unfinished upload has to be to be taken for a dead one's: what other jobs and hosts send may be slow."""

_TOKEN = "ecm-agent-put"  # noqa: S105 (a header's name)
_UNSURE = {404, 409, 412}
"""Answers after which the object may be there: an upload that is no more, a writer beside us, a name taken."""


class S3Destination:
    """The `Destination` that is a bucket: an object below the prefix for each archive.

    A name is taken by a conditional write. As some providers ignore the condition and some refuse it, it is looked
    for as well right before; with such a provider two machines that write one name at the same moment could both
    succeed (archive names hold the host's, so that takes two machines of one name).
    """

    def __init__(
        self,
        options: S3Options,
        *,
        staging: Path | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Touch nothing yet. What is fetched goes through an unnamed file in `staging` (default: the system's)."""
        self.options = options
        self.label = options.label
        self.manners = Manners(options.checksums)
        self._staging = staging
        self._clock = clock or SystemClock()
        self._upload_throttle = Throttle(options.upload_limit, self._clock, sleep)
        self._download_throttle = Throttle(options.download_limit, self._clock, sleep)
        self._client: S3Client | None = None
        self._connecting = Lock()
        self._publishing = Lock()

    @property
    def client(self) -> S3Client:
        """The one connection, made on first use. Raises as every method."""
        with self._connecting, explained(self.label):
            if self._client is None:
                self._client = connected(self.options)
            return self._client

    def key(self, name: ArchiveName) -> str:
        return f"{self.options.folder}{name}"

    def put(self, name: ArchiveName, source: BinaryIO) -> None:
        sizes = part_sizes(remaining(source), self.options.part_size)
        parts = parts_of(source, sizes, self._upload_throttle)
        first, second = next(parts, b""), next(parts, None)
        token = secrets.token_hex(16)
        if second is None:
            self._put_whole(name, first, token)
        else:
            self._put_parts(name, first, chain([second], parts), token)
        with suppress(EcmError):  # tidying up must not make a failure of what is stored
            self.sweep_stale_uploads(name)

    def _put_whole(self, name: ArchiveName, body: bytes, token: str) -> None:
        extras = self._extras(token)

        def send(manner: Manner) -> None:
            self.client.put_object(
                Bucket=self.options.bucket,
                Key=self.key(name),
                Body=body,
                **manner.checked(body),
                **manner.only_if_new(),
                **extras,
            )

        self._publish(name, token, lambda: self.manners.settle(send, checksum=True, condition=True))

    def _put_parts(self, name: ArchiveName, first: bytes, more: Iterator[bytes], token: str) -> None:
        self._refuse_taken(name)  # now, not after an hour of sending
        upload = MultipartUpload(self.client, self.label, self.options.bucket, self.key(name))
        started = upload.start(first, self.manners, self._extras(token))
        try:
            parallel = 1 if self.options.upload_limit else self.options.parallel
            parts = upload.rest(started, more, parts_in_flight(len(first), parallel))

            def complete(manner: Manner) -> None:
                upload.complete(started.id, parts, manner.only_if_new())

            self._publish(name, token, lambda: self.manners.settle(complete, checksum=False, condition=True))
        except BaseException:
            upload.abort(started.id)
            raise

    def _publish(self, name: ArchiveName, token: str, send: Callable[[], None]) -> None:
        """Send what gives the name to the object, unless the name is taken by another."""
        from botocore.exceptions import ClientError

        with self._publishing, explained(self.label):
            self._refuse_taken(name)
            try:
                send()
            except ClientError as error:
                if status_of(error) not in _UNSURE:
                    raise
                found = self._token_at(name)
                if found == token:  # the answer to an earlier try of the same request was lost
                    return
                if found is not None:
                    raise self._taken(name) from error
                raise

    def _refuse_taken(self, name: ArchiveName) -> None:
        if self._token_at(name) is not None:
            raise self._taken(name)

    def _taken(self, name: ArchiveName) -> AlreadyExists:
        return AlreadyExists(f"{self.label} already holds {name}.")

    def _token_at(self, name: ArchiveName) -> str | None:
        """Tell which put made the object of a name: "" for one that does not say, `None` where there is no object."""
        head = self._head(name)
        if head is None:
            return None
        metadata = {key.lower(): value for key, value in head["Metadata"].items()}  # some providers capitalise
        return metadata.get(_TOKEN, "")

    def _head(self, name: ArchiveName) -> HeadObjectOutputTypeDef | None:
        from botocore.exceptions import ClientError

        with explained(self.label):
            try:
                return self.client.head_object(Bucket=self.options.bucket, Key=self.key(name))
            except ClientError as error:
                if code_of(error) in {"404", "NoSuchKey", "NotFound"}:
                    return None
                raise

    def _extras(self, token: str) -> Arguments:
        """Give what every new object is stored with."""
        options = self.options
        extras: Arguments = {"Metadata": {_TOKEN: token}}
        if options.storage_class:
            extras["StorageClass"] = options.storage_class
        if options.sse != "none":
            extras["ServerSideEncryption"] = options.sse
        if options.kms_key_id:
            extras["SSEKMSKeyId"] = options.kms_key_id
        if options.object_lock:
            extras["ObjectLockMode"] = options.object_lock.mode
            extras["ObjectLockRetainUntilDate"] = self._clock.now() + timedelta(days=options.object_lock.days)
        return extras

    def open(self, name: ArchiveName) -> BinaryIO:
        download = Download(self.client, self.label, self.options.bucket, self.key(name), name)
        with self._staged() as file:
            download.into(file, self.options.attempts, self._download_throttle)
            file.seek(0)
            return file

    @contextmanager
    def _staged(self) -> Iterator[BinaryIO]:
        """Give a private file without a name; the caller keeps it, unless the block raises."""
        try:
            folder = private_directory(self._staging) if self._staging else None
            file = TemporaryFile(dir=folder)  # noqa: SIM115 (it outlives the block)
        except OSError as error:
            raise self._unstaged(error) from error
        try:
            yield file
        except OSError as error:
            file.close()
            raise self._unstaged(error) from error
        except BaseException:
            file.close()
            raise

    def _unstaged(self, error: OSError) -> DestinationUnavailable:
        place = self._staging or "the directory for temporary files"
        return DestinationUnavailable(
            f"What comes from {self.label} cannot be kept in {place}: {error.strerror or error}.",
            hint="Make room there, or name another place with the key state_dir.",
        )

    def list(self) -> Listing:
        with explained(self.label):
            return in_time_order(self._stored())

    def _stored(self) -> Iterator[Stored]:
        folder = self.options.folder
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.options.bucket,
            Prefix=folder,
            Delimiter="/",
            PaginationConfig={"PageSize": self.options.page_size},
        )
        for page in pages:
            for entry in page.get("Contents", []):
                name = ArchiveName.parse(entry["Key"].removeprefix(folder))
                if name is not None:
                    yield Stored(name, entry["Size"])

    def delete(self, name: ArchiveName) -> None:
        """Delete, in a bucket with versions as well: there an older version stays until the bucket's rules end it.

        Raises `Retained` for an archive that is locked; it stays listed.
        """
        from botocore.exceptions import ClientError

        head = self._head(name)
        if head is None:
            return
        if lock := lock_on(head, self._clock.now()):
            raise Retained(f"{self.label} keeps {name}: {lock}.", hint=HINT)
        with explained(self.label):
            try:
                self.client.delete_object(Bucket=self.options.bucket, Key=self.key(name))
            except ClientError as error:
                if denied_for_a_lock(error):
                    raise Retained(f"{self.label} keeps {name}: {code_of(error)}.", hint=HINT) from error
                raise

    def check(self) -> None:
        with explained(self.label):
            self.client.list_objects_v2(Bucket=self.options.bucket, Prefix=self.options.folder, MaxKeys=1)

    def sweep_stale_uploads(self, beside: ArchiveName) -> int:
        """Abort unfinished uploads of archives that nobody can still be at; gives their number.

        Those of the job and host of `beside`, which send one archive at a time, are that after a day; those of others,
        which may be at it still, after a week.
        """
        now, own = self._clock.now(), (beside.job, beside.host)
        with explained(self.label):
            stale = [
                upload
                for name, upload in self._uploads()
                if now - upload["Initiated"] > (_STALE if (name.job, name.host) == own else _STALE_OF_OTHERS)
            ]
            for upload in stale:
                self.client.abort_multipart_upload(
                    Bucket=self.options.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )
        return len(stale)

    def _uploads(self) -> Iterator[tuple[ArchiveName, MultipartUploadTypeDef]]:
        """Give the unfinished uploads of archives."""
        from botocore.exceptions import ClientError

        folder = self.options.folder
        pages = self.client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self.options.bucket, Prefix=folder, Delimiter="/"
        )
        try:
            for page in pages:
                for upload in page.get("Uploads", []):
                    if name := ArchiveName.parse(upload["Key"].removeprefix(folder)):
                        yield name, upload
        except ClientError as error:
            if code_of(error) != "NoSuchUpload":  # with which some say that there is none
                raise
