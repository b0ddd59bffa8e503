"""How long re-clustering takes, and how well it finds topics that were planted. Prints a Markdown table.

    python benchmarks/recluster.py                       # minutes
    python benchmarks/recluster.py --sizes 5000 20000    # less

Each memory is made from a seed: topics of very different sizes (log-normal), their members 0.08 to 0.22 half turns
from the centre in directions of their own, an eighth of all vectors far from any topic. "apart": the centres point
anywhere. "families": the centres of ten topics each lie 0.18 half turns around a common one, so that a topic's
neighbours are nearer than the rest.
The adjusted Rand index (ARI) compares with the planted topics; "belongs nowhere" counts as one more topic.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from hdbscan import HDBSCAN
from sklearn.metrics import adjusted_rand_score

from ecm_agent.clustering.density import SAMPLE, dimensions_for, labels_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[Any]

MIN_CLUSTER_SIZE = 5
FULL_AT_MOST = 5_000  # beyond it the full number of dimensions takes too long to wait for
WIDTH = 384
CHUNKS_A_TOPIC = {5_000: 80, 20_000: 160, 100_000: 330}
FAMILY = 10


def unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def around(centres: Vectors, angles: Vectors, rng: np.random.Generator) -> Vectors:
    """Give a unit vector at each angle (in half turns) from each centre, in a random direction."""
    aside = rng.standard_normal(centres.shape)
    aside = unit(aside - (aside * centres).sum(axis=1, keepdims=True) * centres)
    return np.cos(angles * np.pi)[:, None] * centres + np.sin(angles * np.pi)[:, None] * aside


def planted(size: int, kind: str, seed: int = 7) -> tuple[Vectors, Vectors, int]:
    """Give vectors (float32, of length one) and the topic of each, -1 for none."""
    rng = np.random.default_rng(seed)
    topics = max(size // CHUNKS_A_TOPIC.get(size, 100), 2)
    centres = unit(rng.standard_normal((topics, WIDTH)))
    if kind == "families":
        parents = unit(rng.standard_normal((-(-topics // FAMILY), WIDTH)))
        centres = around(parents[np.arange(topics) // FAMILY], np.full(topics, 0.18), rng)
    weights = rng.lognormal(0.0, 0.8, topics)
    topic = rng.choice(topics, size, p=weights / weights.sum())
    nowhere = rng.random(size) < 1 / 8
    angles = np.where(nowhere, rng.uniform(0.4, 0.5, size), rng.uniform(0.08, 0.22, size))
    vectors = around(centres[topic], angles, rng).astype(np.float32)
    return vectors, np.where(nowhere, -1, topic), topics


def full(vectors: Vectors) -> Vectors:
    """Cluster as `labels_of` does, but in all dimensions and without a sample."""
    model = HDBSCAN(min_cluster_size=MIN_CLUSTER_SIZE, min_samples=5, core_dist_n_jobs=1)
    return np.asarray(model.fit_predict(vectors.astype(np.float64)))


def reduced(vectors: Vectors) -> Vectors:
    return labels_of(vectors, MIN_CLUSTER_SIZE, lambda _: None)


def measure(size: int, kind: str) -> None:
    vectors, topic, topics = planted(size, kind)
    few = f"{dimensions_for(size)} dimensions"
    ways = {few: reduced}
    if size <= FULL_AT_MOST:
        ways = {f"all {WIDTH} dimensions": full, **ways}
    elif size > SAMPLE:
        ways = {f"{few}, learnt from {SAMPLE:,}": reduced}
    for way, cluster in ways.items():
        began = time.perf_counter()
        labels = cluster(vectors)
        seconds = time.perf_counter() - began
        ari, belongs = adjusted_rand_score(topic, labels), topic >= 0
        members = adjusted_rand_score(topic[belongs], labels[belongs])
        found = len(set(labels.tolist()) - {-1})
        print(
            f"| {size:,} | {kind} | {way} | {seconds:.1f} | {ari:.3f} | {members:.3f} | {found} of {topics} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 20_000, 100_000])
    parser.add_argument("--kinds", nargs="+", default=["apart", "families"])
    chosen = parser.parse_args()
    reduced(planted(200, "apart")[0])  # what is loaded and compiled at the first use is not counted
    print("| vectors | topics lie | how | seconds | ARI | ARI of members | topics found |")
    print("| ---: | --- | --- | ---: | ---: | ---: | ---: |")
    for size in chosen.sizes:
        for kind in chosen.kinds:
            measure(size, kind)


if __name__ == "__main__":
    main()
