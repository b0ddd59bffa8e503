"""Sending an archive in parts: several at once, and either all of them count or none."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from ecm_agent.destination.s3.errors import explained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

    from ecm_agent.destination.s3.manner import Arguments, Manner, Manners
    from ecm_agent.destination.throttle import Throttle

_BLOCK = 1 << 20


def parts_of(source: BinaryIO, sizes: Iterator[int], throttle: Throttle) -> Iterator[bytes]:
    """Read a source in parts of these sizes; the last may be smaller, and none is empty."""
    for size in sizes:
        part = _read(source, size, throttle)
        if part:
            yield part
        if len(part) < size:
            return


def _read(source: BinaryIO, size: int, throttle: Throttle) -> bytes:
    part = bytearray()
    while len(part) < size and (block := source.read(min(_BLOCK, size - len(part)))):
        throttle.spend(len(block))
        part += block
    return bytes(part)


def remaining(source: BinaryIO) -> int | None:
    """Tell how many bytes a source will give from where it stands, `None` where it cannot tell."""
    if not source.seekable():
        return None
    here = source.tell()
    end = source.seek(0, 2)
    source.seek(here)
    return end - here


@dataclass(frozen=True, slots=True)
class Started:
    """A multipart upload whose first part is there."""

    id: str
    manner: Manner
    first: CompletedPartTypeDef


class MultipartUpload:
    """An upload in parts to one key; whoever starts it completes or aborts it."""

    def __init__(self, client: S3Client, label: str, bucket: str, key: str) -> None:
        self._client = client
        self._label = label
        self._where: Arguments = {"Bucket": bucket, "Key": key}

    def start(self, first: bytes, manners: Manners, extras: Arguments) -> Started:
        """Begin, and send the first part: only then is it known whether the provider takes such checksums."""

        def begin(manner: Manner) -> Started:
            answer = self._client.create_multipart_upload(**self._where, **extras, **manner.announced())
            upload = answer["UploadId"]
            try:
                return Started(upload, manner, self._send(upload, 1, first, manner))
            except BaseException:
                self.abort(upload)
                raise

        with explained(self._label):
            return manners.settle(begin, checksum=True, condition=False)

    def rest(self, started: Started, parts: Iterator[bytes], at_once: int) -> list[CompletedPartTypeDef]:
        """Send the parts after the first, `at_once` of them at a time, and give what completing needs of all."""
        flying: deque[Future[CompletedPartTypeDef]] = deque()
        done = [started.first]
        with ThreadPoolExecutor(at_once, thread_name_prefix="upload") as pool:
            try:
                for number, body in enumerate(parts, 2):
                    if len(flying) >= at_once:
                        done.append(flying.popleft().result())
                    flying.append(pool.submit(self._explained_send, started, number, body))
                done.extend(future.result() for future in flying)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return done

    def complete(self, upload: str, parts: list[CompletedPartTypeDef], condition: Arguments) -> None:
        """Make the object of its parts. Raises the library's errors."""
        self._client.complete_multipart_upload(
            **self._where,
            UploadId=upload,
            MultipartUpload={"Parts": parts},
            **condition,
        )

    def abort(self, upload: str) -> None:
        """Have the parts removed, as well as can be: what stays is found by the sweep."""
        with suppress(Exception):
            self._client.abort_multipart_upload(**self._where, UploadId=upload)

    def _explained_send(self, started: Started, number: int, body: bytes) -> CompletedPartTypeDef:
        with explained(self._label):
            return self._send(started.id, number, body, started.manner)

    def _send(self, upload: str, number: int, body: bytes, manner: Manner) -> CompletedPartTypeDef:
        checksum = manner.checked(body)
        answer = self._client.upload_part(**self._where, UploadId=upload, PartNumber=number, Body=body, **checksum)
        part: CompletedPartTypeDef = {"PartNumber": number, "ETag": answer["ETag"]}
        if manner.checksum == "CRC32":
            part["ChecksumCRC32"] = checksum["ChecksumCRC32"]
        return part
