"""Annotations and regions from lists of boxes, for tests of what is found where."""

from __future__ import annotations

import numpy as np

from models.runtime.predictions import Regions
from tasks.data.annotations import Annotation

NAMES = ("cat", "dog", "owl", "yak")


def image(*boxes, concepts=None, crowd=None, difficult=None, areas=None, name="a.png"):
    """An annotation from boxes x0, y0, x1, y1; all cats unless said otherwise."""
    count = len(boxes)
    return Annotation(
        image=name,
        sha256="",
        width=640,
        height=480,
        split="test",
        boxes=tuple(tuple(map(float, box)) for box in boxes),
        areas=tuple(areas or [float((b[2] - b[0]) * (b[3] - b[1])) for b in boxes]),
        box_concepts=tuple(concepts or ["cat"] * count),
        crowd=tuple(crowd or [False] * count),
        difficult=tuple(difficult or [False] * count),
    )


def regions(*rows, concepts=NAMES):
    """Regions from (box, score, concept) rows."""
    return Regions(
        np.array([row[0] for row in rows], np.float64).reshape(-1, 4),
        np.array([row[1] for row in rows], np.float32),
        np.array([concepts.index(row[2]) for row in rows], np.int64),
        tuple(concepts),
    )
