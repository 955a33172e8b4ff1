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
from tasks.metrics.interval import Draws, OnImages, Redrawn, bootstrap, bounds
from tasks.metrics.scores import headline, mean_scores, recalls, redrawn, summary

Array = np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class ClassificationReport:
    """What was measured of a classifier on a set of images. Fractions 0–1; nan is undefined.

    concepts: those of the model, then those it does not know but the images have; C names.
    summary: the numbers of the whole, those that a bootstrap can follow with a 95 % interval, `…_low` and `…_high`.
    per_concept: one row a concept, under the columns people know.
    confusion: (C, C) int64, images; rows are actual, columns predicted; (0, 0) when an image may have
    several concepts.  mean_scores: (C, C) float64, of the images of each actual concept (row) the mean score of each.
    cooccurrence: (C, C) int64, images that have both concepts.
    threshold: from which score a concept counts as predicted; unused when the concepts
    exclude each other (the highest score is the prediction).  curves: one a concept, with negatives.
    reliability: how often scores are right that say so much.
    draws: the numbers in each round of the bootstrap that the bounds are of; headline_on: the headline of some images;
    by_concept: the recall of each concept on redrawn images.
    images: how many.  notes: what a reader must know to read the numbers right.
    headline: the metric by which models are told apart.  concept_metric: what `by_concept` tells.
    """

    task: ClassVar[str] = "classification"
    concept_metric: ClassVar[str] = "Recall"

    concepts: tuple[str, ...]
    summary: dict[str, float]
    per_concept: tuple[dict[str, Any], ...]
    confusion: Array
    mean_scores: Array
    cooccurrence: Array
    threshold: float
    curves: tuple[Curve, ...]
    reliability: Reliability
    draws: Draws
    headline_on: OnImages
    by_concept: Redrawn
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
        return {
            "exclusive": self.exclusive,
            "confusion": self.confusion.tolist(),
            "mean_scores": self.mean_scores.round(6).tolist(),
            "cooccurrence": self.cooccurrence.tolist(),
        }


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
    draws = bootstrap(redrawn(actual, predicted, scores, exclusive), len(annotations))
    return ClassificationReport(
        concepts=names,
        summary=summary(actual, predicted, scores, rows, exclusive)
        | {"calibration_error": calibrated.error}
        | bounds(draws),
        per_concept=rows,
        confusion=_confusion(actual, predicted) if exclusive else np.zeros((0, 0), np.int64),
        mean_scores=mean_scores(actual, scores),
        cooccurrence=_confusion(actual, actual),
        threshold=threshold,
        curves=tuple(
            curve(scores[:, i], actual[:, i], int(actual[:, i].sum()), int((~actual[:, i]).sum()))
            for i in range(len(names))
        ),
        reliability=calibrated,
        draws=draws,
        headline_on=headline(actual, predicted, scores, exclusive),
        by_concept=recalls(actual, predicted, names),
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


def _confusion(actual: Array, predicted: Array) -> Array:
    """(C, C) int64: images by actual (row) and predicted (column) concept; of the same twice, those with both."""
    return actual.astype(np.int64).T @ predicted.astype(np.int64)


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
