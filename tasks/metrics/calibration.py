"""How far scores are from what they promise: of those that say 0.8, eight in ten should be right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray
BINS = 15


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Scores in BINS bins of equal width, from 0 on.

    confidence: (BINS,) float64, the mean score of a bin.  rate: (BINS,) float64, the share of them that was right.
    Both are nan where a bin is empty.  count: (BINS,) int64.
    """

    confidence: Array
    rate: Array
    count: Array

    @property
    def error(self) -> float:
        """The expected calibration error, 0 to 1: |rate - confidence|, mean over the scores (Guo 2017); nan of none."""
        weights = self.count / self.count.sum() if self.count.any() else np.full(BINS, np.nan)
        there = self.count > 0
        return float((np.abs(self.rate - self.confidence)[there] * weights[there]).sum()) if there.any() else np.nan


def reliability(scores: Array, actual: Array, exclusive: bool) -> Reliability:
    """Of scores (N, C) float32 in [0, 1] against truths (N, C) bool.

    exclusive: the best score of each picture counts, and whether that concept is its own; else every score.
    """
    if exclusive:
        best = scores.argmax(axis=1)[:, None]
        scores, actual = (np.take_along_axis(column, best, axis=1) for column in (scores, actual))
    flat, right = scores.astype(np.float64).ravel(), actual.ravel().astype(np.float64)
    place = np.minimum((flat * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    with np.errstate(invalid="ignore"):
        confidence, rate = (np.bincount(place, column, BINS) / count for column in (flat, right))
    return Reliability(confidence, rate, count)


def calibration_error(scores: Array, actual: Array, exclusive: bool) -> float:
    """The expected calibration error of `reliability`, 0 to 1."""
    return reliability(scores, actual, exclusive).error
