"""A merge and a replacement that something happens to: at a statement of theirs, or at a byte they write.

Run as a program it lets processes of its own come to grief, one for each moment there is, and says how each ended.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
import sys
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from builders import chunk, cluster, edge, execute, manifest_of, membership, memory, sqlite_store, vector, vector_clock
from msgspec import UNSET
from msgspec.structs import replace

from ecm_agent.errors import EcmError
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ecm_agent.model.records import Batch

FULL_TEXT = """
CREATE VIRTUAL TABLE chunks_fts USING fts5(content, content = 'chunks', content_rowid = 'rowid');
CREATE TRIGGER chunks_fts_insert AFTER INSERT ON chunks BEGIN
  INSERT INTO chunks_fts(rowid, content) VALUES (new.rowid, new.content);
END;
CREATE TRIGGER chunks_fts_update AFTER UPDATE OF content ON chunks BEGIN
  INSERT INTO chunks_fts(chunks_fts, rowid, content) VALUES ('delete', old.rowid, old.content);
  INSERT INTO chunks_fts(rowid, content) VALUES (new.rowid, new.content);
END;
CREATE TRIGGER chunks_fts_delete AFTER DELETE ON chunks BEGIN
  INSERT INTO chunks_fts(chunks_fts, rowid, content) VALUES ('delete', old.rowid, old.content);
