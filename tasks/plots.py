"""Curves, bars and matrices of a training or a report, as PNG files."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.runtime.faults import short
from tasks.charts import calibration, recalls, sizes
from tasks.metrics.classification import ClassificationReport
from tasks.metrics.compare import Report
from tasks.metrics.curves import Curve
from tasks.metrics.detection import DetectionReport
from tasks.metrics.retrieval import RetrievalReport
from tasks.style import FAINT, INK, PALETTE, colour, paint_to

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray
MANY = 10  # concepts, from which on only some lines are told apart by colour
TOLD = 6  # how many those are
WRITTEN = 20  # concepts up to which a matrix has its numbers in it
ROWS = 60  # bars on one page
CURVES = (7.6, 4.8)  # inches


def plot_training(history: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """`training.png`: the losses, the validation metrics and the learning rate over the steps.

    history: rows of `epoch`, `step`, `train_loss`, `val_…`, `learning_rate`; any may be missing in a row.
    Nothing is drawn for an empty history.
    """
    names = sorted({name for row in history for name in row} - {"epoch", "step"})
    panels = {
        "Loss": [name for name in names if name.endswith("loss")],
        "Validation": [name for name in names if name.startswith("val_") and not name.endswith("loss")],
        "Learning rate": [name for name in names if name == "learning_rate"],
    }
    panels = {title: lines for title, lines in panels.items() if lines}
    if not panels:
        return []
    axis = "step" if any("step" in row for row in history) else "epoch"

    def paint(figure: Figure) -> None:
        for axes, (title, lines) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True):
            for i, name in enumerate(lines):
                points = [(row[axis], row[name]) for row in history if axis in row and row.get(name) is not None]
                marker = "o" if len(points) < 30 else ""
                axes.plot(*zip(*points, strict=True), marker=marker, markersize=4, color=PALETTE[i], label=name)
            axes.set(title=title, xlabel=axis)
            if title == "Validation":
                axes.set_ylim(0, max(1.02, axes.get_ylim()[1]))
            axes.legend()

    return [paint_to(folder / "training.png", (4.6 * len(panels), 3.6), paint)]


def plot_report(report: Report, folder: Path) -> list[Path]:
    """The PNG files that a report is looked at with, in the order in which to look: those of PLOTS, by its task.

    No `confusion.png` where there is no matrix.
    """
    drawn = PLOTS[report.task]
    matrix = getattr(report, "confusion", np.zeros(0)).size > 0
    return [paint(report, folder / f"{name}.png") for name, paint in drawn.items() if name != "confusion" or matrix]


def _precision_recall(report: ClassificationReport | DetectionReport, path: Path) -> Path:
    column, what, at = "Average Precision", "AP", ""
    if isinstance(report, DetectionReport):
        column, what, at = "AP50", "AP50", f" at IoU {report.iou:g}"
    lines = [
        (np.r_[0, c.recall], np.r_[c.precision[:1], c.precision]) if c.positives and len(c.thresholds) else None
        for c in report.curves
    ]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        _lines(axes, report.concepts, lines, [row[column] for row in report.per_concept], what, "steps-pre")
        axes.set(title=f"Precision over recall{at}", xlabel="recall", ylabel="precision")

    return paint_to(path, CURVES, paint)


def _roc(report: ClassificationReport, path: Path) -> Path:
    lines = [
        (np.r_[0, c.false_positive_rate], np.r_[0, c.recall]) if c.positives and c.negatives else None
        for c in report.curves
    ]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=FAINT, linestyle=":", linewidth=1)
        values = [row["Accuracy (ROC AUC)"] for row in report.per_concept]
        _lines(axes, report.concepts, lines, values, "ROC AUC", "default")
        axes.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate (recall)")

    return paint_to(path, CURVES, paint)


def _f1(report: DetectionReport, path: Path) -> Path:
    """F1 over the threshold, all concepts together in ink; the report's own threshold is marked."""
    lines = [_over_threshold(c) if c.positives else None for c in report.curves]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axvline(report.threshold, color=INK, linestyle=":", linewidth=1)
        values, what = [row["F1"] for row in report.per_concept], f"F1 at {report.threshold:g}"
        together = (*_over_threshold(report.overall), report.summary["f1"])
        _lines(axes, report.concepts, lines, values, what, "steps-pre", together)
        axes.set(title=f"F1 over the threshold, at IoU {report.iou:g}", xlabel="threshold", ylabel="F1")

    return paint_to(path, CURVES, paint)


def _over_threshold(curve: Curve) -> tuple[Array, Array]:
    """F1 over rising thresholds, from 0 to 1; 0 above the highest score."""
    values = curve.f1[::-1]
    return np.r_[0, curve.thresholds[::-1], 1], np.r_[values[:1] if len(values) else 0, values, 0]


