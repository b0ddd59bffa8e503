"""recluster: topics are found anew, what is still the same topic keeps its name, and nothing is lost by it."""

from __future__ import annotations

import hashlib
import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import builders
import pytest
from msgspec import structs
from planted import packed, planted

from ecm_agent.archive import open_archive
from ecm_agent.cli.clusters import MIN_CLUSTER_SIZE as CLI_MIN_CLUSTER_SIZE
from ecm_agent.clustering import extra, membership_hash
from ecm_agent.errors import EcmError, StoreUnreadable, UsageError
from ecm_agent.jobs.recluster import MIN_CLUSTER_SIZE, Reclustered, recluster
from ecm_agent.jobs.safety import Kept, Safety
from ecm_agent.model.records import Chunk, Cluster, Membership, Vector
from ecm_agent.store.base import Reclustered as Written
from ecm_agent.store.base import nothing
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from workplace import Workplace

    from ecm_agent.model.records import AnyRecord, Batch

TOPICS = [8, 9, 12]
NAMES = [f"t{number:02}" for number in range(sum(TOPICS))]
FIRST, SECOND, THIRD = NAMES[:8], NAMES[8:17], NAMES[17:]


def chunks(names: Iterable[str] = NAMES) -> Batch:
    return [builders.chunk(name) for name in names]


def vectors() -> list[Vector]:
    pairs = zip(NAMES, planted(TOPICS)[0], strict=True)
    return [Vector(chunk_id=name, embedding=packed(vector)) for name, vector in pairs]


def store_of(at: Workplace, *batches: Batch) -> SqliteStore:
    store = SqliteStore(at.home / "planted.db")
    builders.fill(store, [batch for batch in batches if batch])
    return store


def memberships(of: str, members: Iterable[str]) -> list[Membership]:
    return [builders.membership(name, of) for name in members]


def run(store: SqliteStore, at: Workplace, *, dry_run: bool = False, min_cluster_size: int = 5) -> Reclustered:
    safety = Safety(at.state_dir / "safety", "laptop")
    return recluster(store, safety, at.context(None), dry_run=dry_run, min_cluster_size=min_cluster_size)


def clusters(store: SqliteStore) -> dict[str, Cluster]:
    return {record.id: record for record in builders.contents(store) if isinstance(record, Cluster)}


def members(store: SqliteStore) -> dict[frozenset[str], str]:
    """Give each cluster's id by its members."""
    return {frozenset(cluster.member_chunk_ids): name for name, cluster in clusters(store).items()}


def others(records: Iterable[AnyRecord]) -> list[AnyRecord]:
    return [record for record in records if not isinstance(record, Cluster | Membership)]


def test_topics_become_clusters(at: Workplace) -> None:
    """A memory without clusters gets one for each topic, with all that a memory keeps of a cluster but a name."""
    store = store_of(at, chunks(), vectors())
    before = builders.contents(store)
    result = run(store, at)
    assert (result.vectors, result.members, result.unclustered, result.left_out) == (29, 29, 0, {})
    assert (result.kept, result.new, result.gone, result.untouched) == (0, 3, 0, 0)
    assert members(store).keys() == {frozenset(FIRST), frozenset(SECOND), frozenset(THIRD)}
    cluster = clusters(store)[members(store)[frozenset(FIRST)]]
    assert (cluster.name, cluster.description, cluster.refreshed_at) == (None, None, None)
    assert (cluster.created_at, cluster.membership_hash) == ("2025-03-01T12:00:00.000Z", membership_hash(FIRST))
    assert isinstance(cluster.centroid, bytes)
    assert sum(number**2 for (number,) in struct.iter_unpack("<f", cluster.centroid)) == pytest.approx(1)
    distances = {
        record.chunk_id: record.distance
        for record in builders.contents(store)
        if isinstance(record, Membership) and record.cluster_id == cluster.id
    }
    assert cluster.exemplar_ids == sorted(distances, key=distances.__getitem__)[:3]
    assert all(0 < distance < 0.2 for distance in distances.values())
    assert others(builders.contents(store)) == others(before)


