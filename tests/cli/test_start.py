"""What the daemon looks at before it starts: each destination once, and none for long."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from fakes import FaultyDestination, MemoryDestination, UnpluggedDestination

from ecm_agent.cli.start import check_destinations
from ecm_agent.errors import DestinationRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ecm_agent.destination.base import Destination


class SilentDestination(MemoryDestination):
    """One that does not answer for as long as the test lasts."""

    def __init__(self, label: str, end: threading.Event) -> None:
        super().__init__(label)
        self._end = end

    def check(self) -> None:
        self._end.wait()


@pytest.fixture
def end() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Give what the log was warned of."""
    caplog.set_level("WARNING", logger="ecm_agent")
    return lambda: [str(record.msg) for record in caplog.records]


def test_one_that_does_not_answer_is_left_behind(end: threading.Event, warned: Callable[[], list[str]]) -> None:
    """The daemon starts all the same, and the log says which destination did not answer, and in what time."""
    check_destinations([SilentDestination("silent:", end)], patience=0)
    (line,) = warned()
    assert "out of reach for now" in line
    assert "silent: has not answered within 0 seconds." in line


def test_a_refusal_is_heard_whoever_is_silent(end: threading.Event) -> None:
    """They are asked at the same time: one that hangs does not hide that another can never work."""
    refusal = DestinationRefused("The key does not fit.")
    places: list[Destination] = [
        SilentDestination("silent:", end),
        FaultyDestination(MemoryDestination(), {"check": [refusal]}),
    ]
    with pytest.raises(DestinationRefused) as caught:
        check_destinations(places)
    assert caught.value is refusal


def test_one_out_of_reach_is_a_line_in_the_log(warned: Callable[[], list[str]]) -> None:
    """What may be there again tomorrow is no reason not to start today, and what is there is not mentioned."""
    check_destinations([MemoryDestination(), UnpluggedDestination(MemoryDestination("far:"))])
    (line,) = warned()
    assert "out of reach for now" in line
    assert "no route" in line


def test_a_mistake_in_the_program_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not taken for a destination that does not answer."""
    place = MemoryDestination()
    monkeypatch.setattr(place, "check", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        check_destinations([place])
