"""Detection numbers: pycocotools is the oracle for all that COCO defines, counting by hand for the rest."""

import contextlib
import io
import math

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from models.runtime.faults import Fault
from models.runtime.predictions import Regions
from tasks.metrics.coco import ENGINE, ENGINES, TWELVE, coco
from tasks.metrics.detection import best_threshold, detection
from tasks.metrics.matching import match
from tasks.metrics.resampling import Resampled
from tests.boxed import NAMES, image, regions


def random_case(seed):
    """A few images with crowds, ties, empties, doubles and, now and then, more than 100 regions."""
    draw = np.random.default_rng(seed)
    names = NAMES[: draw.integers(1, 5)]
    annotations, found = [], []
    for _ in range(draw.integers(1, 8)):
        count = draw.integers(0, 9)
        corners = draw.uniform(0, 300, (count, 2)).round(draw.integers(0, 3))
        boxes = np.hstack([corners, corners + draw.uniform(4, 150, (count, 2)).round(1)])
        labels = draw.integers(0, len(names), count)
        annotations.append(
            image(
                *boxes.tolist(),
                concepts=[names[i] for i in labels],
                crowd=(draw.random(count) < 0.15).tolist(),
                areas=(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) * draw.uniform(0.5, 1, count)).tolist(),
            )
        )
        copies = int(draw.choice([0, 1, 2, 4, 40], p=[0.1, 0.3, 0.3, 0.25, 0.05]))
        near = np.repeat(boxes, copies, axis=0) + draw.normal(0, 4, (count * copies, 4)).round(1)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        said = np.where(draw.random(len(near)) < 0.8, np.repeat(labels, copies), 0)
        scores = draw.random(len(near)).round(draw.integers(1, 4)).astype(np.float32)
        found.append(Regions(near, scores, said.astype(np.int64), names))
    return annotations, found, names