def test_a_second_run_changes_nothing(at: Workplace) -> None:
    """Clustering what has not changed since gives every row as it is, and calls every cluster kept."""
    store = store_of(at, chunks(), vectors())
    run(store, at)
    before = builders.rows_of(store.path)
    result = run(store, at)
    assert (result.kept, result.new, result.gone) == (3, 0, 0)
    assert builders.rows_of(store.path) == before


def test_equal_memories_get_equal_clusters(at: Workplace) -> None:
    """Ids of new clusters follow from their members, whatever the order of the rows."""
    store = store_of(at, chunks(), vectors())
    run(store, at)
    first = members(store)
    builders.fill(store, [chunks(reversed(NAMES)), vectors()[::-1]])
    assert members(store) == {}
    run(store, at)
    assert members(store) == first


def test_a_topic_that_is_still_there_keeps_its_name(at: Workplace) -> None:
    """Id, name, description and times stay with the cluster that mostly overlaps; others are new, or gone."""
    old = structs.replace(builders.cluster("old"), description="All about tides.", refreshed_at="2025-01-05")
    gone, empty = builders.cluster("gone"), builders.cluster("empty")
    batches = (memberships("old", FIRST[:5]), memberships("gone", [FIRST[5], SECOND[0], THIRD[0]]))
    store = store_of(at, chunks(), [old, gone, empty], *batches, vectors())
    result = run(store, at)
    assert (result.kept, result.new, result.gone) == (1, 2, 2)
    kept = clusters(store)["old"]
    assert members(store)[frozenset(FIRST)] == "old"
    assert (kept.name, kept.description) == ("Topic old", "All about tides.")
    assert (kept.created_at, kept.refreshed_at) == (old.created_at, old.refreshed_at)
    assert kept.membership_hash == membership_hash(FIRST)
    assert kept.centroid != old.centroid
    assert not {"gone", "empty"} & clusters(store).keys()


def test_what_has_no_vector_stays_where_it_is(at: Workplace) -> None:
    """Chunks without vectors stay in a cluster that stays, and a cluster of none but such chunks is left alone."""
    own, shared = builders.cluster("own", exemplars=["x1"]), builders.cluster("shared")
    batches = (memberships("own", ["x1", "x2"]), memberships("shared", [*FIRST, "x3"]))
    store = store_of(at, chunks([*NAMES, "x1", "x2", "x3"]), [own, shared], *batches, vectors())
    result = run(store, at)
    assert (result.kept, result.new, result.gone, result.untouched) == (1, 2, 0, 1)
    assert clusters(store)["own"] == structs.replace(own, member_chunk_ids=["x1", "x2"])
    assert members(store)[frozenset([*FIRST, "x3"])] == "shared"
    assert clusters(store)["shared"].membership_hash == membership_hash([*FIRST, "x3"])


def test_a_cluster_whose_id_cannot_be_read_goes(at: Workplace) -> None:
    """An id that is not UTF-8 is no obstacle: nobody can refer to such a cluster, and it is removed."""
    store = store_of(at, chunks([*NAMES, "x1"]), vectors())
    broken = "CAST(x'eda080' AS TEXT)"
    builders.execute(store.path, f"INSERT INTO clusters (id, name) VALUES ({broken}, 'lost')")
    builders.execute(store.path, f"INSERT INTO chunk_clusters VALUES ('x1', {broken}, 0.5)")
    assert run(store, at).new == 3
    assert len(clusters(store)) == 3
    assert store.problems() == []


def test_a_new_cluster_never_takes_an_old_ones_id(at: Workplace) -> None:
    """Where the id that follows from the members is another cluster's by now, the new cluster gets the next one."""
    store = store_of(at, chunks(), vectors())
    run(store, at)
    taken = members(store)[frozenset(FIRST)]
    builders.execute(
        store.path,
        "DELETE FROM chunk_clusters",
        *(f"INSERT INTO chunk_clusters VALUES ('{name}', '{taken}', 0.1)" for name in SECOND),
    )
    result = run(store, at)
    assert (result.kept, result.new) == (1, 2)
    assert members(store)[frozenset(SECOND)] == taken
    assert len(members(store)) == 3


