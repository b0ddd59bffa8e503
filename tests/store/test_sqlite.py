"""The SQLite store keeps the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from contracts.store_contract import StoreContract

from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from ecm_agent.store.base import MemoryStore


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> MemoryStore:
        return SqliteStore(tmp_path / "memory.db")
