"""How far numbers could have come out differently on other images of the same kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
# The numbers by name, of images given as indexes, (N,) int64 with repeats.
Redrawn = Callable[[Array], Mapping[str, float]]
OnImages = Callable[[Array], Redrawn]  # the same of some images alone, (M,) int64: redraws are indexes into these
Draws = Mapping[str, Array]  # each number in each round of a bootstrap, (rounds,) float64
ROUNDS = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds that hold 95 % of the bootstrap's values; nan when the number is undefined."""

    low: float
    high: float


UNDEFINED = Interval(math.nan, math.nan)


def bootstrap(redrawn: Redrawn, images: int, rounds: int = ROUNDS) -> Draws:
    """The numbers on images redrawn with replacement, so many times.

    The same images are drawn for every model measured on so many.
    Source: Efron, "Bootstrap methods: another look at the jackknife", 1979.
    """
    draw = np.random.default_rng(0)
    rows = [redrawn(draw.integers(0, images, images)) for _ in range(rounds if images else 0)]
    return {name: np.array([row[name] for row in rows], np.float64) for name in (rows[0] if rows else ())}


def interval(values: Array) -> Interval:
    """The 95 % percentile interval of what a bootstrap drew, (rounds,) float64.

    Rounds in which a number is nan (a concept was not drawn) are left out.
    """
    defined = values[~np.isnan(values)]
    if not len(defined):
        return UNDEFINED
    low, high = np.percentile(defined, [2.5, 97.5])
    return Interval(float(low), float(high))


def paired(first: Draws, second: Draws) -> dict[str, Interval]:
    """The 95 % interval of second - first, of each number that both have, on the same images drawn for both.

    So what is hard about an image is no difference between the two: the interval is as narrow as the models are
    alike. Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993; paired samples.
    """
    return {name: interval(second[name] - first[name]) for name in second if name in first}


def bounds(draws: Draws) -> dict[str, float]:
    """`{name_low, name_high}` of each number, as a summary has them."""
    found = {name: interval(values) for name, values in draws.items()}
    return {f"{name}_{end}": getattr(each, end) for name, each in found.items() for end in ("low", "high")}
