"""Clusters are measured by how clear they are, and by concepts where images have some."""

from __future__ import annotations

import numpy as np
import pytest

from models.runtime.faults import Fault
from tasks.data.annotations import Annotation
from tasks.metrics.clustering import clustering, concept_of, silhouettes
from tests.tasks.metrics.test_retrieval_metrics import images

DISTANCES = np.float32([[0.2, 1.0], [0.5, 1.0], [1.0, 0.0], [1.0, 0.9]])


def test_clear_ones_score_high():
    assert silhouettes(DISTANCES) == pytest.approx([0.8, 0.5, 1.0, 0.1])
    assert silhouettes(np.zeros((2, 3), np.float32)).tolist() == [0, 0]


def test_without_labels_only_clarity_is_measured():
    report = clustering(images((), (), (), ()), DISTANCES, ("0", "1"))
    assert report.summary["silhouette"] == pytest.approx(0.6)
    assert "purity" not in report.summary and "Mostly" not in report.per_concept[0]
    assert [row["Total Images"] for row in report.per_concept] == [2, 2]


def test_with_labels_purity_and_mutual_information_are_too():
    report = clustering(images(("a",), ("b",), ("b",), ("b",)), DISTANCES, ("0", "1"))
    assert report.summary["purity"] == 0.75
    assert 0 < report.summary["nmi"] < 1
    assert [(row["Mostly"], row["Purity"]) for row in report.per_concept] == [("a", 0.5), ("b", 1.0)]
    same = clustering(images(("a",), ("a",), ("b",), ("b",)), DISTANCES, ("0", "1"))
    assert same.summary["purity"] == same.summary["nmi"] == 1.0


def test_an_empty_cluster_and_unlabelled_images_are_told():
    wide = np.hstack([DISTANCES, np.full((4, 1), 9, np.float32)])
    report = clustering(images(("a",), (), ("a", "b"), ("b",)), wide, ("cluster 0", "cluster 1", "cluster 2"))
    assert report.notes == (
        "no image here falls into cluster 2",
        "2 images have no concept or several: purity and nmi are without them",
    )


def test_a_picture_is_of_the_concept_of_all_its_boxes():
    box = (0.0, 0.0, 1.0, 1.0)
    columns = ((box, box), (1.0, 1.0), ("a", "a"), (False,) * 2, (False,) * 2)
    assert concept_of(Annotation("a.png", "0" * 64, 2, 2, "test", (), *columns)) == "a"


def test_no_image_is_a_fault():
    with pytest.raises(Fault, match="there is no image to measure on"):
        clustering([], np.zeros((0, 2), np.float32), ("0", "1"))
