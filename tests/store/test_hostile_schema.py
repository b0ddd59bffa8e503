"""What an archive says of a store's schema is never executed: it is made anew, left out and named, or refused."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from builders import rows_of, sqlite_store
from injection import connecting
from smuggling import ATTEMPTS, honest

from ecm_agent.archive import open_archive
from ecm_agent.errors import ArchiveInvalid
from ecm_agent.store.sqlite import SqliteStore
from ecm_agent.store.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from smuggling import Document

    from ecm_agent.archive import Archive


@contextmanager
def nothing_smuggled() -> Iterator[list[str]]:
    """Look at every statement that SQLite runs, those within others too; give them.

    What an archive calls "smuggled" may stand in one as a quoted name or a text, never as a word.
    """
    seen: list[str] = []

    class Watched(sqlite3.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 (as sqlite3's own)
            super().__init__(*arguments, **options)
            self.execute("PRAGMA synchronous = OFF")
            self.set_trace_callback(seen.append)

    with connecting(Watched):
        yield seen
    words = {token.text.lower() for sql in seen for token in tokens(sql) if token.kind == "word"}
    assert not {word for word in words if "smuggled" in word or word in {"attach", "load_extension"}}


def archive_of(document: Document) -> Archive:
    return open_archive(io.BytesIO(json.dumps(document).encode()), None)


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.iterdir()}


def replaced(store: SqliteStore, archive: Archive) -> None:
    store.replace(archive.manifest, archive.batches())


def merged(store: SqliteStore, archive: Archive) -> None:
    store.merge(archive.manifest, archive.batches(), "theirs")


def compared(store: SqliteStore, archive: Archive) -> None:
    store.compare(archive.manifest, archive.batches())


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    return honest(tmp_path_factory.mktemp("honest") / "memory.db")


@pytest.mark.parametrize(
    ("do", "there"), [(replaced, False), (merged, False), (compared, False), (replaced, True), (merged, True)]
)
@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_nothing_an_archive_says_is_executed(
    attempt: str, there: bool, do: Callable[[SqliteStore, Archive], None], document: Document, tmp_path: Path
) -> None:
    """Either it works, and what came of it is a sound store; or it is refused, and all is as it was, to the byte."""
    hostile = json.loads(json.dumps(document))
    ATTEMPTS[attempt](hostile)
    store = SqliteStore(tmp_path / "memory.db")
    if there:
        sqlite_store(store.path)
    before = files(tmp_path)
    refused = ""
    try:
        with nothing_smuggled():
            do(store, archive_of(hostile))
    except ArchiveInvalid as error:
        refused = error.message
    if refused or do is compared:
        assert files(tmp_path) == before
        assert "\n" not in refused
        return
    assert store.problems() == []
    assert {path.name for path in tmp_path.iterdir()} == {"memory.db"}
    with closing(sqlite3.connect(store.path)) as database:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        assert "smuggled" not in names
        assert not {name for name in names if name.startswith("pragma_")}
    assert len(rows_of(store.path)["chunks"]) == 5


@pytest.mark.parametrize("table", ["chunks", "edges", "schema_version", "sqlite_master", "sqlite_sequence", "seen"])
@pytest.mark.parametrize("do", [replaced, merged])
def test_rows_go_to_tables_of_no_other_kind(
    table: str, do: Callable[[SqliteStore, Archive], None], document: Document, tmp_path: Path
) -> None:
    """Not to ECM's own tables, nor SQLite's, nor to what is no table: such rows are named as having no place."""
    hostile = json.loads(json.dumps(document))
    ATTEMPTS["table 'seen'"](hostile)
    described = next(one for one in hostile["metadata"]["schema"]["tables"] if one["name"] == "seen")
    described["name"] = table
    for row in hostile["rows"]:
        row["table"] = table if row["table"] == "seen" else row["table"]
    store = SqliteStore(tmp_path / "memory.db")
    honest(store.path)
    before = rows_of(store.path)
    archive = archive_of(hostile)
    changes = (store.replace if do is replaced else store.merge)(archive.manifest, archive.batches())
    assert changes.no_place == {table: 1}
    assert {name: rows for name, rows in rows_of(store.path).items() if name != "notes"} == {
        name: rows for name, rows in before.items() if name != "notes"
    }


def test_the_archive_that_all_are_made_from_is_good(document: Document, tmp_path: Path) -> None:
    """Else nothing of the above would prove anything."""
    store = SqliteStore(tmp_path / "memory.db")
    with nothing_smuggled() as seen:
        archive = archive_of(document)
        made = store.replace(archive.manifest, archive.batches())
    assert (made.not_made, made.no_place) == (["view seen"], {})
    assert any("CREATE TABLE" in sql and "notes" in sql for sql in seen)
