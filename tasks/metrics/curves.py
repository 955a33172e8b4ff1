"""True and false positives at every threshold, and the rates that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


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
    def f1(self) -> Array:
        """(T,) float64, the harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN)."""
        return 2 * self.true_positives / (self.true_positives + self.false_positives + self.positives)

    @property
    def false_positive_rate(self) -> Array:
        """(T,) float64, the part of the negatives that is predicted; nan when there is none to count."""
        return self.false_positives / self.negatives if self.negatives else self._undefined()

    def _undefined(self) -> Array:
        return np.full(len(self.thresholds), np.nan)


def curve(scores: Array, hits: Array, positives: int, negatives: int | None = None) -> Curve:
    """The exact curve of scores (N,) float32 that are right where hits (N,) bool is true."""
    order = np.argsort(-scores, kind="stable")
    falling, right = scores[order], hits[order].astype(np.int64)
    ends = np.flatnonzero(np.append(np.diff(falling) != 0, True)) if len(falling) else np.zeros(0, np.int64)
    return Curve(falling[ends], right.cumsum()[ends], (1 - right).cumsum()[ends], positives, negatives)
