"""The lines of a report's charts as columns: exact at every score, thinned to what a screen can show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from models.runtime.faults import short
from tasks.data.annotations import Annotation
from tasks.metrics.classification import ClassificationReport, actual_concepts
from tasks.metrics.curves import Curve, curve
from tasks.metrics.detection import DetectionReport
from tasks.style import colour

Array = np.ndarray
POINTS = 400  # of a line
MANY, TOLD = 10, 6  # of more concepts than MANY only the TOLD lowest have a line
GREY = "#808890"  # the page puts its own quiet ink in its place, light or dark


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """x and y, (T,) float64 each, what it is called, and its concept: -1 for all together."""

    x: Array
    y: Array
    name: str
    colour: str
    concept: int = -1


def thinned(x: Array, y: Array, most: int = POINTS) -> tuple[Array, Array]:
    """At most so many of the points, in order: the first, the last, and the lowest and highest of each stretch."""
    if len(x) <= most:
        return x, y
    starts = np.linspace(0, len(x), (most - 2) // 2 + 1).astype(int)
    kept = {0, len(x) - 1}
    for start, end in pairwise(starts):
        kept |= {start + int(y[start:end].argmin()), start + int(y[start:end].argmax())}
    rows = np.array(sorted(kept))
    return x[rows], y[rows]


def together(
    report: ClassificationReport | DetectionReport, annotations: Sequence[Annotation], scores: Array | None
) -> Curve:
    """All concepts as one: of a detector all regions, of a classifier all scores."""
    if isinstance(report, DetectionReport):
        return report.overall
    assert scores is not None
    right = actual_concepts(annotations, report.concepts, report.exclusive)
    return curve(scores.ravel(), right.ravel(), int(right.sum()), int((~right).sum()))


def counted(report: ClassificationReport, annotations: Sequence[Annotation], scores: Array) -> Curve:
    """What the slider counts of a classifier: its best answer an image where concepts exclude each other, else all."""
    if not report.exclusive:
        return together(report, annotations, scores)
    right = actual_concepts(annotations, report.concepts, True)
    best = scores.argmax(axis=1)
    rows = np.arange(len(scores))
    return curve(scores[rows, best], right[rows, best], len(scores))


def precision_recall(report: ClassificationReport | DetectionReport, whole: Curve) -> list[Line]:
    """Precision over recall of each concept, drawn in steps before each point, and of all together."""
    column = "AP50" if isinstance(report, DetectionReport) else "Average Precision"
    lines = []
    for i, name, tint in _told(report, column):
        each = report.curves[i]
        lines.append(Line(*thinned(*each.over_recall), _named(name, report.per_concept[i][column]), tint, i))
    if whole.positives and len(whole.thresholds):
        lines.append(Line(*thinned(*whole.over_recall), "all together", GREY))
    return lines


def roc(report: ClassificationReport, whole: Curve) -> list[Line]:
    """The part of the positives that is found over the part of the negatives that is predicted."""
    lines = []
    for i, name, tint in _told(report, "Accuracy (ROC AUC)"):
        each = report.curves[i]
        if each.negatives:
            named = _named(name, report.per_concept[i]["Accuracy (ROC AUC)"])
            lines.append(Line(*thinned(*each.roc), named, tint, i))
    if whole.negatives and whole.positives:
        lines.append(Line(*thinned(*whole.roc), "all together", GREY))
    return lines


def over_threshold(whole: Curve) -> list[Line]:
    """Precision, recall and F1 at rising thresholds, 0 to 1; above the highest score nothing is found."""
    lines = []
    for name, values, end, tint in (
        ("precision", whole.precision, math.nan, colour(0)),
        ("recall", whole.recall, 0.0, colour(3)),
        ("F1", whole.f1, 0.0, colour(2)),
    ):
        rising = values[::-1]
        if not len(rising) or np.isnan(rising).all():
            continue
        last = rising[-1] if math.isnan(end) else end
        x, y = np.r_[0, whole.thresholds[::-1].astype(np.float64), 1], np.r_[rising[:1], rising, last]
        lines.append(Line(*thinned(x, y), name, tint))
    return lines


def _told(report: ClassificationReport | DetectionReport, column: str) -> list[tuple[int, str, str]]:
    """The concepts that get a line: all, or of many the lowest. Index, name and colour."""
    there = [i for i, each in enumerate(report.curves) if each.positives and len(each.thresholds)]
    if len(there) <= MANY:
        return [(i, report.concepts[i], colour(i)) for i in there]

    def lowest(i: int) -> float:
        value = report.per_concept[i][column]
        return math.inf if math.isnan(value) else value

    return [(i, report.concepts[i], colour(place)) for place, i in enumerate(sorted(there, key=lowest)[:TOLD])]


def _named(name: str, value: float) -> str:
    return f"{short(name, 16)} {'–' if math.isnan(value) else f'{value:.2f}'}"
