"""Which region found is which box that people drew: the one rule that every detection number rests on."""

from __future__ import annotations

from collections.abc import Sequence
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

    def on(self, images: Array) -> Matches:
        """Those on some of the images, (M,) int64 without repeats, which are then 0 to M - 1."""
        place = np.full(len(self.labelled), -1)
        place[images] = np.arange(len(images))
        mine = place[self.image] >= 0
        columns = {name: getattr(self, name)[mine] for name in ("label", "score", "rank", "hit", "ignored", "truth")}
        return Matches(image=place[self.image[mine]], labelled=self.labelled[images], **columns)

    def curve(self, label: int | None = None) -> Curve:
        """The exact counts of one concept, or of all together, at every threshold."""
        which = ~self.ignored if label is None else ~self.ignored & (self.label == label)
        positives = self.labelled.sum() if label is None else self.labelled[:, label].sum()
        return curve(self.score[which], self.hit[which], int(positives))


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """Every region found in N images and every box labelled in them, and which of them share ground.

    Of the D regions, in the order of the images, then of each image's: image, label, rank (D,) int64, score (D,)
    float32; rank as in `Matches`.  Of the G boxes alike: box_image, box_label (G,) int64, box_ignored (G,) bool.
    first_box: (N,) int64, where an image's boxes begin.  region, box (P,) int64, shared (P,) float64: the pairs that
    overlap in one image, whatever their concepts, and by how much; sorted by region, then overlap, then box.
    labelled: (N, C) int64, boxes that count, by image and concept; the same for every IoU.
    """

    image: Array
    label: Array
    score: Array
    rank: Array
    box_image: Array
    box_label: Array
    box_ignored: Array
    first_box: Array
    region: Array
    box: Array
    shared: Array
    labelled: Array

    @property
    def concepts(self) -> int:
        """How many there are."""
        return self.labelled.shape[1]

    def matched(self, iou: float) -> Matches:
        """Each region with the box of its concept that it hits; see `match`."""
        near = (self.shared >= least(iou)) & (self.label[self.region] == self.box_label[self.box])
        counting = ~self.box_ignored[self.box]
        target = taken(self.region[near & counting], self.box[near & counting], self.rank, len(self.box_image))
        ignored = np.zeros(len(self.image), bool)
        ignored[self.region[near & ~counting]] = True
        return Matches(
            image=self.image,
            label=self.label,
            score=self.score,
            rank=self.rank,
            hit=target >= 0,
            ignored=ignored & (target < 0),
            truth=np.where(target >= 0, target - self.first_box[self.image], -1),
            labelled=self.labelled,
        )


def match(
    annotations: Sequence[Annotation], found: Sequence[Regions], concepts: tuple[str, ...], iou: float
) -> Matches:
    """Match the regions found in each image to its boxes of the same concept, highest score first.

    COCO's rule: a region takes the free box it overlaps most, if by at least `iou`; failing that, a crowd
    or difficult box it overlaps so much makes it neither hit nor miss, and any number of regions may.
    So a match never depends on regions with lower scores: any threshold can be applied afterwards.
    `concepts` holds every name that boxes or regions have. Raises ValueError otherwise.
    """
    return overlapping(annotations, found, concepts).matched(iou)


def overlapping(annotations: Sequence[Annotation], found: Sequence[Regions], concepts: tuple[str, ...]) -> Overlaps:
    """Regions and boxes laid side by side, once for every IoU. Raises ValueError as `match`."""
    if len(annotations) != len(found):
        raise ValueError(f"{len(annotations)} annotations, but regions of {len(found)} images")
    truths = [truth_of(entry, concepts) for entry in annotations]
    image = np.repeat(np.arange(len(found)), [len(regions) for regions in found])
    label = _joined(np.int64, [labels_in(regions, concepts) for regions in found])
    score = _joined(np.float32, [regions.scores for regions in found])
    first_region, first_box = (_starts([len(side) for side in sides]) for sides in (found, [t.labels for t in truths]))
    region, box, shared = [], [], []
    for i, (truth, regions) in enumerate(zip(truths, found, strict=True)):
        each = overlaps(sides(regions.boxes), truth.boxes, truth.crowd)
        rows, columns = np.nonzero(each)
        order = np.lexsort((columns, each[rows, columns], rows))
        rows, columns = rows[order], columns[order]
        region.append(rows + first_region[i])
        box.append(columns + first_box[i])
        shared.append(each[rows, columns])
    box_image = np.repeat(np.arange(len(truths)), [len(truth.labels) for truth in truths])
    box_label, box_ignored = _joined(np.int64, [t.labels for t in truths]), _joined(bool, [t.ignored for t in truths])
    labelled = np.zeros((len(truths), len(concepts)), np.int64)
    np.add.at(labelled, (box_image[~box_ignored], box_label[~box_ignored]), 1)
    return Overlaps(
        image=image,
        label=label,
        score=score,
        rank=ranks(image * len(concepts) + label, score),
        box_image=box_image,
        box_label=box_label,
        box_ignored=box_ignored,
        first_box=first_box,
        region=_joined(np.int64, region),
        box=_joined(np.int64, box),
        shared=_joined(np.float64, shared),
        labelled=labelled,
    )


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


def labels_in(regions: Regions, concepts: tuple[str, ...]) -> Array:
    """(D,) int64: a model's labels as indexes into another tuple of names."""
    if regions.concepts == concepts[: len(regions.concepts)]:
        return regions.labels
    return np.array([concepts.index(name) for name in regions.concepts], np.int64)[regions.labels]


def taken(region: Array, box: Array, rank: Array, boxes: int) -> Array:
    """(D,) int64: the box that each of D regions takes, -1 for none: the free one it overlaps most, by falling score.

    region, box: (P,) the pairs that may be, sorted by region, then overlap; of equal overlaps the last is taken, as
    COCO does.  rank: (D,) turns: regions of one turn have no box in common.  boxes: how many there are.
    """
    target, free = np.full(len(rank), -1, np.int64), np.ones(boxes, bool)
    turns = np.argsort(rank[region], kind="stable")
    for rows in np.split(turns, np.flatnonzero(np.diff(rank[region][turns])) + 1):
        rows = rows[free[box[rows]]]
        last = rows[np.append(np.diff(region[rows]) != 0, True)] if len(rows) else rows
        target[region[last]] = box[last]
        free[box[last]] = False
    return target


def ranks(group: Array, score: Array) -> Array:
    """(D,) int64: the place of each by falling score among those of its group, from 0; equal ones in their order."""
    order = np.lexsort((-score, group))
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    places = np.empty(len(group), np.int64)
    places[order] = np.arange(len(group)) - np.repeat(first, np.diff(np.append(first, len(group))))
    return places


def least(iou: float) -> float:
    """COCO's guard: an overlap of 1 that arithmetic made a hair smaller still counts at a threshold of 1."""
    return min(iou, 1 - 1e-10)


def _joined(kind: type, columns: Sequence[Array]) -> Array:
    return np.concatenate([np.zeros(0, kind), *columns])


def _starts(counts: Sequence[int]) -> Array:
    """Where each of several columns begins when they are joined."""
    return np.cumsum([0, *counts])[:-1]
