"""The columns from which a report's page counts in the browser: each number there is of these, and of nothing else."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.runtime.predictions import Concepts, Regions
from tasks.data.annotations import Annotation
from tasks.metrics.classification import ClassificationReport, actual_concepts
from tasks.metrics.detection import DetectionReport
from tasks.metrics.matching import least

Array = np.ndarray
MOST_REGIONS = 60_000  # in one page: 1.5 MB of it
MOST_SCORES = 400_000  # 3 MB
FINE = 10_000  # parts of a picture's width or height in which the place of a box is told


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """What the page counts from.

    content: JSON values, arrays packed.  lowest: the score below which nothing is in it, a multiple of .01.
    place: (D,) int64, the row that each region of the report's `pairs` has in it, -1 for none; empty for a classifier.
    """

    content: dict[str, Any]
    lowest: float
    place: Array


def packed(values: Array, kind: str) -> dict[str, str]:
    """An array as JSON: `f4`, `i4` or `u2` little endian in base64, so that each score keeps all its bits."""
    return {"kind": kind, "data": base64.b64encode(np.asarray(values).astype(f"<{kind}").tobytes()).decode()}


def lowest(scores: Array, most: int) -> float:
    """The smallest multiple of .01 that so many scores reach at most; 1.01 where too many are 1."""
    if len(scores) <= most:
        return 0.0
    falling = np.sort(scores)[::-1]
    step = max(0, math.floor(float(falling[most]) * 100))
    while int((scores >= np.float32(step / 100)).sum()) > most:
        step += 1
    return step / 100


def of_regions(
    annotations: Sequence[Annotation], found: Sequence[Regions], report: DetectionReport, most: int = MOST_REGIONS
) -> Columns:
    """A detector's regions, image by image, the surest first, the boxes, and the pairs that overlap enough.

    Of the boxes that do not count there is no pair: nothing can be found in their place.
    """
    pairs, matches = report.pairs, report.matches
    least_score = lowest(pairs.score, most)
    order = np.lexsort((-pairs.score, pairs.image))  # as `ranks` has them: equal ones in their order
    order = order[pairs.score[order] >= np.float32(least_score)]
    place = np.full(len(pairs.score), -1, np.int64)
    place[order] = np.arange(len(order))
    near = (pairs.shared >= least(report.iou)) & ~pairs.box_ignored[pairs.box] & (place[pairs.region] >= 0)
    region, box = place[pairs.region[near]], pairs.box[near]
    by_region = np.argsort(region, kind="stable")
    hit = np.where(matches.hit, matches.truth + pairs.first_box[pairs.image], -1)
    sizes = np.array([(entry.width, entry.height) for entry in annotations], np.float64).reshape(-1, 2)
    drawn = np.concatenate([np.zeros((0, 4)), *(regions.boxes for regions in found)])
    labelled = np.array([box for entry in annotations for box in entry.boxes], np.float64).reshape(-1, 4)
    content = {
        "exclusive": False,
        "first_region": packed(_first(pairs.image[order], len(annotations)), "i4"),
        "label": packed(pairs.label[order], "u2"),
        "score": packed(pairs.score[order], "f4"),
        "hit": packed(hit[order], "i4"),
        "ignored": packed(matches.ignored[order], "u2"),
        "place": packed(_places(drawn[order], sizes[pairs.image[order]]), "u2"),
        "first_box": packed(_first(pairs.box_image, len(annotations)), "i4"),
        "box_label": packed(pairs.box_label, "u2"),
        "box_ignored": packed(pairs.box_ignored, "u2"),
        "box_place": packed(_places(labelled, sizes[pairs.box_image]), "u2"),
        "first_pair": packed(_first(region, len(order)), "i4"),
        "pair_box": packed(box[by_region], "i4"),
    }
    return Columns(content, least_score, place)


def of_scores(
    annotations: Sequence[Annotation], scores: Array, report: ClassificationReport, most: int = MOST_SCORES
) -> Columns:
    """A classifier's scores (N, C), image by image, and what each image is.

    Where concepts exclude each other the best score of each image is in it whatever it is.
    """
    actual = actual_concepts(annotations, report.concepts, report.exclusive)
    least_score = lowest(scores.ravel(), most)
    image, label = np.nonzero(scores >= np.float32(least_score))
    its, concept = np.nonzero(actual)
    best = scores.argmax(axis=1)
    content = {
        "exclusive": report.exclusive,
        "first_score": packed(_first(image, len(scores)), "i4"),
        "label": packed(label, "u2"),
        "score": packed(scores[image, label], "f4"),
        "first_actual": packed(_first(its, len(scores)), "i4"),
        "actual": packed(concept, "u2"),
        "best": packed(best, "u2"),
        "sure": packed(scores[np.arange(len(scores)), best], "f4"),
    }
    return Columns(content, least_score, np.zeros(0, np.int64))


def all_scores(found: Sequence[Concepts], report: ClassificationReport) -> Array:
    """(N, C) float32: 0 for a concept that the model does not know."""
    scores = np.stack([answer.scores for answer in found])
    return np.pad(scores, ((0, 0), (0, len(report.concepts) - scores.shape[1])))


def _first(group: Array, groups: int) -> Array:
    """(groups + 1,) int64: where the rows of each group begin, and where the last ends; the rows are sorted by it."""
    return np.append(0, np.cumsum(np.bincount(group, minlength=groups)))


def _places(boxes: Array, sizes: Array) -> Array:
    """(4 D,) int64: x, y, width, height of xyxy boxes, in ten thousandths of their picture, kept inside it."""
    corners = (boxes / np.hstack([sizes, sizes])).clip(0, 1)
    placed = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
    return (placed * FINE).round().astype(np.int64).ravel()
