"""Which images a model got wrong, and how: the worst first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.runtime.predictions import Concepts
from tasks.data.annotations import Annotation
from tasks.metrics.classification import ClassificationReport, actual_concepts, predicted_concepts
from tasks.metrics.detection import DetectionReport


@dataclass(frozen=True, slots=True)
class Confused:
    """An image that was taken for something else: its concepts, and the (concept, score) that were said of it."""

    index: int
    actual: tuple[str, ...]
    said: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Mislocated:
    """An image with other regions than boxes: indexes of the boxes missed, and of the regions wrong and right."""

    index: int
    missed: tuple[int, ...]
    wrong: tuple[int, ...]
    right: tuple[int, ...]


def confused(
    annotations: Sequence[Annotation], found: Sequence[Concepts], report: ClassificationReport
) -> list[Confused]:
    """The images with a wrong answer: those with most wrong concepts first, then those surest of them."""
    names = report.concepts
    scores = np.stack([answer.scores for answer in found])
    scores = np.pad(scores, ((0, 0), (0, len(names) - scores.shape[1])))  # concepts that the model does not know
    actual = actual_concepts(annotations, names, report.exclusive)
    predicted = predicted_concepts(scores, report.exclusive, report.threshold)
    wrong = actual != predicted
    sure = np.where(wrong, np.abs(scores - actual), 0).sum(axis=1)
    order = np.lexsort((-sure, -wrong.sum(axis=1)))
    said = [tuple((names[c], float(scores[i, c])) for c in np.flatnonzero(row)) for i, row in enumerate(predicted)]
    return [Confused(int(i), annotations[i].concepts, said[i]) for i in order if wrong[i].any()]


def mislocated(report: DetectionReport) -> list[Mislocated]:
    """The images with mistakes at the report's threshold and IoU: those with most first; of equals, the earlier."""
    matches, ignored = report.matches, report.pairs.box_ignored
    sure = matches.score >= np.float32(report.threshold)
    wrong, right = sure & ~matches.hit & ~matches.ignored, sure & matches.hit
    ends = np.searchsorted(matches.image, np.arange(report.images + 1))
    first_box = np.append(report.pairs.first_box, len(ignored))
    rows = []
    for i in range(report.images):
        mine = slice(ends[i], ends[i + 1])
        boxes = np.flatnonzero(~ignored[first_box[i] : first_box[i + 1]])
        missed = np.setdiff1d(boxes, matches.truth[mine][right[mine]])
        columns = (missed, np.flatnonzero(wrong[mine]), np.flatnonzero(right[mine]))
        rows.append(Mislocated(i, *(tuple(column.tolist()) for column in columns)))
    rows.sort(key=lambda row: -len(row.missed) - len(row.wrong))
    return [row for row in rows if row.missed or row.wrong]
