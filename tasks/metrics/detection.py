"""How good the regions are that a detector found, against the boxes that people drew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from models.runtime.faults import Fault
from models.runtime.predictions import Regions
from tasks.data.annotations import Annotation
from tasks.metrics.coco import AREAS, IOUS, coco
from tasks.metrics.confusion import confusion
from tasks.metrics.curves import Curve, rates
from tasks.metrics.errors import Errors, errors
from tasks.metrics.interval import Draws, OnImages, Redrawn, bootstrap, bounds
from tasks.metrics.matching import Matches, Overlaps, match, overlapping
from tasks.metrics.resampling import by_concept, map_50, of_matches

Array = np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class DetectionReport:
    """What was measured of a detector on a set of images. Fractions 0–1; nan is undefined.

    concepts: those of the model, then those it does not know but the boxes have; C names.
    summary: the numbers of the whole: COCO's twelve and the counts at the threshold, those that a bootstrap can follow
    with a 95 % interval, `…_low` and `…_high`.
    per_concept: one row a concept, under the columns people know; AP is the mean over IoU .50–.95, AP50 that at .50,
    the counts are those at `threshold` and `iou`.  average_precision: (10, C, 4) float64, by IOUS, concept and AREAS.
    confusion: (C + 1, C + 1) int64, boxes; rows are actual, columns found; the last row is what was found
    where nothing is, the last column what was missed. A row sums to the labelled, a column to the found.
    errors: the kind of each error, and what each kind costs.  pairs, matches: what all counts rest on, at `iou`.
    curves: one a concept, at `iou`; overall: all concepts together.  notes: what a reader must know.
    draws: the numbers in each round of the bootstrap that the bounds are of; headline_on: the headline of some images;
    by_concept: AP50 of each concept on redrawn images.
    headline: the metric by which models are told apart.  concept_metric: what `by_concept` tells.
    """

    task: ClassVar[str] = "detection"
    headline: ClassVar[str] = "map_50"
    concept_metric: ClassVar[str] = "AP50"

    concepts: tuple[str, ...]
    summary: dict[str, float]
    per_concept: tuple[dict[str, Any], ...]
    average_precision: Array
    confusion: Array
    errors: Errors
    threshold: float
    iou: float
    pairs: Overlaps
    matches: Matches
    curves: tuple[Curve, ...]
    overall: Curve
    draws: Draws
    headline_on: OnImages
    by_concept: Redrawn
    images: int
    notes: tuple[str, ...] = ()

    @property
    def counted_from(self) -> float | None:
        """From which score on a region counts as found."""
        return self.threshold

    @property
    def conditions(self) -> str:
        """What the headline is measured on, beside the number of images."""
        return f" with {self.summary['boxes']} boxes; counts from a score of {self.threshold:g}, at IoU {self.iou:g}"

    @property
    def details(self) -> dict[str, Any]:
        """What else report.json holds."""
        return {
            "iou": self.iou,
            "confusion": self.confusion.tolist(),
            "average_precision": {
                "ious": list(IOUS),
                "areas": list(AREAS),
                "by_iou_concept_area": self.average_precision.tolist(),
            },
            "errors": {"counts": self.errors.counts, "costs": self.errors.costs},
        }


def detection(
    annotations: Sequence[Annotation],
    found: Sequence[Regions],
    concepts: tuple[str, ...],
    threshold: float = 0.5,
    iou: float = 0.5,
) -> DetectionReport:
    """Measure the regions found in N images, all of them however low their scores, against N annotations.

    threshold: from which score on a region counts, for TP, FP, FN and what follows from them.
    iou: by how much it must overlap a box to hit it, in (0, 1].
    Crowd and difficult boxes are neither found nor missed, and regions on them neither right nor wrong.
    Raises Fault when there is no image, or threshold or iou is out of range.
    """
    _check(annotations, threshold, iou)
    names = _names(annotations, concepts)
    twelve, average = coco(annotations, found, names)
    pairs = overlapping(annotations, found, names)
    steps = [pairs.matched(each) for each in IOUS]
    matches = steps[IOUS.index(iou)] if iou in IOUS else pairs.matched(iou)
    curves = tuple(matches.curve(label) for label in range(len(names)))
    overall = matches.curve()
    draws = bootstrap(of_matches(steps, matches, threshold), len(annotations))
    rows = tuple(_row(name, curves[i], threshold, average[:, i, 0]) for i, name in enumerate(names))
    return DetectionReport(
        concepts=names,
        summary=twelve | _counts(overall, threshold, len(annotations)) | bounds(draws),
        per_concept=rows,
        average_precision=average,
        confusion=confusion(pairs, matches, threshold, iou),
        errors=errors(pairs, matches, iou, threshold),
        threshold=threshold,
        iou=iou,
        pairs=pairs,
        matches=matches,
        curves=curves,
        overall=overall,
        draws=draws,
        headline_on=lambda images: map_50(steps[0].on(images)),
        by_concept=by_concept(steps[0], names),
        images=len(annotations),
        notes=_notes(annotations, rows, set(names) - set(concepts)),
    )


def best_threshold(
    annotations: Sequence[Annotation],
    found: Sequence[Regions],
    concepts: tuple[str, ...],
    iou: float = 0.5,
) -> float:
    """The score threshold with the highest F1 over all concepts together, among all distinct scores.

    Rounded down to two decimals where that leaves the F1 as it is, else to as many as it takes. The highest
    of equally good ones. 0.5 where nothing was found or nothing is there to find.
    """
    curve = match(annotations, found, _names(annotations, concepts), iou).curve()
    if not curve.positives or not curve.true_positives.any():
        return 0.5
    best = int(curve.f1.argmax())
    top = curve.thresholds[best]
    for decimals in range(2, 9):
        rounded = math.floor(float(top) * 10**decimals) / 10**decimals
        if int((curve.thresholds >= np.float32(rounded)).sum()) == best + 1:
            return rounded
    return float(top)


def _check(annotations: Sequence[Annotation], threshold: float, iou: float) -> None:
    if not annotations:
        raise Fault("there is no image to measure on: the split is empty. Name another with --split.")
    if not 0 <= threshold <= 1:
        raise Fault(f"the threshold must lie in 0–1, got {threshold}")
    if not 0 < iou <= 1:
        raise Fault(f"the IoU from which a region hits a box must be above 0 and at most 1, got {iou}")


def _names(annotations: Sequence[Annotation], concepts: tuple[str, ...]) -> tuple[str, ...]:
    """The model's concepts, then those of the boxes that it does not know."""
    return (*concepts, *sorted({name for entry in annotations for name in entry.box_concepts} - set(concepts)))


