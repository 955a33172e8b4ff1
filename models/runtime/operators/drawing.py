"""Pictures with what was found in them drawn on, for people to look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..faults import short
from ..predictions import Clusters, Concepts, Regions

LEAST = 640  # pixels of the longer side: smaller pictures are enlarged, or their labels would hide them
INK = "#222222"

# Dark enough for white letters, light enough to show on a dark picture, and far enough apart for most eyes.
PALETTE = (
    "#1f6fb4",
    "#d1352b",
    "#1b8a3a",
    "#c2570c",
    "#7b4fb0",
    "#0e8a8a",
    "#c2185b",
    "#7a6a00",
    "#d81bb0",
    "#4a5fd0",
    "#00897b",
    "#8e24aa",
    "#43a047",
    "#0277bd",
    "#e4572e",
    "#9e6700",
    "#607d8b",
    "#558b2f",
    "#ad1457",
    "#8d6e63",
)


def colour(label: int) -> str:
    """The colour of a concept by its place in the model's concepts: the same in every picture."""
    return PALETTE[label % len(PALETTE)]


def draw(image: Image.Image, found: Regions | Concepts | Clusters, enlarge: bool = True) -> Image.Image:
    """A copy of an RGB picture with regions as boxes, or the best concepts, or its cluster, in a strip below.

    A concept has one colour in all pictures of a model, a tracked region its id beside the concept's name.
    enlarge: whether a picture smaller than 640 pixels is enlarged by a whole number. Without, the drawn one has the
    picture's own size, as frames of a video must: smaller letters, and the strip lies over the picture's lowest part.
    """
    times = max(1, math.ceil(LEAST / max(image.size))) if enlarge else 1
    canvas = image.resize((image.width * times, image.height * times), Image.Resampling.BICUBIC)
    if isinstance(found, Regions):
        return _boxed(canvas, found, times) if len(found) else canvas
    if isinstance(found, Concepts):
        best = [(row["concept"], row["score"], found.concepts.index(row["concept"])) for row in found.rows()[:3]]
        rows = [row for row in best if row[1] > 0]
    else:
        rows = [(f"cluster {found.cluster}", found.score, found.cluster)]
    sheet = _captioned(canvas, rows)
    return sheet if enlarge else _overlaid(canvas, sheet)


def _boxed(canvas: Image.Image, found: Regions, times: int) -> Image.Image:
    """Boxes and labels, the surest on top."""
    import supervision as sv

    found = found[np.argsort(found.scores, kind="stable")]
    detections = sv.Detections(
        xyxy=found.boxes * times, confidence=found.scores.astype(np.float64), class_id=found.labels
    )
    palette = sv.ColorPalette.from_hex([colour(i) for i in range(len(PALETTE))])
    size = _letters(canvas)
    boxes = sv.BoxAnnotator(palette, thickness=max(2, size // 7))
    labels = sv.RichLabelAnnotator(
        palette, font_path=_font_file(), font_size=size, text_padding=max(2, size // 4), smart_position=True
    )
    return labels.annotate(boxes.annotate(canvas, detections), detections, _labels(found))


def _labels(found: Regions) -> list[str]:
    """What stands beside each box: concept, track, where it has one, and score."""
    tracks = found.more.get("track_id", np.full(len(found), -1))
    return [
        f"{short(found.concepts[label], 24)}{f' {track}' if track >= 0 else ''} {score:.2f}"
        for label, track, score in zip(found.labels, tracks, found.scores, strict=True)
    ]


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


def _overlaid(canvas: Image.Image, sheet: Image.Image) -> Image.Image:
    """The picture in its own size, with the strip below it laid over its lowest part."""
    strip = sheet.crop((0, canvas.height, *sheet.size))
    canvas.paste(strip, (0, canvas.height - strip.height))
    return canvas


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
