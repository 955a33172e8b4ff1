"""Pictures of a comparison: curves over each other, and the differences of pairs with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.runtime.faults import short
from tasks.metrics.compare import Report, curves_of
from tasks.metrics.curves import Curve
from tasks.style import FAINT, VERDICTS, colour, paint_to

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4
ROWS = 60  # of a picture


def plot_comparison(
    labels: Sequence[str], reports: Sequence[Report], differences: Sequence[Mapping[str, Any]], folder: Path
) -> list[Path]:
    """`precision_recall.png` and, of classifiers, `roc.png`, a panel a concept with a line each; `differences.png`.

    labels: what each report is called. Nothing is drawn of what they do not have.
    """
    drawn = []
    if panels := curves_of(reports):
        drawn.append(_curves(labels, panels, False, folder / "precision_recall.png"))
        if all(each is None or each.negatives is not None for lines in panels.values() for each in lines):
            drawn.append(_curves(labels, panels, True, folder / "roc.png"))
    known = [row for row in differences if row["Low"] is not None]
    if len(known) > ROWS:  # of many pairs the number that counts, the first row of each
        known = list({(row["Dataset"], row["First"], row["Second"]): row for row in known[::-1]}.values())[::-1][:ROWS]
    if known:
        drawn.append(_differences(known, folder / "differences.png"))
    return drawn


def _curves(labels: Sequence[str], panels: Mapping[str, Sequence[Curve | None]], roc: bool, path: Path) -> Path:
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)

    def paint(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for axes, (title, curves) in zip(grid, panels.items(), strict=False):
            for i, each in enumerate(curves):
                if each is not None and each.positives and len(each.thresholds):
                    axes.plot(*(each.roc if roc else each.over_recall), color=colour(i), linewidth=1.5, label=labels[i])
            axes.set_title(short(title, 24), fontsize=10)
            axes.set(xlim=(0, 1), ylim=(0, 1.02))
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        figure.supxlabel("false positive rate" if roc else "recall", fontsize=10)
        figure.supylabel("recall" if roc else "precision", fontsize=10)
        _legend(figure, grid[0], labels)

    return paint_to(path, (max(6.0, 2.7 * columns), 0.7 + 2.5 * rows), paint)


def _legend(figure: Figure, axes: Axes, labels: Sequence[str]) -> None:
    lines, names = axes.get_legend_handles_labels()
    figure.legend(lines, [short(name, 40) for name in names], loc="outside upper left", ncols=min(3, len(labels)))


def _differences(rows: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """A dot and a bar for each pair and metric: the difference and its 95 % interval, beside 0."""
    names = [f"{row['Second']} − {row['First']}, {row['Dataset']}: {row['Metric']}" for row in rows]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=FAINT, linewidth=1.2)
        for place, row in enumerate(rows):
            tint = VERDICTS.get(str(row["Second is"]), "#777777")
            axes.plot([row["Low"], row["High"]], [place, place], color=tint, linewidth=2)
            axes.plot([row["Difference"]], [place], "o", color=tint, markersize=6)
        axes.set_yticks(range(len(rows)), [short(name, 70) for name in names], fontsize=9)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.set_title("Differences on the same images, with 95 % intervals")

    return paint_to(path, (9.0, 1.2 + 0.28 * len(rows)), paint)
