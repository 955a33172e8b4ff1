"""Pictures with what was found in them drawn on, for people to look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models.runtime.predictions import Concepts, Regions
from tasks.data.annotations import Annotation
from tasks.style import INK, PALETTE, colour, short

LEAST = 640  # pixels of the longer side: smaller pictures are enlarged, or their labels would hide them


def draw(image: Image.Image, found: Regions | Concepts, truth: Regions | None = None) -> Image.Image:
    """A copy of an RGB picture with regions as boxes, or the best concepts in a strip below.

    truth: labelled boxes, drawn dashed and white. A concept has one colour in all pictures of a model.
    Pictures smaller than 640 pixels are enlarged by a whole number.
    """
    times = max(1, math.ceil(LEAST / max(image.size)))
    canvas = image.resize((image.width * times, image.height * times), Image.Resampling.BICUBIC)
    if isinstance(found, Concepts):
        return _captioned(canvas, found)
    if truth is not None:
        _dashed(canvas, truth, times)
    return _boxed(canvas, found, times) if len(found) else canvas


def labelled(annotation: Annotation, concepts: tuple[str, ...]) -> Regions:
    """An annotation's boxes as regions with score 1, to be drawn as the truth.

    Concepts not in `concepts` come after them.
    """
    names = (*concepts, *sorted(set(annotation.box_concepts) - set(concepts)))
    return Regions(
        np.array(annotation.boxes, np.float64).reshape(-1, 4),
        np.ones(len(annotation.boxes), np.float32),
        np.array([names.index(name) for name in annotation.box_concepts], np.int64),
        names,
    )


def contact_sheet(
    images: Sequence[Image.Image], columns: int, captions: Sequence[str] = (), cell: int = 480
) -> Image.Image:
    """All images on one white sheet, row by row, each fitted into a square of `cell` pixels.

    captions: a line below each image, if given; cut where they are too long. Raises ValueError for no image.
    """
    if not images:
        raise ValueError("a contact sheet needs at least one image")
    font = _font(max(12, cell // 30))
    gap, strip = cell // 40, (2 * int(font.size) if captions else 0)
    thumbs = [_fitted(image, cell) for image in images]
    columns = min(columns, len(thumbs))
    rows = [thumbs[i : i + columns] for i in range(0, len(thumbs), columns)]
    heights = [max(thumb.height for thumb in row) + strip + gap for row in rows]
    sheet = Image.new("RGB", (columns * (cell + gap) + gap, sum(heights) + gap), "white")
    pen = ImageDraw.Draw(sheet)
    for i, thumb in enumerate(thumbs):
        row, column = divmod(i, columns)
        x, y = gap + column * (cell + gap), gap + sum(heights[:row])
        sheet.paste(thumb, (x + (cell - thumb.width) // 2, y))
        if captions:
            text = short(captions[i], int(cell / font.size * 1.7))
            pen.text((x + cell / 2, y + thumb.height + strip / 2), text, INK, font, anchor="mm")
    return sheet


def _boxed(canvas: Image.Image, found: Regions, times: int) -> Image.Image:
    """Boxes and labels, the surest on top."""
    import supervision as sv

    found = found[np.argsort(found.scores, kind="stable")]
    detections = sv.Detections(
        xyxy=found.boxes * times, confidence=found.scores.astype(np.float64), class_id=found.labels
    )
    palette = sv.ColorPalette.from_hex([colour(i) for i in range(len(PALETTE))])
    texts = [
        f"{short(found.concepts[label])} {score:.2f}" for label, score in zip(found.labels, found.scores, strict=True)
    ]
    size = _letters(canvas)
    boxes = sv.BoxAnnotator(palette, thickness=max(2, size // 7))
    labels = sv.RichLabelAnnotator(
        palette, font_path=_font_file(), font_size=size, text_padding=max(2, size // 4), smart_position=True
    )
    return labels.annotate(boxes.annotate(canvas, detections), detections, texts)


def _dashed(canvas: Image.Image, truth: Regions, times: int) -> None:
    """White dashes on a dark line, so that they show on any ground."""
    pen, dash = ImageDraw.Draw(canvas), max(6, max(canvas.size) // 100)
    for x0, y0, x1, y1 in (truth.boxes * times).tolist():
        pen.rectangle((x0, y0, x1, y1), outline="black", width=2)
        for start in np.arange(x0, x1, 2 * dash).tolist():
            for y in (y0, y1 - 1):
                pen.line((start, y, min(start + dash, x1), y), "white", 2)
        for start in np.arange(y0, y1, 2 * dash).tolist():
            for x in (x0, x1 - 1):
                pen.line((x, start, x, min(start + dash, y1)), "white", 2)


def _captioned(canvas: Image.Image, found: Concepts) -> Image.Image:
    """The three best concepts below the picture, each with a bar as long as its score."""
    size = _letters(canvas)
    rows, line, font = found.rows()[:3], 2 * size, _font(size)
    sheet = Image.new("RGB", (canvas.width, canvas.height + line * len(rows)), INK)
    sheet.paste(canvas)
    pen = ImageDraw.Draw(sheet)
    for i, row in enumerate(rows):
        top = canvas.height + i * line
        tint = colour(found.concepts.index(row["concept"]))
        pen.rectangle((0, top + 2, row["score"] * canvas.width, top + line - 2), tint)
        text = f"{row['score']:.2f}  {short(row['concept'])}"
        pen.text((size / 2, top + line / 2), text, "white", font, "lm")
    return sheet


def _fitted(image: Image.Image, cell: int) -> Image.Image:
    scale = cell / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _letters(canvas: Image.Image) -> int:
    """The height of letters in pixels, by the picture's size."""
    return max(14, max(canvas.size) // 55)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_font_file(), size)


@cache
def _font_file() -> str:
    """DejaVu Sans, which matplotlib brings: it has most alphabets, OpenCV's and Pillow's own have one."""
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
