"""What providers, networks and clocks do to a bucket: a scripted server stands in front of a real one."""

from __future__ import annotations

import io
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from contracts.destination_contract import archive_name, content_of
from s3_servers import BUCKET, Exchange, Proxy, RcloneServer

from ecm_agent.destination.base import Stored
from ecm_agent.destination.s3 import S3Destination, S3Options
from ecm_agent.errors import AlreadyExists, DestinationRefused, DestinationUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PART = 5 << 20
SMALL = b"content"
LARGE = b"".join(number.to_bytes(4, "big") for number in range(3 << 20)) + b"tail"
CHECKSUMS = {"content-md5", "x-amz-checksum-crc32", "x-amz-checksum-algorithm", "x-amz-sdk-checksum-algorithm"}
BOTH = pytest.mark.parametrize("content", [SMALL, LARGE], ids=["whole", "in parts"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RcloneServer]:
    server = RcloneServer(tmp_path_factory.mktemp("rclone")).start()
    yield server
    server.kill()


@pytest.fixture
def options(server: RcloneServer, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> S3Options:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported")  # our own choice must win over it
    prefix = request.node.name.replace(" ", "-").replace("[", "/").strip("]")
    return S3Options(BUCKET, prefix, part_size=PART, attempts=2)


@pytest.fixture
def front(server: RcloneServer, options: S3Options) -> Front:
    return Front(server, options)


class Front:
    """Puts a script between a destination and the real server."""

    def __init__(self, server: RcloneServer, options: S3Options) -> None:
        self._server = server
        self.options = options

    @contextmanager
    def playing(self, script: Callable[[Exchange], bool]) -> Iterator[tuple[S3Destination, Proxy]]:
        with Proxy(self._server.port, script) as proxy:
            yield S3Destination(replace(self.options, endpoint_url=proxy.url)), proxy


def sent(exchange: Exchange) -> set[str]:
    """Name the headers of a request."""
    return {name.lower() for name in exchange.headers}


def writes(proxy: Proxy) -> list[dict[str, str]]:
    """Give the headers of all requests with a body."""
    return [headers for command, headers in proxy.seen if command == "PUT"]


@BOTH
def test_by_default_a_checksum_goes_in_a_header_of_its_own(front: Front, content: bytes) -> None:
    """Whatever boto3 is told by its own variables, bytes go as they are, with Content-MD5 and nothing newer."""
    with front.playing(lambda _: False) as (bucket, proxy):
        bucket.put(archive_name(), io.BytesIO(content))
        assert content_of(bucket, archive_name()) == content
        for headers in writes(proxy):
            assert CHECKSUMS & headers.keys() == {"content-md5"}
            assert "x-amz-trailer" not in headers
            assert headers.get("content-encoding") is None


@BOTH
@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "InvalidArgument", "Unsupported header 'x-amz-checksum-crc32' received for this API call."),
        (501, "NotImplemented", "A header you provided implies functionality that is not implemented"),
    ],
)
def test_a_provider_that_refuses_checksums_is_heeded(
    front: Front, content: bytes, status: int, code: str, message: str
) -> None:
    """With `auto` an archive goes there all the same, and from the second on without asking again."""

    def script(exchange: Exchange) -> bool:
        return bool(CHECKSUMS & sent(exchange)) and exchange.refuse(status, code, message)

    with front.playing(script) as (bucket, proxy):
        bucket.put(archive_name(1), io.BytesIO(content))
        assert content_of(bucket, archive_name(1)) == content
        proxy.seen.clear()
        bucket.put(archive_name(2), io.BytesIO(content))
        assert content_of(bucket, archive_name(2)) == content
        assert not [headers for headers in writes(proxy) if CHECKSUMS & headers.keys()]


@BOTH
def test_a_provider_that_wants_a_newer_checksum_gets_it(front: Front, content: bytes) -> None:
    """Where Content-MD5 is refused and some checksum required, `auto` ends with CRC-32."""

    def script(exchange: Exchange) -> bool:
        if exchange.command == "PUT" and "content-md5" in sent(exchange):
            return exchange.refuse(400, "InvalidRequest", "Content-MD5 is not supported here")
        if exchange.command == "PUT" and not CHECKSUMS & sent(exchange):
            return exchange.refuse(400, "InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required")
        return False

    with front.playing(script) as (bucket, _):
        bucket.put(archive_name(), io.BytesIO(content))
        assert content_of(bucket, archive_name()) == content
        assert bucket.manners.settled.checksum == "CRC32"


