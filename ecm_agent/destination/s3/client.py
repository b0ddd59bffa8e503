"""From options to a client of boto3, which finds the credentials itself."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import botocore.session
    from botocore.loaders import Loader
    from mypy_boto3_s3 import S3Client

    from ecm_agent.destination.s3.options import S3Options

_ANYWHERE = "us-east-1"
"""Providers without regions do not care which one a request is signed for, but it is signed for one."""


def connected(options: S3Options) -> S3Client:
    """Make a client. Nothing is sent yet; raises the library's own errors for a missing profile or a bad address."""
    import boto3.session
    from botocore.config import Config

    session = boto3.session.Session(
        botocore_session=_session(options), profile_name=options.profile, region_name=options.region
    )
    config = Config(
        connect_timeout=options.connect_timeout,
        read_timeout=options.stall_timeout,
        retries={"mode": "standard", "total_max_attempts": options.attempts},
        max_pool_connections=options.parallel + 2,
        # What is computed by default breaks providers that know no trailing checksums: we send our own.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if options.path_style else "auto"},
        user_agent_extra="ecm-agent",
    )
    region = session.region_name or (_ANYWHERE if options.endpoint_url else None)
    return session.client("s3", endpoint_url=options.endpoint_url, region_name=region, config=config)


def _session(options: S3Options) -> botocore.session.Session:
    import botocore.session

    session = botocore.session.Session(profile=options.profile)
    session.register_component("data_loader", _descriptions(session.get_config_variable("data_path")))
    if options.role_arn:
        _assume(session, options.role_arn)
    return session


def _assume(session: botocore.session.Session, role_arn: str) -> None:
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
    from botocore.exceptions import NoCredentialsError

    source = session.get_credentials()
    if source is None:
        raise NoCredentialsError
    fetcher = AssumeRoleCredentialFetcher(
        session.create_client, source, role_arn, extra_args={"RoleSessionName": "ecm-agent"}
    )
    # The library has no public way to hand over credentials that renew themselves.
    session._credentials = DeferredRefreshableCredentials(  # type: ignore[attr-defined]  # noqa: SLF001 (as said)
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )


@cache
def _descriptions(data_path: str | None) -> Loader:
    """Read the service's description once; each connection would keep megabytes of its own."""
    from botocore.loaders import create_loader

    return create_loader(data_path)
