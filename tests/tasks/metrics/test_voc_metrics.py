"""Pascal VOC's average precision: the published example, a slow evaluator by the letter of the rules, and by hand."""

import math
from fractions import Fraction
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from models.runtime.predictions import Regions
from tasks.metrics.voc import voc_average_precision
from tests import boxed
from tests.boxed import image

NAMES = ("cat", "dog", "owl")
regions = partial(boxed.regions, concepts=NAMES)

# The example of https://github.com/rafaelpadilla/Object-Detection-Metrics (MIT): image, (score,) left, top, width,
# height. There the right edge is left + width, and that pixel counts as part of the box ("inclusive").
# Two regions have the score .95, two .88 and so on: the numbers hold for the order of the files, as written here.
BOXES = [
    (1, 25, 16, 38, 56),
    (1, 129, 123, 41, 62),
    (2, 123, 11, 43, 55),
    (2, 38, 132, 59, 45),
    (3, 16, 14, 35, 48),
    (3, 123, 30, 49, 44),
    (3, 99, 139, 47, 47),
    (4, 53, 42, 40, 52),
    (4, 154, 43, 31, 34),
    (5, 59, 31, 44, 51),
    (5, 48, 128, 34, 52),
    (6, 36, 89, 52, 76),
    (6, 62, 58, 44, 67),
    (7, 28, 31, 55, 63),
    (7, 58, 67, 50, 58),
]
FOUND = [
    (1, 0.88, 5, 67, 31, 48),
    (1, 0.70, 119, 111, 40, 67),
    (1, 0.80, 124, 9, 49, 67),
    (2, 0.71, 64, 111, 64, 58),
    (2, 0.54, 26, 140, 60, 47),
    (2, 0.74, 19, 18, 43, 35),
    (3, 0.18, 109, 15, 77, 39),
    (3, 0.67, 86, 63, 46, 45),
    (3, 0.38, 160, 62, 36, 53),
    (3, 0.91, 105, 131, 47, 47),
    (3, 0.44, 18, 148, 40, 44),
    (4, 0.35, 83, 28, 28, 26),
    (4, 0.78, 28, 68, 42, 67),
    (4, 0.45, 87, 89, 25, 39),
    (4, 0.14, 10, 155, 60, 26),
    (5, 0.62, 50, 38, 28, 46),
    (5, 0.44, 95, 11, 53, 28),
    (5, 0.95, 29, 131, 72, 29),
    (5, 0.23, 29, 163, 72, 29),
    (6, 0.45, 43, 48, 74, 38),
    (6, 0.84, 17, 155, 29, 35),
    (6, 0.43, 95, 110, 25, 42),
    (7, 0.48, 16, 20, 101, 88),
    (7, 0.95, 33, 116, 37, 49),
]
PUBLISHED = {
    ("every", 0.1): 0.3371980676,
    ("every", 0.3): 0.2456866804,
    ("every", 0.5): 0.0222222222,
    ("eleven", 0.1): 0.3333333333,
    ("eleven", 0.3): 0.2683982683,
    ("eleven", 0.5): 0.0303030303,
}


def corners(left, top, width, height):
    return (left, top, left + width, top + height)


def voc(annotations, found, names, iou, points="every", pixels="continuous"):
    """The average precisions by one of the rules."""
    return voc_average_precision(annotations, found, names, iou, pixels)[points]


def of_cats(annotations, found, *conditions, **words):
    """The average precision of cats alone."""
    return voc(annotations, found, NAMES, *conditions, **words)[0]


def toy():
    names = range(1, 8)
    annotations = [image(*(corners(*row[1:]) for row in BOXES if row[0] == name)) for name in names]
    found = [regions(*((corners(*row[2:]), row[1], "cat") for row in FOUND if row[0] == name)) for name in names]
    return annotations, found


@pytest.mark.parametrize(("points", "iou"), PUBLISHED)
def test_the_published_example(points, iou):
    values = voc(*toy(), NAMES, iou, points, "inclusive")
    assert (values.shape, values.dtype) == ((3,), np.float64)
    assert values[0] == pytest.approx(PUBLISHED[points, iou], abs=1e-9, rel=0)
    assert np.isnan(values[1:]).all()


def test_the_published_example_is_of_boxes_with_their_last_pixel_and_in_the_order_of_the_files():
    annotations, found = toy()
    assert of_cats(annotations, found, 0.1) == pytest.approx(0.2801328502)
    backwards = [each[::-1] for each in found[::-1]]
    assert of_cats(annotations[::-1], backwards, 0.1, "every", "inclusive") == pytest.approx(0.3283091787)


