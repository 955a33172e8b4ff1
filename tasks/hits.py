"""What a search found, and pictures that are nearly the same, on contact sheets for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from models.runtime.faults import Fault, short
from models.runtime.images import decode
from models.runtime.operators.drawing import lettering
from tasks.sheets import GAP, LETTERS, captioned, sheet
from tasks.style import INK, PALE_INK, PALETTE

CELL, COLUMNS = 168, 6  # pixels, and pictures a row: 1,078 across
FRAME = 4
SAME, LEAK = PALETTE[0], PALETTE[3]  # frames: the file asked about; a group across splits
MOST = 60  # hits on a sheet: ten rows, .5 MB
GROUPS = 20  # groups of duplicates, a row each


def hits_sheet(asked: Image.Image, name: str, rows: Sequence[dict[str, Any]], pictures: Path, what: str) -> Image.Image:
    """The picture asked about, in a dark frame, and what was found, the nearest first: rank, score, concepts, image.

    rows: with `rank`, `score`, `image`, `split`, `concepts` and `same` (the bytes are those asked about); MOST are
    shown.  pictures: the folder their images lie in; one that has gone is an empty cell that says so.
    """
    cells = [captioned(_square(asked, INK), CELL, "asked", "", name)]
    for row in rows[:MOST]:
        first = f"{row['rank']}.  {row['score']:.3f}" + ("  this file" if row["same"] else "")
        cells.append(_cell(pictures, row, first, SAME if row["same"] else None))
    more = f", {MOST} of {len(rows)} shown" if len(rows) > MOST else ""
    return _headed(cells, f"{what}{more}")


def groups_sheet(groups: Sequence[Sequence[dict[str, Any]]], pictures: Path, what: str) -> Image.Image:
    """A row of pictures for each group of near-duplicates, GROUPS at most; those across splits in orange frames.

    groups: rows with `image`, `split`, `concepts`, `similarity`, `exact` (another one has the same bytes) and `leak`.
    """
    cells = []
    for group in groups[:GROUPS]:
        shown = group if len(group) <= COLUMNS else group[: COLUMNS - 1]
        for row in shown:
            first = f"{row['similarity']:.3f}" + ("  a copy" if row["exact"] else "")
            cells.append(_cell(pictures, row, first, LEAK if row["leak"] else None))
        if len(shown) < len(group):
            cells.append(captioned(_words(f"and {len(group) - len(shown)} more"), CELL, "", "", ""))
        cells += [captioned(_words(""), CELL, "", "", "")] * (-len(cells) % COLUMNS)
    more = f", {GROUPS} of {len(groups)} groups shown" if len(groups) > GROUPS else ""
    return _headed(cells, f"{what}{more}")


def _headed(cells: Sequence[Image.Image], heading: str) -> Image.Image:
    drawn = sheet(cells, COLUMNS, top=2 * GAP + LETTERS)
    line = short(heading, max(20, drawn.width // 8))
    ImageDraw.Draw(drawn).text((GAP, GAP + LETTERS - 3), line, PALE_INK, lettering(LETTERS), "ls")
    return drawn


def _cell(pictures: Path, row: dict[str, Any], first: str, tint: str | None) -> Image.Image:
    try:
        square = _square(decode(pictures / row["image"]), tint)
    except Fault:
        square = _words("not on disk")
    return captioned(square, CELL, first, ", ".join([row["split"], *row["concepts"]]), Path(row["image"]).name)


def _square(picture: Image.Image, tint: str | None) -> Image.Image:
    """The picture in the middle of a white square, in a frame of that colour."""
    side = CELL - 2 * FRAME
    times = side / max(picture.size)
    size = (max(1, round(picture.width * times)), max(1, round(picture.height * times)))
    square = Image.new("RGB", (CELL, CELL), "white")
    left, above = (CELL - size[0]) // 2, (CELL - size[1]) // 2
    if tint:
        edges = (left - FRAME, above - FRAME, left + size[0] + FRAME - 1, above + size[1] + FRAME - 1)
        ImageDraw.Draw(square).rectangle(edges, tint)
    square.paste(picture.resize(size, Image.Resampling.LANCZOS), (left, above))
    return square


def _words(text: str) -> Image.Image:
    """A cell without a picture."""
    square = Image.new("RGB", (CELL, CELL), "white")
    ImageDraw.Draw(square).text((CELL / 2, CELL / 2), text, PALE_INK, lettering(LETTERS), "mm")
    return square