def cocoeval(annotations, found, names, most=100):
    """COCOeval's own run, fed through its own loader."""

    def xywh(box):
        return [box[0], box[1], box[2] - box[0], box[3] - box[1]]

    truth = [
        {"image_id": i, "bbox": xywh(box), "area": area, "category_id": names.index(name), "iscrowd": int(c)}
        for i, e in enumerate(annotations)
        for box, area, name, c in zip(e.boxes, e.areas, e.box_concepts, e.crowd, strict=True)
    ]
    rows = [
        {"image_id": i, "bbox": xywh(box), "score": float(score), "category_id": int(label)}
        for i, r in enumerate(found)
        for box, score, label in zip(r.boxes.tolist(), r.scores, r.labels, strict=True)
    ]
    gold = COCO()
    gold.dataset = {
        "info": {},
        "images": [{"id": i} for i in range(len(annotations))],
        "categories": [{"id": i, "name": name} for i, name in enumerate(names)],
        "annotations": [row | {"id": i} for i, row in enumerate(truth, 1)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        gold.createIndex()
        answers = gold.loadRes(rows) if rows else COCO()
        if not rows:
            answers.dataset = gold.dataset | {"annotations": []}
            answers.createIndex()
        evaluation = COCOeval(gold, answers, "bbox")
        evaluation.params.maxDets = [1, 10, most]
        evaluation.evaluate()
        evaluation.accumulate()
        if most == 100:  # summarize() knows no other number
            evaluation.summarize()
    return evaluation


def same(got, want):
    return (math.isnan(got) and want == -1) or got == want


@pytest.mark.parametrize("block", range(4))
def test_numbers_are_cocos_to_the_last_bit(block, monkeypatch):
    """1,200 cases with crowds, ties, empty images, doubles, more than 100 regions and concepts that nothing has."""
    for seed in range(block * 300, block * 300 + 300):
        annotations, found, names = random_case(seed)
        oracle = cocoeval(annotations, found, names)
        precision = oracle.eval["precision"][..., -1]
        for engine in ENGINES:
            monkeypatch.setenv(ENGINE, engine)
            twelve, average = coco(annotations, found, names)
            for name, want in zip(TWELVE, oracle.stats, strict=True):
                assert same(twelve[name], want), (engine, seed, name)
            want = np.where(precision > -1, precision, np.nan).mean(axis=1)
            np.testing.assert_array_equal(average, want, err_msg=f"{engine} {seed}")


def test_the_cases_hold_what_they_are_there_for():
    cases = [random_case(seed) for seed in range(1200)]
    assert any(any(entry.crowd) for entries, _, _ in cases for entry in entries)
    assert any(len(entry.boxes) == 0 for entries, _, _ in cases for entry in entries)
    assert any(np.bincount(each.labels).max(initial=0) > 100 for _, found, _ in cases for each in found)
    assert any(len(set(each.scores.tolist())) < len(each) for _, found, _ in cases for each in found)
    assert any(set(names) - {n for e in entries for n in e.box_concepts} for entries, _, names in cases)


def test_an_engine_that_there_is_not_is_refused(monkeypatch):
    monkeypatch.setenv(ENGINE, "hotcocoa")
    with pytest.raises(Fault, match=r"SIGHTLINE_COCO: there is no engine 'hotcocoa'\..*Did you mean 'hotcoco'"):
        coco(*random_case(1))


def test_the_report_holds_those_numbers():
    annotations, found, names = random_case(8)
    report = detection(annotations, found, names)
    twelve, average = coco(annotations, found, names)
    assert {name: report.summary[name] for name in TWELVE} == pytest.approx(twelve, nan_ok=True)
    for label, row in enumerate(report.per_concept):
        assert row["Average Precision"] == pytest.approx(average[:, label, 0].mean(), nan_ok=True)
        assert row["AP50"] == pytest.approx(average[0, label, 0], nan_ok=True)


@pytest.mark.parametrize("iou", [0.5, 0.75, 0.8, 0.9])
def test_counts_are_those_of_cocos_matches(iou):
    for seed in range(25):
        annotations, found, names = random_case(seed)
        threshold = [0.0, 0.3, 0.5, 0.7][seed % 4]
        report = detection(annotations, found, names, threshold, iou)
        sure = [r[r.scores >= np.float32(threshold)] for r in found]
        oracle = cocoeval(annotations, sure, names, most=10**6)
        step = int(np.argmin(abs(oracle.params.iouThrs - iou)))
        everywhere = oracle.params.areaRng[0]
        for label, row in enumerate(report.per_concept):
            mine = [e for e in oracle.evalImgs if e and e["category_id"] == label and e["aRng"] == everywhere]
            kept = [~e["dtIgnore"][step].astype(bool) for e in mine]
            hits = sum(int((e["dtMatches"][step] > 0)[k].sum()) for e, k in zip(mine, kept, strict=True))
            assert row["True Positives"] == hits, (seed, label)
            assert row["Total Predicted"] == sum(int(k.sum()) for k in kept), (seed, label)
            assert row["Total Labeled"] == sum(int((e["gtIgnore"] == 0).sum()) for e in mine), (seed, label)


def test_every_row_agrees_with_itself_its_curve_and_the_confusion_matrix():
    for seed in range(40):
        annotations, found, names = random_case(seed)
        threshold = [0.0, 0.3, 0.5, 0.7][seed % 4]
        report = detection(annotations, found, names, threshold)
        for label, (row, curve) in enumerate(zip(report.per_concept, report.curves, strict=True)):
            hits, wrong, missed = (row[f"{kind}"] for kind in ("True Positives", "False Positives", "False Negatives"))
            assert hits + missed == row["Total Labeled"] == report.confusion[label].sum()
            assert hits + wrong == row["Total Predicted"] == report.confusion[:, label].sum()
            assert hits == report.confusion[label, label]
            reached = np.flatnonzero(curve.thresholds >= np.float32(threshold))
            if len(reached):
                assert row["Precision"] == curve.precision[reached[-1]]
                assert row["Recall"] == pytest.approx(curve.recall[reached[-1]], nan_ok=True)
                assert row["F1"] == curve.f1[reached[-1]]
        assert report.confusion[-1, -1] == 0
        assert report.summary["true_positives"] == np.trace(report.confusion)
        assert report.summary["false_positives"] == sum(r["False Positives"] for r in report.per_concept)
        assert report.summary["false_negatives"] == sum(r["False Negatives"] for r in report.per_concept)


def test_redrawing_every_image_once_gives_cocos_number():
    for seed in range(100):
        annotations, found, names = random_case(seed)
        once = Resampled.of(match(annotations, found, names, 0.5)).map(np.arange(len(annotations)))
        want = coco(annotations, found, names)[0]["map_50"]
        assert once == pytest.approx(want, rel=1e-12, nan_ok=True), seed


def test_redrawing_an_image_twice_is_the_same_image_twice():
    hit, miss = image((0, 0, 10, 10)), image((0, 0, 10, 10))
    found = [regions(((0, 0, 10, 10), 0.9, "cat")), regions(((50, 50, 60, 60), 0.8, "cat"))]
    resampled = Resampled.of(match([hit, miss], found, NAMES, 0.5))
    assert resampled.map(np.array([0, 0])) == 1
    assert resampled.map(np.array([1, 1])) == 0
    assert math.isnan(Resampled.of(match([image()], [regions()], NAMES, 0.5)).map(np.array([0])))


def test_the_interval_holds_the_number_and_repeats_itself():
    cases = [random_case(seed) for seed in range(40)]
    annotations = [entry for case in cases for entry in case[0]]
    found = [Regions(r.boxes, r.scores, r.labels, NAMES) for case in cases for r in case[1]]
    one, two = (detection(annotations, found, NAMES).summary for _ in range(2))
    assert one["map_50_low"] < one["map_50"] < one["map_50_high"]
    assert one == two


def test_a_difficult_box_is_neither_found_nor_missed():
    entry = image((0, 0, 100, 100), (200, 0, 300, 100), difficult=[True, False])
    twice = [((0, 0, 100, 90), 0.9, "cat"), ((0, 10, 100, 100), 0.8, "cat")]
    inside = ((10, 10, 30, 30), 0.7, "cat")  # a crowd would swallow it
    report = detection([entry], [regions(*twice, inside, ((200, 0, 300, 100), 0.6, "cat"))], NAMES)
    assert report.per_concept[0]["True Positives"] == 1
    assert report.per_concept[0]["False Positives"] == 1
    assert report.per_concept[0]["Total Labeled"] == 1
    assert report.summary["map_50"] == pytest.approx(0.5)
    assert "0 crowd and 1 difficult boxes are neither found nor missed" in report.notes


def test_a_crowd_swallows_what_lies_in_it():
    entry = image((0, 0, 100, 100), crowd=[True])
    report = detection([entry], [regions(((10, 10, 30, 30), 0.7, "cat"), ((90, 90, 200, 200), 0.6, "cat"))], NAMES)
    assert (report.summary["true_positives"], report.summary["false_positives"]) == (0, 1)
    assert math.isnan(report.summary["map"])


def test_a_box_taken_for_another_concept_is_a_cell_not_a_double_fault():
    entry = image((0, 0, 100, 100), (200, 0, 300, 100), concepts=["cat", "owl"])
    found = regions(((0, 0, 100, 98), 0.9, "dog"), ((400, 0, 450, 50), 0.8, "dog"))
    report = detection([entry], [found], NAMES)
    cells = {tuple(map(int, cell)): int(report.confusion[tuple(cell)]) for cell in np.argwhere(report.confusion)}
    assert cells == {(0, 1): 1, (2, 4): 1, (4, 1): 1}


def test_the_surest_of_two_mistakes_takes_the_box():
    found = regions(((0, 0, 100, 90), 0.6, "owl"), ((0, 10, 100, 100), 0.9, "dog"))
    report = detection([image((0, 0, 100, 100))], [found], NAMES)
    assert report.confusion[0, NAMES.index("dog")] == 1
    assert report.confusion[-1, NAMES.index("owl")] == 1


def test_a_score_equal_to_the_threshold_counts():
    found = [regions(((0, 0, 10, 10), 0.7, "cat"))]
    assert detection([image((0, 0, 10, 10))], found, NAMES, 0.7).summary["true_positives"] == 1
    assert detection([image((0, 0, 10, 10))], found, NAMES, 0.71).summary["true_positives"] == 0


def test_more_than_100_regions_all_count_at_the_threshold():
    found = [regions(*[((i, 0, i + 5, 5), 0.9, "cat") for i in range(150)])]
    report = detection([image((300, 300, 310, 310))], found, NAMES)
    assert report.summary["false_positives"] == 150


def test_a_concept_the_model_does_not_know_is_missed_and_said_so():
    entry = image((0, 0, 10, 10), (50, 0, 60, 10), concepts=["cat", "emu"])
    report = detection([entry], [regions(((0, 0, 10, 10), 0.9, "cat"))], NAMES)
    assert report.concepts == (*NAMES, "emu")
    assert report.per_concept[-1]["AP50"] == 0
    assert report.per_concept[-1]["False Negatives"] == 1
    assert report.summary["map_50"] == pytest.approx(0.5)
    assert "the model does not know 'emu': each of its 1 boxes is missed" in report.notes
    assert "no box of 'dog', 'owl', 'yak': no average precision, left out of the means" in report.notes


def test_labels_are_told_apart_by_name_not_by_number():
    found = [regions(((0, 0, 10, 10), 0.9, "cat"), concepts=("dog", "cat"))]
    assert detection([image((0, 0, 10, 10))], found, NAMES).summary["map_50"] == pytest.approx(1)


def test_nothing_found_and_nothing_to_find():
    report = detection([image(), image()], [regions(), regions()], NAMES)
    assert math.isnan(report.summary["map_50"])
    assert math.isnan(report.summary["map_50_low"])
    assert math.isnan(report.summary["precision"])
    assert report.confusion.sum() == 0
    assert report.confusion.shape == (5, 5)
    missed = detection([image((0, 0, 10, 10))], [regions()], NAMES)
    assert missed.summary["map_50"] == 0
    assert missed.summary["recall"] == 0
    assert math.isnan(missed.summary["precision"])


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(Fault, match="no image to measure on"):
        detection([], [], NAMES)
    with pytest.raises(Fault, match=r"threshold must lie in 0–1, got 1.5"):
        detection([image()], [regions()], NAMES, threshold=1.5)
    with pytest.raises(Fault, match=r"IoU .* at most 1, got 0"):
        detection([image()], [regions()], NAMES, iou=0)
    with pytest.raises(ValueError, match="2 annotations, but regions of 1 images"):
        match([image(), image()], [regions()], NAMES, 0.5)


def test_the_best_threshold_attains_the_best_f1():
    for seed in range(100):
        annotations, found, names = random_case(seed)
        best = best_threshold(annotations, found, names)
        curve = match(annotations, found, names, 0.5).curve()
        if curve.true_positives.any():
            hits, wrong = curve.at(best)
            assert 2 * hits / (hits + wrong + curve.positives) == curve.f1.max(), seed


def test_the_best_threshold_is_as_round_as_it_may_be():
    boxes = [image((0, 0, 10, 10)), image((0, 0, 10, 10))]

    def best(right, wrong):
        found = [regions(((0, 0, 10, 10), right, "cat")), regions(((50, 50, 60, 60), wrong, "cat"))]
        return best_threshold(boxes, found, NAMES)

    assert best(0.8765, 0.2) == 0.87
    assert best(0.8765, 0.8712) == 0.876
    assert best(0.7, 0.2) == 0.69  # float32 holds .7 as a little less
    assert best_threshold(boxes, [regions(), regions()], NAMES) == 0.5


def test_of_equally_good_thresholds_the_highest_is_best():
    box, aside = (0, 0, 10, 10), (50, 50, 60, 60)
    rows = [(box, 0.9, "cat"), (aside, 0.8, "cat"), (aside, 0.7, "cat"), ((20, 0, 30, 10), 0.6, "cat")]
    entry = image(box, (20, 0, 30, 10))  # F1 is 2/3 at .9 and again at .6
    assert best_threshold([entry], [regions(*rows)], NAMES) == pytest.approx(0.89)
