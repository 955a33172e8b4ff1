"""What kinds of mistakes a detector makes, and what each kind costs it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tasks.metrics.matching import Matches, Overlaps, least
from tasks.metrics.resampling import SUREST, Resampled

Array = np.ndarray

KINDS = ("right", "ignored", "classification", "localisation", "both", "duplicate", "background")
RIGHT, IGNORED, CLASSIFICATION, LOCALISATION, BOTH, DUPLICATE, BACKGROUND = range(len(KINDS))
LEAST = 0.1  # of overlap: a region that overlaps every box by less is on the background


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """What each region is, and what mistakes cost.

    kind: (D,) int8 into KINDS, rows as in the Matches: in the order of the images, then of their regions.
    missed: (M, 2) int64, image and index among its boxes, of each box that nothing found and no classification
    or localisation error of a region that counts is about.
    counts: how many regions from the threshold on are of each kind, by its name, and `missed`, boxes.
    costs: by how much mean average precision would rise, 0–1, were one kind of mistake alone mended: those of
    KINDS and `missed`; and with them all at once `false_positives` and `false_negatives`. nan is undefined.
    """

    kind: Array
    missed: Array
    counts: dict[str, int]
    costs: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class _Fate:
    """What became of the boxes (G,) bool and of the regions (D,) bool, when only some regions count.

    found: a region hit it.  covered: not found, but a classification or localisation error is about it.
    mends: the region that would hit its box, were it mended: the surest of those about a covered box.
    """

    found: Array
    covered: Array
    mends: Array


def errors(beside: Overlaps, matches: Matches, iou: float = 0.5, threshold: float = 0.0) -> Errors:
    """The kind of each region found in N images and what each kind costs, given their matches at `iou`, in (0, 1].

    A region that is neither right nor ignored is, by the first of these that holds (overlaps with crowd and
    difficult boxes left out):
    localisation    overlaps a box of its concept by .1 or more, but none of them by `iou`
    classification  overlaps a box of another concept by `iou` or more
    duplicate       overlaps a box of its concept by `iou` or more, which a surer region took
    background      overlaps every box by less than .1
    both            what is left: overlaps a box of another concept alone, by .1 or more but less than `iou`

    threshold: from which score on a region counts, for `counts` and `missed`. Costs are of all regions, as
    average precision is: COCO's, at this IoU, with the 100 surest regions of a concept in an image, and the mean over
    the concepts with a box to find. Each kind is mended alone, ranks and scores as they are: a classification
    error gets its box's concept and a localisation error its box's place, or is dropped if that box is found
    or a surer error is about it too; both, duplicate and background are dropped. Missed boxes are no
    longer there to find; a concept left without a box leaves the mean, and where none is left the cost is nan.
    `false_positives` drops all that is wrong; `false_negatives` takes away all boxes not found.
    Raises ValueError when the two do not belong together.
    Source: Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", 2020, section 2; the
    order in which the kinds are asked for, and that a box found is never freed, are tidecv's.
    """
    if len(beside.score) != len(matches.score):
        raise ValueError(f"{len(beside.score)} regions, but matches of {len(matches.score)}")
    kind, box = _kinds(beside, matches, iou)
    sure = matches.score >= np.float32(threshold)
    fate = _fate(beside, kind, box, sure)
    missed = np.flatnonzero(~(beside.box_ignored | fate.found | fate.covered))
    image = beside.box_image[missed]
    numbers = np.bincount(kind[sure], minlength=len(KINDS)).tolist()
    return Errors(
        kind=kind.astype(np.int8),
        missed=np.stack([image, missed - beside.first_box[image]], axis=1),
        counts=dict(zip(KINDS, numbers, strict=True)) | {"missed": len(missed)},
        costs=_costs(beside, matches, kind, box),
    )


def _kinds(beside: Overlaps, matches: Matches, iou: float) -> tuple[Array, Array]:
    """(D,) int64 into KINDS, and (D,) int64 the box of all images' that each region is about; 0 where it is about none.

    A region is about the box it hit, or the one it overlaps most of the concept that its kind speaks of.
    """
    same = beside.label[beside.region] == beside.box_label[beside.box]
    counting = ~beside.box_ignored[beside.box]
    own, own_box = _most(beside, same & counting)
    other, other_box = _most(beside, ~same & counting)
    enough = least(iou)
    kinds = {
        RIGHT: matches.hit,
        IGNORED: matches.ignored,
        LOCALISATION: (own >= LEAST) & (own < enough),
        CLASSIFICATION: other >= enough,
        DUPLICATE: own >= enough,
        BACKGROUND: other < LEAST,
    }
    kind = np.select([*kinds.values()], [*kinds], BOTH)
    hit = beside.first_box[beside.image] + matches.truth
    return kind, np.select([matches.hit, kind == CLASSIFICATION], [hit, other_box], own_box)


def _most(beside: Overlaps, which: Array) -> tuple[Array, Array]:
    """(D,) float64 and int64: the most that each region overlaps in these pairs, and the box, of equals the first."""
    rows = np.flatnonzero(which)
    rows = rows[np.lexsort((beside.box[rows], -beside.shared[rows], beside.region[rows]))]
    region, first = np.unique(beside.region[rows], return_index=True)
    most, box = np.zeros(len(beside.image)), np.zeros(len(beside.image), np.int64)
    most[region], box[region] = beside.shared[rows[first]], beside.box[rows[first]]
    return most, box


def _fate(beside: Overlaps, kind: Array, box: Array, counts: Array) -> _Fate:
    """When only the regions in `counts` (D,) bool do."""
    hit, covered = np.zeros(len(beside.box_label), bool), np.zeros(len(beside.box_label), bool)
    hit[box[counts & (kind == RIGHT)]] = True
    about = np.flatnonzero(counts & np.isin(kind, (CLASSIFICATION, LOCALISATION)))
    about = about[~hit[box[about]]]
    about = about[np.argsort(-beside.score[about], kind="stable")]
    covered[box[about]] = True
    mends = np.zeros(len(kind), bool)
    mends[about[np.unique(box[about], return_index=True)[1]]] = True  # the first of each box is the surest
    return _Fate(hit, covered, mends)


def _costs(beside: Overlaps, matches: Matches, kind: Array, box: Array) -> dict[str, float]:
    """By how much mean average precision rises when each kind is mended."""
    fate = _fate(beside, kind, box, matches.rank < SUREST)
    label = matches.label.copy()
    label[fate.mends] = beside.box_label[box[fate.mends]]  # of classification and localisation errors alone

    def without(dropped: Array) -> Matches:
        return replace(matches, ignored=matches.ignored | dropped)

    def left(unfound: Array) -> Matches:
        labelled = matches.labelled.copy()
        np.subtract.at(labelled, (beside.box_image[unfound], beside.box_label[unfound]), 1)
        return replace(matches, labelled=labelled)

    mended = {}
    for this in (CLASSIFICATION, LOCALISATION, BOTH, DUPLICATE, BACKGROUND):
        now = fate.mends & (kind == this)
        rest = without((kind == this) & ~now)
        mended[KINDS[this]] = replace(rest, hit=matches.hit | now, label=np.where(now, label, matches.label))
    mended["missed"] = left(~(beside.box_ignored | fate.found | fate.covered))
    mended["false_positives"] = without(~matches.hit)
    mended["false_negatives"] = left(~(beside.box_ignored | fate.found))
    before = _map(matches)
    return {name: _map(after) - before for name, after in mended.items()}


def _map(matches: Matches) -> float:
    return Resampled.of(matches).map(np.arange(len(matches.labelled)))
