"""How good a classifier's scores are, against the concepts that people gave the images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from models.runtime.faults import Fault
from tasks.data.annotations import Annotation
from tasks.metrics.calibration import Reliability, reliability
from tasks.metrics.curves import Curve, curve, rates
from tasks.metrics.interval import bootstrap
from tasks.metrics.resampling import of_scores

Array = np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class ClassificationReport:
    """What was measured of a classifier on a set of images. Fractions 0–1; nan is undefined.

    concepts: those of the model, then those it does not know but the images have; C names.
    summary: the numbers of the whole.  per_concept: one row a concept, under the columns people know.
    confusion: (C, C) int64, images; rows are actual, columns predicted; (0, 0) when an image may have
    several concepts.  threshold: from which score a concept counts as predicted; unused when the concepts
    exclude each other (the highest score is the prediction).  curves: one a concept, with negatives.
    reliability: how often scores are right that say so much.
    images: how many.  notes: what a reader must know to read the numbers right.
    headline: the metric by which models are told apart; it has an interval, `…_low` and `…_high`.
    """

    task: ClassVar[str] = "classification"

    concepts: tuple[str, ...]
    summary: dict[str, float]
    per_concept: tuple[dict[str, Any], ...]
    confusion: Array
    threshold: float
    curves: tuple[Curve, ...]
    reliability: Reliability
    images: int
    exclusive: bool
    notes: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """Not accuracy where an image may have several concepts: of a hundred, to say no to all is .98 right."""
        return "accuracy" if self.exclusive else "macro_average_precision"

    @property
    def counted_from(self) -> float | None:
        """From which score on a concept counts; None where that decides nothing: the highest score is the answer."""
        return None if self.exclusive else self.threshold

    @property
    def conditions(self) -> str:
        """What the headline is measured on, beside the number of images."""
        return "" if self.exclusive else f"; counts from a score of {self.threshold:g}"

    @property
    def details(self) -> dict[str, Any]:
        """What else report.json holds."""
        return {"exclusive": self.exclusive, "confusion": self.confusion.tolist()}


def classification(
    annotations: Sequence[Annotation],
    scores: Array,
    concepts: tuple[str, ...],
    exclusive: bool,
    threshold: float = 0.5,
) -> ClassificationReport:
    """Measure scores (N, C) float32 in [0, 1] against N annotated images.

    exclusive: each image has exactly one concept and the highest score (the first of equals) predicts it;
    otherwise every concept with a score of at least `threshold` is predicted.
    A concept that the model does not know has score 0 everywhere: each of its images is a miss.
    Raises Fault when there is no image, the threshold is outside 0–1, or an image does not fit `exclusive`.
    """
    _check(annotations, scores, concepts, threshold)
    unknown = sorted({name for entry in annotations for name in entry.concepts} - set(concepts))
    names = (*concepts, *unknown)
    scores = np.hstack([scores, np.zeros((len(scores), len(unknown)), np.float32)])
    actual = actual_concepts(annotations, names, exclusive)
    predicted = predicted_concepts(scores, exclusive, threshold)
    rows = tuple(_row(name, actual[:, i], predicted[:, i], scores[:, i]) for i, name in enumerate(names))
    calibrated = reliability(scores, actual, exclusive)
    return ClassificationReport(
        concepts=names,
        summary=_summary(actual, predicted, scores, rows, exclusive) | {"calibration_error": calibrated.error},
        per_concept=rows,
        confusion=_confusion(actual, predicted) if exclusive else np.zeros((0, 0), np.int64),
        threshold=threshold,
        curves=tuple(
            curve(scores[:, i], actual[:, i], int(actual[:, i].sum()), int((~actual[:, i]).sum()))
            for i in range(len(names))
        ),
        reliability=calibrated,
        images=len(annotations),
        exclusive=exclusive,
        notes=_notes(rows, unknown, len(annotations)),
    )


def _check(annotations: Sequence[Annotation], scores: Array, concepts: tuple[str, ...], threshold: float) -> None:
    if not annotations:
        raise Fault("there is no image to measure on: the split is empty. Name another with --split.")
    if not 0 <= threshold <= 1:
        raise Fault(f"the threshold must lie in 0–1, got {threshold}")
    if scores.shape != (len(annotations), len(concepts)) or scores.dtype != np.float32:
        want = f"({len(annotations)}, {len(concepts)}) float32"
        raise ValueError(f"scores must be {want}, got {scores.shape} {scores.dtype.name}")


def actual_concepts(annotations: Sequence[Annotation], names: tuple[str, ...], exclusive: bool) -> Array:
    """(N, C) bool: which image has which concept."""
    index = {name: i for i, name in enumerate(names)}
    actual = np.zeros((len(annotations), len(names)), bool)
    for row, entry in enumerate(annotations):
        if exclusive and len(set(entry.concepts)) != 1:
            raise Fault(
                f"{entry.image}: {len(set(entry.concepts))} concepts, but the model answers exactly one an "
                "image. Evaluate it on a dataset with one concept an image, or train it with "
                "concepts_mutually_exclusive: false."
            )
        actual[row, [index[name] for name in entry.concepts]] = True
    return actual


def predicted_concepts(scores: Array, exclusive: bool, threshold: float) -> Array:
    """(N, C) bool: which concept is predicted for which image."""
    if not exclusive:
        return scores >= np.float32(threshold)
    return np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None]


def _row(name: str, actual: Array, predicted: Array, scores: Array) -> dict[str, Any]:
    """One concept's line: two numbers of its scores, and everything else from one set of counts."""
    from sklearn.metrics import average_precision_score, roc_auc_score  # seconds to import, so only here

    hits, labelled = int((actual & predicted).sum()), int(actual.sum())
    counts = {
        "True Positives": hits,
        "False Negatives": labelled - hits,
        "False Positives": int(predicted.sum()) - hits,
    }
    return {
        "Concept": name,
        "Accuracy (ROC AUC)": float(roc_auc_score(actual, scores)) if 0 < labelled < len(actual) else math.nan,
        "Total Labeled": labelled,
        "Total Predicted": int(predicted.sum()),
        **counts,
        **rates(hits, counts["False Positives"], counts["False Negatives"]),
        "Average Precision": float(average_precision_score(actual, scores)) if labelled else math.nan,
    }


