"""Kinds of detection errors and their costs: hotcoco is the oracle where it keeps to TIDE, the rest is by hand."""

import math

import hotcoco
import numpy as np
import pytest

from models.runtime.predictions import Regions
from tasks.metrics.errors import KINDS, errors
from tasks.metrics.matching import match, overlapping, overlaps, sides, truth_of
from tests.boxed import NAMES, image, regions

HOTCOCO = {
    "Cls": "classification",
    "Loc": "localisation",
    "Both": "both",
    "Dupe": "duplicate",
    "Bkg": "background",
    "Miss": "missed",
    "FP": "false_positives",
    "FN": "false_negatives",
}
BOX = (0, 0, 100, 100)
HALF = (0, 0, 100, 50)  # overlaps BOX by exactly .5
SLIGHT = (0, 0, 100, 30)  # by .3
TENTH = (0, 0, 100, 10)  # by exactly .1
OTHER, ASIDE = (200, 0, 300, 100), (400, 400, 450, 450)


def measure(annotations, found, names=NAMES, iou=0.5, **words):
    pairs = overlapping(annotations, found, names)
    return errors(pairs, pairs.matched(iou), iou, **words)


def kinds(report):
    return [KINDS[kind] for kind in report.kind]


def costs(report):
    """What costs anything at all."""
    return {name: cost for name, cost in report.costs.items() if not abs(cost) < 1e-12}


def random_case(seed, ties=False):
    """Images with every kind of error, crowds, empties, absent concepts and, now and then, more than 100 regions."""
    draw = np.random.default_rng(seed)
    names = NAMES[: draw.integers(1, 5)]
    annotations, found = [], []
    for _ in range(draw.integers(1, 8)):
        count = draw.integers(0, 9)
        starts = draw.uniform(0, 200, (count, 2)).round(1)
        boxes = np.hstack([starts, starts + draw.uniform(10, 120, (count, 2)).round(1)])
        labels = draw.integers(0, len(names), count)
        crowd = draw.random(count) < 0.2
        annotations.append(image(*boxes.tolist(), concepts=[names[i] for i in labels], crowd=crowd.tolist()))
        copies = int(draw.choice([0, 1, 2, 4, 60], p=[0.1, 0.3, 0.3, 0.27, 0.03]))
        near = np.repeat(boxes, copies, axis=0)
        near += draw.normal(0, draw.choice([3, 12, 30]), near.shape).round(1)
        corners = draw.uniform(0, 300, (draw.integers(0, 4), 2)).round(1)
        near = np.vstack([near, np.hstack([corners, corners + 30])])
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        said = draw.integers(0, len(names), len(near))
        said[: count * copies] = np.where(
            draw.random(count * copies) < 0.75, np.repeat(labels, copies), said[: count * copies]
        )
        scores = draw.random(len(near)).round(1 if ties else 7).astype(np.float32)
        found.append(Regions(near, scores, said, names))
    return annotations, found, names


def clear_of_crowds(annotations, found, names, iou):
    """The regions that lie in a crowd of their concept or out of it: hotcoco calls the others localisation errors."""
    kept = []
    for entry, each in zip(annotations, found, strict=True):
        truth = truth_of(entry, names)
        shared = overlaps(sides(each.boxes), truth.boxes, truth.crowd)
        shared = np.where((each.labels[:, None] == truth.labels) & truth.crowd, shared, 0).max(axis=1, initial=0)
        kept.append(each[(shared < 0.1) | (shared >= iou)])
    return kept


def surest(found):
    """The regions that average precision counts: the 100 surest of a concept in an image."""
    kept = []
    for each in found:
        ranks = match([image()], [each], each.concepts, 0.5).rank
        kept.append(each[ranks < 100])
    return kept


def oracle(annotations, found, names, iou):
    """hotcoco's tide_errors of the same boxes and regions."""
    boxes = sides(np.array([box for entry in annotations for box in entry.boxes]).reshape(-1, 4))
    concepts = [names.index(name) for entry in annotations for name in entry.box_concepts]
    truth = hotcoco.COCO.from_arrays(
        [{"id": i} for i in range(1, len(annotations) + 1)],
        [{"id": i, "name": name} for i, name in enumerate(names)],
        np.repeat(np.arange(1, len(annotations) + 1), [len(entry.boxes) for entry in annotations]),
        np.array(concepts, np.int64),
        boxes,
        area=boxes[:, 2] * boxes[:, 3],
        iscrowd=np.array([int(crowd) for entry in annotations for crowd in entry.crowd], np.int64),
    )
    rows = [
        np.column_stack([np.full(len(each), i), sides(each.boxes), each.scores.astype(np.float64), each.labels])
        for i, each in enumerate(found, 1)
    ]
    evaluation = hotcoco.COCOeval(truth, truth.load_res(np.vstack(rows)), "bbox")
    evaluation.evaluate()
    return evaluation.tide_errors(pos_thr=iou, bg_thr=0.1)


