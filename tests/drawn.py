"""Tiny datasets of drawn shapes, for tests that train or load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset

SHAPES = ("tall", "wide")
COLOURS = {"tall": (240, 140, 30), "wide": (30, 140, 240)}  # easy to tell apart


def shapes(folder: Path, train: int = 8, val: int = 4, task: str = "classification", size: int = 40) -> Dataset:
    """Pictures of `size` pixels, a bar on noise in each: orange `tall` and blue `wide` ones by turns, labelled so."""
    (folder / "images").mkdir(parents=True)
    entries = [_draw(folder, i, "train" if i < train else "val", task, size) for i in range(train + val)]
    return Dataset("shapes", folder, task, True, SHAPES, tuple(entries))  # type: ignore[arg-type]


def _draw(folder: Path, number: int, split: str, task: str, size: int) -> Annotation:
    drawn = np.random.default_rng(number)
    pixels = drawn.integers(0, 60, (size, size, 3), dtype=np.uint8)
    concept = SHAPES[number % 2]
    width, height = (size // 4, size // 2) if concept == "tall" else (size // 2, size // 4)
    x, y = (int(drawn.integers(0, size - side)) for side in (width, height))
    pixels[y : y + height, x : x + width] = COLOURS[concept]
    image = f"{number:03d}.png"
    Image.fromarray(pixels).save(folder / "images" / image)
    box = (float(x), float(y), float(x + width), float(y + height))
    if task == "classification":
        return Annotation(image, f"{number:064d}", size, size, split, (concept,))
    columns = ((box,), (float(width * height),), (concept,), (False,), (False,))
    return Annotation(image, f"{number:064d}", size, size, split, (), *columns)
