"""What every `MemoryStore` keeps to. Subclass `StoreContract` in a test module and override `store`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from builders import (
    CREATED,
    chunk,
    cluster,
    contents,
    edge,
    exhaust,
    fill,
    flat,
    manifest_of,
    membership,
    memory,
    vector,
    vector_clock,
)
from msgspec import UNSET, structs

from ecm_agent.errors import ArchiveInvalid, EcmError, MergeConflicts, StoreUnreadable, UsageError
from ecm_agent.model.manifest import Selection
from ecm_agent.model.records import RECORD_TYPES, Chunk, Cluster, Edge, Membership, Vector, VectorClock
from ecm_agent.store.base import Reclustered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ecm_agent.model.records import AnyRecord, Batch, RecordType
    from ecm_agent.store.base import MemoryStore

NEWER: list[Batch] = [[chunk("n1"), chunk("n2")], [edge("n", "n1", "n2")]]


MEMBERS: list[Batch] = [[membership("c1", "k1", 0.125), membership("c2", "k1", 0.5)], [membership("c4", "new", 0.0)]]


def found(name: str, *exemplars: str) -> Cluster:
    """Make a cluster as a re-clustering gives it."""
    return Cluster(
        id=name,
        name=None,
        description=None,
        centroid=b"\0\0\x80\x3f",
        exemplar_ids=list(exemplars),
        membership_hash=f"of {name}",
        created_at=CREATED,
        refreshed_at=None,
    )


def others(records: Iterable[AnyRecord]) -> list[AnyRecord]:
    """Give all that a re-clustering leaves alone."""
    return [record for record in records if not isinstance(record, Cluster | Membership)]


def numberless(records: Iterable[AnyRecord]) -> list[AnyRecord]:
    """Give records without their row numbers, which not every store has."""
    return [structs.replace(record, row_number=UNSET) for record in records]


class Interruption(BaseException):
    """Not even an `Exception`, as a Ctrl-C is."""


def breaking_off(batches: Iterable[Batch], error: BaseException) -> Iterator[Batch]:
    yield from batches
    raise error


def names(records: Iterable[AnyRecord], kind: RecordType) -> list[str]:
    """Give the id of each record of a kind; a membership and a vector go by their chunk's."""
    attribute = "chunk_id" if kind in {Membership, Vector} else "id"
    return [getattr(record, attribute) for record in records if type(record) is kind]