def test_models_are_clustered_apart(at: Workplace) -> None:
    """Vectors of two models, or of other dimensions, never share a cluster, though they point the same way."""
    store = store_of(at, chunks(), vectors())
    builders.execute(store.path, "ALTER TABLE vectors ADD COLUMN model_id TEXT DEFAULT 'small'")
    builders.execute(store.path, "UPDATE vectors SET model_id = NULL WHERE id IN ('t17', 't18', 't19', 't20', 't21')")
    longer = {name: struct.pack("<2f", *((1, 0.1) if name < "t13" else (0.1, 1))).hex() for name in SECOND}
    for name, content in longer.items():
        builders.execute(store.path, f"UPDATE vectors SET embedding = x'{content}' WHERE id = '{name}'")
    result = run(store, at, min_cluster_size=4)
    assert result.vectors == 29
    assert frozenset(FIRST) in members(store)
    apart = [set(THIRD[:5]), set(THIRD[5:]), set(SECOND), set(FIRST)]
    assert all(sum(not group.isdisjoint(one) for group in apart) == 1 for one in members(store))
    assert {frozenset(SECOND[:5]), frozenset(SECOND[5:])} <= members(store).keys()


def test_vectors_that_cannot_be_used_are_counted(at: Workplace) -> None:
    """Vectors without a chunk, of odd bytes or values, take no part; the report says how many, and why."""
    odd = [
        Vector(chunk_id="gone", embedding=packed(planted([1])[0][0])),
        Vector(chunk_id="x1", embedding=b"odd"),
        Vector(chunk_id="x2", embedding=struct.pack("<2f", float("nan"), 1)),
        Vector(chunk_id="x3", embedding=bytes(48 * 4)),
        Vector(chunk_id="x4", embedding=b"text"),
    ]
    store = store_of(at, chunks([*NAMES, "x1", "x2", "x3", "x4"]), [*vectors(), *odd])
    builders.execute(store.path, "UPDATE vectors SET embedding = 'text' WHERE id = 'x4'")
    result = run(store, at)
    assert result.left_out == {"no chunk": 1, "not finite": 1, "odd bytes": 2, "zero": 1}
    assert (result.vectors, result.new) == (29, 3)


@pytest.mark.parametrize("there", ["no vectors", "no table of vectors", "too few", "nothing"])
def test_without_topics_nothing_changes(at: Workplace, there: str) -> None:
    """Where there are no vectors, or no topics among them, the clusters stay, and no safety archive is made."""
    batches = {"nothing": [], "too few": [chunks(), [builders.cluster("k")], memberships("k", FIRST), vectors()[:9]]}
    store = store_of(at, *batches.get(there, [chunks(), [builders.cluster("k")], memberships("k", FIRST)]))
    if there == "no table of vectors":
        builders.execute(store.path, "DROP TABLE vectors")
    before = hashlib.sha256(store.path.read_bytes()).digest()
    result = run(store, at)
    assert (result.found, result.gone, result.untouched) == (0, 0, len(clusters(store)))
    assert result.vectors == (9 if there == "too few" else 0)
    assert hashlib.sha256(store.path.read_bytes()).digest() == before
    assert not (at.state_dir / "safety").exists()


def test_a_dry_run_changes_nothing(at: Workplace) -> None:
    """A dry run reports what the run then does, and leaves every file as it was."""
    store = store_of(at, chunks(), [builders.cluster("old")], memberships("old", FIRST), vectors())
    before = {path: path.read_bytes() for path in at.home.rglob("*") if path.is_file()}
    planned = run(store, at, dry_run=True)
    assert {path: path.read_bytes() for path in at.home.rglob("*") if path.is_file()} == before
    assert structs.replace(run(store, at), dry_run=True, back=Kept()) == planned


