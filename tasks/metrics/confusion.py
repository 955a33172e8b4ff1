"""What was taken for what: boxes by their concept and the one that was found in their place."""

from __future__ import annotations

import numpy as np

from tasks.metrics.matching import Matches, Overlaps, least, ranks, taken

Array = np.ndarray


def confusion(pairs: Overlaps, matches: Matches, threshold: float, iou: float) -> Array:
    """(C + 1, C + 1) int64 boxes: rows are actual, columns found, the last of each is the background.

    The diagonal holds the hits at the threshold. What is left over of boxes and regions is paired by
    overlap whatever the concept, surest region first; what is left then is missed, or found in nothing.
    So a row sums to the boxes labelled, a column to the regions found, and no cell contradicts a count.
    """
    background, counts = pairs.concepts, np.zeros((pairs.concepts + 1, pairs.concepts + 1), np.int64)
    regions, actual, missed = told(pairs, matches, threshold, iou)
    np.add.at(counts, (actual, pairs.label[regions]), 1)
    np.add.at(counts, (pairs.box_label[missed], background), 1)
    return counts


def told(pairs: Overlaps, matches: Matches, threshold: float, iou: float) -> tuple[Array, Array, Array]:
    """What the matrix counts: (R,) int64 indexes of the regions from the threshold on; (R,) int64 of each the concept
    of the box in whose place it was found, or C, the background; (M,) int64 indexes of the boxes missed."""
    counted = (matches.score >= np.float32(threshold)) & ~matches.ignored
    regions = np.flatnonzero(counted)
    box = _taken_for(pairs, matches, counted, iou)[regions]
    actual = np.append(pairs.box_label, pairs.concepts)[box]  # -1 is the last, the background
    return regions, actual, np.setdiff1d(np.flatnonzero(~pairs.box_ignored), box)


def _taken_for(pairs: Overlaps, matches: Matches, counted: Array, iou: float) -> Array:
    """(D,) int64: the box, of all, in whose place each region that counts was found; -1 for none.

    counted: (D,) bool.  The box it hits, else the one left over that it overlaps most, by at least `iou`.
    """
    hit = np.where(counted & matches.hit, matches.truth + pairs.first_box[pairs.image], -1)
    left = counted & ~matches.hit
    free = ~pairs.box_ignored
    free[hit[hit >= 0]] = False
    may = left[pairs.region] & free[pairs.box] & (pairs.shared >= least(iou))
    wrong = taken(pairs.region[may], pairs.box[may], ranks(pairs.image, pairs.score), len(free))
    return np.where(left, wrong, hit)
