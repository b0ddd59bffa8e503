"""What one vector clock says of another: which came first, or that neither knew of the other.

A clock counts, for each agent, how much of its doing has been seen; an agent it does not name stands at 0. The order is
that of Fidge and Mattern: one clock is before another when it is nowhere ahead of it and somewhere behind.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecm_agent.model.records import VectorClockData


class Order(Enum):
    """How one clock stands to another."""

    SAME = auto()
    BEFORE = auto()
    AFTER = auto()
    CONCURRENT = auto()


def order(one: VectorClockData, other: VectorClockData) -> Order:
    """Say how one clock stands to another."""
    behind = any(one.get(agent, 0) < tick for agent, tick in other.items())
    ahead = any(tick > other.get(agent, 0) for agent, tick in one.items())
    if behind and ahead:
        return Order.CONCURRENT
    if behind:
        return Order.BEFORE
    return Order.AFTER if ahead else Order.SAME


def joined(one: VectorClockData, other: VectorClockData) -> VectorClockData:
    """Give the least clock that is behind neither: the element-wise maximum, agents in the order they are met."""
    return {agent: max(one.get(agent, tick), tick) for agent, tick in (one | other).items()}
