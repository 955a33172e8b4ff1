"""Classification numbers: scikit-learn is the oracle, counting by hand for the rest."""

import math

import numpy as np
import pytest
from sklearn import metrics

from models.runtime.faults import Fault
from tasks.data.annotations import Annotation
from tasks.metrics.classification import classification
from tasks.metrics.resampling import of_scores

NAMES = ("ant", "bee", "cat", "dog", "emu", "fox", "gnu")


def images(*concepts):
    """Annotations from each image's concepts."""
    return [Annotation(f"{i}.png", "", 8, 8, "test", tuple(names)) for i, names in enumerate(concepts)]


def column(*rows):
    return np.array(rows, np.float32)


def random_scores(seed, count=120, exclusive=True):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, len(NAMES), count)
    logits = draw.normal(0, 1, (count, len(NAMES))) + 1.5 * np.eye(len(NAMES))[labels]
    if exclusive:
        scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        return labels, scores.astype(np.float32)
    actual = (draw.random(logits.shape) < 0.3) | np.eye(len(NAMES), dtype=bool)[labels]
    scores = 1 / (1 + np.exp(-(logits + 2 * actual - 2)))
    return actual, scores.round(2).astype(np.float32)


@pytest.mark.parametrize("seed", range(8))
def test_exclusive_numbers_are_scikit_learns(seed):
    labels, scores = random_scores(seed)
    report = classification(images(*[[NAMES[i]] for i in labels]), scores, NAMES, exclusive=True)
    one_hot, said = np.eye(len(NAMES))[labels], scores.argmax(1)
    wide = scores.astype(np.float64)
    wide /= wide.sum(1, keepdims=True)
    every = list(range(len(NAMES)))
    macro = metrics.precision_recall_fscore_support(labels, said, labels=every, average="macro", zero_division=np.nan)
    want = {
        "accuracy": metrics.accuracy_score(labels, said),
        "top5_accuracy": metrics.top_k_accuracy_score(labels, scores, k=5, labels=every),
        "macro_roc_auc": metrics.roc_auc_score(one_hot, scores, average="macro"),
        "macro_average_precision": metrics.average_precision_score(one_hot, scores, average="macro"),
        "macro_precision": macro[0],
        "macro_recall": macro[1],
        "macro_f1": macro[2],
        "log_loss": metrics.log_loss(labels, wide, labels=every),
        "images": 120,
    }
    assert {name: report.summary[name] for name in want} == pytest.approx(want)
    assert report.confusion.dtype == np.int64
    assert (report.confusion == metrics.confusion_matrix(labels, said, labels=every)).all()
    assert report.summary["accuracy_low"] < report.summary["accuracy"] < report.summary["accuracy_high"]


@pytest.mark.parametrize("seed", range(8))
def test_non_exclusive_numbers_are_scikit_learns(seed):
    actual, scores = random_scores(seed, exclusive=False)
    said = scores >= np.float32(0.4)
    concepts = [[NAMES[i] for i in np.flatnonzero(row)] for row in actual]
    report = classification(images(*concepts), scores, NAMES, exclusive=False, threshold=0.4)
    macro = metrics.precision_recall_fscore_support(actual, said, average="macro", zero_division=np.nan)
    want = {
        "accuracy": (actual == said).mean(),
        "subset_accuracy": metrics.accuracy_score(actual, said),
        "macro_roc_auc": metrics.roc_auc_score(actual, scores, average="macro"),
        "macro_average_precision": metrics.average_precision_score(actual, scores, average="macro"),
        "macro_precision": macro[0],
        "macro_recall": macro[1],
        "macro_f1": macro[2],
        "log_loss": np.mean([metrics.log_loss(actual[:, i], scores[:, i].astype(float)) for i in range(7)]),
    }
    assert {name: report.summary[name] for name in want} == pytest.approx(want)
    assert "top5_accuracy" not in report.summary
    assert report.confusion.shape == (0, 0)


@pytest.mark.parametrize("seed", range(4))
def test_ranked_numbers_on_redrawn_images_are_scikit_learns(seed):
    actual, scores = random_scores(seed, count=30, exclusive=False)  # rounded: many are equal
    ranked = of_scores(scores, actual)
    report = classification(images(*[np.array(NAMES)[row].tolist() for row in actual]), scores, NAMES, exclusive=False)
    summary = report.summary
    want = [summary["macro_average_precision"], summary["macro_roc_auc"]]
    assert ranked(np.arange(30)) == pytest.approx(want, abs=1e-12)
    redrawn = np.random.default_rng(seed).integers(0, 30, 6)  # of few images, some concepts are on none
    there, full = actual[redrawn].any(axis=0), actual[redrawn].all(axis=0)
    want = [
        metrics.average_precision_score(actual[redrawn][:, there], scores[redrawn][:, there]),
        metrics.roc_auc_score(actual[redrawn][:, there & ~full], scores[redrawn][:, there & ~full]),
    ]
    assert ranked(redrawn) == pytest.approx(want, abs=1e-12)
    assert summary["macro_average_precision_low"] < summary["macro_average_precision"]
    assert summary["macro_average_precision"] < summary["macro_average_precision_high"]


