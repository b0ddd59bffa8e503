"""What is wrong with a store is said in its own words, and nothing but an `EcmError` comes out."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from builders import CREATED, chunk, edge, execute, exhaust, fill, memory, sqlite_store, vector

from ecm_agent.errors import StoreUnreadable
from ecm_agent.model.manifest import Selection
from ecm_agent.store import connection
from ecm_agent.store.generations import ECM
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecm_agent.model.records import Batch

PAGE = 4096


def missing(_path: Path) -> None:
    pass


def directory(path: Path) -> None:
    path.mkdir()


def below_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("not a directory")


def empty(path: Path) -> None:
    path.touch()


def text(path: Path) -> None:
    path.write_text("chunks, edges and clusters\n" * 200)


def one_byte(path: Path) -> None:
    path.write_bytes(b"S")


def encrypted(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(16 * PAGE))  # noqa: S311 - the same bytes each time


def no_tables(path: Path) -> None:
    execute(path, "CREATE TABLE notes (text)")


def some_tables(path: Path) -> None:
    execute(path, ECM.ddl, "DROP TABLE edges; DROP TABLE chunk_clusters")


def some_columns(path: Path) -> None:
    execute(path, ECM.ddl, "ALTER TABLE chunks DROP COLUMN content")


@cache
def large() -> bytes:
    """Make a store whose chunks, edges and vectors are spread over many pages."""
    records: list[Batch] = [
        [chunk(f"c{number:03}", content=f"content {number:03} " * 20) for number in range(400)],
        [edge(f"e{number:03}", f"c{number:03}", f"c{399 - number:03}") for number in range(400)],
        [vector(f"c{number:03}", *range(40)) for number in range(400)],
    ]
    with TemporaryDirectory() as folder:
        path = Path(folder, "memory.db")
        fill(SqliteStore(path), records)
        return path.read_bytes()


def flip(path: Path, page: int) -> None:
    """Flip every bit of the first bytes of a page, which say what it is."""
    content = bytearray(path.read_bytes())
    for place in range(page * PAGE, page * PAGE + 8):
        content[place] ^= 255
    path.write_bytes(content)


def cut_in_half(path: Path) -> None:
    path.write_bytes(large()[: len(large()) // 2 // PAGE * PAGE])


def cut_in_the_header(path: Path) -> None:
    path.write_bytes(large()[:60])


def damaged_schema(path: Path) -> None:
    path.write_bytes(large())
    execute(
        path,
        "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = 'CREATE TABLE edges (' WHERE name = 'edges'",
    )


def damaged_row(path: Path) -> None:
    path.write_bytes(large())
    flip(path, large().index(b"content 350 ") // PAGE)


def damaged(name: str) -> Callable[[Path], None]:
    """Damage the first page of a table or an index."""

    def build(path: Path) -> None:
        path.write_bytes(large())
        with closing(sqlite3.connect(path)) as database:
            sql = "SELECT rootpage FROM sqlite_master WHERE name = ?"
            [(page,)] = database.execute(sql, (name,))
        flip(path, page - 1)

    return build


NOT_A_STORE = {
    "missing": (missing, "There is no memory store at"),
    "a directory": (directory, "cannot be read: Is a directory"),
    "below a file": (below_a_file, "cannot be read: Not a directory"),
    "an empty file": (empty, "is an empty file"),
    "text": (text, "is not a SQLite database"),
    "one byte": (one_byte, "is not a SQLite database"),
    "encrypted": (encrypted, "looks like an encrypted database"),
    "another database": (no_tables, "is a SQLite database, but no ECM memory: it has no table chunks, table edges"),
    "some tables": (some_tables, r"no ECM memory: it has no table edges, table chunk_clusters\."),
    "some columns": (some_columns, r"no ECM memory: it has no column chunks\.content\."),
}
DAMAGED = {
    "cut in half": cut_in_half,
    "cut in the header": cut_in_the_header,
    "schema": damaged_schema,
    "a row": damaged_row,
    **{name: damaged(name) for name in ("chunks", "edges", "vectors", "sqlite_autoindex_chunks_1")},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / "memory.db"


def read(path: Path) -> int:
    with SqliteStore(path).snapshot(Selection(), CREATED) as snapshot:
        return exhaust(snapshot)


@pytest.mark.parametrize("case", NOT_A_STORE)
def test_what_is_no_store_is_told_by_what_it_is(path: Path, case: str) -> None:
    """Each thing that is no memory store has a message of its own, which names its place, and a hint."""
    build, message = NOT_A_STORE[case]
    build(path)
    with pytest.raises(StoreUnreadable, match=message) as caught:
        read(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 14


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_found_and_told(path: Path, case: str) -> None:
    """Damage anywhere on the way of an export ends it, however late it shows."""
    DAMAGED[case](path)
    with pytest.raises(StoreUnreadable, match=r"is damaged \(|is not a SQLite database") as caught:
        read(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("case", NOT_A_STORE)
def test_what_is_no_store_is_never_replaced(path: Path, case: str) -> None:
    """Something at the store's place that is no store is refused, and left as it is."""
    build, message = NOT_A_STORE[case]
    build(path)
    if case == "missing":
        fill(SqliteStore(path), memory())
        return
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreUnreadable, match=message if case != "below a file" else "cannot be written"):
        fill(SqliteStore(path), memory())
    assert before is None or path.read_bytes() == before


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_store_is_replaced_whole_or_not_at_all(path: Path, case: str) -> None:
    """Writing into a damaged store either works, and it reads back, or fails and leaves the file as it was."""
    DAMAGED[case](path)
    before = path.read_bytes()
    try:
        fill(SqliteStore(path), memory())
    except StoreUnreadable:
        assert path.read_bytes() == before
    else:
        assert read(path) == sum(map(len, memory()))


