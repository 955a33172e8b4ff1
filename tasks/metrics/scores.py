"""The numbers of a classifier's scores as a whole, and the same on redrawn images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tasks.metrics.interval import OnImages, Redrawn
from tasks.metrics.resampling import of_scores

Array = np.ndarray
MACRO = {
    "macro_roc_auc": "Accuracy (ROC AUC)",
    "macro_average_precision": "Average Precision",
    "macro_f1": "F1",
    "macro_precision": "Precision",
    "macro_recall": "Recall",
}


def summary(
    actual: Array, predicted: Array, scores: Array, rows: Sequence[Mapping[str, Any]], exclusive: bool
) -> dict[str, float]:
    """The numbers of the whole. `macro_…` is the mean over the concepts for which the number is defined, `…_std` the
    standard deviation over these (of the population, as numpy's)."""
    each = of_images(actual, predicted, scores, exclusive)
    found = {name: float(values.mean()) for name, values in each.items()}
    for name, column in MACRO.items():
        defined = [row[column] for row in rows if not math.isnan(row[column])]
        found[name] = float(np.mean(defined)) if defined else math.nan
        found[f"{name}_std"] = float(np.std(defined)) if defined else math.nan
    return found | {"images": len(actual)}


def of_images(actual: Array, predicted: Array, scores: Array, exclusive: bool) -> dict[str, Array]:
    """Of each image (N,) float64: those numbers that are a mean over the images."""
    if not exclusive:
        each = {"accuracy": (actual == predicted).mean(axis=1), "subset_accuracy": (actual == predicted).all(axis=1)}
    else:
        each = {"accuracy": (actual & predicted).any(axis=1)}
        if actual.shape[1] > 5:
            first = np.argsort(-scores, axis=1, kind="stable")[:, :5]
            each["top5_accuracy"] = np.take_along_axis(actual, first, axis=1).any(axis=1)
    return {name: values.astype(np.float64) for name, values in each.items()} | {
        "log_loss": _log_losses(actual, scores, exclusive)
    }


def redrawn(actual: Array, predicted: Array, scores: Array, exclusive: bool) -> Redrawn:
    """The numbers of the whole on redrawn images: those of `summary` that a bootstrap can follow."""
    each = of_images(actual, predicted, scores, exclusive)
    ranked = of_scores(scores, actual)
    hits, said, labelled = (matrix.astype(np.float64) for matrix in (actual & predicted, predicted, actual))

    def numbers(images: Array) -> dict[str, float]:
        weights = np.bincount(images, minlength=len(actual)).astype(np.float64)
        right, taken, there = (weights @ matrix for matrix in (hits, said, labelled))
        precision, auc = ranked(images)
        found = {name: float(values[images].mean()) for name, values in each.items()}
        return found | {
            "macro_roc_auc": auc,
            "macro_average_precision": precision,
            "macro_f1": _mean_ratio(2 * right, taken + there),
            "macro_precision": _mean_ratio(right, taken),
            "macro_recall": _mean_ratio(right, there),
        }

    return numbers


def headline(actual: Array, predicted: Array, scores: Array, exclusive: bool) -> OnImages:
    """The one number by which classifiers are told apart, of some of the images."""
    right = (actual & predicted).any(axis=1)

    def on(images: Array) -> Redrawn:
        if exclusive:
            mine = right[images]
            return lambda drawn: {"accuracy": float(mine[drawn].mean())}
        ranked = of_scores(scores[images], actual[images])
        return lambda drawn: {"macro_average_precision": ranked(drawn)[0]}

    return on


def recalls(actual: Array, predicted: Array, names: Sequence[str]) -> Redrawn:
    """The recall of each concept on redrawn images; nan where none of them has it."""
    hits, labelled = ((matrix).astype(np.float64) for matrix in (actual & predicted, actual))

    def numbers(images: Array) -> dict[str, float]:
        weights = np.bincount(images, minlength=len(actual)).astype(np.float64)
        right, there = weights @ hits, weights @ labelled
        with np.errstate(invalid="ignore"):
            return dict(zip(names, (right / there).tolist(), strict=True))

    return numbers


def mean_scores(actual: Array, scores: Array) -> Array:
    """(C, C) float64: of the images of each actual concept (row) the mean score of each concept; nan where none is."""
    there = actual.sum(axis=0)[:, None]
    with np.errstate(invalid="ignore"):
        return actual.T.astype(np.float64) @ scores.astype(np.float64) / there


def _log_losses(actual: Array, scores: Array, exclusive: bool) -> Array:
    """(N,) float64: −log of the score that the truth got, scores kept off 0 by float64's epsilon as scikit-learn does.

    Exclusive: a row's scores are first made to sum to 1. Otherwise the mean over the concepts.
    """
    wide = scores.astype(np.float64)
    if exclusive:
        wide = wide / np.maximum(wide.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    given = wide[actual][:, None] if exclusive else np.where(actual, wide, 1 - wide)
    return -np.log(given.clip(np.finfo(np.float64).eps)).mean(axis=1)


def _mean_ratio(parts: Array, wholes: Array) -> float:
    """The mean of the ratios that have something to divide by."""
    there = wholes > 0
    return float((parts[there] / wholes[there]).mean()) if there.any() else math.nan
