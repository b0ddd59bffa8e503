"""Encrypted stores keep the contract, tell what is missing when they cannot be opened, and lose nothing by a try."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from builders import CREATED, contents, edge, exhaust, fill, flat, manifest_of, memory, sqlite_store
from contracts.store_contract import StoreContract

from ecm_agent.errors import StoreUnreadable
from ecm_agent.model.manifest import Selection
from ecm_agent.model.records import Chunk, Edge, Exact
from ecm_agent.secret import Secret
from ecm_agent.store import encryption
from ecm_agent.store.ciphers import CIPHERS, Cipher, open_encrypted
from ecm_agent.store.encryption import Encryption
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from pathlib import Path

    from ecm_agent.model.records import Batch
    from ecm_agent.store.base import MemoryStore

KEY = Secret("""it's "the" key; -- ключ""")
WRONG = Secret("it's another key")
PLAIN = b"SQLite format 3\0"


def encrypted(path: Path, cipher: Cipher = "chacha20", *keys: Secret) -> SqliteStore:
    return SqliteStore(path, Encryption(lambda: keys or (KEY,), cipher, new=True))


def filled(path: Path, cipher: Cipher = "chacha20") -> SqliteStore:
    store = encrypted(path, cipher)
    fill(store, memory())
    return store


def opened(store: SqliteStore, cipher: Cipher = "chacha20") -> sqlite3.Connection:
    """Give a connection behind the store's back."""
    return open_encrypted(f"{store.path.as_uri()}?mode=rw", cipher, KEY, 0)


def refusal(path: Path, *keys: Secret, write: bool = False) -> StoreUnreadable:
    """Give the error of opening a store with these keys, having seen that it shows none."""
    store = SqliteStore(path, Encryption(lambda: keys))
    with pytest.raises(StoreUnreadable) as caught:
        fill(store, memory()) if write else store.chunk_count()
    told = f"{caught.value.message} {caught.value.hint}"
    assert not any(key.utf8().decode() in told for key in keys)
    assert caught.value.exit_code == 14
    return caught.value


class TestEncryptedStore(StoreContract):
    @pytest.fixture(params=CIPHERS)
    def store(self, tmp_path: Path, request: pytest.FixtureRequest) -> MemoryStore:
        return encrypted(tmp_path / "memory.db", request.param)


@pytest.mark.parametrize("cipher", CIPHERS)
def test_nothing_of_the_memory_is_in_the_file(tmp_path: Path, cipher: Cipher) -> None:
    """Neither SQLite's own mark nor a text, also after all has been replaced; nor does anything lie beside it."""
    store = filled(tmp_path / "memory.db", cipher)
    fill(store, memory())
    content = store.path.read_bytes()
    assert not content.startswith(PLAIN)
    assert b"high water" not in content
    assert b"CREATE TABLE" not in content
    assert list(tmp_path.iterdir()) == [store.path]


