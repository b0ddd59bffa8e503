"""Fetching an archive from a bucket, and going on where a broken connection left off."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from ecm_agent.destination.s3.errors import explained
from ecm_agent.errors import DestinationUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

    from ecm_agent.destination.throttle import Throttle
    from ecm_agent.model.names import ArchiveName

_BLOCK = 1 << 20


class Download:
    """One object to be read from its first byte to its last."""

    def __init__(self, client: S3Client, label: str, bucket: str, key: str, name: ArchiveName) -> None:
        self._client = client
        self._label = label
        self._bucket, self._key, self._name = bucket, key, name

    def into(self, file: BinaryIO, attempts: int, throttle: Throttle) -> None:
        """Write all of it to a file. Gives up after `attempts` broken connections in a row without a block between.

        Raises `NotFound`, `DestinationUnavailable` and `DestinationRefused`, and `OSError` of the file.
        """
        answer = self._asked()
        size, etag = answer["ContentLength"], answer["ETag"]
        done = failures = 0
        while True:
            before = done
            try:
                for block in self._blocks(answer):
                    file.write(block)
                    done += len(block)
                    throttle.spend(len(block))
            except DestinationUnavailable:
                failures = failures + 1 if done - before < _BLOCK else 1
                if failures >= attempts:
                    raise
            if done >= size:
                return
            answer = self._asked_again(done, etag)

    def _blocks(self, answer: GetObjectOutputTypeDef) -> Iterator[bytes]:
        body = answer["Body"]
        try:
            while True:
                with explained(self._label):
                    block = body.read(_BLOCK)
                if not block:
                    return
                yield block
        finally:
            body.close()

    def _asked(self) -> GetObjectOutputTypeDef:
        with explained(self._label, missing=self._name):
            return self._client.get_object(Bucket=self._bucket, Key=self._key)

    def _asked_again(self, offset: int, etag: str) -> GetObjectOutputTypeDef:
        with explained(self._label, missing=self._name):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key, Range=f"bytes={offset}-", IfMatch=etag)
        if not answer.get("ContentRange", "").startswith(f"bytes {offset}-"):  # the status says less: some give 200
            answer["Body"].close()
            raise DestinationUnavailable(
                f"{self._label} is unavailable: the connection broke, and it gives no archive from the middle on.",
                hint="Try again on a better network.",
            )
        return answer
