"""Which pictures are behind the numbers of a report: the worst of each cell, and those to look at first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.data.annotations import Annotation
from tasks.html.columns import Columns
from tasks.metrics.classification import ClassificationReport, actual_concepts, predicted_concepts
from tasks.metrics.confusion import told
from tasks.metrics.detection import DetectionReport
from tasks.metrics.mistakes import mislocated

Array = np.ndarray
EACH = 6  # pictures that every cell has
SHOWN = 12  # pictures of each kind in the gallery


@dataclass(frozen=True, slots=True)
class Shown:
    """Pictures to look at first: what they are, and rows of JSON: `image`, an index, and for a detector `region`,
    a row of the page's columns, where one region alone is meant."""

    title: str
    said: str
    rows: tuple[dict[str, Any], ...]


def regions_behind(report: DetectionReport) -> list[list[int]]:
    """Of each cell of the confusion matrix that is not empty, up to EACH images: the surest mistakes first, of hits
    the least sure."""
    pairs, matches, background = report.pairs, report.matches, report.pairs.concepts
    regions, actual, missed = told(pairs, matches, report.threshold, report.iou)
    side = background + 1
    cell = np.r_[actual * side + pairs.label[regions], pairs.box_label[missed] * side + background]
    order = np.where(matches.hit[regions], matches.score[regions], -matches.score[regions])
    return _firsts(cell, np.r_[pairs.image[regions], pairs.box_image[missed]], np.r_[order, np.zeros(len(missed))])


def images_behind(annotations: Sequence[Annotation], scores: Array, report: ClassificationReport) -> list[list[int]]:
    """The same of a classifier: of its matrix, or of TP, FP and FN of each concept where an image may have several."""
    actual = actual_concepts(annotations, report.concepts, report.exclusive)
    predicted = predicted_concepts(scores, report.exclusive, report.threshold)
    if report.exclusive:
        truth, said = actual.argmax(axis=1), predicted.argmax(axis=1)
        sure = scores.max(axis=1)
        return _firsts(
            truth * len(report.concepts) + said, np.arange(len(scores)), np.where(truth == said, sure, -sure)
        )
    image, label = np.nonzero(actual | predicted)
    is_it, was_said, score = (matrix[image, label] for matrix in (actual, predicted, scores))
    kind = np.where(is_it & was_said, 0, np.where(was_said, 1, 2))
    return _firsts(label * 3 + kind, image, np.where(kind == 1, -score, score))


def _firsts(cell: Array, image: Array, order: Array) -> list[list[int]]:
    """Of each cell the first EACH images by rising `order`, each once."""
    rows = np.lexsort((order, cell))
    cells: dict[int, dict[int, None]] = {}
    for its, number in zip(cell[rows].tolist(), image[rows].tolist(), strict=True):
        kept = cells.setdefault(its, {})
        if len(kept) < EACH:
            kept[number] = None
    return [list(kept) for kept in cells.values()]


def in_turns(shown: Iterable[Shown], cells: Sequence[Sequence[int]], images: int) -> list[int]:
    """All images in the order in which they deserve a picture: the gallery's, each cell's first, its second, …"""
    order = [row["image"] for part in shown for row in part.rows]
    order += [cell[turn] for turn in range(EACH) for cell in cells if turn < len(cell)]
    return list(dict.fromkeys([*order, *range(images)]))


def regions_shown(report: DetectionReport, columns: Columns) -> list[Shown]:
    """The images with most mistakes, and the surest wrong regions."""
    worst = [{"image": one.index} for one in mislocated(report)[:SHOWN]]
    matches = report.matches
    wrong = (matches.score >= np.float32(report.threshold)) & ~matches.hit & ~matches.ignored & (columns.place >= 0)
    rows = np.flatnonzero(wrong)
    surest = rows[np.argsort(-matches.score[rows], kind="stable")][:SHOWN]
    regions = [{"image": int(matches.image[i]), "region": int(columns.place[i])} for i in surest]
    return [
        Shown("Most mistakes in one picture", "wrong regions and missed boxes together", tuple(worst)),
        Shown("The surest mistakes", "single wrong regions, the highest scores first", tuple(regions)),
    ]


def images_shown(annotations: Sequence[Annotation], scores: Array, report: ClassificationReport) -> list[Shown]:
    """The surest wrong answers, and the images with the lowest score for a concept that they have."""
    actual = actual_concepts(annotations, report.concepts, report.exclusive)
    predicted = predicted_concepts(scores, report.exclusive, report.threshold)
    image, label = np.nonzero(predicted & ~actual)
    order = np.argsort(-scores[image, label], kind="stable")
    its, own = np.nonzero(actual)
    low = np.argsort(scores[its, own], kind="stable")
    return [
        Shown("The surest mistakes", "wrong answers, the highest scores first", _each(image[order])),
        Shown("The least sure of what is there", "the lowest scores for their own concept", _each(its[low])),
    ]


def _each(images: Array) -> tuple[dict[str, Any], ...]:
    """The first of them, each once."""
    return tuple({"image": i} for i in list(dict.fromkeys(images.tolist()))[:SHOWN])
