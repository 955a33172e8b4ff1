"""The sheet of the pictures that a model got most wrong: what is drawn where, and how large it is."""

from __future__ import annotations

import numpy as np
from PIL import Image

from models.runtime.predictions import Concepts, Regions
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset
from tasks.metrics.classification import classification
from tasks.metrics.detection import detection
from tasks.worst import worst_errors

NAMES = ("cat", "dog")
ORANGE, BLUE, GREY = (219, 92, 26), (31, 111, 180), (128, 128, 128)
LEFT, MIDDLE, FAR = (10.0, 20.0, 30.0, 60.0), (40.0, 20.0, 60.0, 60.0), (70.0, 20.0, 90.0, 60.0)


def pictures(folder, task, count, **columns):
    """A dataset of grey pictures, 100 wide and 80 high."""
    (folder / "images").mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", (100, 80), GREY).save(folder / "images" / f"{i}.png")
    entries = tuple(Annotation(f"{i}.png", "", 100, 80, "test", **columns) for i in range(count))
    return Dataset("grey", folder, task, True, NAMES, entries)


def boxed(folder, count, found):
    """A dataset with boxes on the left and in the middle of each picture, and what is found in each."""
    boxes, no = (LEFT, MIDDLE), (False, False)
    columns = {"boxes": boxes, "areas": (800.0,) * 2, "box_concepts": ("cat",) * 2, "crowd": no, "difficult": no}
    dataset = pictures(folder, "detection", count, concepts=(), **columns)
    regions = Regions(
        np.array(found, np.float64).reshape(-1, 4),
        np.full(len(found), 0.9, np.float32),
        np.zeros(len(found), np.int64),
        NAMES,
    )
    return dataset, [regions] * count


def drawn(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def of_colour(pixels, colour):
    """Columns of the first picture with that colour, as fractions of its width."""
    where = np.abs(pixels[40:330, 10:474] - colour).max(axis=-1) < 60  # JPEG blurs a line
    return np.flatnonzero(where.mean(axis=0) > 0.3) / 464


def test_wrong_missed_and_right_are_drawn_where_they_are(tmp_path):
    dataset, found = boxed(tmp_path / "data", 1, [LEFT, FAR])
    report = detection(dataset.annotations, found, NAMES)
    (path,) = worst_errors(dataset, dataset.annotations, found, report, tmp_path / "report")
    pixels = drawn(path)
    assert pixels.shape[1] == 464 + 2 * 10
    right, wrong, missed = (of_colour(pixels, colour) for colour in (BLUE, ORANGE, (255, 255, 255)))
    for places, (x0, _, x1, _) in ((right, LEFT), (wrong, FAR), (missed, MIDDLE)):
        assert len(places) and np.abs(np.array([places.min(), places.max()]) - (x0 / 100, x1 / 100)).max() < 0.02


def test_the_sheet_is_small_whatever_the_pictures(tmp_path):
    dataset, found = boxed(tmp_path / "data", 9, [FAR])
    report = detection(dataset.annotations, found, NAMES)
    (path,) = worst_errors(dataset, dataset.annotations, found, report, tmp_path / "report")
    height, width, _ = drawn(path).shape
    assert width == 958 and 3 * 371 < height < 3 * 440  # three rows of two
    assert path.stat().st_size < 300_000


def test_a_classifiers_pictures_are_told_below(tmp_path):
    dataset = pictures(tmp_path / "data", "classification", 4, concepts=("cat",))
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.9, 0.1]], np.float32)
    found = [Concepts(row, NAMES) for row in scores]
    report = classification(dataset.annotations, scores, NAMES, True)
    (path,) = worst_errors(dataset, dataset.annotations, found, report, tmp_path / "report")
    pixels = drawn(path)
    assert pixels.shape[1] == 2 * (306 + 10) + 10  # the two that are wrong
    assert (pixels[265:].max(axis=-1) < 90).any()  # and letters below


def test_without_a_mistake_there_is_no_sheet_and_an_old_one_goes(tmp_path):
    dataset, found = boxed(tmp_path / "data", 1, [FAR])
    report = detection(dataset.annotations, found, NAMES)
    (path,) = worst_errors(dataset, dataset.annotations, found, report, tmp_path)
    right = [Regions(np.array([LEFT, MIDDLE]), np.ones(2, np.float32), np.zeros(2, np.int64), NAMES)]
    report = detection(dataset.annotations, right, NAMES)
    assert worst_errors(dataset, dataset.annotations, right, report, tmp_path) == []
    assert not path.exists()
