"""A report as people read it: tables in Markdown and in a terminal, files in a folder."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.drawing import contact_sheet, draw, labelled
from tasks.files import write
from tasks.metrics.classification import ClassificationReport
from tasks.metrics.compare import Report, total
from tasks.metrics.detection import worst
from tasks.plots import plot_report, plot_training
from tasks.style import short

if TYPE_CHECKING:
    from rich.console import Console

    from tasks.evaluate import Evaluation

__all__ = [
    "contact_sheet",
    "draw",
    "labelled",
    "markdown",
    "plot_report",
    "plot_training",
    "save",
    "show",
    "side_by_side",
    "worst",
]

# The names of a summary as people say them, in the order in which they are read.
SAID = {
    "accuracy": "accuracy",
    "top5_accuracy": "accuracy of the best five",
    "subset_accuracy": "images with all concepts right",
    "macro_roc_auc": "ROC AUC, mean of concepts",
    "macro_average_precision": "average precision, mean of concepts",
    "macro_f1": "F1, mean of concepts",
    "macro_precision": "precision, mean of concepts",
    "macro_recall": "recall, mean of concepts",
    "log_loss": "log loss",
    "map_50": "mAP at IoU .50",
    "map": "mAP at IoU .50–.95",
    "map_75": "mAP at IoU .75",
    "map_small": "mAP, small (< 32² px)",
    "map_medium": "mAP, medium",
    "map_large": "mAP, large (> 96² px)",
    "mar_1": "mean recall, 1 region an image",
    "mar_10": "mean recall, 10 regions",
    "mar_100": "mean recall, 100 regions",
    "mar_small": "mean recall, small",
    "mar_medium": "mean recall, medium",
    "mar_large": "mean recall, large",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "true_positives": "true positives",
    "false_positives": "false positives",
    "false_negatives": "false negatives",
    "boxes": "boxes",
    "images": "images",
}

# The columns of a concept's row in a terminal of 80 characters; predicted is TP + FP.
SHORT = {
    "Accuracy (ROC AUC)": "ROC AUC",
    "Average Precision": "AP",
    "Total Labeled": "labelled",
    "True Positives": "TP",
    "False Positives": "FP",
    "False Negatives": "FN",
    "Precision": "Prec.",
}


def markdown(report: Report, title: str = "Evaluation") -> str:
    """The report as Markdown: headline, notes, the numbers of the whole, the concepts."""
    lines = [f"# {title}", "", _headline(report), ""]
    if report.notes:
        lines += [*(f"- {note}" for note in report.notes), ""]
    lines += _table([{"Concept": "**all**"} | _totals(report), *report.per_concept])
    lines += ["", *_table([{"metric": said, "value": value} for said, value in _summary(report)])]
    return "\n".join(lines) + "\n"


def save(report: Report, folder: Path, title: str = "Evaluation") -> list[Path]:
    """Write report.json (undefined is null), per_concept.csv, report.md and the plots. Returns their paths."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(report.per_concept[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_plain(row) for row in report.per_concept)
    return [
        write(folder / "report.json", json.dumps(_content(report, title), indent=1, ensure_ascii=False) + "\n"),
        write(folder / "per_concept.csv", text.getvalue()),
        write(folder / "report.md", markdown(report, title)),
        *plot_report(report, folder),
    ]


def show(report: Report, console: Console, title: str = "Evaluation") -> None:
    """Print the report in a terminal."""
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    console.print(f"[bold]{escape(title)}[/]: {escape(_headline(report))}")
    columns = [column for column in report.per_concept[0] if column not in ("Concept", "Total Predicted")]
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("Concept", no_wrap=True)
    for column in columns:
        table.add_column(SHORT.get(column, column), justify="right", no_wrap=True)
    for row in report.per_concept:
        table.add_row(escape(short(row["Concept"], 16)), *(_text(row[column]) for column in columns))
    whole = _totals(report)
    table.add_section()
    table.add_row("all", *(_text(whole[column]) for column in columns), style="bold")
    console.print(table)
    for note in report.notes:
        console.print(f"[yellow]note[/]: {escape(note)}")


def side_by_side(evaluations: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """One row a model, all concepts together, under the columns people know; undefined is None."""
    return [_plain(total(one.model, one.metrics, one.per_concept)) for one in evaluations]


def _headline(report: Report) -> str:
    """The number that counts, with its interval, and what it was measured on."""
    summary, on = report.summary, f"{report.images} images"
    name, said = "accuracy", "accuracy"
    if not isinstance(report, ClassificationReport):
        name, said = "map_50", "mAP at IoU .50"
        on += f" with {summary['boxes']} boxes; counts from a score of {report.threshold:g}, at IoU {report.iou:g}"
    elif not report.exclusive:
        on += f"; counts from a score of {report.threshold:g}"
    if math.isnan(summary[name]):
        return f"{said} is undefined, on {on}."
    low, high = _text(summary[f"{name}_low"]), _text(summary[f"{name}_high"])
    return f"{said} {_text(summary[name])} (95 % interval {low} to {high}) on {on}."


def _totals(report: Report) -> dict[str, Any]:
    """The row of all concepts together; a blank where it would be no mean or sum."""
    row = total("", report.summary, report.per_concept)
    mean = {"Average Precision": report.summary.get("macro_average_precision", math.nan)}
    return {column: (mean | row).get(column) for column in report.per_concept[0] if column != "Concept"}


def _summary(report: Report) -> list[tuple[str, Any]]:
    """The numbers of the whole by what people call them."""
    return [(said, report.summary[name]) for name, said in SAID.items() if name in report.summary]


def _content(report: Report, title: str) -> dict[str, Any]:
    """The report as JSON values."""
    content = {"title": title, "task": report.task, "images": report.images, "threshold": report.threshold}
    if isinstance(report, ClassificationReport):
        content["exclusive"] = report.exclusive
    else:
        content["iou"] = report.iou
    return content | {
        "concepts": list(report.concepts),
        "summary": _plain(report.summary),
        "per_concept": [_plain(row) for row in report.per_concept],
        "confusion": report.confusion.tolist(),
        "notes": list(report.notes),
    }


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same with None for nan, which JSON does not know."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows of the same columns as a Markdown table, numbers to the right."""
    columns = list(rows[-1])
    align = ["---:" if isinstance(rows[-1][column], int | float) else ":---" for column in columns]
    cells = [[_text(row[column]).replace("|", "\\|") for column in columns] for row in rows]
    return [f"| {' | '.join(line)} |" for line in (columns, align, *cells)]


def _text(value: Any) -> str:
    """A fraction with three decimals, a dash for what is undefined."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
