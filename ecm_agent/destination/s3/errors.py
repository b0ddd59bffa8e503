"""What a bucket's errors mean, in our words, with what to do about each."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ecm_agent.destination.s3.library_errors import of_library
from ecm_agent.errors import DestinationRefused, DestinationUnavailable, EcmError, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.exceptions import ClientError

    from ecm_agent.model.names import ArchiveName

_LONGEST = 200
_PASSING = {408, 429}
_SERVER, _NOT_IMPLEMENTED = 500, 501

_RIGHTS = (
    "Give these credentials s3:ListBucket and s3:ListBucketMultipartUploads on the bucket, and s3:PutObject, "
    "s3:GetObject, s3:DeleteObject and s3:AbortMultipartUpload on what lies below the prefix "
    "(with Object Lock also s3:PutObjectRetention and s3:GetObjectRetention)."
)
_SECRET = "Check the secret access key, and that the endpoint_url is the provider's own."  # noqa: S105 (a hint)
_REGION = "Set the destination's region to the bucket's."
_CLOCK = "Set this machine's clock (timedatectl set-ntp true), then try again."
_FULL = "Free some space there, or raise the quota."


class _Meaning(NamedTuple):
    text: str
    hint: str
    passing: bool = False


_NO_BUCKET = _Meaning("there is no such bucket", "Create it, or correct the destination's bucket and endpoint_url.")
_DENIED = _Meaning("these credentials may not do that", _RIGHTS)
_UNKNOWN_KEY = _Meaning("the access key is unknown there", "Check the access key, and the profile it is taken from.")
_EXPIRED = _Meaning("the credentials have expired", "Renew them (aws sso login), or use ones that do not expire.")
_ELSEWHERE = _Meaning("the bucket is in another region", _REGION)
_SKEWED = _Meaning("this machine's clock is wrong", _CLOCK)
_COLD = _Meaning(
    "the archive lies in cold storage", "Restore it there first, or use a storage_class that is read at once."
)
_NO_SPACE = _Meaning("no space is left there", _FULL, passing=True)
_BUSY = _Meaning("it asks to be left alone for a while", "Try again later.", passing=True)
_DAMAGED = _Meaning("bytes were damaged on the way", "Try again; if it happens often, check the network.", passing=True)
_OVERTAKEN = _Meaning("another writer was at the same archive", "Try again.", passing=True)
_SERVER_FAILED = _Meaning("the server failed or is too busy", "Try again later.", passing=True)
_UNSUPPORTED = _Meaning(
    "the provider does not know how to do that", "See `ecm-agent destination test` for what it can do."
)

_MEANINGS = {
    "NoSuchBucket": _NO_BUCKET,
    "InvalidBucketName": _Meaning("the bucket's name is not a valid one", "Correct the destination's bucket."),
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "Forbidden": _DENIED,
    "403": _DENIED,
    "AccountProblem": _Meaning("the provider has suspended the account", "Ask the provider."),
    "NotSignedUp": _Meaning("the account does not include this service", "Ask the provider."),
    "InvalidAccessKeyId": _UNKNOWN_KEY,
    "InvalidClientTokenId": _UNKNOWN_KEY,
    "UnrecognizedClientException": _UNKNOWN_KEY,
    "SignatureDoesNotMatch": _Meaning("the secret key does not fit the access key", _SECRET),
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "InvalidToken": _Meaning("the session token is not valid", "Renew the credentials, all three parts of them."),
    "PermanentRedirect": _ELSEWHERE,
    "TemporaryRedirect": _ELSEWHERE,
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "IllegalLocationConstraintException": _ELSEWHERE,
    "301": _ELSEWHERE,
    "307": _ELSEWHERE,
    "RequestTimeTooSkewed": _SKEWED,
    "RequestExpired": _SKEWED,
    "InvalidStorageClass": _Meaning("it has no such storage class", "Correct the destination's storage_class."),
    "InvalidObjectState": _COLD,
    "EntityTooSmall": _Meaning("a part was too small", "Set the destination's part_size to 5MiB or more."),
    "EntityTooLarge": _Meaning("the archive is larger than it takes", "Set a smaller part_size, or back up less."),
    "InvalidTag": _UNSUPPORTED,
    "NotImplemented": _UNSUPPORTED,
    "MethodNotAllowed": _UNSUPPORTED,
    "XNotImplemented": _UNSUPPORTED,
    "QuotaExceeded": _NO_SPACE,
    "StorageQuotaExceeded": _NO_SPACE,
    "InsufficientStorage": _NO_SPACE,
    "XMinioStorageFull": _NO_SPACE,
    "XMinioAdminBucketQuotaExceeded": _NO_SPACE,
    "SlowDown": _BUSY,
    "Throttling": _BUSY,
    "ThrottlingException": _BUSY,
    "RequestLimitExceeded": _BUSY,
    "TooManyRequests": _BUSY,
    "ServiceUnavailable": _BUSY,
    "503": _BUSY,
    "BadDigest": _DAMAGED,
    "XAmzContentSHA256Mismatch": _DAMAGED,
    "XAmzContentChecksumMismatch": _DAMAGED,
    "IncompleteBody": _DAMAGED,
    "RequestTimeout": _DAMAGED,
    "OperationAborted": _OVERTAKEN,
    "ConditionalRequestConflict": _OVERTAKEN,
    "PreconditionFailed": _OVERTAKEN,
    "412": _OVERTAKEN,
    "NoSuchUpload": _Meaning("the unfinished upload was removed there", "Try again.", passing=True),
    "InternalError": _SERVER_FAILED,
}
_KMS = _Meaning(
    "the encryption key cannot be used",
    "Check kms_key_id, that the key is enabled, and that these credentials have kms:GenerateDataKey and kms:Decrypt.",
)
_CHECKSUM = _Meaning(
    "it insists on a checksum, or refuses the one that was sent", "Set the destination's checksums to auto."
)
_LOCK = _Meaning(
    "the bucket has no Object Lock",
    "Object Lock is switched on when a bucket is made: use such a bucket, or remove object_lock.",
)


@contextmanager
def explained(label: str, *, missing: ArchiveName | None = None) -> Iterator[None]:
    """Turn an error of the library into one of ours; `missing` names the archive that it can be about."""
    try:
        yield
    except EcmError:
        raise
    except Exception as error:
        found = our_error(label, error, missing)
        if found is None:
            raise
        raise found from (None if isinstance(error, ValueError) else error)  # an address may hold a password


def our_error(label: str, error: Exception, missing: ArchiveName | None = None) -> EcmError | None:
    """Give what an error means, `None` for one that is not of a bucket or of the way there."""
    from botocore.exceptions import ClientError

    if not isinstance(error, ClientError):
        return of_library(label, error)
    if missing is not None and code_of(error) in {"NoSuchKey", "404", "NotFound"}:
        return NotFound(f"{label} holds no {missing}.")
    return _of_answer(label, error)


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def text_of(error: ClientError) -> str:
    """Give what the server said, in lower case, to look for words in."""
    said = error.response.get("Error", {}).get("Message", "")
    return f"{code_of(error)} {said}".lower()


def status_of(error: ClientError) -> int:
    """Give the HTTP status, 0 where there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def mentions_checksum(error: ClientError) -> bool:
    return bool(re.search(r"checksum|content-md5|crc32|x-amz-sdk|digest", text_of(error)))


