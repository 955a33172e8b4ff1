"""Anchors fitted to the sizes of the boxes that are to be found (k-means, as in YOLO9000, Redmon 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from models.catalog import template as entry_of
from models.runtime import networks
from models.runtime.faults import Fault

Array = np.ndarray
MOST = 20_000  # sizes that are enough to tell what is usual
ROUNDS = 300  # k-means has settled long before


def fitted(template: str, sizes: Array, image_size: int, seed: int = 0) -> dict[str, Any]:
    """What `networks.build` takes as `options`: anchors of the sizes that boxes have.

    sizes: (N, 2) float, widths and heights of boxes in pixels, at the size the network sees.
    Each box counts for the level of the pyramid whose own anchors are nearest to it in size. A level's new anchors are
    the middles of its boxes, as many as it had, the smallest first; with fewer kinds of boxes than anchors it keeps
    its own. So a level never looks for what is too small or too large for its cells.
    Answers `{"anchors": levels of [width, height] pairs}`. Raises Fault for a template that has none.
    """
    if not entry_of(template).anchors:
        raise Fault(f"fit_anchors: {template} has no anchors")
    drawn = np.random.default_rng(seed)
    if len(sizes) > MOST:
        sizes = sizes[np.sort(drawn.choice(len(sizes), MOST, replace=False))]
    with torch.device("meta"):  # the network's own anchors are wanted, not its weights
        network = networks.build(template, 1, image_size=image_size)
    own = [level.cpu().numpy().astype(np.float64) for level in network.anchors]  # type: ignore[union-attr, operator]
    scales = np.array([np.log(level.prod(1)).mean() for level in own])
    sizes = np.asarray(sizes, dtype=np.float64).reshape(-1, 2)
    sizes = sizes[(sizes > 0).all(1)]
    nearest = np.abs(np.log(sizes.prod(1))[:, None] - scales).argmin(1)
    levels = [_middles(sizes[nearest == i], level, drawn) for i, level in enumerate(own)]
    return {"anchors": [np.round(level, 2).tolist() for level in levels]}


def overlap(sizes: Array, anchors: Array) -> Array:
    """(N, A) intersection over union of sizes (N, 2) and anchors (A, 2) laid on one corner."""
    shared = np.minimum(sizes[:, None], anchors).prod(2)
    return shared / (sizes.prod(1)[:, None] + anchors.prod(1) - shared)


def _middles(sizes: Array, own: Array, drawn: np.random.Generator) -> Array:
    """As many middles of sizes as a level has anchors, by 1 - overlap; its own where there are fewer kinds."""
    kinds = np.unique(sizes, axis=0)
    if len(kinds) < len(own):
        return own
    middles = _first(kinds, len(own), drawn)
    chosen = np.full(len(sizes), -1)
    for _ in range(ROUNDS):
        before, chosen = chosen, overlap(sizes, middles).argmax(1)
        if (before == chosen).all():
            break
        middles = np.stack(
            [sizes[chosen == i].mean(0) if (chosen == i).any() else middle for i, middle in enumerate(middles)]
        )
    return middles[np.lexsort((middles[:, 0], middles.prod(1)))]


def _first(kinds: Array, count: int, drawn: np.random.Generator) -> Array:
    """Middles to start from, far from each other (k-means++, Arthur 2007)."""
    middles = kinds[[drawn.integers(len(kinds))]]
    while len(middles) < count:
        far = (1 - overlap(kinds, middles).max(1)).clip(0) ** 2
        middles = np.vstack([middles, kinds[drawn.choice(len(kinds), p=far / far.sum())]])
    return middles
