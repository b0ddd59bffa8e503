"""What a re-clustering does to stores of other generations, and to what we do not know in them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import builders
import pytest
from msgspec import UNSET, structs

from ecm_agent.errors import StoreUnreadable

if TYPE_CHECKING:
    from pathlib import Path

    from ecm_agent.model.records import Batch, Cluster
    from ecm_agent.store.sqlite import SqliteStore

MEMBERS: list[Batch] = [[builders.membership("c1", "k1", 0.125), builders.membership("c2", "new", 0.25)]]


def found(name: str) -> Cluster:
    return structs.replace(builders.cluster(name, exemplars=["c1"]), name=None, centroid=b"\0\0\x80\x3f")


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return builders.sqlite_store(tmp_path / "memory.db")


def test_columns_a_store_lacks_are_not_written(store: SqliteStore) -> None:
    """An older store without centroids, hashes and times is clustered as well, as far as it has columns."""
    for column in ("centroid", "membership_hash", "created_at", "refreshed_at"):
        builders.execute(store.path, f"ALTER TABLE clusters DROP COLUMN {column}")
    store.recluster([[found("k1"), found("new")]], MEMBERS)
    assert builders.query(store.path, "SELECT * FROM clusters ORDER BY id") == [
        ("k1", "Topic k1", None, '["c1"]'),
        ("new", None, None, '["c1"]'),
    ]


def test_columns_we_do_not_know_stay(store: SqliteStore) -> None:
    """A cluster or membership that stays keeps what a newer generation says about it."""
    for table in ("clusters", "chunk_clusters"):
        builders.execute(store.path, f"ALTER TABLE {table} ADD COLUMN mood TEXT", f"UPDATE {table} SET mood = 'calm'")
    store.recluster([[found("k1"), found("new")]], MEMBERS)
    assert builders.query(store.path, "SELECT id, mood FROM clusters ORDER BY id") == [("k1", "calm"), ("new", None)]
    assert builders.query(store.path, "SELECT chunk_id, distance, mood FROM chunk_clusters ORDER BY 1") == [
        ("c1", 0.125, "calm"),
        ("c2", 0.25, None),
    ]


def test_rows_that_refer_to_a_cluster_follow_the_schema(store: SqliteStore) -> None:
    """What cascades goes with a cluster that goes, and stays with one that stays; a store that forbids it is left."""
    builders.execute(
        store.path,
        "CREATE TABLE pins (cluster_id TEXT REFERENCES clusters(id) ON DELETE CASCADE)",
        "INSERT INTO pins VALUES ('k1'), ('k2')",
    )
    store.recluster([[found("k1")]], [])
    assert builders.query(store.path, "SELECT * FROM pins") == [("k1",)]
    builders.execute(store.path, "CREATE TABLE seals (cluster_id REFERENCES clusters(id))")
    builders.execute(store.path, "INSERT INTO seals VALUES ('k1')")
    before = builders.rows_of(store.path)
    with pytest.raises(StoreUnreadable, match="FOREIGN KEY"):
        store.recluster([[found("new")]], [])
    assert builders.rows_of(store.path) == before


def test_a_cluster_whose_id_cannot_be_read_is_no_obstacle(store: SqliteStore) -> None:
    """Ids that are not UTF-8, or missing, belong to clusters that were not given: they go."""
    builders.execute(store.path, "INSERT INTO clusters (id) VALUES (CAST(x'eda080' AS TEXT)), (NULL)")
    store.recluster([[found("k1")]], [])
    assert builders.query(store.path, "SELECT id FROM clusters") == [("k1",)]


def test_an_embedding_may_be_a_list_of_numbers(store: SqliteStore) -> None:
    """A centroid given as numbers is stored as float32, for a new cluster and for one that stays; NULL stays NULL."""
    clusters: list[Cluster] = [
        structs.replace(found("k1"), centroid=[1.0]),
        structs.replace(found("new"), centroid=[1.0]),
        structs.replace(found("k2"), centroid=None, exemplar_ids=UNSET),
    ]
    store.recluster([clusters], [])
    assert builders.query(store.path, "SELECT id, centroid, exemplar_ids FROM clusters ORDER BY id") == [
        ("k1", b"\0\0\x80\x3f", '["c1"]'),
        ("k2", None, '["c2","c3"]'),
        ("new", b"\0\0\x80\x3f", '["c1"]'),
    ]


@pytest.mark.parametrize("table", ["clusters", "chunk_clusters"])
@pytest.mark.parametrize("event", ["INSERT", "UPDATE", "DELETE"])
def test_a_failure_at_any_statement_leaves_the_store(store: SqliteStore, table: str, event: str) -> None:
    """Whichever change of a table fails, every row of every table is as it was, and the store can be written again."""
    trigger = f"CREATE TRIGGER fault BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'a planted fault'); END"
    builders.execute(store.path, trigger)
    before = builders.rows_of(store.path)
    with pytest.raises(StoreUnreadable, match="planted fault"):
        store.recluster([[found("k1"), found("new")]], MEMBERS)
    assert builders.rows_of(store.path) == before
    assert store.problems() == []
    builders.execute(store.path, "DROP TRIGGER fault")
    assert store.recluster([[found("k1"), found("new")]], MEMBERS).added == 1


def test_a_store_that_another_program_writes_to_is_left(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody else holds the store locked, nothing is prepared or changed, and the lock is named."""
    monkeypatch.setattr("ecm_agent.store.connection.BUSY_SECONDS", 0.01)
    prepared: list[bool] = []
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnreadable, match="locked"):
            store.recluster([[found("k1")]], [], lambda: prepared.append(True))
    assert prepared == []
