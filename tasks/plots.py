"""Curves of a training and of a search, as PNG files. What an evaluation found is drawn by its page (tasks/html)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.style import INK, PALETTE, paint_to

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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


def plot_silhouettes(tried: Mapping[int, float], chosen: int, path: Path) -> Path:
    """The silhouette of each number of clusters that was tried, the one chosen marked."""
    from matplotlib.ticker import MaxNLocator

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(list(tried), list(tried.values()), color=PALETTE[0], marker="o", markersize=4)
        axes.plot([chosen], [tried[chosen]], "o", color=PALETTE[1], markersize=9)
        axes.annotate(f"{chosen}", (chosen, tried[chosen]), textcoords="offset points", xytext=(8, 4), color=INK)
        axes.set(title="How many clusters", xlabel="clusters", ylabel="silhouette")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))

    return paint_to(path, (6.4, 3.6), paint)
