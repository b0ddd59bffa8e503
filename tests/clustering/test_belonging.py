"""The second look at topics: those that are none go, and who was left outside comes in where there is room."""

from __future__ import annotations

import numpy as np
import pytest
from planted import planted, scattered

from ecm_agent.clustering.belonging import settle

SIZES = [30, 20, 6]


def settled(labels: list[int], vectors: np.ndarray) -> list[int]:
    changed = np.array(labels, dtype=np.intp)
    settle(changed, vectors.astype(np.float32))
    result: list[int] = changed.tolist()
    return result


@pytest.mark.parametrize("count", [5, 500])
def test_vectors_with_nothing_in_common_are_no_topic(count: int) -> None:
    """A topic whose members point every which way is dissolved, be it small or large, and the others stay."""
    vectors, topics = planted(SIZES)
    everything = np.concatenate([vectors, scattered(count)])
    assert settled([*topics, *[3] * count], everything) == [*topics, *[-1] * count]


def test_members_that_were_left_outside_come_in() -> None:
    """Vectors that are called outsiders, but lie among the members of a topic, join that topic."""
    vectors, topics = planted([200, 100, 40], dimensions=384, spread=0.03)
    assert settled([-1 if row % 4 == 0 else topic for row, topic in enumerate(topics)], vectors) == topics


def test_small_topics_have_room_too() -> None:
    """Members draw the mean of a small topic towards themselves; that does not keep others from joining them."""
    vectors, topics = planted([8] * 30, dimensions=384, spread=0.03)
    result = settled([-1 if row % 8 == 0 else topic for row, topic in enumerate(topics)], vectors)
    assert sum(found == topic for found, topic in zip(result[::8], range(30), strict=True)) > 20


def test_what_lies_farther_out_than_members_do_stays_outside() -> None:
    """An outsider does not join the nearest topic when it lies too far out, not even if a member does too."""
    vectors, topics = planted(SIZES, dimensions=384, spread=0.03)
    between = (vectors[0] + vectors[30]) / np.linalg.norm(vectors[0] + vectors[30])
    everything = np.concatenate([vectors, [between, between]])
    assert settled([*topics, 0, -1], everything) == [*topics, 0, -1]


def test_a_topic_that_is_nearly_everything_stays() -> None:
    """How much members have in common is told from themselves: a topic need not stand out from the whole."""
    vectors, topics = planted([500, 5])
    assert settled(topics, vectors) == topics


def test_outsiders_alone_stay_outsiders() -> None:
    """Without a topic there is nothing to join."""
    assert settled([-1] * 4, scattered(4)) == [-1] * 4