def some_gone(change, before, concepts, left):
    """hotcoco keeps a concept without a box left to find in the mean, as a zero; COCO's mean does without it."""
    return concepts * (change + before) / left - before if left else math.nan


@pytest.mark.parametrize(("ties", "iou"), [(False, 0.5), (True, 0.5), (False, 0.75)])
def test_counts_and_costs_are_hotcocos(ties, iou):
    seen = 0
    for seed in range(140):
        annotations, found, names = random_case(seed, ties)
        found = clear_of_crowds(annotations, found, names, iou)
        if not any(map(len, found)) or not any(entry.boxes for entry in annotations):
            continue  # hotcoco takes neither
        seen += 1
        want = oracle(annotations, found, names, iou)
        matches = match(annotations, surest(found), names, iou)
        report = errors(overlapping(annotations, surest(found), names), matches, iou)
        assert {name: report.counts[HOTCOCO[name]] for name in want["counts"]} == want["counts"], seed
        there = matches.labelled.sum(axis=0)
        lost = [names.index(annotations[i].box_concepts[j]) for i, j in report.missed]
        left = {
            "Miss": np.sum(there > np.bincount(lost, minlength=len(names))),
            "FN": np.sum(np.bincount(matches.label[matches.hit], minlength=len(names)) > 0),
        }
        for name, change in want["delta_ap"].items():
            if ties and name == "Cls":
                continue  # hotcoco puts a mended region behind its equals, here it keeps its place
            concepts = int(np.sum(there > 0))
            cost = some_gone(change, want["ap_base"], concepts, left.get(name, concepts))
            assert report.costs[HOTCOCO[name]] == pytest.approx(cost, abs=1e-9, nan_ok=True), (seed, name)
    assert seen > 120


def test_what_average_precision_does_not_count_costs_nothing():
    over = 0
    for seed in range(150):
        annotations, found, names = random_case(seed)
        kept = surest(found)
        if sum(map(len, kept)) < sum(map(len, found)):
            over += 1
            all_of_them, those = (measure(annotations, each, names) for each in (found, kept))
            assert all_of_them.costs == pytest.approx(those.costs, nan_ok=True), seed
            assert sum(all_of_them.counts[kind] for kind in KINDS) == sum(map(len, found))
    assert over > 5


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7])
def test_counts_add_up_to_those_of_the_curve(threshold):
    for seed in range(40):
        annotations, found, names = random_case(seed, ties=True)
        curve = match(annotations, found, names, 0.5).curve()
        hits, wrong = curve.at(threshold)
        report = measure(annotations, found, names, threshold=threshold)
        counts = report.counts
        assert counts["right"] == hits
        assert sum(counts[kind] for kind in KINDS[2:]) == wrong
        assert counts["missed"] == len(report.missed) <= curve.positives - hits
        assert len(report.kind) == sum(map(len, found))
        assert report.costs == pytest.approx(measure(annotations, found, names).costs, nan_ok=True)


def test_each_kind_by_hand():
    entry = image(BOX, OTHER, concepts=["cat", "dog"])
    rows = {
        "right": (BOX, 0.9, "cat"),
        "duplicate": (BOX, 0.8, "cat"),
        "localisation": (SLIGHT, 0.7, "cat"),
        "classification": (BOX, 0.6, "owl"),
        "both": (SLIGHT, 0.5, "owl"),
        "background": (ASIDE, 0.4, "cat"),
    }
    report = measure([image(), entry], [regions(), regions(*rows.values())])
    assert kinds(report) == list(rows)
    assert report.kind.dtype == np.int8
    assert report.missed.dtype == np.int64
    assert report.missed.tolist() == [[1, 1]]
    assert report.counts == dict.fromkeys(KINDS, 1) | {"ignored": 0, "missed": 1}
    assert [*report.costs] == [*KINDS[2:], "missed", "false_positives", "false_negatives"]