def test_the_old_clusters_come_back_from_the_safety_archive(at: Workplace) -> None:
    """Before the clusters change, an archive of the whole store is made, and it holds the old ones."""
    store = store_of(at, chunks(), [builders.cluster("old")], memberships("old", FIRST), vectors())
    before = builders.contents(store)
    result = run(store, at)
    assert result.back.safety_archive
    assert builders.contents(store) != before
    with Path(result.back.safety_archive).open("rb") as file:
        archive = open_archive(file, None)
        store.replace(archive.manifest, archive.batches())
    assert builders.contents(store) == before


def test_tables_that_archives_do_not_hold_are_no_obstacle(at: Workplace) -> None:
    """A store with tables that nobody has heard of is clustered, and they are as they were."""
    store = store_of(at, chunks(), vectors())
    builders.execute(store.path, "CREATE TABLE moods (mood)", "INSERT INTO moods VALUES ('calm')")
    assert run(store, at).new == 3
    assert builders.rows_of(store.path)["moods"] == [(("text", b"calm"),)]


def test_without_its_safety_archive_a_store_stays(at: Workplace) -> None:
    """When the safety archive cannot be written, no cluster changes."""
    store = store_of(at, chunks(), [builders.cluster("old")], memberships("old", FIRST), vectors())
    at.state_dir.mkdir(exist_ok=True)
    (at.state_dir / "safety").write_bytes(b"in the way")
    before = builders.rows_of(store.path)
    with pytest.raises(EcmError, match="No safety archive"):
        run(store, at)
    assert builders.rows_of(store.path) == before


def test_the_memory_program_may_write_while_topics_are_found(at: Workplace) -> None:
    """While topics are found nothing is locked; what is written meanwhile stays, and a chunk that goes is left out."""
    store = store_of(at, chunks(), vectors())

    class Live(SqliteStore):
        def recluster(
            self,
            clusters: Iterable[Batch],
            memberships: Iterable[Batch],
            prepare: Callable[[], object] = nothing,
            finish: Callable[[], object] = nothing,
        ) -> Written:
            with closing(sqlite3.connect(self.path, timeout=0)) as other, other:
                other.execute("DELETE FROM chunks WHERE id = 't00'")
                other.execute("UPDATE chunks SET content = 'written meanwhile' WHERE id = 't01'")
            return super().recluster(clusters, memberships, prepare, finish)

    run(Live(store.path), at)
    assert frozenset(FIRST[1:]) in members(store)
    texts = {record.id: record.content for record in builders.contents(store) if isinstance(record, Chunk)}
    assert texts["t01"] == "written meanwhile"
    assert store.problems() == []


def test_a_missing_library_is_named(at: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the message names it and how to get it, and the store is not even read."""
    monkeypatch.setattr(extra, "_LIBRARIES", ("hdbscan_that_nobody_has", "numpy"))
    with pytest.raises(UsageError, match="hdbscan_that_nobody_has library") as caught:
        run(SqliteStore(at.home / "nowhere.db"), at)
    assert "pip install 'ecm-agent[cluster]'" in caught.value.hint


def test_a_cluster_of_one_is_refused(at: Workplace) -> None:
    """A topic needs two chunks at least."""
    with pytest.raises(UsageError, match="two"):
        run(at.store, at, min_cluster_size=1)


def test_what_is_no_store_is_refused(at: Workplace) -> None:
    """A store that does not exist is an error, and is not made."""
    with pytest.raises(StoreUnreadable):
        run(SqliteStore(at.home / "nowhere.db"), at)
    assert not (at.home / "nowhere.db").exists()


def test_the_command_line_offers_the_same_size() -> None:
    """The default that --help shows is the one a caller without a wish gets."""
    assert CLI_MIN_CLUSTER_SIZE == MIN_CLUSTER_SIZE
