"""The keys of a destination, for each kind of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from ecm_agent.config.values import Address, BucketName, CountOfSome, Prefix, Size, plain, size_in_bytes

if TYPE_CHECKING:
    from ecm_agent.destination.s3 import S3Options

_SMALLEST_PART, _LARGEST_PART = 5 << 20, 5 << 30


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, and no error shows the value it is about."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class LocalDestinationSettings(Section):
    """A directory that keeps archives."""

    type: Literal["local"] = Field(default="local", description="The kind of destination: local, a directory.")
    path: Path = Field(description="The directory. It is made, readable by its owner only, when it is missing.")


class ObjectLockSettings(Section):
    """For how long nobody may delete a new archive; the bucket must have been made with Object Lock."""

    mode: Literal["GOVERNANCE", "COMPLIANCE"] = Field(
        description="GOVERNANCE: only who has a right of its own may delete earlier. COMPLIANCE: nobody may."
    )
    days: CountOfSome = Field(description="The days an archive is locked for. Rotation keeps it so long at least.")


class S3DestinationSettings(Section):
    """A bucket that keeps archives. Credentials never stand here: they come from where AWS's own tools look."""

    type: Literal["s3"] = Field(description="The kind of destination: s3, a bucket of any S3-compatible provider.")
    bucket: BucketName = Field(description="The bucket. It is never made.")
    prefix: Prefix = Field(default="", description="What comes before every archive's name, like a directory.")
    endpoint_url: Address | None = Field(default=None, description="The provider's address. Without it, Amazon's.")
    region: str | None = Field(default=None, description="The bucket's region. Without it, the profile's.")
    profile: str | None = Field(
        default=None, description="A profile of ~/.aws/credentials or ~/.aws/config. Without it, the usual places."
    )
    role_arn: str | None = Field(default=None, description="A role to take on with these credentials.")
    path_style: bool = Field(
        default=False, description="Whether the bucket goes in the path of addresses, never in the host name."
    )
    storage_class: str | None = Field(
        default=None,
        description="The storage class of new archives; one that is read at once. Without it, the bucket's.",
    )
    sse: Literal["none", "AES256", "aws:kms"] = Field(
        default="none", description="Encryption by the provider, besides our own: none asked for, AES256 or aws:kms."
    )
    kms_key_id: str | None = Field(default=None, description="The key for sse: aws:kms. Without it, the account's own.")
    object_lock: ObjectLockSettings | None = Field(
        default=None, description="For how long nobody may delete a new archive. Without it, what the bucket says."
    )
    checksums: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="What goes with the bytes: auto (found out: Content-MD5, else CRC-32, else none), always (CRC-32) "
        "or never.",
    )
    part_size: Size = Field(
        default="8MiB",
        description="The size of the parts of a large archive, 5MiB to 5GiB; larger ones where 10,000 would not do.",
    )
    parallel: CountOfSome = Field(default=4, description="How many parts to send at once.")
    upload_limit: Size | None = Field(default=None, description="The most to send in a second. Without it, no limit.")
    download_limit: Size | None = Field(
        default=None, description="The most to fetch in a second. Without it, no limit."
    )
    connect_timeout: CountOfSome = Field(
        default=20, description="Seconds until a server that does not answer, or takes nothing more, is given up."
    )
    stall_timeout: CountOfSome = Field(
        default=60, description="Seconds until a server that says nothing more is given up."
    )
    attempts: CountOfSome = Field(default=4, description="How often a request is tried in all.")

    @model_validator(mode="after")
    def _of_one_mind(self) -> Self:
        if self.kms_key_id and self.sse != "aws:kms":
            raise plain("has a kms_key_id, which goes with sse: aws:kms only")
        if not _SMALLEST_PART <= size_in_bytes(self.part_size) <= _LARGEST_PART:
            raise plain("has a part_size that no bucket takes; 5MiB to 5GiB will do")
        return self

    def options(self) -> S3Options:
        """Give the options these settings describe."""
        from ecm_agent.destination.s3 import ObjectLock, S3Options

        plain_keys = self.model_dump(exclude={"type", "object_lock", "part_size", "upload_limit", "download_limit"})
        lock = self.object_lock
        return S3Options(
            **plain_keys,
            object_lock=ObjectLock(lock.mode, lock.days) if lock else None,
            part_size=size_in_bytes(self.part_size),
            upload_limit=size_in_bytes(self.upload_limit) if self.upload_limit else 0,
            download_limit=size_in_bytes(self.download_limit) if self.download_limit else 0,
        )


def _kind(value: Any) -> str:  # noqa: ANN401 (whatever was written)
    """Tell the kind of a destination; what is no section at all is left to one of them to refuse."""
    return str(value.get("type", "local")) if isinstance(value, dict) else str(getattr(value, "type", "local"))


KINDS = ("local", "s3")
DestinationSettings: TypeAlias = Annotated[
    Annotated[LocalDestinationSettings, Tag("local")] | Annotated[S3DestinationSettings, Tag("s3")],
    Discriminator(_kind),
]