@pytest.mark.parametrize("exclusive", [True, False])
def test_every_row_agrees_with_itself(exclusive):
    truth, scores = random_scores(3, exclusive=exclusive)
    concepts = [[NAMES[i]] for i in truth] if exclusive else [[NAMES[i] for i in np.flatnonzero(r)] for r in truth]
    report = classification(images(*concepts), scores, NAMES, exclusive)
    assert list(report.per_concept[0]) == [
        "Concept",
        "Accuracy (ROC AUC)",
        "Total Labeled",
        "Total Predicted",
        "True Positives",
        "False Negatives",
        "False Positives",
        "Recall",
        "Precision",
        "F1",
        "Average Precision",
    ]
    for row in report.per_concept:
        hits = row["True Positives"]
        assert hits + row["False Negatives"] == row["Total Labeled"]
        assert hits + row["False Positives"] == row["Total Predicted"]
        assert row["Recall"] == hits / row["Total Labeled"]
        assert row["Precision"] == hits / row["Total Predicted"]
        assert row["F1"] == pytest.approx(2 * row["Precision"] * row["Recall"] / (row["Precision"] + row["Recall"]))


@pytest.mark.parametrize("concept", range(7))
def test_curves_are_exact_at_every_distinct_score(concept):
    actual, scores = random_scores(5, exclusive=False)
    concepts = [[NAMES[i] for i in np.flatnonzero(row)] for row in actual]
    curve = classification(images(*concepts), scores, NAMES, exclusive=False).curves[concept]
    rate, recall, thresholds = metrics.roc_curve(actual[:, concept], scores[:, concept], drop_intermediate=False)
    assert curve.thresholds.tolist() == thresholds[1:].astype(np.float32).tolist()
    assert curve.recall == pytest.approx(recall[1:])
    assert curve.false_positive_rate == pytest.approx(rate[1:])
    precision, _, _ = metrics.precision_recall_curve(actual[:, concept], scores[:, concept])
    assert curve.precision[: len(precision) - 1] == pytest.approx(precision[:-1][::-1][: len(curve.precision)])


def test_top_five_needs_more_than_five_concepts():
    scores = column([0.4, 0.3, 0.1, 0.1, 0.1])
    five = classification(images(["emu"]), scores, NAMES[:5], exclusive=True)
    assert "top5_accuracy" not in five.summary
    six = classification(images(["fox"]), np.hstack([scores, column([0.0])]), NAMES[:6], exclusive=True)
    assert six.summary["top5_accuracy"] == 0


def test_an_undefined_number_is_left_out_and_said_so():
    scores = column([0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.7, 0.3, 0.0])
    report = classification(images(["ant"], ["bee"], ["ant"]), scores, NAMES[:3], exclusive=True)
    row = report.per_concept[2]
    assert all(math.isnan(row[name]) for name in ("Accuracy (ROC AUC)", "Recall", "Precision", "F1"))
    assert report.summary["macro_roc_auc"] == report.summary["macro_f1"] == 1
    assert any(note.startswith("no image has 'cat': recall, average precision and ROC AUC") for note in report.notes)
    assert "never predicted: 'cat'; precision is undefined and left out of the mean" in report.notes
    alone = classification(images(["ant"]), column([1.0]), NAMES[:1], exclusive=True)
    assert "every image has 'ant': ROC AUC is undefined and left out of the mean" in alone.notes
    assert math.isnan(alone.summary["macro_roc_auc"])
    assert alone.summary["accuracy"] == 1
    assert alone.summary["log_loss"] == 0


def test_a_concept_the_model_does_not_know_is_a_miss_and_said_so():
    scores = column([0.9, 0.1], [0.2, 0.8], [0.6, 0.4])
    report = classification(images(["ant"], ["bee"], ["yak"]), scores, NAMES[:2], exclusive=True)
    assert report.concepts == ("ant", "bee", "yak")
    assert report.summary["accuracy"] == pytest.approx(2 / 3)
    assert report.per_concept[2]["False Negatives"] == 1
    assert report.confusion.tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert report.notes == ("the model does not know 'yak': each of its 1 images is a miss",)
    assert math.isfinite(report.summary["log_loss"])


def test_a_score_equal_to_the_threshold_counts():
    report = classification(images(["ant"]), column([0.7, 0.1]), NAMES[:2], exclusive=False, threshold=0.7)
    assert report.summary["subset_accuracy"] == 1


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(Fault, match="no image to measure on"):
        classification([], np.zeros((0, 2), np.float32), NAMES[:2], exclusive=True)
    with pytest.raises(Fault, match=r"threshold must lie in 0–1, got -0.1"):
        classification(images(["ant"]), column([1, 0]), NAMES[:2], exclusive=True, threshold=-0.1)
    with pytest.raises(Fault, match=r"0\.png: 2 concepts, .* concepts_mutually_exclusive: false"):
        classification(images(["ant", "bee"]), column([1, 0]), NAMES[:2], exclusive=True)
    with pytest.raises(ValueError, match=r"scores must be \(1, 2\) float32"):
        classification(images(["ant"]), np.zeros((1, 3)), NAMES[:2], exclusive=True)
