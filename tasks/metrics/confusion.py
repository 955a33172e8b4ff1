"""What was taken for what: boxes by their concept and the one that was found in their place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.runtime.predictions import Regions
from tasks.data.annotations import Annotation
from tasks.metrics.matching import Matches, labels_in, overlaps, pairs, sides, truth_of

Array = np.ndarray


def confusion(
    annotations: Sequence[Annotation],
    found: Sequence[Regions],
    concepts: tuple[str, ...],
    matches: Matches,
    threshold: float,
    iou: float,
) -> Array:
    """(C + 1, C + 1) int64 boxes: rows are actual, columns found, the last of each is the background.

    The diagonal holds the hits at the threshold. What is left over of boxes and regions is paired by
    overlap whatever the concept, surest region first; what is left then is missed, or found in nothing.
    So a row sums to the boxes labelled, a column to the regions found, and no cell contradicts a count.
    """
    counts = np.zeros((len(concepts) + 1, len(concepts) + 1), np.int64)
    ends = np.cumsum([0, *(len(regions) for regions in found)])
    for i, (entry, regions) in enumerate(zip(annotations, found, strict=True)):
        rows = slice(ends[i], ends[i + 1])
        truth = truth_of(entry, concepts)
        actual = np.append(truth.labels, len(concepts))  # the index -1 is the background's
        said = np.append(labels_in(regions, concepts), len(concepts))
        sure = regions.scores >= np.float32(threshold)
        target, counted = matches.truth[rows], sure & ~matches.ignored[rows]
        hits, left = np.flatnonzero(counted & (target >= 0)), np.flatnonzero(counted & (target < 0))
        boxes = np.setdiff1d(np.flatnonzero(~truth.ignored), target[hits])
        wrong, mistaken = _pair(truth.boxes[boxes], regions, left, iou)
        mistaken = boxes[mistaken]
        for box, region in (
            (target[hits], hits),
            (mistaken, wrong),
            (np.setdiff1d(boxes, mistaken), -1),
            (-1, np.setdiff1d(left, wrong)),
        ):
            np.add.at(counts, (actual[box], said[region]), 1)
    return counts


def _pair(boxes: Array, regions: Regions, left: Array, iou: float) -> tuple[Array, Array]:
    """Of the regions at `left`, those that overlap a box, and the index of the box each takes."""
    left = left[np.argsort(-regions.scores[left], kind="stable")]
    shared = overlaps(sides(regions.boxes[left]), boxes, np.zeros(len(boxes), bool))
    taken = np.array(list(pairs(shared, iou)), np.int64).reshape(-1, 2)
    return left[taken[:, 0]], taken[:, 1]
