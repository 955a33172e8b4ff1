"""A report as people read it: tables in Markdown, files in a folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.files import Rows, as_csv, write
from tasks.metrics.compare import Report, total
from tasks.metrics.slices import worse
from tasks.tables import TITLES

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
    "macro_roc_auc_std": "ROC AUC, spread over concepts",
    "macro_average_precision_std": "average precision, spread over concepts",
    "macro_f1_std": "F1, spread over concepts",
    "macro_precision_std": "precision, spread over concepts",
    "macro_recall_std": "recall, spread over concepts",
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

LONGEST = 20  # rows of a table on a page; its CSV has all
WIDEST = 21  # rows of a confusion matrix up to which it is a table on a page

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


def markdown(report: Report, title: str, tables: Mapping[str, Rows] = {}, warning: str = "") -> str:
    """The report as Markdown: headline, notes, the worst slice, the concepts, the numbers of the whole, the tables."""
    lines = [f"# {title}", "", *([f"**{warning}**", ""] if warning else []), _headline(report), ""]
    if found := worst_slice(tables.get("slices", ())):
        lines += [found, ""]
    if report.notes:
        lines += [*(f"- {note}" for note in report.notes), ""]
    lines += as_table([{next(iter(report.per_concept[0])): "**all**"} | _totals(report), *report.per_concept])
    lines += ["", *as_table([{"metric": said, "value": value} for said, value in _summary(report)])]
    if 1 < len(matrix := _matrix(report)) <= WIDEST:
        lines += ["", "## Confusion matrix (rows are actual, columns predicted)", "", *as_table(matrix)]
    for name, rows in tables.items():
        shown = rows[:LONGEST]
        more = ["", f"The first {LONGEST} of {len(rows)}; all are in {name}.csv."] if len(rows) > LONGEST else []
        lines += ["", f"## {TITLES[name]}", "", *as_table(shown), *more]
    return "\n".join(lines) + "\n"


def worst_slice(rows: Sequence[Mapping[str, Any]]) -> str:
    """The sentence on the part of the images where it is worst; empty where there are no parts."""
    if not rows:
        return ""
    row = rows[0]
    number = f"{SAID.get(row['Metric'], row['Metric'])} {as_text(row['Number'])}"
    if not worse(dict(row)):
        return f"No slice is worse than the whole beyond doubt; the lowest is {row['Slice']} {row['Value']}: {number}."
    interval = f"(95 % interval {as_text(row['Low'])} to {as_text(row['High'])})"
    whole = f"against {as_text(row['Whole'])} of all"
    return f"Worst slice: {row['Slice']} {row['Value']}: {number} {interval} on {row['Images']} images, {whole}."


def save(
    report: Report,
    folder: Path,
    title: str,
    tables: Mapping[str, Rows] = {},
    warning: str = "",
) -> list[Path]:
    """Write report.json (undefined is null), report.md, and a CSV of each table. Returns their paths.

    warning: what must stand above all else, in bold.
    """
    content = _content(report, title) | {
        "tables": {name: [plain(row) for row in rows] for name, rows in tables.items()}
    }
    return [
        write(folder / "report.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n"),
        write(folder / "per_concept.csv", as_csv(report.per_concept)),
        write(folder / "report.md", markdown(report, title, tables, warning)),
        *(write(folder / f"{name}.csv", as_csv(rows)) for name, rows in tables.items()),
    ]


def _headline(report: Report) -> str:
    """The number that counts, with its interval, and what it was measured on."""
    summary, on = report.summary, f"{report.images} images{report.conditions}"
    name, said = report.headline, SAID[report.headline]
    if math.isnan(summary[name]):
        return f"{said} is undefined, on {on}."
    low, high = as_text(summary[f"{name}_low"]), as_text(summary[f"{name}_high"])
    return f"{said} {as_text(summary[name])} (95 % interval {low} to {high}) on {on}."


def _totals(report: Report) -> dict[str, Any]:
    """The row of all concepts together; a blank where it would be no mean or sum."""
    row = total(report.summary, report.per_concept)
    return {column: row.get(column) for column in list(report.per_concept[0])[1:]}


def _summary(report: Report) -> list[tuple[str, Any]]:
    """The numbers of the whole by what people call them, the one that counts first."""
    names = dict.fromkeys([report.headline, *SAID])
    return [(SAID[name], report.summary[name]) for name in names if name in report.summary]


def _matrix(report: Report) -> Rows:
    """The counts of a confusion matrix under the names of what was predicted; none where there is no such matrix."""
    counts = getattr(report, "confusion", ())
    names = [*report.concepts, "background"][: len(counts)]
    rows = zip(names, counts, strict=True)
    return [{"": f"**{name}**"} | dict(zip(names, row.tolist(), strict=True)) for name, row in rows]


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


def as_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines of a Markdown table, with every column that any row has; numbers to the right."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    align = ["---:" if isinstance(rows[-1].get(column), int | float) else ":---" for column in columns]
    cells = [[as_text(row.get(column)) for column in columns] for row in rows]
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (columns, align, *cells)]
    return [f"| {' | '.join(line)} |" for line in lines]


def as_text(value: Any) -> str:
    """A fraction with three decimals, a dash for what is undefined."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
