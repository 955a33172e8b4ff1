"""A dataset at a glance, and what is wrong with it in sentences."""

import re
from pathlib import Path

import pytest

from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset
from tasks.data.health import describe, problems


def roof(name, split, *sides, concept="hail", sha=None, size=(640, 480)):
    """One image with a square box of each side."""
    n = len(sides)
    return Annotation(
        f"{name}.png",
        sha or f"{name:0>64}",
        *size,
        split,
        boxes=tuple((0.0, 0.0, float(s), float(s)) for s in sides),
        areas=tuple(float(s) ** 2 for s in sides),
        box_concepts=(concept,) * n,
        crowd=(False,) * n,
        difficult=(False,) * n,
    )


def detection(folder: Path, *entries, concepts=("hail", "wind")):
    for entry in entries:
        (folder / "images" / entry.image).parent.mkdir(parents=True, exist_ok=True)
        (folder / "images" / entry.image).touch()
    return Dataset("roofs", folder, "detection", False, concepts, tuple(entries))


def healthy(folder):
    sides = (40,) * 10
    entries = [roof(f"{s}{c}", s, *sides, concept=c) for s in ("train", "val", "test") for c in ("hail", "wind")]
    return detection(folder, *entries)


def test_counts_and_sizes(tmp_path):
    dataset = detection(
        tmp_path,
        roof("1", "train", 10, 31, 32, 95, 96, 300),
        roof("2", "test", 50, concept="wind", size=(100, 50)),
        roof("3", "test", size=(4000, 3000)),
        roof("4", "val", 10, sha="1".rjust(64, "0")),
    )
    seen = describe(dataset)
    assert (seen.images, seen.boxes, seen.empty) == (4, 8, 1)
    assert seen.splits == {"train": 1, "val": 1, "test": 2}
    assert seen.concepts == (
        {"concept": "hail", "train": 6, "val": 1, "test": 0, "images": 2},
        {"concept": "wind", "train": 0, "val": 0, "test": 1, "images": 1},
    )
    assert seen.box_areas == {"small": 3, "medium": 3, "large": 2}  # COCO: below 32², below 96², above
    assert seen.box_sizes == {"smallest": 10, "median": 41.0, "largest": 300}
    assert seen.image_sizes == {"smallest": "100×50", "median": "640×480", "largest": "4000×3000"}
    assert seen.twins == (("1.png", "4.png"),)
    text = seen.text()
    assert "4 images, 8 boxes, 2 concepts (detection)" in text
    assert [line.split() for line in text.splitlines()[-2:]] == [
        ["hail", "6", "1", "0", "2"],
        ["wind", "0", "0", "1", "1"],
    ]


def test_a_classification_dataset_counts_images(tmp_path):
    entries = (Annotation("a.png", "1" * 64, 9, 9, "train", concepts=("cat",)),)
    seen = describe(Dataset("pets", tmp_path, "classification", True, ("cat", "dog"), entries))
    assert seen.concepts[0] == {"concept": "cat", "train": 1, "val": 0, "test": 0, "images": 1}
    assert seen.box_sizes == {} and seen.boxes == 0
    assert "box sizes" not in seen.text()


def test_an_empty_dataset_is_described(tmp_path):
    assert describe(Dataset("none", tmp_path, "detection", False, (), ())).images == 0


def test_a_healthy_dataset_has_no_problem(tmp_path):
    assert problems(healthy(tmp_path)) == ()


def gone(folder):
    dataset = healthy(folder)
    dataset.path(dataset.annotations[0]).unlink()
    return dataset


PROBLEMS = {
    r"1 pictures are not on disk \(trainhail.png\)": gone,
    "no image is in val: no training can be stopped early": lambda f: detection(f, roof("1", "train", 5)),
    "no image is in test: no honest number": lambda f: detection(f, roof("1", "train", 5)),
    "2 of 3 images have no box": lambda f: detection(f, roof("1", "train"), roof("2", "val"), roof("3", "test", 5)),
    "1 concepts have no boxes at all: wind": lambda f: detection(f, roof("1", "train", *[5] * 10)),
    "1 concepts have fewer than 10 training boxes: hail 9": lambda f: detection(f, roof("1", "train", *[5] * 9)),
    "1 concepts are not in test: hail": lambda f: detection(
        f, roof("1", "train", 5), roof("2", "test", 5, concept="wind")
    ),
    "the same picture is in several splits: 1.png, 2.png": lambda f: detection(
        f, roof("1", "train", 5, sha="a" * 64), roof("2", "test", 5, sha="a" * 64)
    ),
    "the same picture has different labels: 1.png, 2.png": lambda f: detection(
        f, roof("1", "train", 5, sha="a" * 64), roof("2", "train", 6, sha="a" * 64)
    ),
    r"2 boxes are less than 2 pixels wide or high \(1.png\)": lambda f: detection(f, roof("1", "train", 1, 1.5, 2)),
}


@pytest.mark.parametrize("sentence", PROBLEMS)
def test_each_problem_is_a_sentence(tmp_path, sentence):
    found = "\n".join(problems(PROBLEMS[sentence](tmp_path)))
    assert re.search(sentence, found)
