"""The tables of a report's page: cells with the text that is read and the value that is sorted by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.metrics.coco import AREAS, IOUS
from tasks.metrics.compare import COUNTS, Report, total
from tasks.metrics.detection import DetectionReport
from tasks.report import SAID, as_text
from tasks.tables import TITLES

COUNTED = {
    "Total Predicted": "answers",
    "True Positives": "right",
    "False Positives": "wrong",
    "False Negatives": "missed",
    "Recall": "right of the labelled",
    "Precision": "right of the answers",
    "F1": "2 TP / (2 TP + FP + FN)",
}
SHORT = {"True Positives": "TP", "False Positives": "FP", "False Negatives": "FN"}

# What each kind of error is, as tasks/metrics/errors.py tells them apart.
MEANS = {
    "classification": "the place of a box, but the name of another concept",
    "localisation": "the right name near a box, but too far off to hit it",
    "both": "near a box of another concept, and too far off to hit that",
    "duplicate": "a second region on a box that a surer one took",
    "background": "where no box is",
    "missed": "boxes that no region is about",
    "false_positives": "all wrong regions at once",
    "false_negatives": "all boxes that were not found at once",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """text: as it is read.  value: by which it is sorted, a number or a text; None is undefined.
    live: the name of a number that moves with the threshold, else empty."""

    text: str
    value: float | str | None
    live: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """text: as it is read.  said: what it means, where a pointer rests on it.  number: whether its cells are."""

    text: str
    said: str = ""
    number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """name: its id on the page.  rows: cells under each heading.  foot: those of all together, or none."""

    name: str
    title: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]
    foot: tuple[Cell, ...] = ()
    said: str = ""


def two(value: float) -> str:
    """A fraction as people write it in a sentence: .50; a dash for what is undefined."""
    text = f"{value:.2f}"
    return "–" if math.isnan(value) else text[1:] if text.startswith("0.") else text


def interval(low: float, high: float) -> str:
    """.30 to .70; a dash where there is none."""
    return "–" if math.isnan(low) or math.isnan(high) else f"{as_text(low)} to {as_text(high)}"


def per_concept(report: Report) -> Table:
    """A row a concept (or cluster) under the report's own columns, and all together at its foot."""
    rows = report.per_concept
    columns = list(rows[0])
    moves = report.task in ("classification", "detection")
    sums = total(report.summary, rows)
    foot = (Cell("all", "all"), *(_cell(column, sums.get(column, ""), moves) for column in columns[1:]))
    return Table(
        "per_concept",
        f"Per {columns[0].lower()}",
        tuple(_heading(column, rows[0][column]) for column in columns),
        tuple(tuple(_cell(column, row[column], moves) for column in columns) for row in rows),
        foot,
    )


def whole(report: Report) -> Table:
    """Every number of the summary, the one that counts first, with its interval where it has one."""
    names = [name for name in dict.fromkeys([report.headline, *SAID, *report.summary]) if name in report.summary]
    rows = []
    for name in names:
        if not name.endswith(("_low", "_high")):
            value = report.summary[name]
            value = int(value) if name in COUNTS and not math.isnan(value) else float(value)
            ends = (report.summary.get(f"{name}_{end}", math.nan) for end in ("low", "high"))
            rows.append((Cell(SAID.get(name, name), SAID.get(name, name)), _number(value), Cell(interval(*ends), None)))
    headings = (Heading("Metric"), Heading("Value", number=True), Heading("95 % interval", number=True))
    at = "" if report.counted_from is None else f"Counted from a score of {report.counted_from:g}."
    return Table("whole", "All numbers of the whole", headings, tuple(rows), said=at)


def of_slices(slices: Sequence[Mapping[str, Any]]) -> Table:
    """A row a slice, in the order given: the worst first."""
    rows = [
        (
            Cell(str(row["Slice"]), str(row["Slice"])),
            Cell(str(row["Value"]), str(row["Value"])),
            _number(row["Images"]),
            Cell(SAID.get(row["Metric"], str(row["Metric"])), str(row["Metric"])),
            _number(float(row["Number"])),
            Cell(interval(float(row["Low"]), float(row["High"])), _sortable(float(row["Low"]))),
            _number(float(row["Whole"])),
        )
        for row in slices
    ]
    headings = [Heading(name) for name in ("Slice", "Value")] + [Heading("Images", number=True), Heading("Metric")]
    headings += [Heading("Number", number=True), Heading("95 % interval", "sorted by its lower end", True)]
    headings += [Heading("Whole", "the same number of all images", True)]
    return Table("slices", TITLES["slices"], tuple(headings), tuple(rows))


def of_rows(name: str, title: str, rows: Sequence[Mapping[str, Any]], last_is_mean: bool = False) -> Table:
    """Rows of the same columns as they are; the last stands below the others, however they are sorted, if it is their
    mean."""
    headings = tuple(_heading(column, value) for column, value in rows[0].items())
    cells = tuple(tuple(_cell(column, value, False) for column, value in row.items()) for row in rows)
    return Table(name, title, headings, cells[:-1], cells[-1]) if last_is_mean else Table(name, title, headings, cells)


def average_precision(report: DetectionReport) -> Table:
    """A row a concept, a column an IoU, for boxes of all areas; the page puts those of another area in its place."""
    values = report.average_precision[:, :, AREAS.index("all")]
    rows = [
        (Cell(name, name), *(_number(float(value), f"ap{k}") for k, value in enumerate([*column, np.mean(column)])))
        for name, column in zip(report.concepts, values.T, strict=True)
    ]
    headings = [Heading("Concept"), *(Heading(two(iou), number=True) for iou in IOUS), Heading("mean", number=True)]
    return Table("average_precision", TITLES["average_precision"], tuple(headings), tuple(rows))


def of_errors(report: DetectionReport) -> Table:
    """A row a kind of error: how many there are, what each kind costs, and what it means."""
    counts, costs = report.errors.counts, report.errors.costs
    rows = [
        (
            Cell(name.replace("_", " "), name),
            _number(counts.get(name)),
            _number(costs.get(name, math.nan)),
            Cell(said, said),
        )
        for name, said in sorted(MEANS.items(), key=lambda item: -np.nan_to_num(costs.get(item[0], math.nan)))
    ]
    headings = (
        Heading("Kind"),
        Heading("Count", f"from a score of {report.threshold:g}", True),
        Heading("Costs in AP", "by how much mean AP would rise without it", True),
        Heading("What it means"),
    )
    said = (
        f"Counted from a score of {report.threshold:g}. The cost is by how much mean average precision at IoU "
        f"{report.iou:g} would rise, were this kind alone mended, at all scores."
    )
    return Table("errors", TITLES["errors"], headings, tuple(rows), said=said)


def _heading(column: str, value: Any) -> Heading:
    said = f"{column}: {COUNTED[column]}" if column in COUNTED else ""
    return Heading(SHORT.get(column, column), said, not isinstance(value, str))


def _cell(column: str, value: Any, moves: bool) -> Cell:
    live = column if moves and column in COUNTED else ""
    return Cell(value, value) if isinstance(value, str) else _number(value, live)


def _number(value: Any, live: str = "") -> Cell:
    return Cell(as_text(value), _sortable(value), live)


def _sortable(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else value
