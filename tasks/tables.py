"""The tables of a report beside the one by concept: each is a CSV, and a part of its pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from models.runtime.predictions import Answer
from tasks.data.annotations import Annotation
from tasks.files import Rows
from tasks.metrics.coco import AREAS, IOUS
from tasks.metrics.compare import Report
from tasks.metrics.curves import WANTED, thresholds
from tasks.metrics.detection import DetectionReport
from tasks.metrics.errors import KINDS
from tasks.metrics.retrieval import RetrievalReport
from tasks.metrics.slices import slices
from tasks.metrics.voc import voc_average_precision

POINTS: dict[Literal["every", "eleven"], str] = {"every": "Every point", "eleven": "11 points"}
PIXELS: tuple[Literal["continuous", "inclusive"], ...] = ("continuous", "inclusive")
TITLES = {
    "slices": "Slices, the worst first",
    "thresholds": "Thresholds",
    "errors": "Kinds of error, and what each costs in average precision",
    "average_precision": "Average precision by IoU and size of box",
    "voc": "Average precision as Pascal VOC defines it",
}


def tables(
    report: Report, annotations: Sequence[Annotation], found: Sequence[Answer], precision: float = WANTED
) -> dict[str, Rows]:
    """By name (TITLES), those that this report has.

    precision: for which a threshold is looked up, in (0, 1].
    """
    measured = [annotations[i] for i in report.asked] if isinstance(report, RetrievalReport) else annotations
    made: dict[str, Rows] = {"slices": slices(measured, report)}
    if hasattr(report, "curves"):
        made["thresholds"] = thresholds(report.concepts, report.curves, precision)
    if isinstance(report, DetectionReport):
        made["errors"] = _errors(report)
        made["average_precision"] = _average_precision(report)
        made["voc"] = _voc(report, annotations, found)
    return {name: rows for name, rows in made.items() if rows}


def _errors(report: DetectionReport) -> Rows:
    """What each kind of error is, how often it is there at the threshold, and what it costs."""
    counts, costs = report.errors.counts, report.errors.costs
    kinds = [name for name in (*KINDS, "missed") if name in costs]
    rows = [{"Error": name, "Count": counts[name], "Cost in AP": costs[name]} for name in kinds]
    return sorted(rows, key=lambda row: -np.nan_to_num(row["Cost in AP"], nan=float(row["Count"] > 0)))


def _average_precision(report: DetectionReport) -> Rows:
    """A row a concept and area; nan where there is no box of that size."""
    return [
        {"Concept": name, "Area": area}
        | {f"AP{100 * iou:.0f}": float(report.average_precision[step, label, size]) for step, iou in enumerate(IOUS)}
        for label, name in enumerate(report.concepts)
        for size, area in enumerate(AREAS)
        if size == 0 or not np.isnan(report.average_precision[0, label, size])
    ]


def _voc(report: DetectionReport, annotations: Sequence[Annotation], found: Sequence[Any]) -> Rows:
    """Every point (VOC 2010) and 11 points (VOC 2007), with the box sizes of each convention, at the report's IoU."""
    measured = {
        pixels: voc_average_precision(annotations, found, report.concepts, report.iou, pixels) for pixels in PIXELS
    }
    columns = {f"{said}, {pixels}": measured[pixels][points] for points, said in POINTS.items() for pixels in PIXELS}
    rows = [
        {"Concept": name} | {column: float(values[label]) for column, values in columns.items()}
        for label, name in enumerate(report.concepts)
    ]
    means = {column: float(np.nanmean(values)) for column, values in columns.items() if not np.isnan(values).all()}
    return [*rows, {"Concept": "mean"} | means] if means else rows
