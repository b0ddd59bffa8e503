"""A limit on bytes a second, with a clock that stands still but for the waits."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import TYPE_CHECKING

from fakes import ManualClock

from ecm_agent.destination.s3.upload import parts_of
from ecm_agent.destination.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable


def sleeping(clock: ManualClock) -> Callable[[float], None]:
    return lambda seconds: clock.advance(timedelta(seconds=seconds))


def test_bytes_take_the_time_they_are_due() -> None:
    """Three megabytes at one a second take three seconds, however they are cut."""
    clock = ManualClock()
    throttle = Throttle(1 << 20, clock, sleeping(clock))
    for _ in range(12):
        throttle.spend(1 << 18)
    assert clock.monotonic() == 3


def test_time_that_passed_unused_is_not_saved_up() -> None:
    """After an hour without a byte the limit is still the limit."""
    clock = ManualClock()
    throttle = Throttle(1000, clock, sleeping(clock))
    throttle.spend(1000)
    clock.advance(timedelta(hours=1))
    throttle.spend(5000)
    assert clock.monotonic() == 3606


def test_no_limit_never_waits() -> None:
    """Zero is no limit, not none at all."""
    clock = ManualClock()
    Throttle(0, clock, sleeping(clock)).spend(1 << 40)
    assert clock.monotonic() == 0


def test_an_upload_is_held_up_while_it_is_read() -> None:
    """The parts of a source come no faster than the limit."""
    clock = ManualClock()
    source = io.BytesIO(bytes(10 << 20))
    parts = list(parts_of(source, iter([4 << 20] * 3), Throttle(1 << 20, clock, sleeping(clock))))
    assert [len(part) >> 20 for part in parts] == [4, 4, 2]
    assert clock.monotonic() == 10
