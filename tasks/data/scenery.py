"""How the demo's scenes are drawn: photographed ground, drawn clutter, handwriting in ink.

Integer arithmetic, Pillow's fixed-point resizing and polynomials only: the same bytes on every processor and with
every version of a codec. (exp, sin and sums in BLAS differ in the last digit from one processor to the next.)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import BytesIO
from itertools import pairwise
from random import Random

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 320, 192  # multiples of 32: the detector pads nothing
# Columns of both photos (640 wide) that a split may show, so that no test scene has a ground seen in training.
GROUNDS = {"train": (0, 360), "val": (360, 480), "test": (480, 640)}
MASTER = 16  # master pixels a pixel of a scan: larger than any digit is drawn
# Grey of the enlarged scan where ink begins and where it is full: a fine, a medium and a broad pen.
PENS = ((120, 215), (95, 195), (75, 175))
SEEN = 48  # of 255: fainter ink is no part of the box


@dataclass(frozen=True, slots=True, eq=False)
class Ink:
    """A drawn mask: (h, w) uint8, 0 paper to 255 full ink, no empty row or column at its edges."""

    mask: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.mask.shape[1], self.mask.shape[0]


def pick(random: Random, low: int, high: int) -> int:
    """A whole number from low to high, both possible. (`random()` alone is promised to stay the same for ever.)"""
    return low + int(random.random() * (high - low + 1))


def tight(mask: np.ndarray) -> np.ndarray:
    """The mask without the rows and columns at its edges in which nothing is seen."""
    rows, columns = np.flatnonzero((mask >= SEEN).any(1)), np.flatnonzero((mask >= SEEN).any(0))
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@cache
def stroke(scan: bytes, pen: int) -> Image.Image:
    """An 8×8 scan (64 bytes of 0 to 16) as a pen would have drawn it: enlarged smoothly, then sharpened."""
    grey = np.frombuffer(scan, np.uint8).reshape(8, 8).astype(np.int32) * 255 // 16
    paper = np.zeros((10, 10), np.uint8)
    paper[1:9, 1:9] = grey
    large = np.asarray(Image.fromarray(paper).resize((10 * MASTER, 10 * MASTER), Image.Resampling.BICUBIC))
    return Image.fromarray(tight(curve(*PENS[pen])[large]))


def curve(low: int, high: int) -> np.ndarray:
    """(256,) uint8: a smooth step (3t² - 2t³, in whole numbers) from 0 at `low` to 255 at `high`."""
    t = ((np.arange(256) - low) * 256 // (high - low)).clip(0, 256)
    return (t * t * (768 - 2 * t) >> 16).clip(0, 255).astype(np.uint8)


def digit(scan: bytes, height: int, random: Random) -> Ink:
    """A scan drawn `height` pixels high (a pixel less where its edge is faint), a little wider or narrower."""
    master = stroke(scan, pick(random, 0, len(PENS) - 1))
    width = max(4, master.width * height * pick(random, 75, 110) // (master.height * 100))
    return Ink(tight(np.asarray(master.resize((width, height), Image.Resampling.BICUBIC))))


@cache
def _photos() -> tuple[Image.Image, ...]:
    # Luminance alone, which every JPEG decoder gives alike (no chroma resampling, no colour conversion).
    photos = []
    for name in ("china.jpg", "flower.jpg"):
        image = Image.open(BytesIO((files("sklearn.datasets") / "images" / name).read_bytes()))
        image.draft("L", image.size)
        photos.append(image.convert("L"))
    return tuple(photos)


def ground(split: str, random: Random) -> np.ndarray:
    """(HEIGHT, WIDTH) int32 grey: a mirrored, enlarged crop of a photo, lighter or darker, with a little grain."""
    left, right = GROUNDS[split]
    photo = _photos()[pick(random, 0, 1)]
    width = pick(random, 90, min(right - left, 240))
    height = width * HEIGHT // WIDTH
    x, y = pick(random, left, right - width), pick(random, 0, photo.height - height)
    crop = photo.crop((x, y, x + width, y + height)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    grey = np.asarray(crop).astype(np.int32)
    grey = grey[:, ::-1] if random.random() < 0.5 else grey
    grey = (grey - 128) * pick(random, 40, 100) // 100 + pick(random, 80, 170)
    grain = np.frombuffer(random.randbytes(WIDTH * HEIGHT), np.uint8).reshape(HEIGHT, WIDTH).astype(np.int32)
    return (grey + (grain - 128) * pick(random, 2, 12) // 128).clip(0, 255)


def lay(grey: np.ndarray, ink: Ink, x: int, y: int, tone: int) -> None:
    """Draw ink of a tone (0 black to 255 white) into the picture, in place; parts outside are cut off."""
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + ink.size[0], grey.shape[1]), min(y + ink.size[1], grey.shape[0])
    if left >= right or top >= bottom:
        return
    under = grey[top:bottom, left:right]
    mask = ink.mask[top - y : bottom - y, left - x : right - x].astype(np.int32)
    under += ((tone - under) * mask + 127) // 255


def tone_on(grey: np.ndarray, random: Random) -> int:
    """A tone that can be read on this piece of the picture: darker or lighter by 45 to 150 of 255."""
    mean = int(grey.sum()) // grey.size
    apart = pick(random, 45, 150)
    if mean - apart < 0 or (mean + apart <= 255 and random.random() < 0.5):
        return min(255, mean + apart)
    return max(0, mean - apart)


def clutter(random: Random) -> Ink:
    """Something drawn with the same pens that is no digit: a long line, a blot, or a simple figure."""
    kind = ("line", "blot", "figure", "figure")[pick(random, 0, 3)]
    side = pick(random, 90, 300) if kind == "line" else pick(random, 16, 80)
    canvas = Image.new("L", (2 * side + 24, 2 * side + 24))
    draw = ImageDraw.Draw(canvas)
    pen = pick(random, 3, 4 + side // 12)
    if kind == "blot":
        for _ in range(pick(random, 2, 6)):
            _dot(draw, pick(random, side // 2, side), pick(random, side // 2, side), pick(random, 4, side // 2))
    elif kind == "line":
        ends = [(pick(random, 0, 2 * side), pick(random, 0, 2 * side)) for _ in range(3)]
        _bend(draw, ends[0], ends[1], ends[2], pen)
    else:
        for path in FIGURES[pick(random, 0, len(FIGURES) - 1)]:
            corners = [(px * side // 4, py * side // 4) for px, py in path]
            for start, end in pairwise(corners):
                middle = ((start[0] + end[0]) // 2, (start[1] + end[1]) // 2)
                _bend(draw, start, middle, end, pen)
    mask = np.asarray(canvas.reduce(2))
    return Ink(tight(mask)) if (mask >= SEEN).any() else clutter(random)


# Corners in eighths of the figure's side; every path is one stroke of the pen.
FIGURES = (
    (((4, 0), (8, 8), (0, 8), (4, 0)),),  # triangle
    (((0, 0), (8, 8)), ((8, 0), (0, 8))),  # cross
    (((0, 4), (8, 4)), ((4, 0), (4, 8))),  # plus
    (((0, 8), (2, 0), (4, 8), (6, 0), (8, 8)),),  # zigzag
    (((2, 0), (2, 8)), ((6, 0), (6, 8)), ((0, 2), (8, 2)), ((0, 6), (8, 6))),  # grid
    (((0, 0), (8, 0), (8, 8), (0, 8), (0, 0)),),  # square
    (((0, 8), (4, 0), (8, 8)), ((2, 5), (6, 5))),  # A
    (((0, 0), (0, 8)), ((0, 4), (7, 0)), ((0, 4), (7, 8))),  # K
    (((0, 4), (8, 4)), ((5, 1), (8, 4), (5, 7))),  # arrow
    (((0, 0), (8, 0)), ((4, 0), (4, 8))),  # T
    (((4, 0), (4, 8)), ((0, 2), (8, 6)), ((0, 6), (8, 2))),  # star
    (((0, 0), (0, 8)), ((7, 0), (7, 8)), ((0, 4), (7, 4))),  # H
)


def _dot(draw: ImageDraw.ImageDraw, x: int, y: int, across: int) -> None:
    draw.ellipse((x, y, x + across, y + across), fill=255)


def _bend(draw: ImageDraw.ImageDraw, a: tuple[int, int], b: tuple[int, int], c: tuple[int, int], pen: int) -> None:
    """A quadratic Bézier curve as a row of dots: Pillow's wide lines would round square roots."""
    steps = 4 + (abs(c[0] - a[0]) + abs(c[1] - a[1]) + abs(b[0] - a[0]) + abs(b[1] - a[1])) // 2
    for i in range(steps + 1):
        j = steps - i
        x, y = ((j * j * a[k] + 2 * i * j * b[k] + i * i * c[k]) // (steps * steps) for k in (0, 1))
        _dot(draw, x, y, pen)


def duotone(random: Random) -> bytes:
    """A palette of 256 BGR0 colours from a dark to a light one: the tint of a scene."""
    dark = [pick(random, 0, 40) for _ in range(3)]
    light = [pick(random, 205, 255) for _ in range(3)]
    steps = [(low, high - low) for low, high in zip(dark, light, strict=True)]
    return b"".join(bytes([*(low + span * i // 255 for low, span in steps), 0]) for i in range(256))


GREYS = b"".join(bytes([i, i, i, 0]) for i in range(256))


def bitmap(grey: np.ndarray, palette: bytes = GREYS) -> bytes:
    """A Windows bitmap, 8 bits a pixel, uncompressed, with its colours: bytes that hang on no library."""
    height, width = grey.shape
    rows = np.zeros((height, -(-width // 4) * 4), np.uint8)
    rows[:, :width] = grey[::-1]
    start = 14 + 40 + len(palette)
    head = struct.pack("<2sIHHI", b"BM", start + rows.size, 0, 0, start)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 0, rows.size, 2835, 2835, 256, 0)
    return head + info + palette + rows.tobytes()
