"""Clusters of vectors: as many as asked for or as there are, the largest first, the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from models.clusterer import fit
from models.parameters import parameters
from models.runtime.faults import Fault

SIZES = (30, 12, 20)


def blobs() -> tuple[np.ndarray, np.ndarray]:
    drawn = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), SIZES)
    order = drawn.permutation(len(labels))
    vectors = np.eye(8)[labels] * 7 + drawn.normal(size=(len(labels), 8)) * 0.3
    return vectors[order].astype(np.float32), labels[order]


def test_the_number_is_found_and_the_largest_comes_first():
    vectors, truth = blobs()
    found = fit(vectors, parameters({"template": "kmeans", "most_clusters": 6}))
    assert max(found.silhouettes, key=found.silhouettes.get) == 3
    assert sorted(found.silhouettes) == [2, 3, 4, 5, 6]
    assert np.bincount(found.labels).tolist() == [30, 20, 12]
    assert (found.labels == np.array([0, 2, 1])[truth]).all()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.allclose(found.centres[0], unit[truth == 0].mean(0), atol=1e-6)
    assert found.centres.dtype == np.float32


def test_as_many_as_asked_for():
    vectors, _ = blobs()
    found = fit(vectors, parameters({"template": "kmeans", "clusters": 5}))
    assert found.centres.shape == (5, 8)
    assert list(found.silhouettes) == [5]


def test_the_same_vectors_give_the_same_clusters():
    vectors, _ = blobs()
    first, second = (fit(vectors, parameters({"template": "kmeans", "clusters": 4, "seed": 2})) for _ in range(2))
    assert np.array_equal(first.centres, second.centres)


@pytest.mark.parametrize(
    ("count", "clusters", "said"),
    [(40, 30, "3 pictures that differ cannot make 30"), (2, 0, "3 pictures|2 pictures")],
)
def test_too_few_pictures_are_told(count, clusters, said):
    vectors = np.eye(3, dtype=np.float32)[np.arange(count) % 3]
    with pytest.raises(Fault, match=said):
        fit(vectors, parameters({"template": "kmeans", "clusters": clusters}))
