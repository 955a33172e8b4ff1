"""A report as people read it: tables in Markdown, files in a folder."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.files import write
from tasks.metrics.compare import Report, total
from tasks.plots import plot_report

if TYPE_CHECKING:
    from tasks.evaluate import Evaluation

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
    "calibration_error": "calibration error (ECE)",
    "recall_1": "recall@1",
    "recall_5": "recall@5",
    "recall_10": "recall@10",
    "map_r": "MAP@R",
    "silhouette": "silhouette (simplified)",
    "purity": "purity",
    "nmi": "mutual information (normalised)",
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
    "clusters": "clusters",
    "gallery": "images with a concept",
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


def markdown(report: Report, title: str) -> str:
    """The report as Markdown: headline, notes, the numbers of the whole, the concepts."""
    lines = [f"# {title}", "", _headline(report), ""]
    if report.notes:
        lines += [*(f"- {note}" for note in report.notes), ""]
    lines += _table([{next(iter(report.per_concept[0])): "**all**"} | _totals(report), *report.per_concept])
    lines += ["", *_table([{"metric": said, "value": value} for said, value in _summary(report)])]
    return "\n".join(lines) + "\n"


def save(report: Report, folder: Path, title: str) -> list[Path]:
    """Write report.json (undefined is null), per_concept.csv, report.md and the plots. Returns their paths."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(report.per_concept[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(plain(row) for row in report.per_concept)
    return [
        write(folder / "report.json", json.dumps(_content(report, title), indent=1, ensure_ascii=False) + "\n"),
        write(folder / "per_concept.csv", text.getvalue()),
        write(folder / "report.md", markdown(report, title)),
        *plot_report(report, folder),
    ]


def side_by_side(evaluations: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """One row a model, all concepts together, under the columns people know; undefined is None.

    Seen in training: of how many images a model has no held-out answer, so that it may only look better.
    """
    return [
        plain(total(one.model, one.metrics, one.per_concept)) | {"Seen in training": one.seen_in_training}
        for one in evaluations
    ]


def _headline(report: Report) -> str:
    """The number that counts, with its interval, and what it was measured on."""
    summary, on = report.summary, f"{report.images} images{report.conditions}"
    name, said = report.headline, SAID[report.headline]
    if math.isnan(summary[name]):
        return f"{said} is undefined, on {on}."
    low, high = _text(summary[f"{name}_low"]), _text(summary[f"{name}_high"])
    return f"{said} {_text(summary[name])} (95 % interval {low} to {high}) on {on}."


def _totals(report: Report) -> dict[str, Any]:
    """The row of all concepts together; a blank where it would be no mean or sum."""
    row = total("", report.summary, report.per_concept)
    return {column: row.get(column) for column in list(report.per_concept[0])[1:]}


def _summary(report: Report) -> list[tuple[str, Any]]:
    """The numbers of the whole by what people call them, the one that counts first."""
    names = dict.fromkeys([report.headline, *SAID])
    return [(SAID[name], report.summary[name]) for name in names if name in report.summary]


def _content(report: Report, title: str) -> dict[str, Any]:
    """The report as JSON values."""
    content: dict[str, Any] = {"title": title, "task": report.task, "headline": report.headline}
    content |= {"images": report.images, "threshold": report.counted_from}
    return content | {
        "concepts": list(report.concepts),
        "summary": plain(report.summary),
        "per_concept": [plain(row) for row in report.per_concept],
        **{name: _json(value) for name, value in report.details.items()},
        "notes": list(report.notes),
    }


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same with None for nan, which JSON does not know."""
    return {key: _json(value) for key, value in row.items()}


def _json(value: Any) -> Any:
    """The same with None for nan, however deep it lies."""
    if isinstance(value, dict):
        return {key: _json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_json(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


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
