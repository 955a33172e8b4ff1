"""Which labels are most likely wrong or missing, by what a model says of the images: the most suspicious first.

Scores on images that the model was trained on are too sure of their labels, right or wrong: fewer of their issues show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.runtime.predictions import Concepts, Regions
from tasks.data.annotations import Annotation, Box
from tasks.metrics.classification import actual_concepts
from tasks.metrics.matching import Overlaps, overlapping, overlaps, sides

Array = np.ndarray

WRONG, MISSED_CONCEPT = "wrong concept", "missed concept"
MISSED_BOX, PLACED, NOTHING = "missed box", "badly placed", "nothing there"
KINDS = (WRONG, MISSED_CONCEPT, MISSED_BOX, PLACED, NOTHING)
HALF, LEAST = 0.5, 0.1  # of overlap: a region is about a box from HALF on, and near it from LEAST on
HAIR = 1e-6  # of a score: the mean of equal float32 scores must not lie above each of them


@dataclass(frozen=True, slots=True)
class LabelIssue:
    """A label that is probably wrong, or one that is probably missing.

    index: of the image.  kind: one of KINDS.  given: the concept that it is labelled with, empty where a label is
    missing.  suggested: what the model says it is, empty where it says that nothing is there.
    suspicion: 0–1, see `concept_issues` and `region_issues`.  score: 0–1, the model's of what it suggests; where it
    suggests nothing, of what is given.  box: the labelled one, suggested_box: the model's; xyxy in pixels.
    """

    index: int
    kind: str
    given: str
    suggested: str
    suspicion: float
    score: float
    box: Box | None = None
    suggested_box: Box | None = None


def label_issues(
    annotations: Sequence[Annotation], found: Sequence[Any], concepts: tuple[str, ...], exclusive: bool
) -> list[LabelIssue]:
    """The issues of N images by a model's N answers, Concepts or Regions, sorted by falling suspicion.

    concepts: those that the model knows; no label of another concept is doubted.  exclusive: each image has exactly
    one concept; unused for regions. Raises ValueError for another number of answers, Fault as `actual_concepts`.
    """
    if len(annotations) != len(found):
        raise ValueError(f"{len(annotations)} annotations, but answers on {len(found)} images")
    if not found:
        return []
    if isinstance(found[0], Regions):
        return region_issues(annotations, found, concepts)
    return concept_issues(annotations, found, concepts, exclusive)


def concept_issues(
    annotations: Sequence[Annotation], found: Sequence[Concepts], concepts: tuple[str, ...], exclusive: bool
) -> list[LabelIssue]:
    """Images with a concept that is probably not theirs, or without one that probably is.

    A concept is likely where it scores no less than it does on average on the images labelled with it. An image is an
    issue when another concept than its label is the best of the likely ones.  suspicion: (1 − margin) / 2, where the
    margin is the label's score less the best other one. Where an image may have several concepts, each of them is a
    question of its own with the answers yes and no, scored s and 1 − s: so a missed one has suspicion s, a wrong one
    1 − s.
    Source: Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021,
    sections 3.1 and 3.2 (thresholds, normalised margin); one concept against the rest for several: Thyagarajan
    et al., "Identifying Incorrect Annotations in Multi-Label Classification Data", 2022.
    """
    unknown = sorted({name for entry in annotations for name in entry.concepts} - set(concepts))
    actual = actual_concepts(annotations, (*concepts, *unknown), exclusive)[:, : len(concepts)]
    scores = np.stack([answer.scores for answer in found]).astype(np.float64)
    rows = _exclusive(scores, actual, concepts) if exclusive else _several(scores, actual, concepts)
    return sorted(rows, key=lambda issue: -issue.suspicion)


def _exclusive(scores: Array, actual: Array, concepts: tuple[str, ...]) -> Iterator[LabelIssue]:
    judged = np.flatnonzero(actual.any(axis=1))  # what the model does not know the concept of, it cannot doubt
    label = actual[judged].argmax(axis=1)
    instead, suspicion = _doubted(scores[judged], label)
    for row in np.flatnonzero(instead != label):
        given, other, i = int(label[row]), int(instead[row]), int(judged[row])
        yield LabelIssue(i, WRONG, concepts[given], concepts[other], float(suspicion[row]), float(scores[i, other]))


def _several(scores: Array, actual: Array, concepts: tuple[str, ...]) -> Iterator[LabelIssue]:
    for c, name in enumerate(concepts):
        label = actual[:, c].astype(np.int64)
        instead, suspicion = _doubted(np.stack([1 - scores[:, c], scores[:, c]], axis=1), label)
        for i in np.flatnonzero(instead != label):
            there = bool(label[i])
            kind, given, suggested = (WRONG, name, "") if there else (MISSED_CONCEPT, "", name)
            yield LabelIssue(int(i), kind, given, suggested, float(suspicion[i]), float(scores[i, c]))


def _doubted(scores: Array, label: Array) -> tuple[Array, Array]:
    """(N,) int64, what each image probably is, its label where nothing speaks against it; (N,) its suspicion.

    scores: (N, C) float64.  label: (N,) int64 into C.
    """
    rows, columns = np.arange(len(label)), np.arange(scores.shape[1])
    own = label[:, None] == columns
    count = own.sum(axis=0)
    mean = np.divide((scores * own).sum(axis=0), count, out=np.full(len(columns), np.inf), where=count > 0)
    likely = np.where(scores >= mean - HAIR, scores, -np.inf)
    instead = np.where(likely[rows, label] >= likely.max(axis=1), label, likely.argmax(axis=1))
    other = np.where(own, -np.inf, scores).max(axis=1)
    margin = scores[rows, label] - np.where(np.isfinite(other), other, 0)
    return instead, (1 - margin) / 2


def region_issues(
    annotations: Sequence[Annotation], found: Sequence[Regions], concepts: tuple[str, ...]
) -> list[LabelIssue]:
    """Boxes that are probably missing, of another concept, badly placed or around nothing.

    A region is sure where it scores no less than the right regions of its concept do on average (`match` at an IoU of
    .5), and free where it overlaps no box of its concept by .5 or more. Of crowd and difficult boxes none is doubted.
    missed box     a sure region that overlaps every box by less than .1; of several at one place the surest
    wrong concept  a box that a sure, free region of another concept overlaps by .5 or more, and none of its own concept
                   so that is sure, or counts as much (see suspicion)
    badly placed   a box that a sure, free region of its concept overlaps by .1 to .5, and no sure one by more
    nothing there  a box that every region overlaps by less than .1
    A region tells of one box, a box has one issue, the first of these that holds and there the most suspicious.

    suspicion: scores of detectors are no probabilities, and each concept has its own. So a region counts as much as the
    share of the right regions of its concept that score no more (of those and one more: a few prove little), and
    suspicion is what the model's region counts less what the best one for the label does, about the box and of its
    concept, 0 without any. Of a badly placed box it is times 1 − IoU. Where nothing is there, it is the share of the
    boxes of that concept for which there is a region: all these look better. Of equal ones the larger boxes first.
    After the three kinds of Tkachenko, Thyagarajan, Mueller, "ObjectLab: Automated Diagnosis of Mislabeled Images in
    Object Detection Data", 2023 (overlooked, swapped, badly located); the formulas are our own.
    """
    strange = sorted({name for entry in annotations for name in entry.box_concepts} - set(concepts))
    names = (*concepts, *strange)
    beside = overlapping(annotations, found, names)
    scene = _scene(beside, len(concepts))
    boxes = [box for entry in annotations for box in entry.boxes]
    drawn = np.concatenate([np.zeros((0, 4)), *(regions.boxes for regions in found)])
    swapped = _swapped(beside, scene)
    rows = [(WRONG, *row) for row in zip(*swapped, strict=True)]
    told = [set(column.tolist()) for column in swapped[:2]]
    misplaced = zip(*_misplaced(beside, scene), strict=True)
    rows += [(PLACED, *row) for row in misplaced if row[0] not in told[0] and row[1] not in told[1]]
    rows += [(NOTHING, None, *row) for row in zip(*_empty(beside, scene), strict=True)]
    rows += [(MISSED_BOX, r, None, scene.counts[r]) for r in _missing(beside, scene, drawn)]
    issues = []
    for kind, r, b, suspicion in rows:
        given, box = ("", None) if b is None else (names[beside.box_label[b]], boxes[b])
        suggested, score, its = "", 0.0, None
        if r is not None:
            x0, y0, x1, y1 = drawn[r].tolist()
            suggested, score, its = names[beside.label[r]], float(beside.score[r]), (x0, y0, x1, y1)
        image = int(beside.box_image[b] if r is None else beside.image[r])
        issues.append(LabelIssue(image, kind, given, suggested, float(suspicion), score, box, its))
    return sorted(issues, key=lambda issue: (-issue.suspicion, -_area(issue.box), issue.index))


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """What the kinds of D regions and G boxes are told from.

    sure, free: (D,) bool.  counts: (D,) float64, 0–1, what a region counts.  judged: (G,) bool, boxes that may be
    doubted.  own: (G,) float64, what the best region for a box counts, 0 without any.  settled: (G,) bool, one of
    those is sure.  usual: (C,) float64, the share of boxes that have a region, 0 without a box.
    """

    sure: Array
    free: Array
    counts: Array
    judged: Array
    own: Array
    settled: Array
    usual: Array


def _scene(beside: Overlaps, known: int) -> _Scene:
    """known: how many of the concepts, the first ones, the model has a name for."""
    counts, sure = _standing(beside)
    about = (beside.shared >= HALF) & (beside.label[beside.region] == beside.box_label[beside.box])
    region, box = beside.region[about], beside.box[about]
    free = np.ones(len(sure), bool)
    free[region] = False
    own, settled, found = np.zeros(len(beside.box_label)), *np.zeros((2, len(beside.box_label)), bool)
    np.maximum.at(own, box, counts[region])
    settled[box[sure[region]]] = True
    found[box] = True
    judged = ~beside.box_ignored & (beside.box_label < known)
    boxes, there = (
        np.bincount(beside.box_label[which], minlength=beside.concepts) for which in (judged, judged & found)
    )
    return _Scene(sure, free, counts, judged, own, settled, there / np.maximum(boxes, 1))


def _standing(beside: Overlaps) -> tuple[Array, Array]:
    """(D,) float64, what each region counts, and (D,) bool, which are sure: none where no region is right."""
    hit = beside.matched(HALF).hit
    counts, sure = np.zeros(len(hit)), np.zeros(len(hit), bool)
    for label in np.unique(beside.label[hit]):
        mine = np.flatnonzero(beside.label == label)
        right = np.sort(beside.score[mine[hit[mine]]])
        counts[mine] = np.searchsorted(right, beside.score[mine], "right") / (len(right) + 1)
        sure[mine] = beside.score[mine] >= right.mean(dtype=np.float64) - HAIR
    return counts, sure


def _swapped(beside: Overlaps, scene: _Scene) -> tuple[Array, Array, Array]:
    """Regions, boxes and suspicion of wrong concepts, (K,) each."""
    region, box = beside.region, beside.box
    ahead = scene.counts[region] - scene.own[box]
    other = (beside.label[region] != beside.box_label[box]) & (beside.shared >= HALF)
    return _paired(beside, scene, other & ~scene.settled[box] & (ahead > 0), ahead)


def _misplaced(beside: Overlaps, scene: _Scene) -> tuple[Array, Array, Array]:
    """Regions, boxes and suspicion of badly placed ones, (K,) each."""
    region, box = beside.region, beside.box
    ahead = scene.counts[region] - scene.own[box]
    near = (beside.label[region] == beside.box_label[box]) & (beside.shared >= LEAST) & (beside.shared < HALF)
    return _paired(beside, scene, near & ~scene.settled[box] & (ahead > 0), ahead * (1 - beside.shared))


def _paired(beside: Overlaps, scene: _Scene, which: Array, suspicion: Array) -> tuple[Array, Array, Array]:
    """Of these pairs (P,) bool the most suspicious of each box, when every region is left the box it overlaps most."""
    rows = np.flatnonzero(which & (scene.sure & scene.free)[beside.region] & scene.judged[beside.box])
    rows = rows[np.lexsort((-beside.shared[rows], beside.region[rows]))]
    rows = rows[np.unique(beside.region[rows], return_index=True)[1]]
    rows = rows[np.lexsort((-suspicion[rows], beside.box[rows]))]
    rows = rows[np.unique(beside.box[rows], return_index=True)[1]]
    return beside.region[rows], beside.box[rows], suspicion[rows]


def _empty(beside: Overlaps, scene: _Scene) -> tuple[Array, Array]:
    """Boxes around nothing and their suspicion, (K,) each; none of a concept that the model never finds."""
    alone = scene.judged.copy()
    alone[beside.box[beside.shared >= LEAST]] = False
    usual = scene.usual[beside.box_label]
    boxes = np.flatnonzero(alone & (usual > 0))
    return boxes, usual[boxes]


def _missing(beside: Overlaps, scene: _Scene, drawn: Array) -> list[int]:
    """Regions that stand where no box is, the surest of each place."""
    alone = scene.sure.copy()
    alone[beside.region[beside.shared >= LEAST]] = False
    kept: list[int] = []
    for rows in _by_image(beside.image, np.flatnonzero(alone)):
        rows = rows[np.argsort(-beside.score[rows], kind="stable")]
        each = sides(drawn[rows])
        near = overlaps(each, each, np.zeros(len(rows), bool)) >= HALF
        there: list[int] = []
        for i in range(len(rows)):
            if not near[i, there].any():
                there.append(i)
        kept += rows[there].tolist()
    return kept


def _by_image(image: Array, rows: Array) -> list[Array]:
    """Rows in the order of their images, split by image."""
    return np.split(rows, np.flatnonzero(np.diff(image[rows])) + 1) if len(rows) else []


def _area(box: Box | None) -> float:
    return (box[2] - box[0]) * (box[3] - box[1]) if box else 0.0