END;
INSERT INTO chunks_fts(chunks_fts) VALUES ('rebuild');
"""
NEW = "neap tide at noon; " * 400
_LATER = {"ui": 4, "human": 1}

ARRIVING: list[Batch] = [
    [chunk("c1"), replace(chunk("c3", content=NEW), vector_clock=_LATER), chunk("n1", content=NEW)],
    [replace(chunk("c4", "café-kiosk"), content="differs"), chunk("n2", content=NEW), chunk("n3", content=NEW)],
    [edge("e2", "c3", "c1"), edge("a folded one", "c4", "c3"), edge("n1", "n1", "c1"), edge("lost", "n1", "nowhere")],
    [replace(edge("e1", "c1", "nowhere"), vector_clock=_LATER), replace(edge("e3", "c2", "c2"), weight=0.9)],
    [replace(edge("", source, target), id=UNSET) for source, target in (("n1", "n2"), ("n2", "n3"), ("c2", "c2"))],
    [cluster("k1", ["n1"]), replace(cluster("k3"), refreshed_at="2025-02-01T00:00:00.000Z"), cluster("n1", ["n1"])],
    [membership("n1", "n1"), membership("nowhere", "k1"), membership("c1", "k1", 0.5)],
    [replace(vector_clock("project:tide-tables", ""), clock={"ui": 8}), vector_clock("project:new", "new")],
    [vector("n1", *range(40)), vector("c1", *range(40))],
]
"""What meets `memory()` in every way there is: nothing new, new, later, in conflict, folded, brought back, dropped."""

WHOLE = [[replace(one, content=NEW * 2) for one in memory()[0]], *memory()[1:], [vector("n1", *range(40))]]
"""What a store can be replaced by: all of its references stand."""


def merge(store: SqliteStore, batches: Iterable[Batch] = ARRIVING) -> None:
    store.merge(manifest_of(ARRIVING), batches, "theirs")


def dry_run(store: SqliteStore) -> None:
    store.merge(manifest_of(ARRIVING), ARRIVING, "theirs", dry_run=True)


def replacement(store: SqliteStore, batches: Iterable[Batch] = WHOLE) -> None:  # type: ignore[assignment] # as above
    store.replace(manifest_of([]), batches)


ACTIONS: dict[str, Callable[..., None]] = {"merge": merge, "replace": replacement}


def scene(path: Path, mode: str) -> SqliteStore:
    """Make a store that gives a merge all of its work: no vectors, no index to fold by, a full-text index, tight pages.

    One of its edges leads nowhere, as in real stores.
    """
    store = sqlite_store(path)
    execute(path, FULL_TEXT, "DROP TABLE vectors; DROP INDEX idx_edges_source")
    execute(path, "INSERT INTO edges SELECT 'loose', 'c1', 'gone', 'forward', NULL, 1, '', NULL, 1")
    execute(path, f"PRAGMA page_size = 512; VACUUM; PRAGMA journal_mode = {mode}")
    return store


State = dict[str, list[tuple[Any, ...]]]


def state(path: Path) -> State:
    """Read all there is in a file, as SQL literals, each row with its rowid, and what SQLite's own checks say of it.

    The schema and the tables of full-text indexes are in it.
    """
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        found = {"schema": database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()}
        for check in ("integrity_check", "foreign_key_check"):
            found[check] = database.execute(f"PRAGMA {check}").fetchall()
        tables = "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow')"
        for name, without_rowid in database.execute(tables).fetchall():
            columns = [column for (column,) in database.execute("SELECT name FROM pragma_table_info(?)", (name,))]
            values = ", ".join(f'quote("{column}")' for column in columns)
            sql = f'SELECT {values} FROM "{name}"' if without_rowid else f'SELECT rowid, {values} FROM "{name}"'
            found[f"rows of {name}"] = database.execute(sql).fetchall()
        for (name,) in database.execute("SELECT name FROM pragma_table_list WHERE type = 'virtual'").fetchall():
            database.execute(f"INSERT INTO {name}({name}, rank) VALUES ('integrity-check', 1)")
    assert found["integrity_check"] == [("ok",)]
    return found


class Statements:
    """Counts statements, and calls `act` with the connection when the one numbered `at` is about to run.

    Every row of an `executemany` is a statement. With `onwards`, it is called at all later ones, too.
    """

    def __init__(self, act: Callable[[sqlite3.Connection], object], at: int, *, onwards: bool = False) -> None:
        self.count = 0
        self._act = act
        self._at = at
        self._onwards = onwards

    def __call__(self, connection: sqlite3.Connection) -> None:
        self.count += 1
        if self.count == self._at or (self._onwards and self.count > self._at):
            self._act(connection)


def _quick(connection: sqlite3.Connection) -> None:
    """Wait for no disk (a killed process does not lose what the kernel has), and write early what was changed."""
    sqlite3.Connection.executescript(connection, "PRAGMA synchronous = OFF; PRAGMA cache_size = 1")


@contextmanager
def connecting(opened: type[sqlite3.Connection]) -> Iterator[None]:
    """Let every connection be of this type."""
    with patch.object(sqlite3, "connect", partial(sqlite3.connect, factory=opened)):
        yield


@contextmanager
def watched(statements: Statements) -> Iterator[None]:
    """Tell of every statement before it reaches SQLite; what `statements` raises comes out where it was given."""

    class Watched(sqlite3.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 (as sqlite3's own)
            super().__init__(*arguments, **options)
            _quick(self)

        def execute(self, *arguments: Any) -> sqlite3.Cursor:  # noqa: ANN401 (as above)
            statements(self)
            return super().execute(*arguments)

        def executemany(self, sql: str, rows: Iterable[Any], /) -> sqlite3.Cursor:
            return super().executemany(sql, self._one_by_one(rows))

        def executescript(self, script: str, /) -> sqlite3.Cursor:
            statements(self)
            return super().executescript(script)

        def _one_by_one(self, rows: Iterable[Any]) -> Iterator[Any]:
            for row in rows:
                statements(self)
                yield row

    with connecting(Watched):
        yield


@contextmanager
def killed_at(number: int) -> Iterator[None]:
    """Kill this process at the statement of that number that SQLite itself begins, those of triggers included."""
    count = 0

    def trace(_sql: str) -> None:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    class Traced(sqlite3.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 (as sqlite3's own)
            super().__init__(*arguments, **options)
            _quick(self)
            self.set_trace_callback(trace)

    with connecting(Traced):
        yield


@contextmanager
def limited(size: int, on_limit: signal.Handlers) -> Iterator[None]:
    """Let no file grow beyond a size in bytes: a write that would is refused, or kills this process half-way."""
    signal.signal(signal.SIGXFSZ, on_limit)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    with watched(Statements(id, 0)):
        yield


FATES = {
    "killed": lambda number: killed_at(number + 1),
    "refused": lambda number: limited(number * 1024, signal.SIG_IGN),
    "cut off": lambda number: limited(number * 1024, signal.SIG_DFL),
}
"""What can happen to a process, by moment; after some moment nothing happens any more."""


def _meet(fate: str, moment: int, action: str, path: Path) -> str:
    """Let a process do something to a store, and say how it ended."""
    process = os.fork()
    if not process:
        code = 70
        try:
            with FATES[fate](moment):
                ACTIONS[action](SqliteStore(path))
            code = 0
        except EcmError:
            code = 1
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return {0: "done", 1: "error"}.get(status) or (signal.Signals(-status).name if status < 0 else "traceback")


def main(fate: str, action: str, original: Path, folder: Path) -> None:
    """Go through the moments one by one, each with a copy of the store, until one leaves the action unharmed.

    Without a store at `original` there is none before. Prints how each moment ended, as JSON.
    """
    ends: list[str] = []
    while "done" not in ends:
        place = folder / str(len(ends))
        place.mkdir()
        if original.exists():
            shutil.copy(original, place / "memory.db")
        ends.append(_meet(fate, len(ends), action, place / "memory.db"))
    print(json.dumps(ends))  # noqa: T201 (this is what the test reads)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
