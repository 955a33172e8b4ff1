"""COCO's average precision on redrawn images, fast: matched once, then only weighed anew."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tasks.metrics.matching import Matches

Array = np.ndarray
RECALLS = np.linspace(0, 1, 101)  # where COCO reads the precision
SUREST = 100  # regions of a concept in an image that COCO counts


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """Matches laid out for average precision under any weights of the images.

    ranked: for each concept the images (D,) int64 and hits (D,) bool of its regions, surest first,
    up to the last hit (what follows changes nothing).  labelled: (N, C) int64.
    """

    ranked: tuple[tuple[Array, Array], ...]
    labelled: Array

    @classmethod
    def of(cls, matches: Matches) -> Resampled:
        counted = ~matches.ignored & (matches.rank < SUREST)
        ranked = []
        order = np.argsort(-matches.score, kind="stable")  # equal scores in the order of images, as COCO's
        for label in range(matches.labelled.shape[1]):
            rows = order[(counted & (matches.label == label))[order]]
            hits = matches.hit[rows]
            length = int(np.flatnonzero(hits)[-1]) + 1 if hits.any() else 0
            ranked.append((matches.image[rows[:length]], hits[:length]))
        return cls(tuple(ranked), matches.labelled)

    def map(self, images: Array) -> float:
        """Mean average precision on these images, indexes with repeats; nan when they hold no box.

        Equal to COCO's at the IoU of the matches when each image is there once.
        """
        weights = np.bincount(images, minlength=len(self.labelled))
        positives = weights @ self.labelled
        values = [
            _average_precision(weights[image], hits, int(positives[label]))
            for label, (image, hits) in enumerate(self.ranked)
            if positives[label]
        ]
        return float(np.mean(values)) if values else math.nan


def _average_precision(weights: Array, hits: Array, positives: int) -> float:
    """The mean, over COCO's 101 recalls, of the best precision at that recall or a higher one."""
    if not len(hits):
        return 0.0
    right = np.cumsum(weights * hits)
    precision = right / (np.cumsum(weights) + np.spacing(1))
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best[np.searchsorted(right / positives, RECALLS)].mean())