@BOTH
def test_a_provider_that_requires_a_checksum_is_satisfied_by_default(front: Front, content: bytes) -> None:
    """As with Object Lock: `auto` is taken at once; `never` is refused, and the hint says what to set."""

    def script(exchange: Exchange) -> bool:
        if exchange.command != "PUT" or CHECKSUMS & sent(exchange):
            return False
        text = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock"
        return exchange.refuse(400, "InvalidRequest", text)

    with front.playing(script) as (bucket, proxy):
        bucket.put(archive_name(1), io.BytesIO(content))
        assert content_of(bucket, archive_name(1)) == content
        careless = S3Destination(replace(front.options, endpoint_url=proxy.url, checksums="never"))
        with pytest.raises(DestinationRefused, match="insists on a checksum") as caught:
            careless.put(archive_name(2), io.BytesIO(content))
        assert "checksums to auto" in caught.value.hint
        assert bucket.list() == [Stored(archive_name(1), len(content))]


@BOTH
@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (501, "NotImplemented", "A header is not implemented"),
        (400, "InvalidArgument", "If-None-Match is not supported"),
    ],
)
def test_a_provider_that_knows_no_conditions_is_heeded(
    front: Front, content: bytes, status: int, code: str, message: str
) -> None:
    """A refused "only if new" is left out, remembered, and an archive is still never overwritten."""

    def script(exchange: Exchange) -> bool:
        return "if-none-match" in sent(exchange) and exchange.refuse(status, code, message)

    with front.playing(script) as (bucket, proxy):
        bucket.put(archive_name(1), io.BytesIO(content))
        assert bucket.manners.settled.checksum == "MD5"
        proxy.seen.clear()
        bucket.put(archive_name(2), io.BytesIO(content))
        assert not [headers for _, headers in proxy.seen if "if-none-match" in headers]
        with pytest.raises(AlreadyExists):
            bucket.put(archive_name(1), io.BytesIO(b"another"))
        assert content_of(bucket, archive_name(1)) == content


@BOTH
def test_a_name_taken_at_the_last_moment_is_not_overwritten(front: Front, content: bytes) -> None:
    """Where the provider heeds the condition, another machine that was a moment quicker keeps the name."""

    def script(exchange: Exchange) -> bool:
        if "if-none-match" in sent(exchange):
            bucket.client.put_object(Bucket=BUCKET, Key=bucket.key(archive_name()), Body=b"quicker")
            return exchange.refuse(412, "PreconditionFailed", "At least one of the pre-conditions did not hold")
        return False

    with front.playing(script) as (bucket, _):
        with pytest.raises(AlreadyExists):
            bucket.put(archive_name(), io.BytesIO(content))
        assert content_of(bucket, archive_name()) == b"quicker"


@BOTH
def test_an_answer_that_was_lost_is_no_failure(front: Front, content: bytes) -> None:
    """When the write arrived, but its answer did not, and the second try finds the name taken: that was us."""
    lost: list[str] = []

    def script(exchange: Exchange) -> bool:
        if "if-none-match" not in sent(exchange):
            return False
        if lost:
            return exchange.refuse(412, "PreconditionFailed")
        lost.append(exchange.path)
        exchange.forwarded()
        exchange.close_connection = True
        return True

    with front.playing(script) as (bucket, _):
        bucket.put(archive_name(), io.BytesIO(content))
        assert lost
        assert content_of(bucket, archive_name()) == content


def test_a_busy_provider_is_asked_again(front: Front) -> None:
    """One 503 SlowDown for every kind of request is no failure."""
    refused: set[str] = set()

    def script(exchange: Exchange) -> bool:
        kind = f"{exchange.command} {'uploads' in exchange.path} {'list-type' in exchange.path}"
        if kind in refused:
            return False
        refused.add(kind)
        return exchange.refuse(503, "SlowDown", "Please reduce your request rate.")

    with front.playing(script) as (bucket, _):
        bucket.put(archive_name(), io.BytesIO(SMALL))
        assert bucket.list() == [Stored(archive_name(), len(SMALL))]
        assert content_of(bucket, archive_name()) == SMALL
        bucket.delete(archive_name())
        assert bucket.list() == []
        assert len(refused) > 4


def test_a_provider_that_stays_busy_is_unavailable(front: Front) -> None:
    """After the last attempt it is an error that says to try later; the parts that were sent are removed."""

    def script(exchange: Exchange) -> bool:
        return "partNumber=2" in exchange.path and exchange.refuse(503, "SlowDown")

    with front.playing(script) as (bucket, _):
        with pytest.raises(DestinationUnavailable, match="SlowDown"):
            bucket.put(archive_name(), io.BytesIO(LARGE))
        assert bucket.list() == []
        assert not bucket.client.list_multipart_uploads(Bucket=BUCKET, Prefix=bucket.options.folder).get("Uploads")


