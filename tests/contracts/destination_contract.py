"""What every `Destination` keeps to. Subclass `DestinationContract` in a test module and override `destination`."""

from __future__ import annotations

import io
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import TYPE_CHECKING, BinaryIO

import pytest

from ecm_agent.destination.base import Destination, Stored
from ecm_agent.errors import AlreadyExists, NotFound
from ecm_agent.model.names import ArchiveName

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

WRITERS = 8
NUMBERS = b"".join(number.to_bytes(4, "big") for number in range(1 << 20))
"""Four megabytes in which no two stretches are alike: a lost, doubled or swapped block shows."""


def archive_name(day: int = 1, *, job: str = "nightly", host: str = "laptop") -> ArchiveName:
    return ArchiveName(job, host, datetime(2025, 1, day, 2, tzinfo=UTC))


def content_of(destination: Destination, name: ArchiveName) -> bytes:
    with destination.open(name) as file:
        return file.read()


class Interrupted(io.RawIOBase):
    """A source that gives a megabyte, and then what `then` does: an error, a signal to somebody, a wait."""

    def __init__(self, then: Callable[[], bytes]) -> None:
        self._rest: list[Callable[[], bytes]] = [lambda: b"x" * (1 << 20), then]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        block = self._rest.pop(0)() if self._rest else b""
        if len(block) > len(view):
            rest = block[len(view) :]
            self._rest.insert(0, lambda: rest)
        given = block[: len(view)]
        view[: len(given)] = given
        return len(given)


def interrupted(then: Callable[[], bytes]) -> BinaryIO:
    return io.BufferedReader(Interrupted(then))


