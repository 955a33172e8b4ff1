"""Slices: the part that is worse is found, named and first; what is not certain is not claimed."""

import numpy as np
import pytest

from models.runtime.predictions import Regions
from tasks.data.annotations import Annotation
from tasks.metrics.classification import classification
from tasks.metrics.detection import detection
from tasks.metrics.slices import slices, worse


def pictures(count=60, **columns):
    """Annotated images; a column is a function of the number."""
    made = {name: [give(i) for i in range(count)] for name, give in columns.items()}
    return [
        Annotation(
            made["image"][i] if "image" in made else f"{i:03d}.png",
            f"{i:064d}",
            made["width"][i] if "width" in made else 64,
            48,
            made["split"][i] if "split" in made else "test",
            ("a" if i % 2 else "b",),
            metadata=made["metadata"][i] if "metadata" in made else {},
        )
        for i in range(count)
    ]


def measured(annotations, wrong):
    """The report of a classifier that is wrong where it is told to be."""
    truth = np.array([entry.concepts == ("b",) for entry in annotations])
    said = truth ^ np.array([wrong(i) for i in range(len(annotations))])
    scores = np.where(said[:, None], [0.1, 0.9], [0.9, 0.1]).astype(np.float32)
    return classification(annotations, scores, ("a", "b"), True)


def by(rows, name):
    return {row["Value"]: row for row in rows if row["Slice"] == name}


@pytest.mark.parametrize(
    ("name", "column", "bad"),
    [
        ("split", {"split": lambda i: "val" if i % 3 == 0 else "test"}, "val"),
        ("aspect", {"width": lambda i: 24 if i % 3 == 0 else 64}, "portrait"),
        ("image size", {"width": lambda i: 300 if i % 3 == 0 else 60}, "300×48"),
        ("folder", {"image": lambda i: f"{'night' if i % 3 == 0 else 'day'}/{i}.png"}, "night"),
        ("metadata camera", {"metadata": lambda i: {"camera": "old" if i % 3 == 0 else "new"}}, "old"),
        ("metadata flash", {"metadata": lambda i: {} if i % 3 == 0 else {"flash": True}}, "(none)"),
    ],
)
def test_the_part_that_is_worse_comes_first(name, column, bad):
    annotations = pictures(**column)
    rows = slices(annotations, measured(annotations, lambda i: i % 3 == 0 and i % 4 > 0))
    found = by(rows, name)[bad]
    assert (found["Images"], found["Metric"], found["Number"]) == (20, "accuracy", pytest.approx(0.25))
    assert found["Low"] <= 0.25 <= found["High"] < found["Whole"] == pytest.approx(0.75)
    assert worse(found)
    assert rows[0]["Number"] == found["Number"]  # of the same images there may be another slice
    assert sum(row["Images"] for row in by(rows, name).values()) == 60


def test_numbers_of_a_column_fall_into_thirds():
    annotations = pictures(metadata=lambda i: {"altitude": 10.0 + i})
    rows = by(slices(annotations, measured(annotations, lambda i: i >= 45)), "metadata altitude")
    assert [row["Images"] for row in rows.values()] == [20, 20, 20]
    assert {name: row["Number"] for name, row in rows.items()} == {
        "above 49.3": 0.25,
        "up to 29.7": 1,
        "29.7 to 49.3": 1,
    }


def test_an_image_without_a_number_is_a_part_of_its_own():
    annotations = pictures(metadata=lambda i: {"altitude": 10.0 + i} if i else {})
    rows = by(slices(annotations, measured(annotations, lambda i: i >= 45)), "metadata altitude")
    assert {name: row["Images"] for name, row in rows.items()} == {
        "(none)": 1,
        "up to 30.3": 20,
        "30.3 to 49.7": 19,
        "above 49.7": 20,
    }


def test_what_every_image_has_or_each_its_own_is_no_slice():
    annotations = pictures(metadata=lambda i: {"site": "one", "id": f"x{i}", "where": [i, i]})
    rows = slices(annotations, measured(annotations, lambda i: i % 5 == 0))
    assert {row["Slice"] for row in rows} == {"concept"}


def test_a_few_bad_images_are_not_called_worse():
    annotations = pictures(width=lambda i: 24 if i < 3 else 64)
    rows = slices(annotations, measured(annotations, lambda i: i < 3))
    assert not worse(by(rows, "aspect")["portrait"])  # three of three wrong, and three say nothing
    assert rows[-1]["Value"] == "portrait"


def test_a_little_lower_is_not_called_worse():
    annotations = pictures(width=lambda i: 24 if i % 2 else 64)
    rows = by(slices(annotations, measured(annotations, lambda i: i in (1, 3, 5, 7, 9, 0, 2, 4))), "aspect")
    assert rows["portrait"]["Number"] < rows["portrait"]["Whole"] < rows["portrait"]["High"]
    assert not worse(rows["portrait"])


def test_concepts_and_box_sizes_of_a_detector():
    """Small boxes are missed; so is, as it happens, each `b`."""
    annotations, found = [], []
    for i in range(12):
        big, small = (0.0, 0.0, 100.0, 100.0), (110.0, 0.0, 130.0, 20.0)
        no = (False, False)
        annotations.append(
            Annotation(f"{i}.png", "", 200, 120, "test", (), (big, small), (1e4, 400.0), ("a", "b"), no, no)
        )
        found.append(Regions(np.array([big]), np.array([0.9], np.float32), np.array([0]), ("a", "b")))
    rows = slices(annotations, detection(annotations, found, ("a", "b")))
    sizes = by(rows, "box size")
    assert {name: (row["Metric"], row["Number"], row["Whole"]) for name, row in sizes.items()} == {
        "small": ("recall", 0.0, 0.5),
        "large": ("recall", 1.0, 0.5),
    }
    concepts = by(rows, "concept")
    assert (concepts["b"]["Metric"], concepts["b"]["Number"], worse(concepts["b"])) == ("AP50", 0.0, True)
    assert concepts["a"]["Number"] == pytest.approx(1)


def test_the_same_images_give_the_same_rows():
    annotations = pictures(width=lambda i: 24 if i % 3 == 0 else 64)
    report = measured(annotations, lambda i: i % 4 == 0)
    assert slices(annotations, report) == slices(annotations, report)
