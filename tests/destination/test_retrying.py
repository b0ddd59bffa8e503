"""A destination that is tried again: the contract, when it gives up, and answers that were lost."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

import pytest
from contracts.destination_contract import DestinationContract, archive_name, content_of, interrupted
from fakes import MemoryDestination

from ecm_agent.destination.retrying import RetryingDestination
from ecm_agent.errors import AlreadyExists, DestinationRefused, DestinationUnavailable, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecm_agent.destination.base import Destination, Listing
    from ecm_agent.model.names import ArchiveName


class Flaky(MemoryDestination):
    """Fails the first `failures` times with `error`; with `late` a put fails only after it has stored."""

    def __init__(self, failures: int, error: Exception | None = None, *, late: bool = False) -> None:
        super().__init__()
        self._failures = failures
        self._error = error or DestinationUnavailable("memory: is unavailable.")
        self._late = late
        self.calls = 0

    def _fail(self) -> None:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error

    def put(self, name: ArchiveName, source: BinaryIO) -> None:
        if self._late:
            super().put(name, source)
            self._fail()
            return
        source.read(3)
        self._fail()
        source.seek(-min(3, source.tell()), 1)
        super().put(name, source)

    def open(self, name: ArchiveName) -> BinaryIO:
        self._fail()
        return super().open(name)

    def list(self) -> Listing:
        self._fail()
        return super().list()

    def delete(self, name: ArchiveName) -> None:
        self._fail()
        super().delete(name)

    def check(self) -> None:
        self._fail()


USES: list[Callable[[Destination], object]] = [
    lambda place: place.put(archive_name(), io.BytesIO(b"content")),
    lambda place: place.list(),
    lambda place: place.delete(archive_name()),
    lambda place: place.check(),
]


class TestRetrying(DestinationContract):
    @pytest.fixture
    def destination(self) -> Destination:
        return RetryingDestination(MemoryDestination())


def retrying(inner: Destination, slept: list[float] | None = None) -> RetryingDestination:
    return RetryingDestination(
        inner, attempts=5, first=2, longest=10, sleep=(slept if slept is not None else []).append, chance=lambda: 0
    )


@pytest.mark.parametrize("use", USES)
def test_what_may_pass_is_tried_again(use: Callable[[Destination], object]) -> None:
    """Two failures are waited out, longer the second time."""
    slept: list[float] = []
    flaky = Flaky(2)
    use(retrying(flaky, slept))
    assert flaky.calls == 3
    assert slept == [2, 4]


@pytest.mark.parametrize("use", USES)
def test_it_gives_up(use: Callable[[Destination], object]) -> None:
    """After the last attempt the error is the destination's own; no wait is longer than the longest."""
    slept: list[float] = []
    with pytest.raises(DestinationUnavailable, match="memory: is unavailable"):
        use(retrying(Flaky(5), slept))
    assert slept == [2, 4, 8, 10]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("error", [DestinationRefused("no"), AlreadyExists("there"), NotFound("gone"), OSError("mine")])
def test_what_will_not_pass_is_not_tried_again(use: Callable[[Destination], object], error: Exception) -> None:
    """A refusal is final, and so is an error of the source."""
    flaky = Flaky(1, error)
    with pytest.raises(type(error)) as caught:
        use(retrying(flaky))
    assert caught.value is error
    assert flaky.calls == 1


def test_opening_is_tried_again() -> None:
    """An archive that cannot be had at once is had later."""
    flaky = Flaky(2)
    flaky.archives[archive_name()] = b"content"
    assert content_of(retrying(flaky), archive_name()) == b"content"


def test_waits_differ() -> None:
    """Up to half of a wait is left to chance."""
    slept: list[float] = []
    chances = iter([1.0, 0.5])
    place = RetryingDestination(Flaky(2), first=4, sleep=slept.append, chance=lambda: next(chances))
    place.check()
    assert slept == [2, 6]


def test_each_try_puts_from_where_the_source_stood() -> None:
    """What a failed try has read is given to the next one again."""
    source = io.BytesIO(b"header|body")
    source.seek(7)
    flaky = Flaky(2)
    retrying(flaky).put(archive_name(), source)
    assert flaky.archives == {archive_name(): b"body"}


def test_a_lost_answer_is_found_out() -> None:
    """An archive that was stored though the answer got lost is stored: the content says so."""
    source = io.BytesIO(b"header|body")
    source.seek(7)
    flaky = Flaky(1, late=True)
    retrying(flaky).put(archive_name(), source)
    assert flaky.archives == {archive_name(): b"body"}


def test_another_archive_is_not_taken_for_ours() -> None:
    """A name that somebody else took meanwhile is taken, and what is there stays."""

    class Raced(Flaky):
        def put(self, name: ArchiveName, source: BinaryIO) -> None:
            self.archives.setdefault(name, b"theirs")
            super().put(name, source)

    raced = Raced(1)
    with pytest.raises(AlreadyExists):
        retrying(raced).put(archive_name(), io.BytesIO(b"ours!!"))
    assert raced.archives == {archive_name(): b"theirs"}


def test_a_taken_name_is_taken_at_the_first_try() -> None:
    """Without an answer lost, the same content under the name is no success of ours."""
    place = retrying(MemoryDestination())
    place.put(archive_name(), io.BytesIO(b"content"))
    with pytest.raises(AlreadyExists):
        place.put(archive_name(), io.BytesIO(b"content"))


def test_a_source_that_cannot_go_back_is_put_once() -> None:
    """Of a pipe the beginning is gone after a failed try: a second one would store a torso."""
    source = interrupted(lambda: b"end")
    flaky = Flaky(1, late=True)
    with pytest.raises(DestinationUnavailable):
        retrying(flaky).put(archive_name(), source)
    assert flaky.calls == 1
