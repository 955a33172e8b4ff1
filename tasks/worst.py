"""The pictures that a model got most wrong, on one sheet, with what it said and what is true."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from PIL import Image, ImageDraw

from models.runtime.faults import short
from models.runtime.images import decode
from models.runtime.predictions import Concepts, Regions
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset
from tasks.drawing import lettering
from tasks.files import write
from tasks.metrics.classification import ClassificationReport
from tasks.metrics.compare import Report
from tasks.metrics.mistakes import Confused, Mislocated, confused, mislocated
from tasks.style import INK

# Pixels of a cell and cells in a row: 960 across. As JPEG that is .2 to .4 MB in a page that keeps it for good,
# as PNG 1.1 to 1.6 (three sets of photos).
REGIONS, WHOLE = (464, 2), (306, 3)
ROWS, GAP = 3, 10
LETTERS = 13
RIGHT, WRONG, MISSED = "#1f6fb4", "#db5c1a", "#ffffff"  # as in the confusion matrix; white shows on most pictures
NAME = "worst_errors.jpg"


def worst_errors(
    dataset: Dataset,
    annotations: Sequence[Annotation],
    found: Sequence[Concepts | Regions],
    report: Report,
    folder: Path,
) -> list[Path]:
    """`worst_errors.jpg`, three rows of pictures at most, the worst first; no file where there is no error.

    A detector's: wrong regions, missed boxes, and thinly what is right. A classifier's: what it is and what was said.
    """
    path = folder / NAME
    path.unlink(missing_ok=True)
    if isinstance(report, ClassificationReport):
        columns = WHOLE[1]
        taken = confused(annotations, cast(Sequence[Concepts], found), report)[: ROWS * columns]
        cells = [_confused(dataset, annotations[one.index], one) for one in taken]
    else:
        columns = REGIONS[1]
        regions = cast(Sequence[Regions], found)
        placed = mislocated(annotations, regions, report)[: ROWS * columns]
        cells = [_mislocated(dataset, annotations[one.index], regions[one.index], one) for one in placed]
    if not cells:
        return []
    sheet = io.BytesIO()  # subsampling 0: thin lines keep their colour
    _sheet(cells, columns, legend=report.task == "detection").save(
        sheet, "JPEG", quality=85, subsampling=0, optimize=True
    )
    return [write(path, sheet.getvalue())]


def _confused(dataset: Dataset, entry: Annotation, wrong: Confused) -> Image.Image:
    said = ", ".join(f"{name} {score:.2f}" for name, score in wrong.said) or "nothing"
    picture, _ = _fitted(dataset, entry, WHOLE[0])
    return _captioned(picture, WHOLE[0], f"is {', '.join(wrong.actual) or 'nothing'}", f"said {said}", entry.image)


def _mislocated(dataset: Dataset, entry: Annotation, found: Regions, wrong: Mislocated) -> Image.Image:
    """Labels last and the surest on top: what was said stands above its region, what was missed below its box."""
    picture, times = _fitted(dataset, entry, REGIONS[0])
    pen = ImageDraw.Draw(picture)
    boxes = (found.boxes * times).tolist()
    for i in wrong.right:
        pen.rectangle(boxes[i], outline=RIGHT, width=1)
    missed = [([side * times for side in entry.boxes[i]], entry.box_concepts[i]) for i in wrong.missed]
    for box, _ in missed:
        _dashed(pen, box)
    surest_last = sorted(wrong.wrong, key=lambda i: float(found.scores[i]))
    for i in surest_last:
        pen.rectangle(boxes[i], outline=WRONG, width=2)
    for box, name in missed:
        _label(pen, (box[0], box[3]), short(name, 16), MISSED, INK, picture.size)
    for i in surest_last:
        text = f"{short(found.concepts[found.labels[i]], 16)} {found.scores[i]:.2f}"
        _label(pen, (boxes[i][0], boxes[i][1] - LETTERS - 3), text, WRONG, "white", picture.size)
    return _captioned(picture, REGIONS[0], f"{len(wrong.wrong)} wrong, {len(wrong.missed)} missed", entry.image)


def _fitted(dataset: Dataset, entry: Annotation, cell: int) -> tuple[Image.Image, float]:
    """The picture with its longer side as long as a cell's, and by how much it was enlarged or shrunk for that."""
    image = decode(dataset.path(entry))
    times = cell / max(image.size)
    size = (max(1, round(image.width * times)), max(1, round(image.height * times)))
    return image.resize(size, Image.Resampling.LANCZOS), times


def _dashed(pen: ImageDraw.ImageDraw, box: Sequence[float], dash: int = 5) -> None:
    """White dashes on a dark line, so that they show on any ground."""
    x0, y0, x1, y1 = box
    pen.rectangle((x0, y0, x1, y1), outline=INK, width=2)
    for start in range(round(x0), round(x1), 2 * dash):
        for y in (y0, y1 - 1):
            pen.line((start, y, min(start + dash, x1), y), MISSED, 2)
    for start in range(round(y0), round(y1), 2 * dash):
        for x in (x0, x1 - 1):
            pen.line((x, start, x, min(start + dash, y1)), MISSED, 2)


def _label(
    pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, ground: str, ink: str, within: tuple[int, int]
) -> None:
    """A name on its ground, moved as far as it takes to stay inside the picture."""
    font = lettering(LETTERS - 2)
    wide, high = font.getlength(text) + 4, LETTERS + 2
    x, y = (max(0.0, min(place, side - length)) for place, side, length in zip(at, within, (wide, high), strict=True))
    pen.rectangle((x, y, x + wide, y + high), ground)
    pen.text((x + 2, y + high / 2), text, ink, font, "lm")


def _captioned(picture: Image.Image, width: int, *lines: str) -> Image.Image:
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
            INK if i + 1 < len(lines) else "#777777",
            lettering(LETTERS),
            "mm",
        )
    return cell


def _sheet(cells: Sequence[Image.Image], columns: int, legend: bool) -> Image.Image:
    """The cells row by row, each row as high as its highest; what the lines mean is told above."""
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    heights = [max(cell.height for cell in row) + GAP for row in rows]
    top = 2 * GAP + LETTERS if legend else GAP
    pitch = cells[0].width + GAP
    wide = min(columns, len(cells)) * pitch + GAP
    sheet = Image.new("RGB", (wide, top + sum(heights)), "white")
    for i, cell in enumerate(cells):
        row, column = divmod(i, columns)
        sheet.paste(cell, (GAP + column * pitch, top + sum(heights[:row])))
    if legend:
        _legend(ImageDraw.Draw(sheet))
    return sheet


def _legend(pen: ImageDraw.ImageDraw) -> None:
    """What the lines mean."""
    x, y, font = float(GAP), GAP + LETTERS / 2, lettering(LETTERS)
    for text, colour in (("wrong", WRONG), ("missed", MISSED), ("right", RIGHT)):
        box = (x, y - 6, x + 22, y + 5)
        if colour == MISSED:
            pen.rectangle(box, fill="#999999")
            _dashed(pen, box)
        else:
            pen.rectangle(box, outline=colour, width=2 if colour == WRONG else 1)
        pen.text((x + 28, y), text, INK, font, "lm")
        x += 28 + font.getlength(text) + 24
