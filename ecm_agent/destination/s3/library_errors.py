"""What the library's own errors mean: those that come before or instead of a server's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecm_agent.errors import DestinationRefused, DestinationUnavailable

if TYPE_CHECKING:
    from ecm_agent.errors import EcmError

_KEYS = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the user who runs ecm-agent, or name a profile of "
    "~/.aws/credentials with the key profile."
)
_PROFILE = "Name a profile that stands in ~/.aws/config or ~/.aws/credentials of the user who runs ecm-agent."
_ADDRESS = "Write endpoint_url as https://host or https://host:port."
_NETWORK = "Check the network, and the destination's endpoint_url and region."
_LATER = "Try again later; check the network if it stays so."

_REFUSALS = {
    "NoCredentialsError": ("there are no credentials", _KEYS),
    "PartialCredentialsError": ("the credentials are incomplete", _KEYS),
    "CredentialRetrievalError": ("the credentials could not be had from where they are kept", _KEYS),
    "NoAuthTokenError": ("there is no login", "Log in: aws sso login"),
    "TokenRetrievalError": ("the login has ended", "Log in again: aws sso login"),
    "SSOError": ("the login has ended", "Log in again: aws sso login"),
    "LoginError": ("the login has ended", "Log in again: aws login"),
    "ProfileNotFound": ("there is no such profile", _PROFILE),
    "ConfigNotFound": ("the credentials' file cannot be read", _PROFILE),
    "ConfigParseError": ("the credentials' file cannot be read", "Correct ~/.aws/config and ~/.aws/credentials."),
    "InvalidConfigError": ("the profile cannot be used", "Correct ~/.aws/config and ~/.aws/credentials."),
    "BaseEndpointResolverError": ("no region is set", "Set the destination's region."),
    "InvalidRegionError": ("there can be no such region", "Correct the destination's region."),
    "ParamValidationError": ("the bucket's name is not a valid one", "Correct the destination's bucket."),
    "InvalidDNSNameError": ("the bucket's name is not a valid one", "Correct the destination's bucket."),
    "EndpointProviderError": ("no address can be made of bucket, region and endpoint_url", "Correct these keys."),
    "InvalidProxiesConfigError": ("the proxy cannot be used", "Correct HTTPS_PROXY."),
    "MissingDependencyException": ("these credentials need a package that is not installed", "Install awscrt."),
}
_PASSING = {
    "ProxyConnectionError": ("the proxy does not answer", "Check HTTPS_PROXY and the proxy."),
    "ConnectTimeoutError": ("it does not answer", _NETWORK),
    "EndpointConnectionError": ("it cannot be reached", _NETWORK),
    "ReadTimeoutError": ("it has stalled", _LATER),
    "ConnectionClosedError": ("the connection broke", _LATER),
    "ResponseStreamingError": ("the connection broke", _LATER),
    "IncompleteReadError": ("the connection broke before all was there", _LATER),
    "HTTPClientError": ("the connection failed", _LATER),
    "MetadataRetrievalError": ("the machine's own credentials could not be had", _LATER),
    "FlexibleChecksumError": ("bytes were damaged on the way", _LATER),
    "PaginationError": ("its listing makes no sense", _LATER),
    "ResponseParserError": ("its answer makes no sense", "Check the endpoint_url; is that an S3 service?"),
}


def of_library(label: str, error: Exception) -> EcmError | None:
    """Give what an error of the library, or of the machine under it, means; `None` for an error of anybody else."""
    from botocore.exceptions import BotoCoreError, SSLError
    from botocore.parsers import ResponseParserError

    if isinstance(error, SSLError):
        return _of_tls(label, str(error))
    if isinstance(error, BotoCoreError | ResponseParserError):
        return _of_class(label, error)
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        return DestinationUnavailable(f"{label} is unavailable: {reason}.", hint=_LATER)
    if isinstance(error, ValueError) and "endpoint" in str(error).lower():
        return DestinationRefused(f"{label} cannot be used: endpoint_url is not a valid address.", hint=_ADDRESS)
    return None


def _of_class(label: str, error: Exception) -> EcmError:
    for ancestor in type(error).__mro__:
        if ancestor.__name__ in _PASSING:
            text, hint = _PASSING[ancestor.__name__]
            return DestinationUnavailable(f"{label} is unavailable: {text}.", hint=hint)
        if ancestor.__name__ in _REFUSALS:
            text, hint = _REFUSALS[ancestor.__name__]
            return DestinationRefused(f"{label} cannot be used: {text}.", hint=hint)
    return DestinationRefused(
        f"{label} cannot be used: {type(error).__name__}.", hint="Check the destination's keys and the credentials."
    )


def _of_tls(label: str, reason: str) -> EcmError:
    if "CERTIFICATE" in reason:
        hint = "Check endpoint_url, and that this machine trusts the certificate (AWS_CA_BUNDLE names another set)."
        return DestinationRefused(f"{label} cannot be used: its certificate is not trusted.", hint=hint)
    if "WRONG_VERSION" in reason:
        hint = "Write http:// in endpoint_url, or the port that speaks TLS."
        return DestinationRefused(f"{label} cannot be used: there is no TLS at that address.", hint=hint)
    return DestinationUnavailable(f"{label} is unavailable: the secure connection broke.", hint=_LATER)
