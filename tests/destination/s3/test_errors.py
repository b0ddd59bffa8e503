"""What every error of the library becomes: refused or unavailable, in plain words, with what to do, without a key."""

from __future__ import annotations

from typing import Any

import botocore.exceptions as library
import pytest
from botocore.parsers import ResponseParserError
from contracts.destination_contract import archive_name

from ecm_agent.destination.s3.errors import explained, our_error
from ecm_agent.errors import AlreadyExists, DestinationRefused, DestinationUnavailable, NotFound

LABEL = "s3://backups/laptop at nas:9000"
KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

REFUSED = [
    (404, "NoSuchBucket", "no such bucket", "Create it"),
    (403, "AccessDenied", "may not do that", "s3:PutObject"),
    (403, "403", "may not do that", "s3:ListBucket"),
    (403, "InvalidAccessKeyId", "access key is unknown", "profile"),
    (403, "SignatureDoesNotMatch", "does not fit", "secret access key"),
    (400, "ExpiredToken", "expired", "Renew"),
    (400, "InvalidToken", "session token", "Renew"),
    (301, "PermanentRedirect", "another region", "region"),
    (400, "AuthorizationHeaderMalformed", "another region", "region"),
    (403, "RequestTimeTooSkewed", "clock is wrong", "clock"),
    (400, "InvalidStorageClass", "storage class", "storage_class"),
    (403, "InvalidObjectState", "cold storage", "Restore"),
    (400, "KMS.NotFoundException", "encryption key", "kms_key_id"),
    (400, "KMS.DisabledException", "encryption key", "kms_key_id"),
    (501, "NotImplemented", "does not know how", "destination test"),
    (400, "EntityTooSmall", "too small", "part_size"),
    (418, "SomethingNew", "SomethingNew", "destination test"),
]
UNAVAILABLE = [
    (503, "SlowDown", "left alone"),
    (503, "503", "left alone"),
    (429, "TooManyRequests", "left alone"),
    (429, "SomethingNew", "too busy"),
    (400, "RequestTimeout", "damaged"),
    (500, "InternalError", "server failed"),
    (502, "502", "server failed"),
    (504, "Whatever", "server failed"),
    (507, "XMinioStorageFull", "no space"),
    (400, "BadDigest", "damaged"),
    (409, "OperationAborted", "another writer"),
    (404, "NoSuchUpload", "unfinished upload"),
]
URL = "https://me:pass@nas:9000/"
LIBRARY = [
    (library.EndpointConnectionError(endpoint_url=URL), DestinationUnavailable, "cannot be reached"),
    (library.ConnectTimeoutError(endpoint_url=URL), DestinationUnavailable, "does not answer"),
    (library.ReadTimeoutError(endpoint_url=URL), DestinationUnavailable, "stalled"),
    (library.ConnectionClosedError(endpoint_url=URL), DestinationUnavailable, "connection broke"),
    (library.ProxyConnectionError(proxy_url=URL), DestinationUnavailable, "proxy"),
    (library.ResponseStreamingError(error="x"), DestinationUnavailable, "connection broke"),
    (library.IncompleteReadError(actual_bytes=1, expected_bytes=2), DestinationUnavailable, "before all was there"),
    (library.HTTPClientError(error="x"), DestinationUnavailable, "connection failed"),
    (library.MetadataRetrievalError(error_msg="x"), DestinationUnavailable, "machine's own credentials"),
    (ResponseParserError("<html>"), DestinationUnavailable, "makes no sense"),
    (
        library.SSLError(endpoint_url=URL, error=OSError("[SSL: CERTIFICATE_VERIFY_FAILED]")),
        DestinationRefused,
        "not trusted",
    ),
    (library.SSLError(endpoint_url=URL, error=OSError("[SSL: WRONG_VERSION_NUMBER]")), DestinationRefused, "no TLS"),
    (
        library.SSLError(endpoint_url=URL, error=OSError("[SSL: UNEXPECTED_EOF]")),
        DestinationUnavailable,
        "secure connection",
    ),
    (library.NoCredentialsError(), DestinationRefused, "no credentials"),
    (library.PartialCredentialsError(provider="x", cred_var=SECRET), DestinationRefused, "incomplete"),
    (library.CredentialRetrievalError(provider="x", error_msg=SECRET), DestinationRefused, "could not be had"),
    (library.ProfileNotFound(profile="x"), DestinationRefused, "no such profile"),
    (library.UnauthorizedSSOTokenError(), DestinationRefused, "login has ended"),
    (library.NoRegionError(), DestinationRefused, "no region"),
    (library.ParamValidationError(report=SECRET), DestinationRefused, "bucket's name"),
    (library.UnknownServiceError(service_name="x", known_service_names="y"), DestinationRefused, "UnknownService"),
    (ValueError(f"Invalid endpoint: {URL}"), DestinationRefused, "not a valid address"),
    (PermissionError(13, "Permission denied"), DestinationUnavailable, "Permission denied"),
]


