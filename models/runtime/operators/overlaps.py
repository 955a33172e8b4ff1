"""How much boxes overlap."""

from __future__ import annotations

import numpy as np

from ..predictions import Array


def overlaps(boxes: Array, others: Array) -> Array:
    """(N,) float64 in [0, 1]: intersection over union of (N, 4) xyxy boxes with others in pairs, either one with many.

    A box without area overlaps nothing.
    """
    sides = np.minimum(boxes[..., 2:], others[..., 2:]) - np.maximum(boxes[..., :2], others[..., :2])
    shared = sides.clip(0).prod(axis=-1)
    areas = [(each[..., 2:] - each[..., :2]).clip(0).prod(axis=-1) for each in (boxes, others)]
    union = areas[0] + areas[1] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
