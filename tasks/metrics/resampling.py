"""Ranked metrics on redrawn images, fast: ranked once, then only weighed anew."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.metrics.coco import IOUS
from tasks.metrics.curves import rates
from tasks.metrics.interval import Redrawn
from tasks.metrics.matching import Matches

Array = np.ndarray
RECALLS = np.linspace(0, 1, 101)  # where COCO reads the precision
SUREST = 100  # regions of a concept in an image that COCO counts


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """Matches laid out for average precision under any weights of the images.

    A ranking is a concept at an IoU: its regions, surest first, up to the last hit (what follows changes nothing).
    image: (R,) int64, of each region's, one ranking behind the other.  hit: (H,) int64, the rows that are hits.
    ranking: (H,) int64, of each hit.  first, first_hit: (K,) int64, where each ranking begins among regions and hits.
    labelled: (N, C) int64, boxes to find; K is C times as many as there are IoUs.
    """

    image: Array
    hit: Array
    ranking: Array
    first: Array
    first_hit: Array
    labelled: Array

    @classmethod
    def of(cls, *matches: Matches) -> Resampled:
        """Of the matches at one or more IoUs."""
        order = np.argsort(-matches[0].score, kind="stable")  # equal scores in the order of images, as COCO's
        images, hits = [], []
        for each in matches:
            counted = ~each.ignored & (each.rank < SUREST)
            for label in range(each.labelled.shape[1]):
                rows = order[(counted & (each.label == label))[order]]
                hit = each.hit[rows]
                length = int(np.flatnonzero(hit)[-1]) + 1 if hit.any() else 0
                images.append(each.image[rows[:length]])
                hits.append(hit[:length])
        counts = [int(hit.sum()) for hit in hits]
        return cls(
            image=np.concatenate([np.zeros(0, np.int64), *images]),
            hit=np.flatnonzero(np.concatenate([np.zeros(0, bool), *hits])),
            ranking=np.repeat(np.arange(len(counts)), counts),
            first=np.cumsum([0, *map(len, hits)])[:-1],
            first_hit=np.cumsum([0, *counts])[:-1],
            labelled=matches[0].labelled,
        )

    def map(self, images: Array) -> float:
        """Mean average precision on these images, indexes with repeats; nan when they hold no box.

        The mean over the IoUs of the matches; equal to COCO's when each image is there once.
        """
        return float(self.by_iou(images).mean())

    def by_iou(self, images: Array) -> Array:
        """(I,) float64: mean average precision at each IoU; nan when the images hold no box."""
        weights = np.bincount(images, minlength=len(self.labelled))
        positives = weights @ self.labelled
        concepts = len(positives)
        if not positives.any():
            return np.full(len(self.first) // max(1, concepts), math.nan)
        averages = self._average_precision(weights, np.tile(positives, len(self.first) // concepts))
        return averages.reshape(-1, concepts)[:, positives > 0].mean(axis=1)

    def by_concept(self, images: Array) -> Array:
        """(C,) float64: the average precision of each concept, mean over the IoUs; nan where no image shows it."""
        weights = np.bincount(images, minlength=len(self.labelled))
        positives = weights @ self.labelled
        averages = self._average_precision(weights, np.tile(positives, len(self.first) // len(positives)))
        return np.where(positives > 0, averages.reshape(-1, len(positives)).mean(axis=0), math.nan)

    def _average_precision(self, weights: Array, positives: Array) -> Array:
        """(K,) float64: the mean, over COCO's 101 recalls, of the best precision at that recall or a higher one."""
        if not len(self.hit):
            return np.zeros(len(self.first))
        weight = weights[self.image]
        taken, right = np.cumsum(weight), np.cumsum(weight[self.hit])
        taken_before, right_before = np.append(0, taken)[self.first], np.append(0, right)[self.first_hit]
        found = right - right_before[self.ranking]
        precision = found / (taken[self.hit] - taken_before[self.ranking] + np.spacing(1))
        # The running maximum from behind begins anew with each ranking: those in front are lifted above all behind.
        lift = 2.0 * (len(self.first) - self.ranking)
        best = np.maximum.accumulate((precision + lift)[::-1])[::-1] - lift
        # A hit counts for each of the recalls that it is the first to reach.
        reached = np.searchsorted(RECALLS, found / np.maximum(positives, 1)[self.ranking], side="right")
        begins = np.diff(self.ranking, prepend=-1) > 0
        first_reached = np.where(begins, reached, np.diff(reached, prepend=0))
        return np.bincount(self.ranking, best * first_reached, len(self.first)) / len(RECALLS)


