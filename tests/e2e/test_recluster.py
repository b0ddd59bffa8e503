"""`ecm-agent recluster` as its users meet it."""

from __future__ import annotations

import struct
from pathlib import Path
from shlex import split
from typing import TYPE_CHECKING

import builders
import pytest
from planted import packed, planted

from ecm_agent.model.records import Cluster, Vector
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from program import Program

TOPICS = [8, 12]
NAMES = [f"t{number:02}" for number in range(sum(TOPICS))]


@pytest.fixture
def store(bare: Program) -> SqliteStore:
    """Make a memory of two topics, one of them called "Topic old", and two vectors that cannot be used."""
    store = SqliteStore(bare.store)
    vectors = [Vector(chunk_id=n, embedding=packed(v)) for n, v in zip(NAMES, planted(TOPICS)[0], strict=True)]
    odd = [builders.vector("gone", 1.0), Vector(chunk_id="x", embedding=struct.pack("<f", float("inf")))]
    members = [builders.membership(name, "old") for name in NAMES[:8]]
    chunks = [builders.chunk(name) for name in [*NAMES, "x"]]
    builders.fill(store, [chunks, [builders.cluster("old"), builders.cluster("void")], members, [*vectors, *odd]])
    return store


def names(store: SqliteStore) -> set[str | None]:
    return {record.name for record in builders.contents(store) if isinstance(record, Cluster)}


def test_the_report_says_what_became_of_clusters_and_vectors(bare: Program, store: SqliteStore) -> None:
    """First what would be done, then what was done, in the same words; and how to undo it, which works as printed."""
    before = builders.contents(store)
    planned = bare.run("recluster", "--dry-run")
    assert planned.code == 0
    assert "Would sort 20 vectors into 2 clusters" in planned.out
    assert "dry run" in planned.out
    assert builders.contents(store) == before
    done = bare.run("recluster")
    assert (done.code, done.err) == (0, "")
    assert f": {store.path}." in done.out
    assert done.out.splitlines()[1:5] == [
        "  clusters     1 kept its name, 1 new, 1 gone",
        "  vectors      20 in a cluster, 0 in none",
        "  left out     1 vector: no chunk",
        "  left out     1 vector: not finite",
    ]
    assert planned.out.splitlines()[1:] == done.out.splitlines()[1:5]
    assert names(store) == {"Topic old", None}
    undo = done.out.partition("To undo: ecm-agent ")[2]
    assert bare.run(*split(undo)).code == 0
    assert builders.contents(store) == before


def test_programs_get_one_object(bare: Program, store: SqliteStore) -> None:
    """--json prints the same result as one summary."""
    ended = bare.run("recluster", "--json", "--no-safety-archive", "--min-cluster-size", "9")
    assert ended.code == 0
    (summary,) = ended.objects
    assert summary["message_type"] == "summary"
    assert (summary["command"], summary["store"], summary["back"]["safety_archive"]) == (
        "recluster",
        str(store.path),
        None,
    )
    assert (summary["vectors"], summary["kept"] + summary["new"], summary["gone"]) == (20, 0, 0)
    assert not (bare.state / "safety").exists()


def test_a_memory_without_vectors_is_left_alone(bare: Program) -> None:
    """Without vectors, the command says so, ends well, and changes nothing."""
    assert bare.run("init").code == 0
    before = bare.files()
    ended = bare.run("recluster")
    assert (ended.code, ended.out) == (0, f"{bare.store} holds no vectors to cluster; nothing was changed.\n")
    assert bare.files() == before


def test_the_safety_archive_is_sealed_with_the_password_at_hand(bare: Program, store: SqliteStore) -> None:
    """With a password in the environment the safety archive is encrypted; without one it is a private plain file."""
    assert bare.run("recluster").code == 0
    again = bare.run("recluster")
    assert "has these clusters already: nothing was changed" in again.out
    builders.execute(store.path, "DELETE FROM chunk_clusters WHERE chunk_id = 't00'")
    assert bare.run("recluster", ECM_EXPORT_PASSWORD=None).code == 0
    kinds = {Path(path).suffix for path in bare.files() if path.parent.name == "safety"}
    assert kinds == {".ecm", ".json"}


@pytest.mark.parametrize(
    ("words", "code"),
    [(["--min-cluster-size", "1"], 2), (["--min-cluster-size", "many"], 2), (["--store", "nowhere.db"], 14)],
    ids=str,
)
def test_a_slip_is_named(bare: Program, store: SqliteStore, words: list[str], code: int) -> None:
    """A size that is none and a store that is not there end with their codes, and nothing is changed."""
    before = builders.contents(store)
    ended = bare.run("recluster", *words)
    assert (ended.code, ended.out) == (code, "")
    assert builders.contents(store) == before


def test_at_a_terminal_progress_is_shown(bare: Program, store: SqliteStore) -> None:
    """At a terminal one sees what it is at."""
    del store
    ended = bare.answering("recluster", answers=[], TERM="xterm")
    assert ended.code == 0
    assert "Finding topics" in ended.out


@pytest.mark.parametrize("into", ["another", "the same"])
def test_after_a_merge_one_undo_goes_back_to_before_both(bare: Program, store: SqliteStore, into: str) -> None:
    """Merged and re-clustered in one command, the store is undone in one, also where the merge had nothing to add."""
    assert bare.run("export", "--output", "memory.ecm").code == 0
    target = SqliteStore(bare.home / "target.db") if into == "another" else store
    if into == "another":
        builders.fill(target, [[builders.chunk("other")], [builders.cluster("theirs")]])
    before = builders.rows_of(target.path)
    done = bare.run("import", "memory.ecm", "--store", str(target.path), "--merge", "--recluster")
    assert done.code == 0, done.err
    assert "Sorted 20 vectors into 2 clusters" in done.out
    assert builders.rows_of(target.path) != before
    assert bare.run("undo", "--store", str(target.path)).code == 0
    assert builders.rows_of(target.path) == before


def test_re_clustering_goes_with_a_merge_only(bare: Program) -> None:
    """A replacement brings its own clusters: asked for together, nothing is done."""
    ended = bare.run("import", "memory.ecm", "--recluster")
    assert ended.code == 2
    assert "--recluster goes with --merge" in ended.err
