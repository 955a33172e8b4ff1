"""True and false positives at every threshold, and the rates that follow from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray
WANTED = 0.95  # the precision that a threshold is looked up for where nobody names another


def rates(true_positives: int, false_positives: int, false_negatives: int) -> dict[str, float]:
    """`{"Recall", "Precision", "F1"}`, fractions; nan where there is nothing to divide by.

    All three come from the same counts, so that no row of a table can contradict itself.
    """
    return {
        "Recall": _share(true_positives, true_positives + false_negatives),
        "Precision": _share(true_positives, true_positives + false_positives),
        "F1": _share(2 * true_positives, 2 * true_positives + false_positives + false_negatives),
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """How many are found, rightly and wrongly, at every threshold that makes a difference.

    thresholds: (T,) float32, each distinct score once, falling; a thing is predicted when its score is
    at least the threshold.  true_positives, false_positives: (T,) int64, of those predicted.
    positives: how many there are to find.  negatives: how many there are to leave alone; None for boxes,
    where nobody can count them.
    """

    thresholds: Array
    true_positives: Array
    false_positives: Array
    positives: int
    negatives: int | None = None

    def at(self, threshold: float) -> tuple[int, int]:
        """True and false positives at any threshold, also one between two scores."""
        predicted = int((self.thresholds >= np.float32(threshold)).sum())
        if not predicted:
            return 0, 0
        return int(self.true_positives[predicted - 1]), int(self.false_positives[predicted - 1])

    @property
    def recall(self) -> Array:
        """(T,) float64, the part of the positives that is found; nan when there is none."""
        return self.true_positives / self.positives if self.positives else self._undefined()

    @property
    def precision(self) -> Array:
        """(T,) float64, the part of the predicted that is right."""
        return self.true_positives / (self.true_positives + self.false_positives)

    @property
    def over_recall(self) -> tuple[Array, Array]:
        """Recall and precision, (T + 1,) float64 each, from a recall of 0 on."""
        return np.r_[0, self.recall], np.r_[self.precision[:1], self.precision]

    @property
    def roc(self) -> tuple[Array, Array]:
        """False positive rate and recall, (T + 1,) float64 each, from (0, 0) on."""
        return np.r_[0, self.false_positive_rate], np.r_[0, self.recall]

    @property
    def f1(self) -> Array:
        """(T,) float64, the harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN)."""
        return 2 * self.true_positives / (self.true_positives + self.false_positives + self.positives)

    @property
    def false_positive_rate(self) -> Array:
        """(T,) float64, the part of the negatives that is predicted; nan when there is none to count."""
        return self.false_positives / self.negatives if self.negatives else self._undefined()

    def best(self) -> float:
        """The threshold with the highest F1, of equally good ones the highest; nan where nothing right is found."""
        if not self.positives or not self.true_positives.any():
            return math.nan
        return float(self.thresholds[int(self.f1.argmax())])

    def for_precision(self, wanted: float) -> float:
        """The lowest threshold at which the precision is `wanted` or more: most are found; nan where there is none."""
        enough = np.flatnonzero((self.precision >= wanted) & (self.true_positives > 0))
        return float(self.thresholds[enough[-1]]) if len(enough) else math.nan

    def _undefined(self) -> Array:
        return np.full(len(self.thresholds), np.nan)


def curve(scores: Array, hits: Array, positives: int, negatives: int | None = None) -> Curve:
    """The exact curve of scores (N,) float32 that are right where hits (N,) bool is true."""
    order = np.argsort(-scores, kind="stable")
    falling, right = scores[order], hits[order].astype(np.int64)
    ends = np.flatnonzero(np.append(np.diff(falling) != 0, True)) if len(falling) else np.zeros(0, np.int64)
    return Curve(falling[ends], right.cumsum()[ends], (1 - right).cumsum()[ends], positives, negatives)


def pooled(curves: Sequence[Curve]) -> Curve:
    """The curve of all concepts together, every score of every concept in one ranking (micro-average)."""
    steps = [np.diff(column, prepend=0) for each in curves for column in (each.true_positives, each.false_positives)]
    given, right, wrong = (
        np.concatenate([np.zeros(0, kind), *columns])
        for kind, columns in ((np.float32, [each.thresholds for each in curves]), (int, steps[::2]), (int, steps[1::2]))
    )
    order = np.argsort(-given, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(given[order]) != 0, True)) if len(given) else np.zeros(0, np.int64)
    negatives = [each.negatives for each in curves]
    return Curve(
        thresholds=given[order][ends],
        true_positives=right[order].cumsum()[ends],
        false_positives=wrong[order].cumsum()[ends],
        positives=sum(each.positives for each in curves),
        negatives=None if None in negatives else sum(each for each in negatives if each is not None),
    )


def thresholds(names: Sequence[str], curves: Sequence[Curve], wanted: float = WANTED) -> list[dict[str, Any]]:
    """A row a concept: the threshold of the best F1 and that of a wanted precision, and what they give."""
    rows = []
    for name, each in zip(names, curves, strict=True):
        row: dict[str, Any] = {"Concept": name}
        for what, threshold in (("Best F1", each.best()), (f"Precision {wanted:g}", each.for_precision(wanted))):
            hits, wrong = each.at(threshold)
            row[f"{what}: Threshold"] = threshold
            row |= {f"{what}: {rate}": value for rate, value in rates(hits, wrong, each.positives - hits).items()}
        rows.append(row)
    return rows