class Trickle(io.BytesIO):
    """A source that never gives more than a few bytes at a time, as a pipe may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(7 if size is None or size < 0 else min(size, 7))


class DestinationContract:
    @pytest.fixture
    def destination(self) -> Destination:
        raise NotImplementedError

    @pytest.fixture
    def credentials(self) -> tuple[str, ...]:
        """Give what the destination under test was told in confidence."""
        return ()

    def test_an_archive_comes_back(self, destination: Destination) -> None:
        """What was put is what is opened, byte for byte, and the listing knows its size."""
        destination.put(archive_name(), io.BytesIO(b"ECM\0 sealed"))
        assert content_of(destination, archive_name()) == b"ECM\0 sealed"
        assert destination.list() == [Stored(archive_name(), 11)]

    def test_a_large_archive_comes_back(self, destination: Destination) -> None:
        """Several megabytes and an odd tail survive the way there and back."""
        content = NUMBERS + b"tail"
        destination.put(archive_name(), io.BytesIO(content))
        assert content_of(destination, archive_name()) == content

    def test_an_empty_archive_comes_back(self, destination: Destination) -> None:
        """An empty source makes an empty archive, not none."""
        destination.put(archive_name(), io.BytesIO())
        assert content_of(destination, archive_name()) == b""
        assert destination.list() == [Stored(archive_name(), 0)]

    def test_a_source_may_give_little_at_a_time(self, destination: Destination) -> None:
        """A source that gives fewer bytes than it was asked for is still put whole."""
        destination.put(archive_name(), Trickle(NUMBERS[:1000]))
        assert content_of(destination, archive_name()) == NUMBERS[:1000]

    def test_a_source_is_read_from_where_it_stands(self, destination: Destination) -> None:
        """Putting reads on from the source's current position."""
        source = io.BytesIO(b"header|body")
        source.seek(7)
        destination.put(archive_name(), source)
        assert content_of(destination, archive_name()) == b"body"

    def test_a_source_stays_open(self, destination: Destination) -> None:
        """The source is left open, so that the same file can go to the next destination."""
        source = io.BytesIO(b"once more")
        destination.put(archive_name(), source)
        source.seek(0)
        assert source.read() == b"once more"

    def test_an_archive_is_never_overwritten(self, destination: Destination) -> None:
        """A second put of a name is refused, and the first content stays."""
        destination.put(archive_name(), io.BytesIO(b"first"))
        with pytest.raises(AlreadyExists, match=re.escape(str(archive_name()))):
            destination.put(archive_name(), io.BytesIO(b"second"))
        assert content_of(destination, archive_name()) == b"first"
        assert destination.list() == [Stored(archive_name(), 5)]

    def test_an_archive_is_seekable(self, destination: Destination) -> None:
        """An open archive can be read twice and from the middle."""
        destination.put(archive_name(), io.BytesIO(NUMBERS))
        with destination.open(archive_name()) as file:
            assert file.seekable()
            assert file.seek(0, io.SEEK_END) == len(NUMBERS)
            assert file.seek(4000) == 4000
            assert file.read(4) == (1000).to_bytes(4, "big")
            assert file.tell() == 4004
            assert file.seek(0) == 0
            assert file.read() == NUMBERS

    def test_an_archive_is_closed_after_the_block(self, destination: Destination) -> None:
        """Leaving the block closes the archive."""
        destination.put(archive_name(), io.BytesIO(b"content"))
        with destination.open(archive_name()) as file:
            pass
        assert file.closed

    def test_a_missing_archive_is_not_found(self, destination: Destination) -> None:
        """Opening what is not there says so, and names it."""
        destination.put(archive_name(1), io.BytesIO(b"another"))
        with pytest.raises(NotFound, match=re.escape(str(archive_name(2)))), destination.open(archive_name(2)):
            pass

    def test_an_empty_destination_lists_nothing(self, destination: Destination) -> None:
        """Before the first archive, the list is empty, nothing is found, and deleting is no error."""
        assert destination.list() == []
        destination.delete(archive_name())
        with pytest.raises(NotFound), destination.open(archive_name()):
            pass

    def test_a_deleted_archive_is_gone(self, destination: Destination) -> None:
        """Deleting takes one archive and no other, and its name is free again."""
        destination.put(archive_name(1), io.BytesIO(b"one"))
        destination.put(archive_name(2), io.BytesIO(b"two"))
        destination.delete(archive_name(1))
        assert destination.list() == [Stored(archive_name(2), 3)]
        with pytest.raises(NotFound), destination.open(archive_name(1)):
            pass
        destination.put(archive_name(1), io.BytesIO(b"anew"))
        assert content_of(destination, archive_name(1)) == b"anew"

    def test_deleting_twice_is_fine(self, destination: Destination) -> None:
        """A second delete finds nothing to do, which is no error."""
        destination.put(archive_name(), io.BytesIO(b"content"))
        destination.delete(archive_name())
        destination.delete(archive_name())
        assert destination.list() == []

    def test_the_list_is_in_time_order(self, destination: Destination) -> None:
        """Time decides the order across jobs and hosts; at the same second, the name does."""
        ordered = [
            archive_name(1, job="weekly", host="server"),
            archive_name(2, job="nightly", host="z"),
            archive_name(3, job="a", host="laptop"),
            archive_name(3, job="b", host="a"),
            archive_name(3, job="b", host="b"),
            archive_name(4, job="a", host="a"),
        ]
        for name in (ordered[i] for i in (3, 0, 5, 2, 4, 1)):
            destination.put(name, io.BytesIO(b"content"))
        assert [stored.name for stored in destination.list()] == ordered

    def test_nothing_is_visible_until_complete(self, destination: Destination) -> None:
        """While the bytes are still coming, nothing is listed and nothing can be opened."""
        seen: list[Stored] = []

        def look() -> bytes:
            seen.extend(destination.list())
            with pytest.raises(NotFound), destination.open(archive_name()):
                pass
            return b"the end"

        destination.put(archive_name(), interrupted(look))
        assert seen == []
        assert destination.list() == [Stored(archive_name(), (1 << 20) + 7)]

    def test_a_failing_source_leaves_nothing(self, destination: Destination) -> None:
        """A source that fails half-way passes its own error on, leaves nothing listed, and the name free."""
        failure = OSError(5, "the source's own trouble")

        def fail() -> bytes:
            raise failure

        with pytest.raises(OSError, match="the source's own trouble") as caught:
            destination.put(archive_name(), interrupted(fail))
        assert caught.value is failure
        assert destination.list() == []
        with pytest.raises(NotFound), destination.open(archive_name()):
            pass
        destination.put(archive_name(), io.BytesIO(b"second try"))
        assert content_of(destination, archive_name()) == b"second try"

    def test_one_of_many_writers_wins(self, destination: Destination) -> None:
        """Of several writers of one name at once, exactly one wins, and its content is whole."""
        barrier = Barrier(WRITERS, timeout=60)

        def write(number: int) -> bool:
            def wait_for_the_others() -> bytes:
                barrier.wait()
                return bytes([number])

            try:
                destination.put(archive_name(), interrupted(wait_for_the_others))
            except AlreadyExists:
                return False
            return True

        with ThreadPoolExecutor(WRITERS) as threads:
            won = list(threads.map(write, range(WRITERS)))
        assert won.count(True) == 1
        assert content_of(destination, archive_name()) == b"x" * (1 << 20) + bytes([won.index(True)])

    def test_the_check_passes_and_leaves_nothing(self, destination: Destination) -> None:
        """A healthy destination passes its check, before its first archive and after, and looks the same as before."""
        destination.check()
        assert destination.list() == []
        destination.put(archive_name(), io.BytesIO(b"content"))
        destination.check()
        assert destination.list() == [Stored(archive_name(), 7)]

    def test_the_label_holds_no_secret(self, destination: Destination, credentials: tuple[str, ...]) -> None:
        """The label is one printable line, without credentials, and so is the object's own name."""
        assert destination.label
        assert destination.label.isprintable()
        for shown in (destination.label, repr(destination), str(destination)):
            assert not re.search(r"//[^/]*@", shown)
            assert not [secret for secret in credentials if secret in shown]