def _of_answer(label: str, error: ClientError) -> EcmError:
    code = code_of(error)
    meaning = _meaning(error, code)
    if meaning is _ELSEWHERE and (region := _region(error.response)):
        meaning = meaning._replace(hint=f"Set the destination's region to {region}.")
    detail = f"{meaning.text} ({code})" if code else meaning.text
    if meaning.passing:
        return DestinationUnavailable(f"{label} is unavailable: {detail}.", hint=meaning.hint)
    return DestinationRefused(f"{label} refused: {detail}.", hint=meaning.hint)


def _meaning(error: ClientError, code: str) -> _Meaning:
    if code.startswith("KMS.") or code in {"KMSKeyNotFound", "InvalidKMSKeyId"}:
        return _KMS
    if code in _MEANINGS:
        return _MEANINGS[code]
    if re.search("object ?lock", text_of(error)) and "checksum" not in text_of(error):
        return _LOCK
    status = status_of(error)
    if status in _PASSING or (status >= _SERVER and status != _NOT_IMPLEMENTED):
        return _SERVER_FAILED
    if mentions_checksum(error):
        return _CHECKSUM
    said = _shown(str(error.response.get("Error", {}).get("Message", "")))
    return _Meaning(said or "it gave no reason", "Check the destination with `ecm-agent destination test`.")


def _region(response: Any) -> str:  # noqa: ANN401 (the library's own shape)
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = response.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region") or ""
    return region if re.fullmatch("[a-z0-9-]{1,40}", region) else ""


def _shown(said: str) -> str:
    """Make a server's words fit for a message: one line, not long, and no word that could be a key."""
    words = ("…" if re.search("[A-Z0-9]{16}|[A-Za-z0-9/+=]{32}", word) else word for word in said.split())
    return " ".join(words)[:_LONGEST].rstrip(". ")