def of_matches(steps: Sequence[Matches], matches: Matches, threshold: float) -> Redrawn:
    """`map`, `map_50`, `map_75`, and precision, recall and F1 at a threshold, all concepts together.

    steps: the matches at each of IOUS.  matches: those that are counted.
    """
    resampled = Resampled.of(*steps)
    counted = (matches.score >= np.float32(threshold)) & ~matches.ignored
    images = len(matches.labelled)
    hits = np.bincount(matches.image[counted & matches.hit], minlength=images)
    wrong = np.bincount(matches.image[counted & ~matches.hit], minlength=images)
    labelled = matches.labelled.sum(axis=1)

    def numbers(drawn: Array) -> dict[str, float]:
        average = resampled.by_iou(drawn)
        right, false, there = (int(column[drawn].sum()) for column in (hits, wrong, labelled))
        found = {name.lower(): value for name, value in rates(right, false, there - right).items()}
        half, three_quarters = (float(average[IOUS.index(iou)]) for iou in (0.5, 0.75))
        return found | {"map": float(average.mean()), "map_50": half, "map_75": three_quarters}

    return numbers


def map_50(matches: Matches) -> Redrawn:
    """`map_50` alone, of the matches at .50."""
    resampled = Resampled.of(matches)
    return lambda drawn: {"map_50": resampled.map(drawn)}


def by_concept(matches: Matches, names: Sequence[str]) -> Redrawn:
    """The average precision of each concept at the IoU of the matches; nan where none of the images shows it."""
    resampled = Resampled.of(matches)

    def numbers(drawn: Array) -> dict[str, float]:
        return dict(zip(names, resampled.by_concept(drawn).tolist(), strict=True))

    return numbers


def of_scores(scores: Array, actual: Array) -> Callable[[Array], tuple[float, float]]:
    """Mean average precision and mean ROC AUC of a classifier, scikit-learn's, as functions of images.

    scores: (N, C) float32.  actual: (N, C) bool.  Images are indexes with repeats. A concept that none of the images
    has, or for the AUC that all have, is left out of the mean; nan where none is left.
    """
    images, concepts = scores.shape
    order = np.argsort(-scores.T, axis=1, kind="stable")  # (C, N): a concept's images, surest first
    hits, ranked = (np.take_along_axis(column.T, order, axis=1) for column in (actual, scores))
    # Equal scores are one threshold: each counts where the last of them stands, and begins where the first does.
    ends = np.where(np.diff(ranked, axis=1, append=-1) != 0, np.arange(images), images)
    ends = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    begins = np.where(np.diff(ranked, axis=1, prepend=-1) != 0, np.arange(images), 0)
    begins = np.maximum.accumulate(begins, axis=1)
    rows, columns = np.nonzero(hits)  # only hits add precision; the last of them up to an end, and each concept's first
    ends, begins = ends[rows, columns], begins[rows, columns]
    last = np.searchsorted(rows * images + columns, rows * images + ends, side="right")
    lead = np.searchsorted(rows * images + columns, rows * images + begins)
    first = np.searchsorted(rows, np.arange(concepts))[rows]

    def both(drawn: Array) -> tuple[float, float]:
        weights = np.bincount(drawn, minlength=images)[order]
        gained, sums = weights[rows, columns], weights.cumsum(axis=1)
        taken, above = sums[rows, ends], np.where(begins > 0, sums[rows, begins - 1], 0)
        so_far = np.append(0, gained.cumsum())
        right, right_above = so_far[last] - so_far[first], so_far[lead] - so_far[first]
        positives = np.bincount(rows, gained, concepts)
        negatives = len(drawn) - positives
        precision = np.bincount(rows, gained * (right / np.maximum(taken, 1)), concepts)
        # Of the negatives, those below a hit count whole and those beside it by half (Mann and Whitney 1947).
        wrong, wrong_above = taken - right, above - right_above
        below = np.bincount(rows, gained * (negatives[rows] - (wrong + wrong_above) / 2), concepts)
        return _mean(precision, positives), _mean(below, positives * negatives)

    return both


def _mean(sums: Array, counts: Array) -> float:
    """The mean of the ratios that are defined; nan where none is."""
    there = counts > 0
    return float((sums[there] / counts[there]).mean()) if there.any() else math.nan
