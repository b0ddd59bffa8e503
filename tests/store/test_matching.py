"""Which row of the store is the same record as one of the archive, where the id does not say."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from builders import CREATED, execute, query, sqlite_store

from ecm_agent.archive import open_archive, write_archive
from ecm_agent.model.manifest import Selection
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from ecm_agent.archive import Archive

NAMELESS = """
INSERT INTO chunks (session_id, session_slug, turn_indices, start_time, end_time, content)
VALUES ('s', 'p', '[0]', 't', 't', 'one'), ('s', 'p', '[0]', 't', 't', 'one'), ('s', 'p', '[0]', 't', 't', 'two');
UPDATE chunks SET created_at = NULL;
"""


def archive_of(store: SqliteStore) -> Archive:
    file = io.BytesIO()
    with store.snapshot(Selection(), CREATED) as snapshot:
        write_archive(file, snapshot.manifest, snapshot.batches(), seal=None, compression="none")
    return open_archive(file, None)


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    """Make a store with three chunks without an id, two of which are the same."""
    store = sqlite_store(tmp_path / "memory.db")
    execute(store.path, NAMELESS)
    return store


def test_chunks_without_an_id_are_known_by_what_they_say(store: SqliteStore) -> None:
    """Each is found again, once: merged with its own archive the store stays as it is, and a dry run says so too."""
    archive = archive_of(store)
    assert store.merge(archive.manifest, archive.batches()).none
    assert store.compare(archive.manifest, archive.batches()).none


def test_none_of_them_is_lost_or_taken_for_another(store: SqliteStore, tmp_path: Path) -> None:
    """What is new comes in, into a store that has some of them and into one that has none."""
    some, none = sqlite_store(tmp_path / "some.db"), SqliteStore(tmp_path / "none.db")
    execute(some.path, NAMELESS, "DELETE FROM chunks WHERE rowid = (SELECT max(rowid) - 1 FROM chunks)")
    archive = archive_of(store)
    assert some.merge(archive.manifest, archive.batches()).total("added") == 1
    none.merge(archive.manifest, archive.batches())
    for merged in (some, none):
        found = query(merged.path, "SELECT content FROM chunks WHERE id IS NULL ORDER BY content")
        assert found == [("one",), ("one",), ("two",)]
