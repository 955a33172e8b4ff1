"""The clusterer: groups of vectors that another network made, without any label."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from models.embedding_parameters import ClustererParameters
from models.runtime.faults import Fault

SAMPLE = 2000  # vectors that the silhouette is taken of: it compares each with each
TRIES = 3  # starts for each number of clusters that is tried; the one chosen gets ten


@dataclass(frozen=True, slots=True, eq=False)
class Clustering:
    """Clusters that were found, the largest first.

    centres: (K, D) float32, the means of their members at length 1.  silhouettes: of each number tried, -1 to 1.
    labels: (N,) int64, the cluster of each vector.
    """

    centres: np.ndarray
    labels: np.ndarray
    silhouettes: dict[int, float]


def fit(vectors: np.ndarray, given: ClustererParameters, say: Callable[[str], object] = str) -> Clustering:
    """Find the clusters of vectors (N, D) float32: as many as asked for, or as the silhouette likes best.

    The same vectors and parameters give the same clusters.  Raises Fault where there are too few to group.
    Source: k-means (Lloyd 1982) with k-means++ (Arthur 2007) of scikit-learn; the silhouette (Rousseeuw 1987).
    """
    unit = torch.nn.functional.normalize(torch.from_numpy(vectors)).numpy()
    distinct = len(np.unique(unit, axis=0))
    least = max(2, given.clusters)
    if distinct < least + 1:
        raise Fault(f"{distinct} pictures that differ cannot make {least} clusters: more than {least} are needed")
    tried = {}
    if not given.clusters:
        for k in range(2, min(given.most_clusters, distinct - 1) + 1):
            tried[k] = _silhouette(unit, _means(unit, k, given.seed, TRIES), given.seed)
            say(f"{k} clusters: silhouette {tried[k]:.4f}")
    chosen = max(tried, key=lambda k: (tried[k], -k)) if tried else given.clusters
    labels = _largest_first(_means(unit, chosen, given.seed, 10))
    tried[int(labels.max()) + 1] = _silhouette(unit, labels, given.seed)  # fewer than asked where many are alike
    # Means taken anew: in what order scikit-learn's threads add up is chance.
    centres = np.stack([unit[labels == i].mean(axis=0, dtype=np.float64) for i in range(labels.max() + 1)])
    return Clustering(centres.astype(np.float32), labels, dict(sorted(tried.items())))


def _means(vectors: np.ndarray, k: int, seed: int, tries: int) -> np.ndarray:
    from sklearn.cluster import KMeans  # seconds to import, so only here

    with warnings.catch_warnings():
        # "Number of distinct clusters found smaller than n_clusters": the number that was found is what is told.
        warnings.filterwarnings("ignore", "Number of distinct clusters")
        return KMeans(k, n_init=tries, random_state=seed).fit_predict(vectors)


def _silhouette(vectors: np.ndarray, labels: np.ndarray, seed: int) -> float:
    from sklearn.metrics import silhouette_score

    drawn = np.random.default_rng(seed).permutation(len(vectors))[:SAMPLE]
    if len(np.unique(labels[drawn])) < 2:
        return -1.0
    return float(silhouette_score(vectors[drawn], labels[drawn]))


def _largest_first(labels: np.ndarray) -> np.ndarray:
    """The same clusters, numbered by size; of equals the one that comes first."""
    names, first, counts = np.unique(labels, return_index=True, return_counts=True)
    order = names[np.lexsort((first, -counts))]
    renamed = np.empty(names.max() + 1, np.int64)
    renamed[order] = np.arange(len(order))
    return renamed[labels]