def random_case(seed):
    """Images with difficult and crowd boxes, ties of score, empties, and whole numbers that meet a threshold."""
    draw = np.random.default_rng(seed)
    annotations, found = [], []
    for _ in range(draw.integers(1, 7)):
        count = draw.integers(0, 6)
        starts = draw.integers(0, 60, (count, 2))
        boxes = np.hstack([starts, starts + draw.integers(4, 40, (count, 2))]).astype(np.float64)
        labels = draw.integers(0, 2, count)
        flags = draw.random((2, count)) < 0.15
        named = [NAMES[i] for i in labels]
        annotations.append(image(*boxes.tolist(), concepts=named, crowd=flags[0].tolist(), difficult=flags[1].tolist()))
        copies = int(draw.integers(0, 4))
        near = np.repeat(boxes, copies, axis=0) + draw.integers(-6, 7, (count * copies, 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        said = np.where(draw.random(len(near)) < 0.8, np.repeat(labels, copies), draw.integers(0, 3, len(near)))
        found.append(Regions(near, draw.random(len(near)).round(1).astype(np.float32), said.astype(np.int64), NAMES))
    return annotations, found


def share(one, other, extra):
    """Intersection over union of two boxes of whole numbers, exactly."""
    width, height = (min(one[i + 2], other[i + 2]) - max(one[i], other[i]) + extra for i in (0, 1))
    if width <= 0 or height <= 0:
        return Fraction(0)
    areas = sum((box[2] - box[0] + extra) * (box[3] - box[1] + extra) for box in (one, other))
    return Fraction(int(width * height), int(areas - width * height))


def slowly(annotations, found, name, iou, points, extra):
    """One concept's average precision, one region after the other, in fractions."""
    rows = [
        (-float(score), i, tuple(map(int, box)))
        for i, each in enumerate(found)
        for box, score, label in zip(each.boxes, each.scores, each.labels, strict=True)
        if each.concepts[label] == name
    ]
    taken, right, done, steps = set(), 0, 0, []
    positives = 0
    for entry in annotations:
        columns = zip(entry.box_concepts, entry.crowd, entry.difficult, strict=True)
        positives += sum(concept == name and not crowd and not difficult for concept, crowd, difficult in columns)
    if not positives:
        return math.nan
    for _, i, box in sorted(rows, key=lambda row: row[0]):
        entry = annotations[i]
        mine = [j for j, concept in enumerate(entry.box_concepts) if concept == name]
        best = max(mine, key=lambda j: share(box, tuple(map(int, entry.boxes[j])), extra), default=None)
        on_it = best is not None and share(box, tuple(map(int, entry.boxes[best])), extra) >= iou
        if on_it and (entry.crowd[best] or entry.difficult[best]):
            continue
        right += on_it and (i, best) not in taken
        if on_it:
            taken.add((i, best))
        done += 1
        steps.append((Fraction(right, positives), Fraction(right, done)))

    def best_from(recall):
        return max((precision for reached, precision in steps if reached >= recall), default=Fraction(0))

    if points == "eleven":  # the recalls are floats, as in every evaluator in Python
        steps = [(float(recall), precision) for recall, precision in steps]
        return float(sum(best_from(recall) for recall in np.linspace(0, 1, 11)) / 11)
    recalls = sorted({Fraction(0), *(reached for reached, _ in steps)})
    return float(sum((b - a) * best_from(b) for a, b in pairwise(recalls)))


@pytest.mark.parametrize(("pixels", "extra"), [("continuous", 0), ("inclusive", 1)])
@pytest.mark.parametrize("points", ["every", "eleven"])
def test_numbers_are_those_of_the_rules_by_the_letter(points, pixels, extra):
    for seed in range(150):
        annotations, found = random_case(seed)
        iou = [Fraction(1, 2), Fraction(1, 4), Fraction(3, 4)][seed % 3]
        values = voc(annotations, found, NAMES, float(iou), points, pixels)
        want = [slowly(annotations, found, name, iou, points, extra) for name in NAMES]
        assert values == pytest.approx(want, rel=1e-12, nan_ok=True), seed


def test_a_region_looks_at_the_box_it_overlaps_most_even_if_that_one_is_taken():
    entry = image((0, 0, 100, 100), (40, 0, 140, 100))
    found = regions(((0, 0, 100, 100), 0.9, "cat"), ((15, 0, 115, 100), 0.8, "cat"))  # COCO's rule takes the second box
    assert of_cats([entry], [found], 0.5) == pytest.approx(0.5)
    apart = regions(((0, 0, 100, 100), 0.9, "cat"), ((25, 0, 125, 100), 0.8, "cat"))
    assert of_cats([entry], [apart], 0.5) == pytest.approx(1.0)


def test_the_second_region_on_a_box_is_wrong():
    found = regions(((0, 0, 10, 10), 0.9, "cat"), ((0, 0, 10, 10), 0.8, "cat"), ((50, 0, 60, 10), 0.7, "cat"))
    entry = image((0, 0, 10, 10), (50, 0, 60, 10))
    assert of_cats([entry], [found], 0.5) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert of_cats([entry], [found], 0.5, "eleven") == pytest.approx((6 + 5 * 2 / 3) / 11)


@pytest.mark.parametrize("flag", ["difficult", "crowd"])
def test_a_difficult_or_crowd_box_is_neither_found_nor_missed(flag):
    entry = image((0, 0, 100, 100), (200, 0, 300, 100), **{flag: [True, False]})
    on_it = [((0, 0, 100, 90), 0.9, "cat"), ((0, 10, 100, 100), 0.8, "cat")]
    inside = ((10, 10, 30, 30), 0.7, "cat")  # a crowd of COCO's would swallow it
    found = regions(*on_it, inside, ((200, 0, 300, 100), 0.6, "cat"))
    assert of_cats([entry], [found], 0.5) == pytest.approx(0.5)


def test_an_overlap_of_just_the_threshold_is_a_hit():
    half = regions(((0, 0, 10, 5), 0.9, "cat"))
    assert of_cats([image((0, 0, 10, 10))], [half], 0.5) == 1
    assert of_cats([image((0, 0, 10, 10))], [half], 0.51) == 0
    tenth = (0.1, 0.1, 0.3, 0.7)
    assert of_cats([image(tenth)], [regions((tenth, 0.9, "cat"))], 1.0) == 1


def test_the_last_pixel_makes_a_box_larger():
    half = regions(((0, 0, 9, 4), 0.9, "cat"))
    entry = image((0, 0, 9, 9))
    assert of_cats([entry], [half], 0.5, pixels="inclusive") == 1  # 50 of 100 pixels
    assert of_cats([entry], [half], 0.5) == 0  # 36 of 81


def test_recall_is_compared_in_floats_as_in_the_published_example():
    boxes = [(20 * i, 0, 20 * i + 10, 10) for i in range(10)]
    found = regions(*((box, 0.9, "cat") for box in boxes))
    for count, reached in [(1, 2), (2, 3), (3, 3), (4, 5), (5, 6), (6, 6), (7, 7), (8, 9), (9, 10), (10, 11)]:
        value = of_cats([image(*boxes)], [found[:count]], 0.5, "eleven")
        assert value == pytest.approx(reached / 11), count  # .3, .6 and .7 of 0, .1 … 1 are a hair more
        assert of_cats([image(*boxes)], [found[:count]], 0.5) == pytest.approx(count / 10)


def test_nothing_found_and_nothing_to_find():
    aside = regions(((50, 50, 60, 60), 0.9, "dog"))
    for points in ("every", "eleven"):
        values = voc([image(), image((0, 0, 10, 10))], [aside, regions()], NAMES, 0.5, points)
        assert values == pytest.approx([0, math.nan, math.nan], nan_ok=True)
        assert np.isnan(voc([], [], NAMES, 0.5, points)).all()
        assert voc([image((0, 0, 10, 10))], [aside], NAMES, 0.5, points)[0] == 0


def test_labels_are_told_apart_by_name_not_by_number():
    found = [regions(((0, 0, 10, 10), 0.9, "cat"), concepts=("dog", "cat"))]
    assert voc([image((0, 0, 10, 10))], found, NAMES, 0.5)[0] == 1


def test_what_cannot_be_measured_is_refused():
    entry, found = [image((0, 0, 10, 10))], [regions()]
    with pytest.raises(ValueError, match="1 annotations, but regions of 0 images"):
        voc(entry, [], NAMES, 0.5)
    with pytest.raises(ValueError, match="iou must be above 0 and at most 1, got 0"):
        voc(entry, found, NAMES, 0)
    with pytest.raises(ValueError, match="pixels must be one of continuous, inclusive, got 'half'"):
        voc(entry, found, NAMES, 0.5, pixels="half")