def test_the_first_that_holds_is_the_kind():
    entry = image(BOX, (0, 0, 100, 60), concepts=["cat", "dog"])
    found = regions((BOX, 0.9, "cat"), (BOX, 0.8, "cat"), ((0, 0, 100, 31), 0.7, "cat"))
    assert kinds(measure([entry], [found])) == [
        "right",
        "classification",
        "localisation",
    ]  # also a duplicate, also a dog


def test_overlaps_of_just_a_bound():
    both = image(BOX, OTHER, concepts=["cat", "dog"])
    taken = [(BOX, 0.9, "cat"), (HALF, 0.8, "cat")]
    assert kinds(measure([both], [regions(*taken)])) == ["right", "duplicate"]  # tidecv: a localisation error
    assert kinds(measure([both], [regions((HALF, 0.8, "owl"))])) == ["classification"]
    assert kinds(measure([both], [regions((TENTH, 0.8, "cat"))])) == ["localisation"]
    assert kinds(measure([both], [regions((TENTH, 0.8, "owl"))])) == ["both"]  # tidecv: background
    assert kinds(measure([both], [regions(((0, 0, 100, 9.9), 0.8, "owl"))])) == ["background"]
    odd = (0.1, 0.1, 0.3, 0.7)
    found = regions((odd, 0.9, "cat"), (odd, 0.8, "cat"), (odd, 0.7, "dog"))
    assert kinds(measure([image(odd)], [found], iou=1.0)) == ["right", "duplicate", "classification"]


def test_a_classification_error_mended_is_right_in_its_boxs_concept():
    entry = image(BOX, OTHER, concepts=["cat", "dog"])
    report = measure([entry], [regions((BOX, 0.9, "dog"), (OTHER, 0.8, "dog"))])
    assert kinds(report) == ["classification", "right"]
    assert len(report.missed) == 0
    # Before: cats 0, dogs 1/2. Without the wrong one dogs have 1; without the cat to find only dogs count.
    want = {"classification": 0.75, "false_positives": 0.25, "false_negatives": 0.25}
    assert costs(report) == pytest.approx(want)


def test_a_localisation_error_mended_is_right():
    entry = image(BOX, OTHER)
    report = measure([entry], [regions((SLIGHT, 0.9, "cat"), (OTHER, 0.8, "cat"))])
    assert kinds(report) == ["localisation", "right"]
    before = 51 / 101 / 2  # precision 1/2 up to a recall of .5
    assert costs(report) == pytest.approx(
        {"localisation": 1 - before, "false_positives": 51 / 101 - before, "false_negatives": 0.5 - before}
    )


def test_only_the_surest_error_about_a_box_can_be_mended():
    entry = image(BOX)
    found = regions((SLIGHT, 0.6, "cat"), (BOX, 0.9, "dog"), (SLIGHT, 0.8, "cat"))
    report = measure([entry], [found])
    assert kinds(report) == ["localisation", "classification", "localisation"]
    assert costs(report) == pytest.approx({"classification": 1, "false_negatives": math.nan}, nan_ok=True)
    last = measure([entry], [found[np.array([0, 2])]])
    assert costs(last) == pytest.approx({"localisation": 1, "false_negatives": math.nan}, nan_ok=True)


def test_an_error_about_a_box_that_is_found_is_dropped():
    entry = image(BOX)
    for row, kind in [((SLIGHT, 0.9, "cat"), "localisation"), ((BOX, 0.9, "dog"), "classification")]:
        report = measure([entry], [regions(row, (BOX, 0.8, "cat"))])
        assert kinds(report) == [kind, "right"]
        gain = 0.5 if kind == "localisation" else 0  # what is said of dogs costs nothing: there is none
        assert report.costs[kind] == report.costs["false_positives"] == pytest.approx(gain)


@pytest.mark.parametrize(
    ("row", "kind"), [((BOX, 0.8, "cat"), "duplicate"), ((ASIDE, 0.8, "cat"), "background"), (None, "both")]
)
def test_what_cannot_be_mended_is_dropped(row, kind):
    entry = image(BOX, OTHER, (0, 200, 100, 300), concepts=["cat", "cat", "dog"])
    row = row or ((0, 200, 100, 230), 0.8, "cat")
    report = measure([entry], [regions((BOX, 0.9, "cat"), row, (OTHER, 0.7, "cat"), ((0, 200, 100, 300), 0.9, "dog"))])
    assert kinds(report) == ["right", kind, "right", "right"]
    cost = 50 / 101 / 3 / 2  # cats have a precision of 2/3 instead of 1 at recalls above .5
    assert costs(report) == pytest.approx({kind: cost, "false_positives": cost})