def _summary(
    actual: Array, predicted: Array, scores: Array, rows: Sequence[dict[str, Any]], exclusive: bool
) -> dict[str, float]:
    """The numbers of the whole. `macro_…` is the mean over the concepts for which the number is defined."""
    right = (actual & predicted).any(axis=1) if exclusive else (actual == predicted).mean(axis=1)
    interval = bootstrap(lambda images: float(right[images].mean()), len(right))
    summary = {"accuracy": float(right.mean()), "accuracy_low": interval.low, "accuracy_high": interval.high}
    if not exclusive:
        interval = bootstrap(of_scores(scores, actual), len(right))
        summary |= {"macro_average_precision_low": interval.low, "macro_average_precision_high": interval.high}
        summary["subset_accuracy"] = float((actual == predicted).all(axis=1).mean())
    elif actual.shape[1] > 5:
        first = np.argsort(-scores, axis=1, kind="stable")[:, :5]
        summary["top5_accuracy"] = float(np.take_along_axis(actual, first, axis=1).any(axis=1).mean())
    return summary | {
        "macro_roc_auc": _mean([row["Accuracy (ROC AUC)"] for row in rows]),
        "macro_average_precision": _mean([row["Average Precision"] for row in rows]),
        "macro_f1": _mean([row["F1"] for row in rows]),
        "macro_precision": _mean([row["Precision"] for row in rows]),
        "macro_recall": _mean([row["Recall"] for row in rows]),
        "log_loss": _log_loss(actual, scores, exclusive),
        "images": len(actual),
    }


def _log_loss(actual: Array, scores: Array, exclusive: bool) -> float:
    """Mean −log of the score that the truth got, scores kept off 0 by float64's epsilon as scikit-learn does.

    Exclusive: a row's scores are first made to sum to 1. Otherwise the mean over images and concepts.
    """
    wide = scores.astype(np.float64)
    if exclusive:
        wide = wide / np.maximum(wide.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    given = wide[actual] if exclusive else np.where(actual, wide, 1 - wide)
    return float(-np.log(given.clip(np.finfo(np.float64).eps)).mean())


def _confusion(actual: Array, predicted: Array) -> Array:
    """(C, C) int64: images by actual (row) and predicted (column) concept."""
    return actual.astype(np.int64).T @ predicted.astype(np.int64)


def _mean(values: Sequence[float]) -> float:
    """The mean of those that are defined; nan when none is."""
    defined = [value for value in values if not math.isnan(value)]
    return float(np.mean(defined)) if defined else math.nan


def _notes(rows: Sequence[dict[str, Any]], unknown: Sequence[str], images: int) -> tuple[str, ...]:
    """One sentence for each way in which a number is not what it seems."""
    notes = [
        f"the model does not know {row['Concept']!r}: each of its {row['Total Labeled']} images is a miss"
        for row in rows
        if row["Concept"] in unknown
    ]
    listed = {
        "no image has {}: recall, average precision and ROC AUC are undefined and left out of the means": 0,
        "every image has {}: ROC AUC is undefined and left out of the mean": images,
    }
    for sentence, labelled in listed.items():
        names = [repr(row["Concept"]) for row in rows if row["Total Labeled"] == labelled]
        notes += [sentence.format(", ".join(names))] if names else []
    silent = [repr(row["Concept"]) for row in rows if not row["Total Predicted"] and row["Concept"] not in unknown]
    if silent:
        notes.append(f"never predicted: {', '.join(silent)}; precision is undefined and left out of the mean")
    return tuple(notes)
