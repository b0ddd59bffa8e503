"""Encrypted stores keep the contract, and tell what is missing when they cannot be opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from contracts.store_contract import StoreContract

from ecm_agent.secret import Secret
from ecm_agent.store.ciphers import CIPHERS
from ecm_agent.store.encryption import Encryption
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from ecm_agent.store.base import MemoryStore

KEY = Secret("""it's "the" key; -- ключ""")


class TestEncryptedStore(StoreContract):
    @pytest.fixture(params=CIPHERS)
    def store(self, tmp_path: Path, request: pytest.FixtureRequest) -> MemoryStore:
        return SqliteStore(tmp_path / "memory.db", Encryption(lambda: [KEY], request.param, new=True))