def _counts(curve: Curve, threshold: float, images: int) -> dict[str, float]:
    """What is right and wrong at the threshold, all concepts together, and of how many."""
    hits, wrong = curve.at(threshold)
    missed = curve.positives - hits
    ratios = {name.lower(): value for name, value in rates(hits, wrong, missed).items()}
    counts = {"true_positives": hits, "false_positives": wrong, "false_negatives": missed}
    return ratios | counts | {"images": images, "boxes": curve.positives}


def _row(name: str, curve: Curve, threshold: float, average: Array) -> dict[str, Any]:
    hits, wrong = curve.at(threshold)
    return {
        "Concept": name,
        "Average Precision": float(np.mean(average)),
        "AP50": float(average[0]),
        "Total Labeled": curve.positives,
        "Total Predicted": hits + wrong,
        "True Positives": hits,
        "False Positives": wrong,
        "False Negatives": curve.positives - hits,
        **rates(hits, wrong, curve.positives - hits),
    }


def _notes(annotations: Sequence[Annotation], rows: Sequence[dict[str, Any]], unknown: set[str]) -> tuple[str, ...]:
    """One sentence for each way in which a number is not what it seems."""
    notes = [
        f"the model does not know {row['Concept']!r}: each of its {row['Total Labeled']} boxes is missed"
        for row in rows
        if row["Concept"] in unknown
    ]
    absent = [repr(row["Concept"]) for row in rows if row["Total Labeled"] == 0]
    if absent:
        notes.append(f"no box of {', '.join(absent)}: no average precision, left out of the means")
    crowd, difficult = (sum(map(sum, (getattr(e, c) for e in annotations))) for c in ("crowd", "difficult"))
    if crowd or difficult:
        notes.append(f"{crowd} crowd and {difficult} difficult boxes are neither found nor missed")
    return tuple(notes)