def test_missed_boxes_are_mended_by_looking_for_fewer():
    report = measure([image(BOX), image(OTHER)], [regions((BOX, 0.9, "cat")), regions()])
    assert report.missed.tolist() == [[1, 0]]
    assert costs(report) == pytest.approx({"missed": 50 / 101, "false_negatives": 50 / 101})


def test_a_concept_that_is_nowhere_found_leaves_the_mean():
    entry = image(BOX, OTHER, concepts=["cat", "dog"])
    for more in ([], [(ASIDE, 0.5, "dog")]):
        report = measure([entry], [regions((BOX, 0.9, "cat"), *more)])
        assert costs(report) == pytest.approx({"missed": 0.5, "false_negatives": 0.5})
    nothing = measure([entry], [regions()])
    assert nothing.counts["missed"] == 2
    assert costs(nothing) == pytest.approx({"missed": math.nan, "false_negatives": math.nan}, nan_ok=True)


def test_a_region_below_the_threshold_finds_and_covers_nothing():
    entry = image(BOX, OTHER)
    found = regions((BOX, 0.6, "cat"), ((200, 0, 300, 30), 0.4, "cat"))
    assert measure([entry], [found]).counts["missed"] == 0
    report = measure([entry], [found], threshold=0.5)
    assert kinds(report) == ["right", "localisation"]
    assert report.missed.tolist() == [[0, 1]]
    assert report.counts == dict.fromkeys(KINDS, 0) | {"right": 1, "missed": 1}
    assert len(measure([entry], [found], threshold=0.6).missed) == 1  # a score of the threshold counts
    assert len(measure([entry], [found], threshold=0.61).missed) == 2


@pytest.mark.parametrize("flag", ["crowd", "difficult"])
def test_crowd_and_difficult_boxes_have_no_part_in_it(flag):
    entry = image(BOX, OTHER, **{flag: [True, False]})
    found = regions((BOX, 0.9, "cat"), (HALF, 0.8, "cat"), (BOX, 0.7, "dog"), (OTHER, 0.6, "cat"))
    assert kinds(measure([entry], [found])) == ["ignored", "ignored", "background", "right"]
    partly = regions(((0, 60, 100, 160), 0.5, "cat"))  # .4 of it in the crowd; overlaps the box by .25
    report = measure([entry], [partly])
    assert kinds(report) == ["background"]  # hotcoco: a localisation error about the crowd
    assert report.missed.tolist() == [[0, 1]]
    inside = regions(((10, 10, 30, 30), 0.7, "cat"))
    assert kinds(measure([entry], [inside])) == ["ignored" if flag == "crowd" else "background"]


def test_a_mended_region_keeps_its_place_among_equals():
    entry = image(BOX, OTHER, concepts=["cat", "dog"])
    rows = [(OTHER, 0.5, "cat"), (ASIDE, 0.5, "dog"), (BOX, 0.9, "cat")]
    first = measure([entry], [regions(*rows)])
    last = measure([entry], [regions(*rows[::-1])])
    assert first.costs["classification"] == pytest.approx(0.5)  # the mended dog comes before the wrong one
    assert last.costs["classification"] == pytest.approx(0.25)


def test_nothing_found_and_nothing_to_find():
    empty = measure([], [])
    assert (empty.kind.shape, empty.missed.shape) == ((0,), (0, 2))
    assert all(math.isnan(cost) for cost in empty.costs.values())
    report = measure([image(), image()], [regions((ASIDE, 0.9, "cat")), regions()])
    assert kinds(report) == ["background"]
    assert report.counts == dict.fromkeys(KINDS, 0) | {"background": 1, "missed": 0}
    assert all(math.isnan(cost) for cost in report.costs.values())
    perfect = measure([image(BOX), image()], [regions((BOX, 0.9, "cat")), regions()])
    assert costs(perfect) == {}


def test_labels_are_told_apart_by_name_not_by_number():
    found = [regions((BOX, 0.9, "cat"), (BOX, 0.8, "dog"), concepts=("dog", "cat"))]
    assert kinds(measure([image(BOX)], found)) == ["right", "classification"]


def test_what_does_not_belong_together_is_refused():
    matches = match([image(BOX)], [regions((BOX, 0.9, "cat"))], NAMES, 0.5)
    with pytest.raises(ValueError, match="0 regions, but matches of 1"):
        errors(overlapping([image(BOX)], [regions()], NAMES), matches)
    with pytest.raises(ValueError, match="2 annotations, but regions of 1 images"):
        errors(overlapping([image(BOX)] * 2, [regions()], NAMES), matches)
