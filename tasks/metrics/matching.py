"""Which region found is which box that people drew: the one rule that every detection number rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.runtime.predictions import Regions
from tasks.data.annotations import Annotation
from tasks.metrics.curves import Curve, curve

Array = np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The labelled boxes of one image as columns.

    boxes: (G, 4) float64, x, y, width, height.  labels: (G,) int64.  crowd: (G,) bool, one box around
    many.  ignored: (G,) bool, crowd or difficult: to find it is no merit, to miss it no fault.
    """

    boxes: Array
    labels: Array
    crowd: Array
    ignored: Array


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Every region found in N images, and the box it hit.

    image, label, rank, truth: (D,) int64; score: (D,) float32; hit, ignored: (D,) bool. Rows are in the
    order of the images, then of their regions.  rank: place by score among the image's regions of that
    concept, from 0.  truth: index of the box hit, among its image's; -1 for none.  ignored: on a crowd or
    a difficult box, so neither hit nor miss.  labelled: (N, C) int64, boxes that count, by image and concept.
    """

    image: Array
    label: Array
    score: Array
    rank: Array
    hit: Array
    ignored: Array
    truth: Array
    labelled: Array

    def curve(self, label: int | None = None) -> Curve:
        """The exact counts of one concept, or of all together, at every threshold."""
        which = ~self.ignored if label is None else ~self.ignored & (self.label == label)
        positives = self.labelled.sum() if label is None else self.labelled[:, label].sum()
        return curve(self.score[which], self.hit[which], int(positives))


def truth_of(annotation: Annotation, concepts: tuple[str, ...]) -> Truth:
    """An annotation's boxes as columns; labels index `concepts`."""
    index = {name: i for i, name in enumerate(concepts)}
    crowd = np.array(annotation.crowd, bool)
    return Truth(
        boxes=sides(np.array(annotation.boxes, np.float64).reshape(-1, 4)),
        labels=np.array([index[name] for name in annotation.box_concepts], np.int64),
        crowd=crowd,
        ignored=crowd | np.array(annotation.difficult, bool),
    )


def sides(boxes: Array) -> Array:
    """(N, 4) x0, y0, x1, y1 as x, y, width, height."""
    return np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])


def overlaps(found: Array, truth: Array, crowd: Array) -> Array:
    """(D, G) float64: intersection over union of x, y, width, height boxes; over a crowd, the part of the
    found box that lies in it. pycocotools' own arithmetic, so that no last digit differs from COCO's.
    """
    from pycocotools import mask

    if not len(found) or not len(truth):
        return np.zeros((len(found), len(truth)))
    return np.asarray(mask.iou(found, truth, crowd.astype(np.uint8)))


def match(
    annotations: Sequence[Annotation], found: Sequence[Regions], concepts: tuple[str, ...], iou: float
) -> Matches:
    """Match the regions found in each image to its boxes of the same concept, highest score first.

    COCO's rule: a region takes the free box it overlaps most, if by at least `iou`; failing that, a crowd
    or difficult box it overlaps so much makes it neither hit nor miss, and any number of regions may.
    So a match never depends on regions with lower scores: any threshold can be applied afterwards.
    `concepts` holds every name that boxes or regions have. Raises ValueError otherwise.
    """
    if len(annotations) != len(found):
        raise ValueError(f"{len(annotations)} annotations, but regions of {len(found)} images")
    truths = [truth_of(entry, concepts) for entry in annotations]
    labels = [labels_in(regions, concepts) for regions in found]
    columns = [_match(truth, regions, label, iou) for truth, regions, label in zip(truths, found, labels, strict=True)]
    rank, target, ignored = (
        np.concatenate([np.zeros(0, kind), *(column[i] for column in columns)])
        for i, kind in enumerate((np.int64, np.int64, bool))
    )
    counts = [np.bincount(t.labels[~t.ignored], minlength=len(concepts)) for t in truths]
    return Matches(
        image=np.repeat(np.arange(len(found)), [len(regions) for regions in found]),
        label=np.concatenate([np.zeros(0, np.int64), *labels]),
        score=np.concatenate([np.zeros(0, np.float32), *(regions.scores for regions in found)]),
        rank=rank,
        hit=target >= 0,
        ignored=ignored,
        truth=target,
        labelled=np.array(counts, np.int64).reshape(len(found), len(concepts)),
    )


def labels_in(regions: Regions, concepts: tuple[str, ...]) -> Array:
    """(D,) int64: a model's labels as indexes into another tuple of names."""
    if regions.concepts == concepts[: len(regions.concepts)]:
        return regions.labels
    return np.array([concepts.index(name) for name in regions.concepts], np.int64)[regions.labels]


def _match(truth: Truth, regions: Regions, labels: Array, iou: float) -> tuple[Array, Array, Array]:
    """Rank, index of the box hit (-1: none) and whether to ignore, of each region of one image."""
    rank, target = np.zeros(len(regions), np.int64), np.full(len(regions), -1, np.int64)
    ignored = np.zeros(len(regions), bool)
    shared = overlaps(sides(regions.boxes), truth.boxes, truth.crowd)
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        mine = mine[np.argsort(-regions.scores[mine], kind="stable")]
        rank[mine] = np.arange(len(mine))
        same = truth.labels == label
        for row, box in pairs(np.where(same & ~truth.ignored, shared, 0)[mine], iou):
            target[mine[row]] = box
        on_ignored = np.where(same & truth.ignored, shared, 0)[mine].max(axis=1, initial=0) >= _least(iou)
        ignored[mine] = on_ignored & (target[mine] < 0)
    return rank, target, ignored


def pairs(shared: Array, iou: float) -> Iterator[tuple[int, int]]:
    """(row, column) of each row of overlaps (D, G), in order, with the free column it overlaps most.

    Of columns that overlap it equally the last one is taken, as COCO does.
    """
    least = _least(iou)
    free = np.ones(shared.shape[1], bool)
    for row in np.flatnonzero(shared.max(axis=1, initial=0) >= least):
        best = np.where(free, shared[row], -1)[::-1]
        column = len(best) - 1 - int(best.argmax())
        if free[column] and shared[row, column] >= least:
            free[column] = False
            yield int(row), column


def _least(iou: float) -> float:
    """COCO's guard: an overlap of 1 that arithmetic made a hair smaller still counts at a threshold of 1."""
    return min(iou, 1 - 1e-10)
