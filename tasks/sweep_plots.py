"""A sweep as a picture: what its trials were worth, and which parameters made the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.runtime.faults import short
from tasks.search import Search, Span
from tasks.style import FAINT, INK, PALETTE, paint_to

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MANY = 9  # parameters, the most important ones, that get a panel each
MARKS = {"done": ("o", PALETTE[0]), "pruned": ("x", FAINT)}


def plot_sweep(
    rows: Sequence[Mapping[str, Any]], metric: str, importance: Mapping[str, float], search: Search, folder: Path
) -> list[Path]:
    """`trials.png`: each trial's worth and the best so far; the same over each parameter. `importance.png`: bars.

    rows: of the trials, with `state`, the metric and the parameters.  importance: may be empty, then it is not drawn.
    """
    names = sorted(search.space, key=lambda name: -importance.get(name, 0.0))[:MANY]
    columns = min(3, 1 + len(names))
    lines = -(-(1 + len(names)) // columns)

    def paint(figure: Figure) -> None:
        panels = figure.subplots(lines, columns, squeeze=False).flat
        _over_time(next(panels), rows, metric, search)
        for name in names:
            _over_values(next(panels), rows, metric, name, search.space[name])
        for empty in panels:
            empty.set_axis_off()

    drawn = [paint_to(folder / "trials.png", (4.2 * columns, 3.3 * lines), paint)]
    return drawn + ([_bars(importance, metric, folder / "importance.png")] if importance else [])


def _over_time(axes: Axes, rows: Sequence[Mapping[str, Any]], metric: str, search: Search) -> None:
    for state, (marker, colour) in MARKS.items():
        points = [(i, row[metric]) for i, row in enumerate(rows, 1) if row["state"] == state]
        if points:
            axes.plot(*zip(*points, strict=True), marker=marker, linestyle="", color=colour, label=state)
    done = [(i, row[metric]) for i, row in enumerate(rows, 1) if row["state"] == "done"]
    best = accumulate((value for _, value in done), min if search.minimised else max)
    axes.step([i for i, _ in done], list(best), where="post", color=INK, linewidth=1, label="best so far")
    axes.set(title="Trials", xlabel="trial", ylabel=metric)
    axes.legend()


def _over_values(axes: Axes, rows: Sequence[Mapping[str, Any]], metric: str, name: str, values: Any) -> None:
    """The metric over one parameter: on its own scale, or by its values where they are words."""
    words = isinstance(values, list)
    places = {str(value): i for i, value in enumerate(values)} if words else {}
    for state, (marker, colour) in MARKS.items():
        chosen = [row for row in rows if row["state"] == state]
        across = [places[str(row[name])] if words else row[name] for row in chosen]
        axes.plot(across, [row[metric] for row in chosen], marker=marker, linestyle="", color=colour)
    if words:
        axes.set_xticks(range(len(places)), [short(value, 16) for value in places])
        axes.set_xlim(-0.5, len(places) - 0.5)
    elif isinstance(values, Span) and values.log:
        axes.set_xscale("log")
    axes.set(title=name, ylabel=metric)


def _bars(importance: Mapping[str, float], metric: str, path: Path) -> Path:
    """The share of the trials' differences that each parameter explains, the largest on top."""
    ranked = sorted(importance.items(), key=lambda entry: entry[1])

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.barh(range(len(ranked)), [share for _, share in ranked], height=0.62, color="#a9c8e6")
        for place, (_, share) in enumerate(ranked):
            axes.text(share + 0.01, place, f"{share:.2f}", va="center", fontsize=9)
        axes.set_yticks(range(len(ranked)), [short(name, 30) for name, _ in ranked])
        axes.set(xlim=(0, 1.08), title=f"What made the difference in {metric}")
        axes.set_xlabel("share of the difference between trials (fANOVA)")
        axes.grid(axis="y", visible=False)

    return paint_to(path, (7.2, max(2.2, 1.2 + 0.32 * len(ranked))), paint)
