"""A detector's numbers on redrawn images: its average precisions, and its counts at a threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.metrics.coco import IOUS
from tasks.metrics.curves import rates
from tasks.metrics.interval import Redrawn
from tasks.metrics.matching import Matches
from tasks.metrics.resampling import Resampled

Array = np.ndarray


def redrawn(steps: Sequence[Matches], matches: Matches, threshold: float) -> Redrawn:
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


def half(matches: Matches) -> Redrawn:
    """`map_50` alone, of the matches at .50."""
    resampled = Resampled.of(matches)
    return lambda drawn: {"map_50": resampled.map(drawn)}


def by_concept(half: Matches, names: Sequence[str]) -> Redrawn:
    """The average precision of each concept at the IoU of the matches; nan where none of the images shows it."""
    resampled = Resampled.of(half)

    def numbers(drawn: Array) -> dict[str, float]:
        return dict(zip(names, resampled.by_concept(drawn).tolist(), strict=True))

    return numbers
