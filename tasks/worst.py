"""The pictures that a model got most wrong, on one sheet, with what it said and what is true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from models.runtime.faults import short
from models.runtime.operators.drawing import lettering
from models.runtime.predictions import Concepts, Regions
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset
from tasks.metrics.classification import ClassificationReport
from tasks.metrics.compare import Report
from tasks.metrics.detection import DetectionReport
from tasks.metrics.mistakes import Confused, Mislocated, confused, mislocated
from tasks.sheets import GAP, LETTERS, captioned, fitted, sheet, written
from tasks.style import INK

# Pixels of a cell and cells in a row: 960 across. As JPEG that is .2 to .4 MB in a page that keeps it for good,
# as PNG 1.1 to 1.6 (three sets of photos).
REGIONS, WHOLE = (464, 2), (306, 3)
ROWS = 3
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
    drawn, columns, top = CELLS[report.task]
    cells = drawn(dataset, annotations, found, report, ROWS * columns)
    if not cells:
        return []
    whole = sheet(cells, columns, top)
    if report.task == "detection":
        legend(ImageDraw.Draw(whole), (("wrong", WRONG), ("missed", MISSED), ("right", RIGHT)))
    return [written(whole, path)]


def _concepts(
    dataset: Dataset,
    annotations: Sequence[Annotation],
    found: Sequence[Concepts],
    report: ClassificationReport,
    most: int,
) -> list[Image.Image]:
    taken = confused(annotations, found, report)[:most]
    return [_confused(dataset, annotations[one.index], one) for one in taken]


def _regions(
    dataset: Dataset, annotations: Sequence[Annotation], found: Sequence[Regions], report: DetectionReport, most: int
) -> list[Image.Image]:
    placed = mislocated(report)[:most]
    return [_mislocated(dataset, annotations[one.index], found[one.index], one) for one in placed]


def _confused(dataset: Dataset, entry: Annotation, wrong: Confused) -> Image.Image:
    said = ", ".join(f"{name} {score:.2f}" for name, score in wrong.said) or "nothing"
    picture, _ = fitted(dataset, entry, WHOLE[0])
    return captioned(picture, WHOLE[0], f"is {', '.join(wrong.actual) or 'nothing'}", f"said {said}", entry.image)


def _mislocated(dataset: Dataset, entry: Annotation, found: Regions, wrong: Mislocated) -> Image.Image:
    """Labels last and the surest on top: what was said stands above its region, what was missed below its box."""
    picture, times = fitted(dataset, entry, REGIONS[0])
    pen = ImageDraw.Draw(picture)
    boxes = (found.boxes * times).tolist()
    for i in wrong.right:
        pen.rectangle(boxes[i], outline=RIGHT, width=1)
    missed = [([side * times for side in entry.boxes[i]], entry.box_concepts[i]) for i in wrong.missed]
    for box, _ in missed:
        dashed(pen, box)
    surest_last = sorted(wrong.wrong, key=lambda i: float(found.scores[i]))
    for i in surest_last:
        pen.rectangle(boxes[i], outline=WRONG, width=2)
    for box, name in missed:
        tag(pen, (box[0], box[3]), short(name, 16), MISSED, INK, picture.size)
    for i in surest_last:
        text = f"{short(found.concepts[found.labels[i]], 16)} {found.scores[i]:.2f}"
        tag(pen, (boxes[i][0], boxes[i][1] - LETTERS - 3), text, WRONG, "white", picture.size)
    return captioned(picture, REGIONS[0], f"{len(wrong.wrong)} wrong, {len(wrong.missed)} missed", entry.image)


def dashed(pen: ImageDraw.ImageDraw, box: Sequence[float], dash: int = 5) -> None:
    """White dashes on a dark line, so that they show on any ground."""
    x0, y0, x1, y1 = box
    pen.rectangle((x0, y0, x1, y1), outline=INK, width=2)
    for start in range(round(x0), round(x1), 2 * dash):
        for y in (y0, y1 - 1):
            pen.line((start, y, min(start + dash, x1), y), MISSED, 2)
    for start in range(round(y0), round(y1), 2 * dash):
        for x in (x0, x1 - 1):
            pen.line((x, start, x, min(start + dash, y1)), MISSED, 2)


def tag(
    pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, ground: str, ink: str, within: tuple[int, int]
) -> None:
    """A name on its ground, moved as far as it takes to stay inside the picture."""
    font = lettering(LETTERS - 2)
    wide, high = font.getlength(text) + 4, LETTERS + 2
    x, y = (max(0.0, min(place, side - length)) for place, side, length in zip(at, within, (wide, high), strict=True))
    pen.rectangle((x, y, x + wide, y + high), ground)
    pen.text((x + 2, y + high / 2), text, ink, font, "lm")


def legend(pen: ImageDraw.ImageDraw, lines: Sequence[tuple[str, str]]) -> None:
    """What the lines mean: words, each with its colour."""
    x, y, font = float(GAP), GAP + LETTERS / 2, lettering(LETTERS)
    for text, colour in lines:
        box = (x, y - 6, x + 22, y + 5)
        if colour == MISSED:
            pen.rectangle(box, fill="#999999")
            dashed(pen, box)
        else:
            pen.rectangle(box, outline=colour, width=2 if colour == WRONG else 1)
        pen.text((x + 28, y), text, INK, font, "lm")
        x += 28 + font.getlength(text) + 24


# By a report's task: its cells, so many in a row, below so much of a heading.
CELLS: dict[str, tuple[Callable[..., list[Image.Image]], int, int]] = {
    "classification": (_concepts, WHOLE[1], GAP),
    "detection": (_regions, REGIONS[1], 2 * GAP + LETTERS),
}
