"""Clusters as people look at them: a sheet of each, with its most central pictures and its odd ones."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from models.runtime.operators.drawing import lettering
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset
from tasks.metrics.clustering import ClusteringReport, concept_of
from tasks.sheets import GAP, LETTERS, captioned, framed, sheet, written
from tasks.style import INK, PALE_INK
from tasks.worst import WRONG

Array = np.ndarray
CELL = 152  # pixels: six in a row are 960 across
COLUMNS = 6
CENTRAL, ODD = 18, 6  # pictures on a cluster's own sheet
SHORT = (4, 2)  # and of each cluster on the sheet of all
FIRST = 10  # clusters on that one
HEAD = 2 * GAP + LETTERS


def cluster_sheets(dataset: Dataset, annotations: Sequence[Annotation], distances: Array, folder: Path) -> list[Path]:
    """`clusters.jpg`, the largest clusters in a row each, and `clusters/<number>.jpg`, a sheet a cluster.

    distances: (N, K) of each picture to each centre. First come the most central pictures, then, framed, the odd
    ones: those farthest from the centre. Each picture has its distance below it.
    """
    shutil.rmtree(folder / "clusters", ignore_errors=True)
    labels = distances.argmin(axis=1)
    counts = np.bincount(labels, minlength=distances.shape[1])
    width = max(2, len(str(len(counts) - 1)))
    paths = []
    for cluster in np.flatnonzero(counts):
        cells = _cells(dataset, annotations, distances, int(cluster), CENTRAL, ODD)
        drawn = _titled(sheet(cells, COLUMNS, top=HEAD), _title(annotations, labels, int(cluster)))
        paths.append(written(drawn, folder / "clusters" / f"{cluster:0{width}d}.jpg"))
    largest = np.argsort(-counts, kind="stable")[:FIRST]
    return [
        written(
            _overview(dataset, annotations, distances, [int(i) for i in largest if counts[i]]), folder / "clusters.jpg"
        ),
        *paths,
    ]


def sheets_of(
    dataset: Dataset, annotations: Sequence[Annotation], found: object, report: ClusteringReport, folder: Path
) -> list[Path]:
    """The sheets of a report's clusters."""
    return cluster_sheets(dataset, annotations, report.distances, folder)


def _overview(
    dataset: Dataset, annotations: Sequence[Annotation], distances: Array, clusters: Sequence[int]
) -> Image.Image:
    """A row a cluster, its title above it."""
    labels = distances.argmin(axis=1)
    rows = []
    for cluster in clusters:
        cells = _cells(dataset, annotations, distances, cluster, *SHORT)
        rows.append(_titled(sheet(cells, COLUMNS, top=HEAD), _title(annotations, labels, cluster)))
    whole = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        whole.paste(row, (0, top))
        top += row.height
    return whole


def _cells(
    dataset: Dataset, annotations: Sequence[Annotation], distances: Array, cluster: int, central: int, odd: int
) -> list[Image.Image]:
    """The most central pictures of a cluster, then its odd ones: no picture is both."""
    inside = np.flatnonzero(distances.argmin(axis=1) == cluster)
    order = inside[np.argsort(distances[inside, cluster], kind="stable")]
    odd = min(odd, len(order) // 3)
    first = order[: min(central, len(order) - odd)]
    last = order[::-1][:odd]
    return [
        captioned(
            framed(dataset, annotations[i], CELL, tint),
            CELL,
            concept_of(annotations[i]) or Path(annotations[i].image).name,
            f"{distances[i, cluster]:.2f}",
        )
        for tint, which in ((None, first), (WRONG, last))
        for i in which
    ]


def _title(annotations: Sequence[Annotation], labels: Array, cluster: int) -> str:
    """`cluster 3: 120 pictures, 61 % hat`."""
    inside = np.flatnonzero(labels == cluster)
    told = [concept_of(annotations[i]) for i in inside.tolist()]
    known = sorted({name for name in told if name}, key=lambda name: (-told.count(name), name))
    most = f", {told.count(known[0]) / len(told):.0%} {known[0]}" if known else ""
    return f"cluster {cluster}: {len(inside)} picture{'s' if len(inside) > 1 else ''}{most}"


def _titled(drawn: Image.Image, text: str) -> Image.Image:
    """The sheet with a line above its cells: what it is, and what the frames mean."""
    pen, line = ImageDraw.Draw(drawn), GAP + LETTERS - 1
    pen.text((GAP, line), text, INK, lettering(LETTERS + 2), "ls")
    x = 3 * GAP + lettering(LETTERS + 2).getlength(text)
    pen.text((x, line), "the most central first; odd ones framed", PALE_INK, lettering(LETTERS), "ls")
    return drawn
