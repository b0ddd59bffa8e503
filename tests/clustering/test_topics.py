"""Topics among vectors: those that were planted are found, and each is described as a memory keeps it."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hdbscan import HDBSCAN
from planted import Vectors, packed, planted, scattered
from sklearn.metrics import adjusted_rand_score

from ecm_agent.clustering import Gathering, Topic, density, membership_hash, topics_of


def found(vectors: Vectors, min_cluster_size: int = 5, *, backwards: bool = False) -> list[Topic]:
    """Cluster vectors called "0000", "0001" and so on, added in that order or the other."""
    gathering = Gathering()
    numbered = list(enumerate(vectors))
    for number, vector in reversed(numbered) if backwards else numbered:
        gathering.add(f"{number:04}", packed(vector), "model")
    return [topic for space in gathering.spaces() for topic in topics_of(space, min_cluster_size, lambda _: None)]


def members(topics: list[Topic]) -> list[set[int]]:
    return [{int(name) for name in topic.distances} for topic in topics]


def ranges(sizes: list[int]) -> list[set[int]]:
    """Give the numbers of the vectors of each planted topic."""
    ends = np.cumsum(sizes).tolist()
    return [set(range(end - size, end)) for end, size in zip(ends, sizes, strict=True)]


@pytest.mark.parametrize("sizes", [[20, 30], [8, 9, 60, 12], [10] * 20], ids=str)
def test_planted_topics_are_found(sizes: list[int]) -> None:
    """Topics of very different sizes are found exactly, in the order of their first member."""
    assert members(found(planted(sizes)[0])) == ranges(sizes)


def test_what_belongs_nowhere_is_in_no_topic() -> None:
    """Most scattered vectors are noise, and no topic loses a member to them."""
    vectors = np.concatenate([planted([15] * 12)[0], scattered(40)])
    topics = members(found(vectors))
    assert [topic & set(range(180)) for topic in topics] == ranges([15] * 12)
    assert sum(map(len, topics)) < 190


def test_what_was_not_in_the_sample_finds_its_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more vectors than the sample holds, the others are told the topic they fall into, or that they have none."""
    vectors = np.concatenate([planted([40] * 12)[0], scattered(60)])
    monkeypatch.setattr(density, "SAMPLE", 180)
    heard: list[int] = []
    labels = density.labels_of(vectors.astype(np.float32), 5, heard.append)
    assert sum(heard) == len(vectors) == 540
    pairs = Counter(zip(labels.tolist(), [*np.repeat(range(12), 40).tolist(), *[-1] * 60], strict=True))
    assert sum(count for _, count in pairs.most_common(13)) > 490
    assert len({label for label, _ in dict(pairs.most_common(13))}) == 13


def test_fewer_dimensions_are_as_good_as_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduced vectors, and a sample of them, do at least 0.95 times as well as HDBSCAN over everything."""
    vectors, topics = planted([10, 20, 40] * 10, dimensions=384, spread=0.02)
    everything = np.concatenate([vectors, scattered(100, dimensions=384)])
    truth = [*topics, *[-1] * 100]
    full = HDBSCAN(min_cluster_size=5, min_samples=5, core_dist_n_jobs=1).fit_predict(everything)
    wanted = 0.95 * adjusted_rand_score(truth, full)
    for sample in (density.SAMPLE, 500):
        monkeypatch.setattr(density, "SAMPLE", sample)
        labels = density.labels_of(everything.astype(np.float32), 5, lambda _: None)
        assert adjusted_rand_score(truth, labels) >= wanted > 0.8


def test_a_sample_without_topics_gives_the_rest_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the sample shows no topic, nothing has one."""
    monkeypatch.setattr(density, "SAMPLE", 12)
    assert found(scattered(100)) == []


def test_equal_vectors_give_equal_topics() -> None:
    """Neither a second run nor another order of the vectors changes a bit of what is found."""
    vectors = np.concatenate([planted([15, 25, 10], spread=0.1)[0], scattered(10)])
    assert found(vectors) == found(vectors) == found(vectors, backwards=True)


@pytest.mark.parametrize("count", [0, 1, 4, 9])
def test_too_few_vectors_have_no_topics(count: int) -> None:
    """Fewer vectors than two topics need are no topics, and no error."""
    assert found(scattered(count)) == []


@pytest.mark.parametrize("dimensions", [1, 2, 5, 700])
def test_any_number_of_dimensions_will_do(dimensions: int) -> None:
    """Few dimensions are not reduced, and there may be more dimensions than vectors."""
    vectors = np.concatenate([planted([8], dimensions=dimensions, spread=0.02)[0]] * 2)
    vectors[8:] *= -1
    assert members(found(vectors)) == ranges([8, 8])


def test_copies_of_one_vector_are_a_topic() -> None:
    """Chunks that say the same have the same vector, and belong together."""
    assert members(found(np.repeat(scattered(3), 20, axis=0))) == ranges([20, 20, 20])


def test_a_larger_least_size_finds_fewer_topics() -> None:
    """`min_cluster_size` says how many vectors make a topic."""
    vectors = planted([8, 30, 30])[0]
    assert members(found(vectors)) == ranges([8, 30, 30])
    assert len(found(vectors, 10)) == 2


def test_a_topic_is_described() -> None:
    """Centroid: the members' mean, of length one. Distance: the angle to it in half turns. Exemplars: the nearest."""
    vectors = planted([9, 30], spread=0.1)[0]
    topic = found(vectors)[0]
    centroid = np.frombuffer(topic.centroid, dtype="<f4").astype(np.float64)
    mean = vectors[:9].mean(axis=0)
    assert centroid == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    expected = {f"{number:04}": math.acos(vectors[number] @ centroid) / math.pi for number in range(9)}
    assert topic.distances == pytest.approx(expected, abs=1e-6)
    assert topic.exemplars == sorted(expected, key=expected.__getitem__)[:3]


def test_the_membership_hash_depends_on_the_members_only() -> None:
    """The hash is that of the sorted ids, so their order does not matter; the value is for other programs to check."""
    assert membership_hash(["b", "a", "ä"]) == membership_hash(iter(["ä", "a", "b"])) == "fe2bb7ac6907715b"
    assert membership_hash(["ab"]) != membership_hash(["a", "b"])
