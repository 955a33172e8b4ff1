"""Thresholds of a curve, and curves pooled; scikit-learn and counting by hand say what is right."""

import math

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from tasks.metrics.curves import curve, pooled, thresholds


def random_curve(seed, count=80):
    draw = np.random.default_rng(seed)
    scores, right = draw.random(count).round(2).astype(np.float32), draw.random(count) < 0.4
    return scores, right, curve(scores, right, int(right.sum()), int((~right).sum()))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("wanted", [0.3, 0.5, 0.8, 1.0])
def test_the_threshold_for_a_precision_is_the_lowest_that_gives_it(seed, wanted):
    scores, right, each = random_curve(seed)
    found = each.for_precision(wanted)
    precision, recall, steps = precision_recall_curve(right, scores)
    enough = steps[(precision[:-1] >= wanted) & (recall[:-1] > 0)]
    assert found == pytest.approx(enough.min()) if len(enough) else math.isnan(found)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_threshold_has_the_best_f1(seed):
    scores, right, each = random_curve(seed)

    def f1(threshold):
        said = scores >= np.float32(threshold)
        return 2 * (said & right).sum() / (said.sum() + right.sum())

    assert f1(each.best()) == max(f1(threshold) for threshold in scores)


def test_of_nothing_there_is_no_threshold():
    none = curve(np.array([0.5], np.float32), np.array([False]), 0)
    assert math.isnan(none.best()) and math.isnan(none.for_precision(0.5))
    (row,) = thresholds(["a"], [none])
    assert row["Concept"] == "a" and math.isnan(row["Best F1: Threshold"]) and math.isnan(row["Precision 0.95: F1"])


def test_a_row_says_what_its_thresholds_give():
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5], np.float32)
    each = curve(scores, np.array([True, True, False, True, False]), 4, 2)
    (row,) = thresholds(["a"], [each], wanted=1.0)
    assert row["Best F1: Threshold"] == pytest.approx(0.6)
    assert (row["Best F1: Precision"], row["Best F1: Recall"]) == (0.75, 0.75)
    assert row["Precision 1: Threshold"] == pytest.approx(0.8)
    assert (row["Precision 1: Precision"], row["Precision 1: Recall"]) == (1, 0.5)


@pytest.mark.parametrize("seed", range(5))
def test_pooled_curves_are_the_curve_of_all_scores(seed):
    parts = [random_curve(10 * seed + i, count) for i, count in enumerate((40, 1, 25))]
    scores, right = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    whole, want = pooled([part[2] for part in parts]), curve(scores, right, int(right.sum()), int((~right).sum()))
    for name in ("thresholds", "true_positives", "false_positives"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(want, name))
    assert (whole.positives, whole.negatives) == (want.positives, want.negatives)
    boxes = curve(scores, right, 7)
    assert pooled([boxes, want]).negatives is None