def test_damage_met_while_another_store_is_written_is_told_of_the_right_one(path: Path, tmp_path: Path) -> None:
    """When records come straight from another store, the message names the store that is damaged."""
    damaged_row(path)
    target = SqliteStore(tmp_path / "target.db")
    with SqliteStore(path).snapshot(Selection(), CREATED) as snapshot:
        with pytest.raises(StoreUnreadable, match="is damaged") as caught:
            target.replace(snapshot.manifest, snapshot.batches())
        assert str(path) in caught.value.message
    assert not target.exists()


@pytest.mark.parametrize(
    ("mode", "lock"),
    [
        ("DELETE", "BEGIN EXCLUSIVE"),
        ("WAL", "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; UPDATE chunks SET content = ''"),
    ],
)
def test_a_locked_store_is_told_as_locked(path: Path, mode: str, lock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that another program keeps for itself is neither damaged nor read half; its locks stay its own."""
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.01)
    sqlite_store(path)
    execute(path, f"PRAGMA journal_mode = {mode}")
    with closing(sqlite3.connect(path, isolation_level=None)) as owner:
        owner.executescript(lock)
        for action in (lambda: read(path), lambda: fill(SqliteStore(path), memory()), SqliteStore(path).chunk_count):
            with pytest.raises(StoreUnreadable, match="is locked by another program"):
                action()
        intruder = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT * FROM chunks')"
        done = subprocess.run([sys.executable, "-c", intruder, path], check=False, capture_output=True, text=True)
        assert "database is locked" in done.stderr
        owner.execute("ROLLBACK")
        owner.execute("PRAGMA locking_mode = NORMAL")
        owner.execute("SELECT 1 FROM chunks").fetchone()
    assert read(path) == sum(map(len, memory()))


@pytest.mark.parametrize("leftover", ["memory.db-wal", "memory.db-journal"])
def test_a_leftover_without_its_store_is_not_overwritten(path: Path, leftover: str) -> None:
    """A WAL or journal whose store is missing may hold somebody's last changes: a new store is not put beside it."""
    path.with_name(leftover).write_bytes(b"the last changes")
    for action in (lambda: fill(SqliteStore(path), memory()), SqliteStore(path).create):
        with pytest.raises(StoreUnreadable, match=f"{leftover} without its memory.db"):
            action()
    assert not path.exists()
    assert path.with_name(leftover).read_bytes() == b"the last changes"


def test_a_store_cannot_be_made_where_nothing_can_be_written(path: Path) -> None:
    """A place that takes no file, such as a dangling link, is told with the reason."""
    path.symlink_to(path.with_name("nowhere"))
    with pytest.raises(StoreUnreadable, match="cannot be written: File exists"):
        fill(SqliteStore(path), memory())


@pytest.mark.parametrize("write", [False, True], ids=["to read", "to write"])
def test_a_named_pipe_is_no_store(tmp_path: Path, *, write: bool) -> None:
    """It is refused at once; SQLite would wait for its other end for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreUnreadable, match="not a regular file"), connection.connect(tmp_path / "pipe", write=write):
        pytest.fail("it was opened")
