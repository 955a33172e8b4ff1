"""Pictures with what was found in them drawn on, for people to look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models.runtime.faults import short
from models.runtime.predictions import Clusters, Concepts, Regions
from tasks.style import INK, PALETTE, colour

LEAST = 640  # pixels of the longer side: smaller pictures are enlarged, or their labels would hide them


def draw(image: Image.Image, found: Regions | Concepts | Clusters) -> Image.Image:
    """A copy of an RGB picture with regions as boxes, or the best concepts, or its cluster, in a strip below.

    A concept has one colour in all pictures of a model.
    Pictures smaller than 640 pixels are enlarged by a whole number.
    """
    times = max(1, math.ceil(LEAST / max(image.size)))
    canvas = image.resize((image.width * times, image.height * times), Image.Resampling.BICUBIC)
    if isinstance(found, Concepts):
        best = [(row["concept"], row["score"], found.concepts.index(row["concept"])) for row in found.rows()[:3]]
        return _captioned(canvas, best)
    if isinstance(found, Clusters):
        return _captioned(canvas, [(f"cluster {found.cluster}", found.score, found.cluster)])
    return _boxed(canvas, found, times) if len(found) else canvas


def _boxed(canvas: Image.Image, found: Regions, times: int) -> Image.Image:
    """Boxes and labels, the surest on top."""
    import supervision as sv

    found = found[np.argsort(found.scores, kind="stable")]
    detections = sv.Detections(
        xyxy=found.boxes * times, confidence=found.scores.astype(np.float64), class_id=found.labels
    )
    palette = sv.ColorPalette.from_hex([colour(i) for i in range(len(PALETTE))])
    texts = [
        f"{short(found.concepts[label], 24)} {score:.2f}"
        for label, score in zip(found.labels, found.scores, strict=True)
    ]
    size = _letters(canvas)
    boxes = sv.BoxAnnotator(palette, thickness=max(2, size // 7))
    labels = sv.RichLabelAnnotator(
        palette, font_path=_font_file(), font_size=size, text_padding=max(2, size // 4), smart_position=True
    )
    return labels.annotate(boxes.annotate(canvas, detections), detections, texts)


def _captioned(canvas: Image.Image, rows: Sequence[tuple[str, float, int]]) -> Image.Image:
    """Names, scores and labels below the picture, each with a bar as long as its score."""
    size = _letters(canvas)
    line, font = 2 * size, lettering(size)
    sheet = Image.new("RGB", (canvas.width, canvas.height + line * len(rows)), INK)
    sheet.paste(canvas)
    pen = ImageDraw.Draw(sheet)
    for i, (name, score, label) in enumerate(rows):
        top = canvas.height + i * line
        pen.rectangle((0, top + 2, score * canvas.width, top + line - 2), colour(label))
        text = f"{score:.2f}  {short(name, 24)}"
        pen.text((size / 2, top + line / 2), text, "white", font, "lm")
    return sheet


def _letters(canvas: Image.Image) -> int:
    """The height of letters in pixels, by the picture's size."""
    return max(14, max(canvas.size) // 55)


@cache
def lettering(size: int) -> ImageFont.FreeTypeFont:
    """The font of everything that is drawn on a picture, so many pixels high."""
    return ImageFont.truetype(_font_file(), size)


@cache
def _font_file() -> str:
    """DejaVu Sans, which matplotlib brings: it has most alphabets, OpenCV's and Pillow's own have one."""
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