class StoreContract:
    @pytest.fixture
    def store(self) -> MemoryStore:
        """Give a store that does not exist yet."""
        raise NotImplementedError

    @pytest.fixture
    def filled(self, store: MemoryStore) -> MemoryStore:
        fill(store, memory())
        return store

    def test_a_snapshot_gives_what_was_written(self, store: MemoryStore) -> None:
        """Every record comes back as it was, kinds in the order of an archive's sections, each in its own order."""
        replaced = fill(store, memory())
        assert contents(store) == list(flat(memory()))
        assert replaced.records == {
            "chunks": 5,
            "edges": 4,
            "clusters": 3,
            "memberships": 3,
            "vectorClocks": 2,
            "vectors": 4,
        }
        assert replaced.no_place == {}

    def test_the_manifest_counts_what_the_batches_give(self, filled: MemoryStore) -> None:
        """Counts, projects and time in the manifest are those of this snapshot."""
        with filled.snapshot(Selection(), "2025-06-01T00:00:00.000Z") as snapshot:
            records = list(flat(snapshot.batches()))
            for kind in RECORD_TYPES:
                assert snapshot.manifest.count(kind) == sum(type(record) is kind for record in records)
            assert snapshot.manifest.projects == ["", "café-kiosk", "tide-tables"]
            assert snapshot.manifest.created == "2025-06-01T00:00:00.000Z"
            assert not snapshot.manifest.partial
            assert snapshot.manifest.dangling == {}
            assert (snapshot.oddities, snapshot.odd_rows) == ([], 0)

    def test_vectors_without_a_chunk_are_told(self, filled: MemoryStore) -> None:
        """They are counted and named for a whole export; one of some projects has none."""
        with filled.snapshot(Selection(), "") as snapshot:
            assert snapshot.vectors_without_chunk() == (1, ["gone"])
        with filled.snapshot(Selection(projects=("",)), "") as snapshot:
            assert snapshot.vectors_without_chunk() == (0, [])

    def test_no_batch_is_empty(self, filled: MemoryStore) -> None:
        """Whoever reads may look at the first record of a batch to know its kind, which all the others share."""
        with filled.snapshot(Selection(), CREATED) as snapshot:
            assert all(len({type(record) for record in batch}) == 1 for batch in snapshot.batches())

    def test_a_new_store_is_empty(self, store: MemoryStore) -> None:
        """What `create` makes exists and holds nothing."""
        assert not store.exists()
        assert store.chunk_count() == 0
        store.create()
        assert store.exists()
        assert store.chunk_count() == 0
        with store.snapshot(Selection(), CREATED) as snapshot:
            assert snapshot.manifest.projects == []
            assert exhaust(snapshot) == snapshot.manifest.chunk_count == 0

    def test_create_refuses_a_store_that_is_there(self, filled: MemoryStore) -> None:
        """An existing store is never emptied by making a new one."""
        with pytest.raises(EcmError, match="already"):
            filled.create()
        assert contents(filled) == list(flat(memory()))

    def test_a_store_elsewhere_is_encrypted_as_this_one_is(self, filled: MemoryStore, tmp_path: Path) -> None:
        """Of one kind are both or neither; what does not exist is not encrypted yet."""
        other = filled.at(tmp_path / "other.db")
        assert not other.encrypted()
        other.create()
        assert other.encrypted() == filled.encrypted()

    def test_chunks_are_counted(self, filled: MemoryStore) -> None:
        """`chunk_count` tells how many chunks there are."""
        assert filled.chunk_count() == 5

    def test_replace_leaves_nothing_of_the_old_content(self, filled: MemoryStore) -> None:
        """After a replacement the store holds the new records only, whatever it held before."""
        fill(filled, NEWER)
        assert contents(filled) == list(flat(NEWER))

    def test_replace_by_nothing_empties(self, filled: MemoryStore) -> None:
        """Replacing by no records at all leaves an empty store."""
        assert fill(filled, []).records == {}
        assert contents(filled) == []

    @pytest.mark.parametrize("error", [OSError("the network is gone"), Interruption()], ids=["error", "interruption"])
    def test_batches_that_break_off_change_nothing(self, filled: MemoryStore, error: BaseException) -> None:
        """An error raised by the batches half-way comes through as it is, and the old content stays."""
        with pytest.raises(type(error)) as caught:
            filled.replace(manifest_of(NEWER), breaking_off(NEWER, error))
        assert caught.value is error
        assert contents(filled) == list(flat(memory()))

    def test_what_is_about_to_go_can_be_seen_first(self, filled: MemoryStore) -> None:
        """`prepare` runs once, before anything changes; it sees all that is about to be replaced."""
        seen: list[list[AnyRecord]] = []
        filled.replace(manifest_of(NEWER), NEWER, lambda: seen.append(contents(filled)))
        assert seen == [list(flat(memory()))]
        assert contents(filled) == list(flat(NEWER))

    def test_what_cannot_be_prepared_changes_nothing(self, filled: MemoryStore) -> None:
        """An error of `prepare` comes through, and the store stays as it was."""

        def fail() -> None:
            raise EcmError("no room for a safety archive")

        with pytest.raises(EcmError, match="no room"):
            filled.replace(manifest_of(NEWER), NEWER, fail)
        assert contents(filled) == list(flat(memory()))

    def test_batches_that_break_off_make_no_store(self, store: MemoryStore) -> None:
        """A store that did not exist does not exist after a replacement that failed."""
        with pytest.raises(Interruption):
            store.replace(manifest_of(NEWER), breaking_off(NEWER, Interruption()))
        assert not store.exists()

    @pytest.mark.parametrize(
        "twice",
        [
            [[chunk("n1"), chunk("n1")]],
            [[chunk("n1")], [chunk("n2"), chunk("n1")]],
            [[chunk("c")], [edge("n1", "c", "c"), edge("n1", "c", "c")]],
            [[cluster("n1"), cluster("n1")]],
            [[chunk("n1")], [cluster("k")], [membership("n1", "k"), membership("n1", "k", 0.5)]],
            [[vector_clock("n1", "tide-tables"), vector_clock("n1", "")]],
            [[vector("n1", 1.0), vector("n1", 2.0)]],
        ],
        ids=["chunk", "chunk in another batch", "edge", "cluster", "membership", "vector clock", "vector"],
    )
    def test_two_records_of_one_id_are_refused(self, filled: MemoryStore, twice: list[Batch]) -> None:
        """An archive that says something twice is invalid; the message names it, and nothing is changed."""
        with pytest.raises(ArchiveInvalid, match="n1"):
            fill(filled, twice)
        assert contents(filled) == list(flat(memory()))

    @pytest.mark.parametrize(
        ("loose", "named"),
        [
            ([[chunk("n1")], [edge("loose", "n1", "nowhere")]], "loose.*nowhere"),
            ([[chunk("n1")], [edge("loose", "nowhere", "n1")]], "loose.*nowhere"),
            ([[cluster("loose")], [membership("nowhere", "loose")]], "loose.*nowhere"),
            ([[chunk("loose")], [membership("loose", "nowhere")]], "loose.*nowhere"),
        ],
        ids=["edge to nowhere", "edge from nowhere", "member nowhere", "membership in nothing"],
    )
    def test_a_record_that_refers_to_nothing_is_refused(
        self, filled: MemoryStore, loose: list[Batch], named: str
    ) -> None:
        """An edge or a membership without its ends makes the archive invalid; it is named, and nothing is changed."""
        with pytest.raises(ArchiveInvalid, match=named):
            fill(filled, loose)
        assert contents(filled) == list(flat(memory()))

    def test_what_refers_to_nothing_in_an_original_archive_is_dropped(self, filled: MemoryStore) -> None:
        """In an archive of a memory program such records are left out and counted, and a comparison says so before."""
        good = [chunk("c1", ""), chunk("c3")], [edge("e2", "c3", "c1")], [cluster("k1")]
        loose = [edge("e1", "c1", "nowhere"), edge("new", "nowhere", "c3")], [membership("c1", "nowhere")]
        batches: list[Batch] = [good[0], good[1], loose[0], good[2], [membership("c3", "k1")], loose[1]]
        manifest = structs.replace(manifest_of(batches), membership_count=None)
        changes = filled.compare(manifest, batches)
        assert (changes.total("dropped", "edges"), changes.total("dropped", "memberships")) == (2, 1)
        assert (changes.total("removed", "edges"), changes.total("skipped", "edges")) == (3, 1)
        assert contents(filled) == list(flat(memory()))
        replaced = filled.replace(manifest, batches)
        assert replaced.dropped.records == {"edges": 2, "memberships": 1}
        assert replaced.records == {"chunks": 2, "edges": 1, "clusters": 1, "memberships": 1}
        left = contents(filled)
        assert (names(left, Edge), names(left, Membership)) == (["e2"], ["c3"])

    def test_what_belongs_to_a_project_is_selected(self, filled: MemoryStore) -> None:
        """Edges come with both ends, clusters with the members and exemplars that are selected, or not at all."""
        selection = Selection(projects=("tide-tables",))
        records = contents(filled, selection)
        assert names(records, Chunk) == ["c3", "c1"]
        assert names(records, Edge) == ["e2"]
        assert names(records, VectorClock) == ["project:tide-tables"]
        assert names(records, Vector) == ["c3", "c1"]
        assert [(record.id, record.member_chunk_ids) for record in records if isinstance(record, Cluster)] == [
            ("k2", ["c3"]),
            ("k1", ["c1"]),
        ]
        assert [record.exemplar_ids for record in records if isinstance(record, Cluster)] == [["c3"], ["c1"]]
        assert names(records, Membership) == ["c3", "c1"]
        with filled.snapshot(selection, CREATED) as snapshot:
            assert snapshot.manifest.selected_projects == snapshot.manifest.projects == ["tide-tables"]
            assert snapshot.manifest.partial
            for kind in RECORD_TYPES:
                assert snapshot.manifest.count(kind) == sum(type(record) is kind for record in records)

    def test_several_projects_are_selected_together(self, filled: MemoryStore) -> None:
        """Edges between two selected projects belong to the export; naming a project twice selects it once."""
        selection = Selection(projects=("tide-tables", "", "tide-tables"))
        records = contents(filled, selection)
        assert names(records, Chunk) == ["c3", "c1", "c2"]
        assert names(records, Edge) == ["e2", "e1", "e3"]
        with filled.snapshot(selection, CREATED) as snapshot:
            assert snapshot.manifest.selected_projects == ["", "tide-tables"]

    def test_the_project_without_a_name_is_selected(self, filled: MemoryStore) -> None:
        """The empty string is a project like any other, and does not mean all of them."""
        records = contents(filled, Selection(projects=("",)))
        assert names(records, Chunk) == ["c2"]
        assert names(records, Edge) == ["e3"]
        assert names(records, Cluster) == ["k2"]
        assert names(records, VectorClock) == ["agent::ui"]
        assert names(records, Vector) == ["c2"]

    def test_a_selection_restores(self, filled: MemoryStore) -> None:
        """What a selection gives can stand alone: it replaces a store without anything missing."""
        selection = Selection(projects=("tide-tables",))
        records = contents(filled, selection)
        with filled.snapshot(selection, CREATED) as snapshot:
            batches = list(snapshot.batches())
        filled.replace(manifest_of(batches), batches)
        assert contents(filled) == records

    def test_an_unknown_project_is_refused(self, filled: MemoryStore) -> None:
        """A project that is not there is a mistake to point out with its near misses, not an empty export."""
        with (
            pytest.raises(UsageError, match="tide-table'") as caught,
            filled.snapshot(Selection(projects=("tide-table",)), CREATED),
        ):
            pass
        assert "'tide-tables'" in caught.value.hint
        assert "kiosk" not in caught.value.hint

    def test_vectors_can_be_left_out(self, filled: MemoryStore) -> None:
        """Without vectors, the manifest announces none and says how many were left out."""
        with filled.snapshot(Selection(vectors=False), CREATED) as snapshot:
            assert names(flat(snapshot.batches()), Vector) == []
            assert snapshot.manifest.vector_count is None
            assert snapshot.manifest.left_out == {"vectors": 4}
            assert snapshot.manifest.partial

    def test_orphans_can_be_left_out(self, filled: MemoryStore) -> None:
        """Without orphans, vectors whose chunk is gone are neither given nor announced, but counted as dangling."""
        with filled.snapshot(Selection(orphans=False), CREATED) as snapshot:
            assert names(flat(snapshot.batches()), Vector) == ["c3", "c2", "c1"]
            assert snapshot.manifest.vector_count == 3
            assert snapshot.manifest.dangling == {"vectors": 1}
        with filled.snapshot(Selection(vectors=False, orphans=False), CREATED) as snapshot:
            assert snapshot.manifest.vector_count is None
            assert snapshot.manifest.dangling == {}

    def test_only_the_kinds_asked_for_are_read(self, filled: MemoryStore) -> None:
        """A snapshot gives the kinds that are asked for as ever, and nothing of the others."""
        with filled.snapshot(Selection(), CREATED) as snapshot:
            records = list(flat(snapshot.batches((Vector, Cluster))))
        assert records == [record for record in contents(filled) if isinstance(record, Vector | Cluster)]

    def test_chunks_can_be_named_without_being_read(self, filled: MemoryStore) -> None:
        """`chunk_ids` gives the id of every selected chunk."""
        with filled.snapshot(Selection(), CREATED) as snapshot:
            assert sorted(snapshot.chunk_ids()) == ["c1", "c2", "c3", "c4", "c5"]
        with filled.snapshot(Selection(projects=("tide-tables",)), CREATED) as snapshot:
            assert sorted(snapshot.chunk_ids()) == ["c1", "c3"]

    def test_clusters_give_way_to_others(self, filled: MemoryStore) -> None:
        """A cluster that stays keeps its name and times, others come and go, and no other record is touched."""
        before = contents(filled)
        done = filled.recluster(
            [[structs.replace(found("k1", "c1", "c2"), name="not this"), found("new", "c4")]], MEMBERS
        )
        assert done == Reclustered(updated=1, added=1, removed=2, memberships=3, without_chunk=0)
        after = numberless(contents(filled))
        kept, new = (record for record in after if isinstance(record, Cluster))
        assert kept == structs.replace(
            cluster("k1"),
            member_chunk_ids=["c1", "c2"],
            centroid=b"\0\0\x80\x3f",
            exemplar_ids=["c1", "c2"],
            membership_hash="of k1",
        )
        assert new == structs.replace(found("new", "c4"), member_chunk_ids=["c4"])
        assert [record for record in after if isinstance(record, Membership)] == list(flat(MEMBERS))
        assert others(after) == others(before)

    def test_what_a_cluster_does_not_say_stays(self, filled: MemoryStore) -> None:
        """A cluster given without centroid, exemplars and hash keeps those it has."""
        filled.recluster([[Cluster(id="k1", name=None, description=None)]], [[membership("c1", "k1")]])
        (kept,) = (record for record in numberless(contents(filled)) if isinstance(record, Cluster))
        assert kept == cluster("k1", ["c1"], ["c1"])

    def test_a_member_that_has_gone_is_left_out(self, filled: MemoryStore) -> None:
        """A membership of a chunk that is not there is counted, and not written."""
        done = filled.recluster([[found("new", "c1")]], [[membership("gone", "new"), membership("c1", "new")]])
        assert (done.memberships, done.without_chunk) == (1, 1)
        assert names(contents(filled), Membership) == ["c1"]

    def test_without_clusters_there_are_none(self, filled: MemoryStore) -> None:
        """Nothing given leaves no cluster and no membership."""
        assert filled.recluster([], []).removed == 3
        assert others(contents(filled)) == contents(filled)

    @pytest.mark.parametrize("error", [OSError("a bad disk"), Interruption()], ids=["error", "interruption"])
    @pytest.mark.parametrize("where", ["before", "clusters", "memberships"])
    def test_a_reclustering_that_breaks_off_changes_nothing(
        self, filled: MemoryStore, error: BaseException, where: str
    ) -> None:
        """An error half-way comes through as it is, and every record stays as it was."""

        def fail() -> None:
            if where == "before":
                raise error

        clusters: Iterable[Batch] = [[found("k1", "c1"), found("new", "c4")]]
        members: Iterable[Batch] = MEMBERS
        with pytest.raises(type(error)) as caught:
            filled.recluster(
                breaking_off(clusters, error) if where == "clusters" else clusters,
                breaking_off(members, error) if where == "memberships" else members,
                fail,
            )
        assert caught.value is error
        assert contents(filled) == list(flat(memory()))

    def test_a_store_that_is_not_there_has_no_clusters(self, store: MemoryStore) -> None:
        """What does not exist cannot be clustered, and does not come to be."""
        with pytest.raises(StoreUnreadable):
            store.recluster([], [])
        assert not store.exists()

    def test_a_snapshot_stands_still(self, filled: MemoryStore) -> None:
        """Two snapshots of an unchanged store give the same."""
        assert contents(filled) == contents(filled)

    def test_a_merge_joins_what_both_know(self, filled: MemoryStore) -> None:
        """What is new comes, what is known is skipped, and what is there stays."""
        changes = filled.merge(manifest_of([]), [[chunk("c1"), chunk("n1")], [edge("n", "c1", "n1")]])
        assert (changes.total("added"), changes.total("skipped")) == (2, 1)
        assert {"c1", "c3", "n1"} <= set(names(contents(filled), Chunk))
        assert names(contents(filled), Edge)[-1] == "n"

    def test_a_merge_makes_a_store(self, store: MemoryStore) -> None:
        """Where there is none, a merge makes one that holds the records."""
        store.merge(manifest_of([]), NEWER)
        assert contents(store) == list(flat(NEWER))

    def test_a_dry_merge_changes_nothing(self, filled: MemoryStore) -> None:
        """A dry run counts as the merge does, conflicts included, whatever was to become of them."""
        newer: list[Batch] = [[chunk("c1", content="other"), chunk("n1")]]
        planned = filled.merge(manifest_of([]), newer, "fail", dry_run=True)
        assert (planned.total("added"), planned.total("conflicts")) == (1, 1)
        assert contents(filled) == list(flat(memory()))

    def test_conflicts_that_are_to_fail_change_nothing(self, filled: MemoryStore) -> None:
        """With `fail` one conflict is enough, and what was new does not come either."""
        with pytest.raises(MergeConflicts):
            filled.merge(manifest_of([]), [[chunk("c1", content="other"), chunk("n1")]], "fail")
        assert contents(filled) == list(flat(memory()))

    def test_a_record_that_comes_twice_is_not_merged(self, filled: MemoryStore) -> None:
        """An archive that holds a record twice is not merged, wherever the two stand."""
        with pytest.raises(ArchiveInvalid):
            filled.merge(manifest_of([]), [[chunk("n1")], [chunk("n1")]])
        assert contents(filled) == list(flat(memory()))

    @pytest.mark.parametrize("error", [OSError("a bad disk"), Interruption()], ids=["error", "interruption"])
    @pytest.mark.parametrize("where", ["before", "records"])
    def test_a_merge_that_breaks_off_changes_nothing(
        self, filled: MemoryStore, error: BaseException, where: str
    ) -> None:
        """An error half-way comes through as it is, and every record stays as it was."""

        def fail() -> None:
            if where == "before":
                raise error

        batches: Iterable[Batch] = breaking_off(NEWER, error) if where == "records" else NEWER
        with pytest.raises(type(error)) as caught:
            filled.merge(manifest_of([]), batches, prepare=fail)
        assert caught.value is error
        assert contents(filled) == list(flat(memory()))

    def test_a_comparison_says_what_a_replacement_would_change(self, filled: MemoryStore) -> None:
        """What would come, change, stay and go is counted, and nothing is changed."""
        changes = filled.compare(manifest_of([]), [[chunk("c3", content="other"), chunk("c1"), chunk("n1")]])
        counts = {fate: changes.total(fate, "chunks") for fate in ("added", "updated", "skipped", "removed")}
        assert counts == {"added": 1, "updated": 1, "skipped": 1, "removed": 3}
        assert changes.total("removed", "edges") == 4
        assert contents(filled) == list(flat(memory()))

    def test_all_of_an_archive_would_be_new_where_there_is_no_store(self, store: MemoryStore) -> None:
        """A comparison with nothing counts everything as added, and makes no store."""
        assert store.compare(manifest_of([]), NEWER).total("added") == 3
        assert not store.exists()
