"""What can be said about a bucket, and the sizes of the parts that a large archive is sent in."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import urlsplit

from ecm_agent.errors import DestinationRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
MOST_PARTS = 10_000
SMALLEST_PART = 5 * MIB
LARGEST_PART = 5 << 30
LARGEST_OBJECT = 5 << 40
_USUAL_PART = 8 * MIB
_PARTS_OF_ONE_SIZE = 900
_MEMORY = 256 * MIB

Checksums: TypeAlias = Literal["auto", "always", "never"]
Encryption: TypeAlias = Literal["none", "AES256", "aws:kms"]
LockMode: TypeAlias = Literal["GOVERNANCE", "COMPLIANCE"]


@dataclass(frozen=True, slots=True)
class ObjectLock:
    """For how many days nobody may remove an archive: GOVERNANCE (nobody without a special right) or COMPLIANCE."""

    mode: LockMode
    days: int


@dataclass(frozen=True, slots=True)
class S3Options:
    """A bucket and how to use it. Credentials are never part of it: they come from where boto3 looks for them.

    Sizes are in bytes, limits in bytes a second (0: none), times in seconds. `part_size` 0 means 8 MiB, or what
    `MOST_PARTS` need. `checksums`: auto finds out what the provider takes, always sends CRC-32, never sends none.
    `attempts` counts the tries of a single request. `page_size` is the keys asked for at once in a listing.
    """

    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    path_style: bool = False
    storage_class: str | None = None
    sse: Encryption = "none"
    kms_key_id: str | None = None
    object_lock: ObjectLock | None = None
    checksums: Checksums = "auto"
    part_size: int = 0
    parallel: int = 4
    upload_limit: int = 0
    download_limit: int = 0
    connect_timeout: float = 20
    stall_timeout: float = 60
    attempts: int = 4
    page_size: int = 1000

    @property
    def folder(self) -> str:
        """What every key of ours begins with: nothing, or the prefix with one slash after it."""
        prefix = self.prefix.strip("/")
        return f"{prefix}/" if prefix else ""

    @property
    def label(self) -> str:
        """Name the place without a credential, even where somebody put one into the address."""
        place = f"s3://{self.bucket}/{self.folder}".rstrip("/")
        if self.endpoint_url is None:
            return place
        host = urlsplit(self.endpoint_url).netloc.rpartition("@")[2]
        return f"{place} at {host}"


def part_sizes(size: int | None, wanted: int) -> Iterator[int]:
    """Give the sizes of the parts of an object of `size` bytes, or, with `None`, of one of any size.

    All parts of a known size are as large as each other, since some providers insist on that; with an unknown size
    they grow, slowly enough for little memory and fast enough for `LARGEST_OBJECT` in `MOST_PARTS`.

    Raises `DestinationRefused` for an object larger than S3 can hold.
    """
    smallest = max(wanted or _USUAL_PART, SMALLEST_PART)
    if size is None:
        return (min(smallest << n // _PARTS_OF_ONE_SIZE, LARGEST_PART) for n in range(MOST_PARTS))
    if size > LARGEST_OBJECT:
        raise DestinationRefused(
            f"The archive has {size} bytes; an object in a bucket has at most {LARGEST_OBJECT}.",
            hint="Back up fewer projects in one job.",
        )
    needed = -(-size // MOST_PARTS)
    return repeat(max(smallest, -(-needed // MIB) * MIB))


def parts_in_flight(part_size: int, parallel: int) -> int:
    """Tell how many parts to hold at once: as many as asked for, fewer where parts are so large that memory matters."""
    return max(1, min(parallel, _MEMORY // part_size))
