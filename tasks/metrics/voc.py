"""The numbers of Pascal VOC's own evaluation: average precision by the rules of 2007 and of 2010 on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from models.runtime.predictions import Regions
from tasks.data.annotations import Annotation
from tasks.metrics.matching import Truth, labels_in, least, overlaps, sides, truth_of

Array = np.ndarray
Points = Literal["every", "eleven"]
Pixels = Literal["continuous", "inclusive"]
# Three of these lie a hair above .3, .6 and .7, which 3 of 10 or 9 of 15 then do not reach. Every number published
# from a Python evaluator has them so.
ELEVEN = np.linspace(0, 1, 11)


@dataclass(frozen=True, slots=True, eq=False)
class _Nearest:
    """Every region found, in the order of the images, and the box of its concept that it overlaps most.

    label: (D,) int64.  score: (D,) float32.  overlap: (D,) float64, 0–1.  box: (D,) int64 into all images' boxes.
    """

    label: Array
    score: Array
    overlap: Array
    box: Array


def voc_average_precision(
    annotations: Sequence[Annotation],
    found: Sequence[Regions],
    concepts: tuple[str, ...],
    iou: float,
    pixels: Pixels = "continuous",
) -> dict[Points, Array]:
    """(C,) float64 by each rule: the average precision of each concept, 0–1; nan for one without a box to find.

    iou: by how much a region must overlap a box to hit it, in (0, 1].
    The rules: `every` is the area below the best precision at each recall or a higher one (VOC from 2010 on);
    `eleven` is the mean of that precision at the recalls 0, .1 … 1 (VOC 2007).
    pixels: `inclusive` takes x1 and y1 for the last pixel of a box, so that it is x1 - x0 + 1 wide, as VOC's
    devkit does; `continuous` takes it for x1 - x0 wide.

    VOC's rule of matching, not COCO's: the surest region first, of equals the earlier, each looks at the box of its
    concept that it overlaps most, taken or not. From `iou` on it hits a free box, is wrong about a taken one
    and does not count on a difficult one; below, it is wrong. A crowd is taken for a difficult box.
    `concepts` holds every name that boxes or regions have. Raises ValueError or KeyError otherwise, and ValueError
    for what is out of range.
    Source: Everingham et al., "The Pascal Visual Object Classes (VOC) Challenge", 2010, section 4.2, and
    VOCevaldet.m and VOCap.m of its development kit, which has `ovmax >= minoverlap`.
    """
    _check(annotations, found, iou, pixels)
    truths = [truth_of(entry, concepts) for entry in annotations]
    nearest = _nearest(truths, found, concepts, extra=1.0 if pixels == "inclusive" else 0.0)
    labels, ignored = (
        np.concatenate([np.zeros(0, kind), *(getattr(truth, name) for truth in truths)])
        for name, kind in (("labels", np.int64), ("ignored", bool))
    )
    near = nearest.overlap >= least(iou)
    skipped = near.copy()
    skipped[near] = ignored[nearest.box[near]]
    order = np.argsort(-nearest.score, kind="stable")
    rows = order[(near & ~skipped)[order]]
    hit = np.zeros(len(order), bool)
    hit[rows[np.unique(nearest.box[rows], return_index=True)[1]]] = True  # the first to look at a box has it
    positives = np.bincount(labels[~ignored], minlength=len(concepts))
    values = {points: np.full(len(concepts), np.nan) for points in RULES}
    for label in np.flatnonzero(positives):
        counted = (nearest.label == label) & ~skipped
        for points, average in RULES.items():
            values[points][label] = average(hit[order[counted[order]]], int(positives[label]))
    return values


def _check(annotations: Sequence[Annotation], found: Sequence[Regions], iou: float, pixels: Pixels) -> None:
    if len(annotations) != len(found):
        raise ValueError(f"{len(annotations)} annotations, but regions of {len(found)} images")
    if not 0 < iou <= 1:
        raise ValueError(f"iou must be above 0 and at most 1, got {iou}")
    if pixels not in get_args(Pixels):
        raise ValueError(f"pixels must be one of {', '.join(get_args(Pixels))}, got {pixels!r}")


def _nearest(truths: Sequence[Truth], found: Sequence[Regions], concepts: tuple[str, ...], extra: float) -> _Nearest:
    """What each region overlaps most, of equals the first; boxes are `extra` pixels wider and higher than they say."""
    wider = np.array([0.0, 0.0, extra, extra])
    columns: list[tuple[Array, Array, Array, Array]] = []
    before = 0
    for truth, regions in zip(truths, found, strict=True):
        labels = labels_in(regions, concepts)
        # A difficult box and a crowd are overlapped like any other.
        shared = overlaps(sides(regions.boxes) + wider, truth.boxes + wider, np.zeros(len(truth.labels), bool))
        shared = np.where(labels[:, None] == truth.labels, shared, 0)
        shared = np.pad(shared, ((0, 0), (0, 1)))  # so that there is a column to choose when there is no box
        columns.append((labels, regions.scores, shared.max(axis=1), before + shared.argmax(axis=1)))
        before += len(truth.labels)
    kinds = (np.int64, np.float32, np.float64, np.int64)
    return _Nearest(*(np.concatenate([np.zeros(0, kind), *(c[i] for c in columns)]) for i, kind in enumerate(kinds)))


def _envelope(hits: Array) -> Array:
    """(D + 1,) float64: the best precision at each region or a later one, surest first; 0 beyond the last."""
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)


def _area(hits: Array, positives: int) -> float:
    """Each hit adds 1 / positives of recall, at the best precision from there on."""
    return float(_envelope(hits)[:-1][hits].sum() / positives)


def _eleven(hits: Array, positives: int) -> float:
    reached = np.searchsorted(np.cumsum(hits) / positives, ELEVEN)
    return float(_envelope(hits)[reached].mean())


RULES: dict[Points, Callable[[Array, int], float]] = {"every": _area, "eleven": _eleven}
