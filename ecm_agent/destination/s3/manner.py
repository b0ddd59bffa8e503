"""How a provider wants to be written to: which checksum goes with the bytes, and whether it knows "only if new".

Providers differ, and say so by refusing. Each refusal that names its reason leads to a milder manner, and the one
that worked is remembered.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from ecm_agent.destination.s3.errors import mentions_checksum, status_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.exceptions import ClientError

    from ecm_agent.destination.s3.options import Checksums

_T = TypeVar("_T")
Checksum: TypeAlias = Literal["MD5", "CRC32", "none"]
Arguments: TypeAlias = dict[str, Any]
"""Arguments of a request, by the library's names."""

# MD5 first: it is as old as S3, is checked by providers that ignore or refuse the newer ones, and satisfies Object
# Lock. Directory buckets of Amazon refuse it.
_CHOICES: dict[Checksums, tuple[Checksum, ...]] = {
    "auto": ("MD5", "CRC32", "none"),
    "always": ("CRC32",),
    "never": ("none",),
}
_BAD_REQUEST, _NOT_IMPLEMENTED = 400, 501


@dataclass(frozen=True, slots=True)
class Manner:
    """`conditional`: the provider takes `If-None-Match: *`. That it heeds it is another matter: some do not."""

    checksum: Checksum
    conditional: bool = True

    def checked(self, body: bytes) -> Arguments:
        """Give the checksum of a body, as an argument of the request that sends it."""
        match self.checksum:
            case "MD5":
                return {"ContentMD5": _text(hashlib.md5(body, usedforsecurity=False).digest())}
            case "CRC32":
                return {"ChecksumCRC32": _text(zlib.crc32(body).to_bytes(4, "big"))}
            case "none":
                return {}

    def announced(self) -> Arguments:
        """Give what the start of a multipart upload must say of its parts' checksums."""
        return {"ChecksumAlgorithm": "CRC32"} if self.checksum == "CRC32" else {}

    def only_if_new(self) -> Arguments:
        return {"IfNoneMatch": "*"} if self.conditional else {}


class Manners:
    """The manner that works with one bucket, as far as is known."""

    def __init__(self, checksums: Checksums) -> None:
        self._choices = _CHOICES[checksums]
        self.settled = Manner(self._choices[0])

    def settle(self, send: Callable[[Manner], _T], *, checksum: bool, condition: bool) -> _T:
        """Send something in the manner known so far, in milder ones while it is refused for its manner.

        `checksum` and `condition` tell which of the two the request carries. Raises what `send` does in the end;
        then nothing is remembered.
        """
        from botocore.exceptions import ClientError

        manner = self.settled
        while True:
            try:
                result = send(manner)
            except ClientError as error:
                milder = self._milder(manner, error, checksum=checksum, condition=condition)
                if milder is None:
                    raise
                manner = milder
            else:
                self.settled = manner
                return result

    def _milder(self, manner: Manner, error: ClientError, *, checksum: bool, condition: bool) -> Manner | None:
        if condition and manner.conditional and _refuses_condition(error):
            return replace(manner, conditional=False)
        left = self._choices[self._choices.index(manner.checksum) + 1 :]
        if checksum and left and _refuses_checksum(error):
            return replace(manner, checksum=left[0])
        return None


def _refuses_condition(error: ClientError) -> bool:
    if "if-none-match" in text_of(error) or "conditional" in text_of(error):
        return status_of(error) in {_BAD_REQUEST, _NOT_IMPLEMENTED}
    return status_of(error) == _NOT_IMPLEMENTED and not mentions_checksum(error)


def _refuses_checksum(error: ClientError) -> bool:
    named = status_of(error) == _BAD_REQUEST and mentions_checksum(error) and not text_of(error).startswith("baddigest")
    return named or status_of(error) == _NOT_IMPLEMENTED


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
