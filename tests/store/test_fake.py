"""The fake keeps the contract of the real store, so that other tests may rely on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from contracts.store_contract import StoreContract
from fakes import MemoryStoreFake

if TYPE_CHECKING:
    from ecm_agent.store.base import MemoryStore


class TestMemoryStoreFake(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStoreFake()
