"""How far a number could have come out differently on other images of the same kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds that hold 95 % of the bootstrap's values; nan when the number is undefined."""

    low: float
    high: float


def bootstrap(statistic: Callable[[np.ndarray], float], images: int, rounds: int = 1000, seed: int = 0) -> Interval:
    """The 95 % percentile interval of a number, from redrawing the images with replacement.

    statistic: gives the number for image indexes, (images,) int64 with repeats.  Rounds in which it is
    nan (a concept was not drawn) are left out.  The same seed gives the same interval.
    Source: Efron, "Bootstrap methods: another look at the jackknife", 1979; the percentile method.
    """
    draw = np.random.default_rng(seed)
    values = np.array([statistic(draw.integers(0, images, images)) for _ in range(rounds if images else 0)])
    values = values[~np.isnan(values)]
    if not len(values):
        return Interval(math.nan, math.nan)
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(float(low), float(high))
