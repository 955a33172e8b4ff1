"""How far numbers could have come out differently on other images of the same kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
# The numbers by name, of images given as indexes, (N,) int64 with repeats.
Redrawn = Callable[[Array], Mapping[str, float]]
ROUNDS = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds that hold 95 % of the bootstrap's values; nan when the number is undefined."""

    low: float
    high: float


UNDEFINED = Interval(math.nan, math.nan)


def bootstrap(redrawn: Redrawn, images: int, rounds: int = ROUNDS, seed: int = 0) -> dict[str, Interval]:
    """The 95 % percentile interval of each number, from redrawing the images with replacement.

    Rounds in which a number is nan (a concept was not drawn) are left out of its interval.  The same seed draws the
    same images.  Source: Efron, "Bootstrap methods: another look at the jackknife", 1979; the percentile method.
    """
    return {name: _interval(values) for name, values in _drawn(redrawn, images, rounds, seed).items()}


def paired(first: Redrawn, second: Redrawn, images: int, rounds: int = ROUNDS, seed: int = 0) -> dict[str, Interval]:
    """The 95 % interval of second - first, of each number that both have, on the same images drawn for both.

    So what is hard about an image is no difference between the two: the interval is as narrow as the models are
    alike. Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993; paired samples.
    """
    before, after = (_drawn(each, images, rounds, seed) for each in (first, second))
    return {name: _interval(after[name] - before[name]) for name in after if name in before}


def _drawn(redrawn: Redrawn, images: int, rounds: int, seed: int) -> dict[str, Array]:
    """Each number in each round, (rounds,) float64."""
    draw = np.random.default_rng(seed)
    rows = [redrawn(draw.integers(0, images, images)) for _ in range(rounds if images else 0)]
    return {name: np.array([row[name] for row in rows], np.float64) for name in (rows[0] if rows else ())}


def _interval(values: Array) -> Interval:
    defined = values[~np.isnan(values)]
    if not len(defined):
        return UNDEFINED
    low, high = np.percentile(defined, [2.5, 97.5])
    return Interval(float(low), float(high))


def bounds(intervals: Mapping[str, Interval]) -> dict[str, float]:
    """`{name_low, name_high}` of each, as a summary has them."""
    return {f"{name}_{end}": getattr(interval, end) for name, interval in intervals.items() for end in ("low", "high")}
