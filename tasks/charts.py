"""Charts of calibration, recall and clusters, as PNG files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.runtime.faults import short
from tasks.metrics.calibration import BINS
from tasks.metrics.classification import ClassificationReport
from tasks.metrics.clustering import ClusteringReport
from tasks.metrics.retrieval import AT, CURVE, RetrievalReport
from tasks.style import FAINT, INK, PALETTE, paint_to

if TYPE_CHECKING:
    from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

ROWS = 60  # clusters on one page
BAR = "#a9c8e6"


def calibration(report: ClassificationReport, path: Path) -> Path:
    """How often scores are right that say so much, against the line on which they would be calibrated.

    A dot for each of 15 bins, the larger the more scores are in it; how many stands below.
    """
    bins = report.reliability
    there = bins.count > 0
    what = "best score of an image" if report.exclusive else "score of a concept"

    def paint(figure: Figure) -> None:
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        axes.plot([0, 1], [0, 1], color=FAINT, linestyle=":", linewidth=1.2)
        x, y = bins.confidence[there], bins.rate[there]
        axes.vlines(x, x, y, color=PALETTE[3], linewidth=1.6)
        axes.plot(x, y, color=PALETTE[0], linewidth=1.2)
        share = bins.count[there] / bins.count.max()
        axes.scatter(x, y, s=12 + 90 * share, color=PALETTE[0], zorder=3, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is right")
        axes.set_title(f"Calibration: error (ECE) {bins.error:.3f}")
        below.bar((np.arange(BINS) + 0.5) / BINS, bins.count, width=0.9 / BINS, color=BAR)
        below.set(xlabel=what, ylabel="scores")
        below.grid(axis="x", visible=False)

    return paint_to(path, (5.6, 5.2), paint)


def recalls(report: RetrievalReport, path: Path) -> Path:
    """Recall among the nearest 1 to 20, those that the report names marked."""
    places = np.arange(1, CURVE + 1)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(places, report.recalls, color=PALETTE[0], marker="o", markersize=3.5)
        for at in AT:
            value = report.recalls[at - 1]
            axes.plot([at], [value], "o", color=PALETTE[1], markersize=7, clip_on=False)
            said = f"recall@{at}  {value:.3f}"  # below the curve, which only rises
            axes.annotate(said, (at, value), textcoords="offset points", xytext=(9, -13), fontsize=9)
        axes.set(title="A right one among the nearest", xlabel="nearest images", ylabel="recall")
        axes.set(ylim=(0, 1.02), xlim=(0, CURVE + 0.6), xticks=[1, 5, 10, 15, 20])

    return paint_to(path, (6.4, 4.2), paint)


def sizes(report: ClusteringReport, path: Path) -> Path:
    """A bar a cluster, as long as it has images, and beside it what most of them are, where they have concepts."""
    rows = report.per_concept[:ROWS]
    places = range(len(rows))
    longest = max(row["Total Images"] for row in rows)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.barh(places, [row["Total Images"] for row in rows], height=0.62, color=BAR)
        for place, row in zip(places, rows, strict=True):
            told = f"{row['Total Images']}"
            if row.get("Mostly"):
                told += f"   {row['Purity']:.0%} {short(row['Mostly'], 24)}"
            elif not math.isnan(row["Silhouette"]):
                told += f"   silhouette {row['Silhouette']:.2f}"
            axes.text(row["Total Images"] + longest / 60, place, told, va="center", fontsize=9)
        axes.set_yticks(places, [row["Cluster"] for row in rows])
        axes.set(xlim=(0, longest * 1.35), ylim=(len(rows) - 0.4, -0.6), xlabel="images")
        axes.grid(axis="y", visible=False)
        some = f", the first {ROWS} of {len(report.per_concept)}" if len(report.per_concept) > ROWS else ""
        axes.set_title(f"Clusters by size{some}")

    return paint_to(path, (7.2, max(2.4, 1.2 + 0.3 * len(rows))), paint)


def plot_silhouettes(tried: Mapping[int, float], chosen: int, path: Path) -> Path:
    """The silhouette of each number of clusters that was tried, the one chosen marked."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(list(tried), list(tried.values()), color=PALETTE[0], marker="o", markersize=4)
        axes.plot([chosen], [tried[chosen]], "o", color=PALETTE[1], markersize=9)
        axes.annotate(f"{chosen}", (chosen, tried[chosen]), textcoords="offset points", xytext=(8, 4), color=INK)
        axes.set(title="How many clusters", xlabel="clusters", ylabel="silhouette")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))

    return paint_to(path, (6.4, 3.6), paint)