@pytest.mark.parametrize("stalling", ["before the answer", "in the archive", "while it is sent"])
def test_a_stall_ends(front: Front, stalling: str) -> None:
    """A server that says nothing more, before, in the middle or while it should listen, is unavailable before long."""
    over = threading.Event()

    def script(exchange: Exchange) -> bool:
        if stalling == "while it is sent" and exchange.command == "PUT":
            over.wait(60)  # without reading what is sent
        elif stalling == "before the answer" and exchange.command == "GET":
            over.wait(60)
        elif stalling == "in the archive" and exchange.command == "GET":
            exchange.send_response_only(200)
            exchange.send_header("ETag", "x")
            exchange.send_header("Content-Length", "1000")
            exchange.end_headers()
            exchange.wfile.write(b"some")
            exchange.wfile.flush()
            over.wait(60)
        else:
            return False
        exchange.close_connection = True
        return True

    with front.playing(script) as (_, proxy):
        hasty = replace(
            front.options,
            endpoint_url=proxy.url,
            attempts=1,
            stall_timeout=0.2,
            connect_timeout=0.2,
            part_size=64 << 20,
        )
        bucket = S3Destination(hasty)
        uses: dict[bool, Callable[[], object]] = {
            True: lambda: bucket.put(archive_name(), io.BytesIO(LARGE)),
            False: lambda: bucket.open(archive_name()),
        }
        try:
            with pytest.raises(DestinationUnavailable):
                uses[stalling == "while it is sent"]()
        finally:
            over.set()


def test_a_broken_download_goes_on_where_it_broke(front: Front) -> None:
    """A connection that breaks again and again, but gives something each time, ends with the whole archive."""
    asked: list[str] = []

    def script(exchange: Exchange) -> bool:
        if exchange.command != "GET" or str(archive_name()) not in exchange.path:
            return False
        asked.append(exchange.headers.get("Range", ""))
        exchange.answer(*exchange.forwarded(), cut=3 << 20)
        return True

    with front.playing(script) as (bucket, _):
        bucket.put(archive_name(), io.BytesIO(LARGE))
        assert content_of(bucket, archive_name()) == LARGE
        assert asked[0] == ""
        assert len(asked) == 5
        assert all(header.startswith("bytes=") for header in asked[1:])


def test_a_truncated_download_is_never_taken_for_whole(front: Front) -> None:
    """An archive of which the last bytes never come is unavailable, not short."""

    def script(exchange: Exchange) -> bool:
        if exchange.command != "GET" or str(archive_name()) not in exchange.path:
            return False
        if exchange.headers.get("Range"):
            exchange.close_connection = True
            exchange.send_response_only(206)
            exchange.send_header("Content-Range", "bytes 5-6/7")
            exchange.send_header("Content-Length", "2")
            exchange.end_headers()
        else:
            exchange.answer(*exchange.forwarded(), cut=5)
        return True

    with front.playing(script) as (bucket, _):
        bucket.put(archive_name(), io.BytesIO(SMALL))
        with pytest.raises(DestinationUnavailable, match="broke"):
            bucket.open(archive_name())


def test_a_server_without_ranges_is_not_mixed_up(front: Front) -> None:
    """A server that answers a question for the rest with the whole is not believed: the archive would be garbled."""

    def script(exchange: Exchange) -> bool:
        if exchange.command != "GET" or str(archive_name()) not in exchange.path:
            return False
        first = not exchange.headers.get("Range")
        exchange.answer(200, [("ETag", "x")], LARGE, cut=(2 << 20) if first else None)
        return True

    with (
        front.playing(script) as (bucket, _),
        pytest.raises(DestinationUnavailable, match="no archive from the middle on"),
    ):
        bucket.open(archive_name())


def test_an_archive_replaced_while_it_is_read_is_noticed(front: Front) -> None:
    """The rest of another object is not appended to the beginning of the first."""

    def script(exchange: Exchange) -> bool:
        if exchange.command != "GET" or str(archive_name()) not in exchange.path:
            return False
        if exchange.headers.get("Range"):
            return exchange.refuse(412, "PreconditionFailed") if exchange.headers.get("If-Match") == "x" else False
        exchange.answer(200, [("ETag", "x")], LARGE, cut=2 << 20)
        return True

    with front.playing(script) as (bucket, _), pytest.raises(DestinationUnavailable, match="another writer"):
        bucket.open(archive_name())


def test_a_wrong_clock_is_said_to_be_wrong(front: Front) -> None:
    """A signature refused for its time is the clock's fault, and the hint says how to set it."""

    def script(exchange: Exchange) -> bool:
        return exchange.refuse(403, "RequestTimeTooSkewed", "The difference between the request time ... is too large.")

    with front.playing(script) as (bucket, _), pytest.raises(DestinationRefused, match="clock is wrong") as caught:
        bucket.check()
    assert type(caught.value) is DestinationRefused
    assert "clock" in caught.value.hint


def test_bytes_damaged_on_the_way_are_noticed_by_the_server(front: Front) -> None:
    """A byte that changes between us and a server that checks makes the put fail, and stores nothing."""

    def script(exchange: Exchange) -> bool:
        if exchange.command == "PUT":
            exchange._body = b"K" + exchange.body[1:]
        return False

    with front.playing(script) as (bucket, _):
        with pytest.raises((DestinationUnavailable, DestinationRefused)):
            bucket.put(archive_name(), io.BytesIO(SMALL))
        assert bucket.list() == []
