"""The values a model answers with are checked when they are made and right-shaped when empty."""

import dataclasses

import numpy as np
import pytest

from models.runtime.predictions import Clusters, Concepts, Embeddings, Regions

NAMES = ("hail", "wind", "wear")


def regions(boxes=((0, 0, 4, 4), (1, 2, 3, 4.5), (5, 5, 6, 9)), scores=(0.9, 0.5, 0.1), labels=(0, 2, 1)) -> Regions:
    columns = np.array(boxes, np.float64), np.array(scores, np.float32), np.array(labels, np.int64)
    return Regions(*columns, NAMES)


def test_concepts_are_listed_surest_first_and_equals_in_order():
    answer = Concepts(np.array([0.25, 0.5, 0.25], np.float32), NAMES)
    assert answer.rows() == [
        {"concept": "wind", "score": 0.5},
        {"concept": "hail", "score": 0.25},
        {"concept": "wear", "score": 0.25},
    ]
    assert (answer.best, len(answer)) == ("wind", 3)


def test_first_of_equals_is_best():
    assert Concepts(np.array([0.2, 0.4, 0.4], np.float32), NAMES).best == "wind"


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.zeros(2, np.float32), r"scores must be \(3,\) float32, got \(2,\) float32"),
        (np.zeros((1, 3), np.float32), r"got \(1, 3\) float32"),
        (np.zeros(3), r"got \(3,\) float64"),
        (np.array([0, 1.5, 0], np.float32), r"scores must lie in \[0, 1\], got 0.0 to 1.5"),
        (np.array([0, -0.1, 0], np.float32), r"must lie in \[0, 1\]"),
        (np.array([0, np.nan, 0], np.float32), r"must lie in \[0, 1\]"),
    ],
)
def test_bad_concepts_are_refused(scores, message):
    with pytest.raises(ValueError, match=message):
        Concepts(scores, NAMES)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("boxes", np.zeros((3, 4), np.float32), r"boxes must be \(3, 4\) float64, got \(3, 4\) float32"),
        ("boxes", np.zeros((3, 5)), r"boxes must be \(3, 4\) float64, got \(3, 5\)"),
        ("boxes", np.zeros(0), r"boxes must be \(0, 4\) float64, got \(0,\)"),
        ("boxes", np.zeros((2, 4)), r"scores must be \(2,\) float32, got \(3,\)"),
        ("scores", np.zeros(3), r"scores must be \(3,\) float32, got \(3,\) float64"),
        ("scores", np.array([0, 2, 0], np.float32), r"scores must lie in \[0, 1\]"),
        ("labels", np.zeros(3, np.int32), r"labels must be \(3,\) int64, got \(3,\) int32"),
        ("labels", np.array([0, 3, 1]), r"labels must index 3 concepts"),
        ("labels", np.array([0, -1, 1]), r"labels must index 3 concepts"),
    ],
)
def test_bad_regions_are_refused(column, value, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(regions(), **{column: value})


def test_values_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        regions().scores = np.zeros(3, np.float32)  # type: ignore[misc]


def test_empty_keeps_shapes_dtypes_and_concepts():
    for empty in (Regions.empty(NAMES), regions()[np.zeros(3, bool)]):
        assert (empty.boxes.shape, empty.boxes.dtype) == ((0, 4), np.float64)
        assert (empty.scores.shape, empty.scores.dtype) == ((0,), np.float32)
        assert (empty.labels.shape, empty.labels.dtype) == ((0,), np.int64)
        assert (empty.concepts, len(empty), empty.rows()) == (NAMES, 0, [])


@pytest.mark.parametrize("which", [np.array([True, False, True]), np.array([0, 2]), slice(0, 3, 2)])
def test_a_mask_picks_whole_rows(which):
    picked = regions()[which]
    assert picked.boxes.tolist() == [[0, 0, 4, 4], [5, 5, 6, 9]]
    assert picked.labels.tolist() == [0, 1]
    assert picked.concepts == NAMES


def test_region_rows_are_plain_values():
    rows = regions()[:2].rows()
    assert rows == [
        {"box": [0.0, 0.0, 4.0, 4.0], "concept": "hail", "score": float(np.float32(0.9))},
        {"box": [1.0, 2.0, 3.0, 4.5], "concept": "wear", "score": 0.5},
    ]
    assert {type(value) for row in rows for value in row["box"]} == {float}


def test_a_vector_is_a_row_of_numbers():
    found = Embeddings(np.float32([0.6, 0.8]))
    assert found.line() == found.rows()[0] == {"embedding": [np.float32(0.6), np.float32(0.8)]}
    assert (len(found), list(Embeddings.columns)) == (2, ["embedding"])
    with pytest.raises(ValueError, match="finite"):
        Embeddings(np.float32([1, np.nan]))


def test_a_cluster_is_the_nearest_centre_and_its_score_how_clear_that_is():
    found = Clusters(np.float32([1.5, 0.5, 1.0]))
    assert found.rows() == [{"cluster": 1, "score": 0.5, "distance": 0.5}]
    assert Clusters(np.float32([0.7, 0.7])).score == 0
    assert Clusters(np.float32([0, 0.7])).score == 1
    assert Clusters(np.float32([0, 0])).score == 0
    assert found.table(0.6) == [] and found.line(0.6) == found.rows()[0]
    with pytest.raises(ValueError, match="two or more"):
        Clusters(np.float32([1]))


def test_tables_have_the_columns_they_promise():
    found = [
        Concepts(np.float32([0.2, 0.8]), ("a", "b")),
        Regions(np.array([[0, 1, 2, 3.0]]), np.float32([0.5]), np.array([1]), ("a", "b")),
        Embeddings(np.float32([1])),
        Clusters(np.float32([1, 2])),
    ]
    for answer in found:
        assert [list(row) for row in answer.table()] == [list(answer.columns)] * len(answer.table())
    assert found[0].table(0.5) == [{"concept": "b", "score": pytest.approx(0.8)}]
    assert found[1].table(0.6) == []
    assert found[1].line(0.5) == {"regions": found[1].rows()}