def answer(status: int, code: str, message: str = "", **more: Any) -> library.ClientError:  # noqa: ANN401 (as the library has it)
    response: Any = {
        "Error": {"Code": code, "Message": message, "AWSAccessKeyId": KEY, **more},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
    }
    return library.ClientError(response, "PutObject")


@pytest.mark.parametrize(("status", "code", "said", "hint"), REFUSED)
def test_what_trying_again_cannot_mend_is_refused(status: int, code: str, said: str, hint: str) -> None:
    """A refusal names the place, the reason, the provider's own word for it, and what to do."""
    error = our_error(LABEL, answer(status, code))
    assert type(error) is DestinationRefused
    assert error.message.startswith(LABEL)
    assert said in error.message
    assert code in error.message
    assert hint in error.hint


@pytest.mark.parametrize(("status", "code", "said"), UNAVAILABLE)
def test_what_may_pass_is_unavailable(status: int, code: str, said: str) -> None:
    """Busy, failing and full servers, and damage on the way, are worth another try."""
    error = our_error(LABEL, answer(status, code))
    assert type(error) is DestinationUnavailable
    assert said in error.message
    assert error.hint


@pytest.mark.parametrize(("raised", "kind", "said"), LIBRARY)
def test_errors_without_an_answer_are_ours_too(raised: Exception, kind: type[Exception], said: str) -> None:
    """Whatever comes from the network, the credentials or the address has one of our types, words and a hint."""
    with pytest.raises(DestinationRefused, match=said) as caught, explained(LABEL):
        raise raised
    assert type(caught.value) is kind
    assert caught.value.hint
    for secret in (SECRET, "me:pass"):
        assert secret not in caught.value.message + caught.value.hint


def test_every_error_of_the_library_is_ours() -> None:
    """No class of the library, whichever it is, gets out as it is."""
    kinds = [
        kind for kind in vars(library).values() if isinstance(kind, type) and issubclass(kind, library.BotoCoreError)
    ]
    assert len(kinds) > 50
    for kind in kinds:
        error = kind.__new__(kind)
        assert isinstance(our_error(LABEL, error), DestinationRefused), kind


def test_errors_of_others_pass() -> None:
    """A mistake in the program, Ctrl-C and our own errors are nothing a bucket said."""
    for error in (KeyError("x"), ValueError("something else"), KeyboardInterrupt(), AlreadyExists("there")):
        with pytest.raises(type(error)) as caught, explained(LABEL):
            raise error
        assert caught.value is error


@pytest.mark.parametrize("code", ["NoSuchKey", "404"])
def test_a_missing_archive_is_named(code: str) -> None:
    """Where the question was for one archive, "no such key" is that it is not there."""
    error = our_error(LABEL, answer(404, code), archive_name())
    assert type(error) is NotFound
    assert str(archive_name()) in error.message


def test_the_right_region_is_named() -> None:
    """Where the answer says which region it is, so does the hint."""
    error = our_error(LABEL, answer(400, "AuthorizationHeaderMalformed", Region="eu-west-3"))
    assert error
    assert "region to eu-west-3" in error.hint


def test_a_servers_words_are_shown_without_keys() -> None:
    """An unknown error quotes the server, in one line, but nothing in it that could be a key."""
    said = f"Key {KEY}\nwith {SECRET} may not\nServerSideConfiguration " + "word " * 100
    error = our_error(LABEL, answer(400, "SomethingNew", said))
    assert error
    assert "may not ServerSideConfiguration word" in error.message
    assert KEY not in error.message
    assert SECRET not in error.message
    assert error.message.isprintable()
    assert len(error.message) < 300
