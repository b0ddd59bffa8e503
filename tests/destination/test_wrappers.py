"""The wrappers that tests put around a destination keep its contract as long as they are not told otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from contracts.destination_contract import DestinationContract, archive_name, content_of
from fakes import FaultyDestination, MemoryDestination, RecordingDestination

from ecm_agent.errors import DestinationRefused, DestinationUnavailable

if TYPE_CHECKING:
    from ecm_agent.destination.base import Destination


class TestRecordingDestination(DestinationContract):
    @pytest.fixture
    def destination(self) -> Destination:
        return RecordingDestination(MemoryDestination(), [])


class TestFaultyDestination(DestinationContract):
    @pytest.fixture
    def destination(self) -> Destination:
        return FaultyDestination(MemoryDestination(), misread=lambda content: content)


def test_calls_are_recorded_in_order() -> None:
    """Every method is noted under the label of the destination."""
    events: list[str] = []
    destination = RecordingDestination(MemoryDestination("a:"), events)
    destination.check()
    destination.list()
    destination.delete(archive_name())
    assert events == ["a: check", "a: list", "a: delete"]


def test_faults_come_as_scripted() -> None:
    """A method fails at the calls its script says, each method by itself, and then no more."""
    memory = MemoryDestination()
    memory.archives[archive_name()] = b"content"
    gone = DestinationUnavailable("No route.")
    faulty = FaultyDestination(memory, {"list": [None, gone], "open": [gone]}, misread=lambda content: content[::-1])
    assert len(faulty.list()) == 1
    for use in (faulty.list, lambda: faulty.open(archive_name())):
        with pytest.raises(DestinationRefused) as caught:
            use()
        assert caught.value is gone
    assert len(faulty.list()) == 1
    assert content_of(faulty, archive_name()) == b"tnetnoc"