def _lines(
    axes: Axes,
    concepts: Sequence[str],
    lines: Sequence[tuple[Array, Array] | None],
    values: Sequence[float],
    what: str,
    steps: str,
    together: tuple[Array, Array, float] | None = None,
) -> None:
    """One line a concept, named beside the plot with its value; of many, only the lowest are told apart."""
    there = [i for i, line in enumerate(lines) if line is not None]
    there.sort(key=lambda i: math.inf if math.isnan(values[i]) else values[i])
    told = there if len(there) <= MANY else there[:TOLD]
    handles = {}
    for i in reversed(there):
        x, y = lines[i] or ((), ())
        (line,) = axes.plot(x, y, drawstyle=steps, color=FAINT, linewidth=0.8, clip_on=False)
        if i in told:
            line.set(color=colour(i if told is there else told.index(i)), linewidth=1.8)
            handles[f"{_number(values[i])}  {short(concepts[i], 24)}"] = line
    if together:
        (line,) = axes.plot(*together[:2], drawstyle=steps, color=INK, linewidth=2.4, clip_on=False)
        handles = {f"{_number(together[2])}  all together": line} | handles
    title = what if told is there else f"{what}, lowest {TOLD} of {len(there)}"
    axes.legend(handles.values(), handles, title=title, loc="upper left", bbox_to_anchor=(1.02, 1.02))
    axes.set(xlim=(0, 1), ylim=(0, 1))


def _concepts(report: ClassificationReport | DetectionReport | RetrievalReport, path: Path) -> Path:
    """A bar a concept, the lowest first, with two more numbers (precision and recall) as marks on it."""
    column, (hollow, full) = BARS[report.task]
    rows = sorted(report.per_concept, key=lambda row: math.inf if math.isnan(row[column]) else row[column])[:ROWS]
    places = range(len(rows))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        values = [0 if math.isnan(row[column]) else row[column] for row in rows]
        axes.barh(places, values, height=0.62, color="#a9c8e6", label=column)
        # Precision hollow and larger, so that a recall of the same value does not hide it.
        for name, marker, size, fill in ((hollow, "o", 9, "none"), (full, "D", 5, PALETTE[2])):
            axes.plot(
                [row[name] for row in rows],
                places,
                label=name,
                linestyle="",
                marker=marker,
                markersize=size,
                markeredgewidth=2,
                color=PALETTE[1] if fill == "none" else fill,
                markerfacecolor=fill,
                clip_on=False,
            )
        for place, row in zip(places, rows, strict=True):
            axes.text(1.03, place, _number(row[column]), va="center", fontsize=9)
        axes.set_yticks(places, [f"{short(row['Concept'], 24)} ({row['Total Labeled']})" for row in rows])
        axes.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6))
        axes.grid(axis="y", visible=False)
        some = f", the lowest {ROWS} of {len(report.per_concept)}" if len(report.per_concept) > ROWS else ""
        axes.set_title(f"{column} by concept{some}")
        if report.counted_from is not None:
            axes.set_xlabel(f"precision and recall from a score of {report.counted_from:g}")
        axes.legend(loc="upper left", bbox_to_anchor=(1.12, 1.02))

    return paint_to(path, (8.4, max(2.4, 1.2 + 0.3 * len(rows))), paint)


def _confusion(report: ClassificationReport | DetectionReport, path: Path) -> Path:
    """Counts, tinted by their share of the row: right ones blue, wrong ones orange."""
    names = [short(name, 20) for name in report.concepts]
    said = "predicted"
    if isinstance(report, DetectionReport):
        names, said = [*names, "background"], "found"
    counts, size = report.confusion, len(names)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    tint = np.where(np.eye(size, dtype=bool)[..., None], (0.12, 0.44, 0.71), (0.86, 0.36, 0.10))
    cell = 0.44 if size <= WRITTEN + 1 else 0.2

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.imshow(1 - np.sqrt(share)[..., None] * (1 - tint), interpolation="none")
        step = math.ceil(size / 60)
        font = 9 if size <= WRITTEN + 1 else 7
        axes.set_xticks(range(0, size, step), names[::step], rotation=90, fontsize=font)
        axes.set_yticks(range(0, size, step), names[::step], fontsize=font)
        axes.set(title="Confusion matrix (counts)", xlabel=said, ylabel="actual")
        axes.grid(visible=False)
        for row, column in np.argwhere(counts) if size <= WRITTEN + 1 else ():
            dark = share[row, column] > 0.35
            number = _count(counts[row, column])
            axes.text(column, row, number, ha="center", va="center", fontsize=8, color="white" if dark else INK)
        if said == "found":
            axes.axhline(size - 1.5, color=INK, linewidth=0.8)
            axes.axvline(size - 1.5, color=INK, linewidth=0.8)

    side = 1.9 + cell * min(size, 120)
    return paint_to(path, (side + 0.4, side), paint)


def _number(value: float) -> str:
    return "  –  " if math.isnan(value) else f"{value:.3f}"


def _count(value: int) -> str:
    """A count that fits into a cell."""
    return str(value) if value < 10_000 else f"{value / 1000:.0f}k"


# By a report's task: what is a concept's bar, and what the two marks on it; and every picture, by its file's name.
BARS = {
    "classification": ("F1", ("Precision", "Recall")),
    "detection": ("Average Precision", ("Precision", "Recall")),
    "retrieval": ("Recall@1", ("Recall@10", "MAP@R")),
}
PLOTS: dict[str, dict[str, Callable[[Any, Path], Path]]] = {
    "classification": {
        "concepts": _concepts,
        "precision_recall": _precision_recall,
        "roc": _roc,
        "calibration": calibration,
        "confusion": _confusion,
    },
    "detection": {
        "concepts": _concepts,
        "precision_recall": _precision_recall,
        "f1": _f1,
        "confusion": _confusion,
    },
    "retrieval": {"concepts": _concepts, "recalls": recalls},
    "clustering": {"sizes": sizes},
}
