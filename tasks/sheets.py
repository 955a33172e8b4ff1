"""Sheets of pictures: each fitted into a cell of one width, with lines of text below it, row by row."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from models.runtime.faults import short
from models.runtime.images import decode
from models.runtime.operators.drawing import lettering
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset
from tasks.files import write
from tasks.style import INK, PALE_INK

GAP = 10
LETTERS = 13


def fitted(dataset: Dataset, entry: Annotation, cell: int) -> tuple[Image.Image, float]:
    """The picture with its longer side as long as a cell's, and by how much it was enlarged or shrunk for that."""
    image = decode(dataset.path(entry))
    times = cell / max(image.size)
    size = (max(1, round(image.width * times)), max(1, round(image.height * times)))
    return image.resize(size, Image.Resampling.LANCZOS), times


def framed(dataset: Dataset, entry: Annotation, side: int, tint: str | None) -> Image.Image:
    """The picture in the middle of a white square, in a frame of that colour."""
    frame = 4
    picture, _ = fitted(dataset, entry, side - 2 * frame)
    square = Image.new("RGB", (side, side), "white")
    at = ((side - picture.width) // 2, (side - picture.height) // 2)
    if tint:
        right, below = at[0] + picture.width, at[1] + picture.height
        ImageDraw.Draw(square).rectangle((at[0] - frame, at[1] - frame, right + frame - 1, below + frame - 1), tint)
    square.paste(picture, at)
    return square


def captioned(picture: Image.Image, width: int, *lines: str) -> Image.Image:
    """The picture in a white cell as wide as all are, and the lines below it, the first in ink."""
    strip = LETTERS + 5
    cell = Image.new("RGB", (width, picture.height + strip * len(lines) + 4), "white")
    cell.paste(picture, ((width - picture.width) // 2, 0))
    pen = ImageDraw.Draw(cell)
    for i, line in enumerate(lines):
        middle = picture.height + strip * i + strip / 2 + 3
        pen.text(
            (width / 2, middle),
            short(line, width // 8),
            INK if i + 1 < len(lines) else PALE_INK,
            lettering(LETTERS),
            "mm",
        )
    return cell


def sheet(cells: Sequence[Image.Image], columns: int, top: int = GAP) -> Image.Image:
    """The cells row by row, each row as high as its highest, below `top` pixels for a heading."""
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    heights = [max(cell.height for cell in row) + GAP for row in rows]
    pitch = cells[0].width + GAP
    wide = min(columns, len(cells)) * pitch + GAP
    drawn = Image.new("RGB", (wide, top + sum(heights)), "white")
    for i, cell in enumerate(cells):
        row, column = divmod(i, columns)
        drawn.paste(cell, (GAP + column * pitch, top + sum(heights[:row])))
    return drawn


def written(drawn: Image.Image, path: Path) -> Path:
    """Written as JPEG, thin lines in their own colour (subsampling 0)."""
    buffer = io.BytesIO()
    drawn.save(buffer, "JPEG", quality=85, subsampling=0, optimize=True)
    return write(path, buffer.getvalue())