@pytest.mark.parametrize("cipher", CIPHERS)
def test_the_cipher_need_not_be_known(tmp_path: Path, cipher: Cipher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of the two a store was made with is found, and written again; a copy elsewhere has it, too."""
    filled(tmp_path / "memory.db", cipher)
    monkeypatch.setattr(encryption, "_CIPHERS", {})
    for other in CIPHERS:
        store = encrypted(tmp_path / "memory.db", other)
        fill(store, memory())
        assert encryption.cipher_of(store.path) == cipher
        copy = store.at(tmp_path / f"{other}.db")
        copy.create()
        assert encryption.cipher_of(copy.path) == cipher


def test_the_key_that_fits_is_found(tmp_path: Path) -> None:
    """Of several keys (an ECM's and a Causantic's, say) each is tried."""
    filled(tmp_path / "memory.db")
    assert encrypted(tmp_path / "memory.db", "chacha20", WRONG, KEY).chunk_count() == 5


def test_a_wrong_key_opens_nothing(tmp_path: Path) -> None:
    """The message says that it does not fit, and what else may be wrong."""
    error = refusal(filled(tmp_path / "memory.db").path, WRONG)
    assert "the key does not open it" in error.message
    assert "damaged" in error.hint


def test_without_a_key_the_message_says_where_to_give_one(tmp_path: Path) -> None:
    """The variables, and the key of the configuration."""
    error = refusal(filled(tmp_path / "memory.db").path)
    assert "there is no key to it" in error.message
    assert all(word in error.hint for word in ("ECM_DB_KEY", "CAUSANTIC_DB_KEY", "_FILE", "store: {key:"))


def test_without_the_extra_the_message_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To read an encrypted store and to make one; nothing is made in plain instead."""
    path = filled(tmp_path / "memory.db").path
    monkeypatch.setitem(sys.modules, "apsw", None)
    assert refusal(path, KEY).hint == "pip install 'ecm-agent[encrypted-store]'"
    with pytest.raises(StoreUnreadable, match="library for encrypted stores is not installed"):
        encrypted(tmp_path / "new.db").create()
    assert list(tmp_path.iterdir()) == [path]


def test_a_store_that_is_to_be_encrypted_is_never_made_in_plain(tmp_path: Path) -> None:
    """Where the key cannot be had there will be no store."""
    store = SqliteStore(tmp_path / "memory.db", Encryption(new=True))
    with pytest.raises(StoreUnreadable, match="no key to do it with"):
        fill(store, memory())
    assert list(tmp_path.iterdir()) == []


def test_a_plain_store_is_opened_whatever_the_key(tmp_path: Path) -> None:
    """As the memory programs do; no key is looked for, a replacement leaves it plain, and so is a copy of its kind."""

    def nobody_asks() -> Iterable[Secret]:
        raise AssertionError

    plain = sqlite_store(tmp_path / "memory.db").path
    store = SqliteStore(plain, Encryption(nobody_asks, new=True))
    fill(store, contents_of(store))
    store.at(tmp_path / "copy.db").create()
    assert not store.encrypted()
    assert plain.read_bytes().startswith(PLAIN)
    assert (tmp_path / "copy.db").read_bytes().startswith(PLAIN)


def contents_of(store: SqliteStore) -> list[list[Chunk]]:
    return [[record for record in contents(store) if isinstance(record, Chunk)]]


def test_a_file_that_was_replaced_by_a_plain_one_is_opened_as_such(tmp_path: Path) -> None:
    """What was once found out about a file does not stand when another has taken its place, even its inode."""
    store, plain = filled(tmp_path / "memory.db"), sqlite_store(tmp_path / "plain.db")
    assert store.chunk_count() == 5
    with store.path.open("r+b") as file:
        file.write(plain.path.read_bytes())
        file.truncate()
    assert store.chunk_count() == 5
    assert not store.encrypted()


@pytest.mark.parametrize("cipher", CIPHERS)
def test_text_that_is_not_utf8_is_kept(tmp_path: Path, cipher: Cipher) -> None:
    """It is read exactly, restored exactly, and merged with itself without a change."""
    store, other = filled(tmp_path / "memory.db", cipher), encrypted(tmp_path / "other.db", cipher)
    with closing(opened(store, cipher)) as database:
        database.execute("UPDATE chunks SET content = CAST(x'61eda080' AS TEXT) WHERE id IN ('c1', 'c4')")
    with store.snapshot(Selection(), CREATED) as snapshot:
        batches = list(snapshot.batches())
        manifest, odd = snapshot.manifest, snapshot.odd_rows
    broken = [r.columns for r in flat(batches) if isinstance(r, Chunk) and r.id in {"c1", "c4"}]
    assert broken == [{"content": Exact(text=b"a\xed\xa0\x80")}] * 2
    assert odd == 2
    other.replace(manifest, batches)
    assert contents(other) == contents(store) == list(flat(batches))
    assert other.merge(manifest, batches).none
    assert other.compare(manifest, batches).none


def test_text_that_is_not_utf8_may_stand_anywhere_among_the_rows(tmp_path: Path) -> None:
    """Read row by row or all at once, every row comes once and in its order."""
    with closing(opened(encrypted_empty(tmp_path))) as database:
        database.execute("CREATE TABLE t (a, b)")
        values = [(1, "one"), (2, b"\xff"), (3, 1.5), (4, None), (5, "five"), (6, b"\xfe")]
        database.executemany("INSERT INTO t VALUES (?, ?)", values)
        database.execute("UPDATE t SET b = CAST(b AS TEXT) WHERE a IN (2, 6)")
        database.text_factory = lambda raw: ("bytes", raw)
        sql = "SELECT a, b FROM t WHERE a < ? ORDER BY a DESC"
        rows = [(6, ("bytes", b"\xfe")), (5, "five"), (4, None), (3, 1.5), (2, ("bytes", b"\xff")), (1, "one")]
        assert database.execute(sql, (9,)).fetchall() == rows
        assert list(database.execute(sql, (9,))) == rows
        cursor = database.execute(sql, (9,))
        assert [cursor.fetchone(), cursor.fetchall(), cursor.fetchone()] == [
            rows[0],
            rows[1:],
            None,
        ]
        assert database.execute(
            "WITH w AS (SELECT b FROM t) SELECT b FROM w WHERE typeof(b) = 'text' LIMIT 2"
        ).fetchall()


def encrypted_empty(folder: Path) -> SqliteStore:
    store = encrypted(folder / "memory.db")
    store.create()
    return store


WRITER = """
import os, sys, apsw
database = apsw.Connection(sys.argv[1])
database.pragma("cipher", sys.argv[2])
database.pragma("hexkey", sys.argv[3])
database.pragma("journal_mode", sys.argv[4])
database.execute("BEGIN IMMEDIATE; DELETE FROM edges; " + sys.argv[5])
os._exit(0)
"""


def left_behind(store: SqliteStore, cipher: Cipher, mode: str, sql: str) -> list[str]:
    """Let another program change a store and be killed; give the names of what lies there then."""
    key = KEY.utf8().hex()
    subprocess.run([sys.executable, "-c", WRITER, store.path, cipher, key, mode, sql], check=True)
    return sorted(path.name for path in store.path.parent.iterdir())


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("keys", [(), (WRONG,), (WRONG, KEY)], ids=["none", "wrong", "wrong, right"])
def test_the_last_changes_in_a_wal_outlive_every_try(tmp_path: Path, cipher: Cipher, keys: tuple[Secret, ...]) -> None:
    """No try to open a store, to read or to write, clears away what a killed program left in its write-ahead log."""
    store = filled(tmp_path / "memory.db", cipher)
    assert "memory.db-wal" in left_behind(store, cipher, "WAL", "COMMIT")
    if KEY not in keys:
        for write in (False, True):
            refusal(store.path, *keys, write=write)
    copy = encrypted(tmp_path / "copy.db", cipher, *keys)
    shutil.copy(store.path, copy.path)
    shutil.copy(f"{store.path}-wal", f"{copy.path}-wal")
    looked = encrypted(copy.path, cipher, *(keys if KEY in keys else (KEY,)))
    assert not any(isinstance(record, Edge) for record in contents(looked))
    new: list[Batch] = [[edge("new", "c1", "c2")]]
    assert looked.merge(manifest_of(new), new).total("added") == 1
    assert looked.problems() == []


@pytest.mark.parametrize("cipher", CIPHERS)
def test_half_a_change_of_a_killed_program_is_undone(tmp_path: Path, cipher: Cipher) -> None:
    """As in a plain store: the next reader rolls it back first."""
    store = filled(tmp_path / "memory.db", cipher)
    spill = "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; UPDATE chunks SET content = hex(zeroblob(90000))"
    assert "memory.db-journal" in left_behind(store, cipher, "DELETE", spill)
    assert contents(store) == list(flat(memory()))
    assert store.problems() == []


INTRUDER = """
import sys, apsw
database = apsw.Connection(sys.argv[1])
database.pragma("cipher", "chacha20")
database.pragma("hexkey", sys.argv[2])
database.execute("DELETE FROM vectors")
"""


def test_a_reader_keeps_its_hold_when_another_one_in_the_process_ends(tmp_path: Path) -> None:
    """Looking at a store again, in whichever way, leaves the first reader protected from writers in other processes."""
    store = filled(tmp_path / "memory.db")
    with store.snapshot(Selection(), CREATED) as first:
        assert contents(store) == list(flat(memory()))
        assert encrypted(store.path).encrypted()
        refusal(store.path, WRONG)
        intruder = [sys.executable, "-c", INTRUDER, str(store.path), KEY.utf8().hex()]
        done = subprocess.run(intruder, check=False, capture_output=True, text=True)
        assert "database is locked" in done.stderr
        assert exhaust(first) == len(list(flat(memory())))


@pytest.mark.parametrize("page", [1, 3])
def test_damage_is_found_and_told(tmp_path: Path, page: int) -> None:
    """A page that was changed is no page of this store."""
    store = filled(tmp_path / "memory.db")
    content = bytearray(store.path.read_bytes())
    content[page * 4096 + 100] ^= 1
    store.path.write_bytes(content)
    with pytest.raises(StoreUnreadable, match=r"is damaged \("):
        contents(store)
