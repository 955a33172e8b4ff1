"""Pictures with those that an embedder finds nearest to them, right and wrong ones told by their frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from models.runtime.operators.drawing import lettering
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset
from tasks.metrics.retrieval import SHOWN, RetrievalReport
from tasks.sheets import GAP, LETTERS, captioned, framed, sheet, written
from tasks.style import INK, PALE_INK
from tasks.worst import NAME, RIGHT, WRONG

CELL = 152  # pixels: six in a row are 960 across
ROWS = 8


def neighbour_sheets(
    dataset: Dataset, annotations: Sequence[Annotation], found: object, report: RetrievalReport, folder: Path
) -> list[Path]:
    """`neighbours.jpg`, a typical picture of each concept with its five nearest, and `worst_errors.jpg`, the worst.

    Typical is the middle one by average precision; eight rows at most. The second is not there without an error.
    """
    (folder / NAME).unlink(missing_ok=True)
    worst = [row for row in np.argsort(report.precision, kind="stable") if not report.right[row, 0]][:ROWS]
    named = {"neighbours.jpg": _typical(annotations, report), NAME: worst}
    return [
        written(_sheet(dataset, annotations, report, rows), folder / name) for name, rows in named.items() if len(rows)
    ]


def _typical(annotations: Sequence[Annotation], report: RetrievalReport) -> list[int]:
    """Of ROWS concepts, evenly among them, the row asked that does neither best nor worst."""
    rows: dict[int, None] = {}
    places = np.unique(np.linspace(0, len(report.concepts) - 1, ROWS).round().astype(int))
    for name in [report.concepts[i] for i in places]:
        mine = [row for row, i in enumerate(report.asked) if name in annotations[i].concepts]
        mine.sort(key=lambda row: report.precision[row])
        rows |= dict.fromkeys(mine[len(mine) // 2 : len(mine) // 2 + 1])
    return list(rows)


def _sheet(
    dataset: Dataset, annotations: Sequence[Annotation], report: RetrievalReport, rows: Sequence[int]
) -> Image.Image:
    cells = []
    for row in rows:
        asked = annotations[report.asked[row]]
        cells.append(_cell(dataset, asked, INK))
        for i, right in zip(report.nearest[row], report.right[row], strict=True):
            there = i >= 0
            cells.append(_cell(dataset, annotations[i], RIGHT if right else WRONG) if there else _blank())
    drawn = sheet(cells, 1 + SHOWN, top=2 * GAP + LETTERS)
    pen, font = ImageDraw.Draw(drawn), lettering(LETTERS)
    x, line = float(GAP), GAP + LETTERS - 3  # on one base line, whatever letters hang below it
    pen.text((x, line), "asked", INK, font, "ls")
    x += CELL + GAP
    for word, tint in (
        ("the nearest five: right ones ", PALE_INK),
        ("blue", RIGHT),
        (", wrong ones ", PALE_INK),
        ("orange", WRONG),
    ):
        pen.text((x, line), word, tint, font, "ls")
        x += font.getlength(word)
    return drawn


def _cell(dataset: Dataset, entry: Annotation, tint: str) -> Image.Image:
    return captioned(framed(dataset, entry, CELL, tint), CELL, ", ".join(entry.concepts))


def _blank() -> Image.Image:
    return captioned(Image.new("RGB", (CELL, CELL), "white"), CELL, "")
