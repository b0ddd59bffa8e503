"""The fake keeps the same contract as the real destinations: a test that uses it proves something about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from contracts.destination_contract import DestinationContract
from fakes import MemoryDestination

if TYPE_CHECKING:
    from ecm_agent.destination.base import Destination


class TestMemoryDestination(DestinationContract):
    @pytest.fixture
    def destination(self) -> Destination:
        return MemoryDestination()
