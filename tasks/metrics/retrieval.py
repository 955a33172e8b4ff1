"""How good an embedder is: whether the pictures nearest to one are of its concept, each picture asked once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from models.runtime.faults import Fault
from tasks.data.annotations import Annotation
from tasks.metrics.interval import Draws, OnImages, Redrawn, bootstrap, bounds

Array = np.ndarray
AT = (1, 5, 10)
CURVE = 20  # recall is drawn for the nearest 1 to 20
SHOWN = 5  # nearest pictures that a sheet shows
CELLS = 4_000_000  # similarities held at once: 16 MB, and as many indexes


@dataclass(frozen=True, slots=True, eq=False)
class RetrievalReport:
    """What was measured of an embedder on a set of images. Fractions 0–1; nan is undefined.

    Each image is asked for the nearest of all others, by cosine; one is right that shares a concept with it.
    Of images with the same bytes the first alone takes part: to find a copy is no merit.
    concepts: those the images have, sorted.  summary: recall_1, recall_5, recall_10 (a right one among so many),
    map_r (MAP@R, Musgrave 2020), each with an interval, `…_low` and `…_high`, and counts.
    per_concept: one row a concept.  recalls: (CURVE,) float64, recall at 1 to CURVE.
    asked: (Q,) int64, indexes of the images asked.  nearest: (Q, SHOWN) int64, indexes of the images nearest to
    each, -1 where there are fewer.  right: (Q, SHOWN) bool.  precision: (Q,) float64, each's average precision at R.
    draws: the numbers in each round of the bootstrap that the bounds are of, of those asked; headline_on: the headline
    of some of them; by_concept: recall@1 of each concept on redrawn ones.
    images: how many were asked.  notes: what a reader must know to read the numbers right.
    """

    task: ClassVar[str] = "retrieval"
    headline: ClassVar[str] = "recall_1"
    concept_metric: ClassVar[str] = "Recall@1"
    counted_from: ClassVar[float | None] = None

    concepts: tuple[str, ...]
    summary: dict[str, float]
    per_concept: tuple[dict[str, Any], ...]
    recalls: Array
    asked: Array
    nearest: Array
    right: Array
    precision: Array
    draws: Draws
    headline_on: OnImages
    by_concept: Redrawn
    images: int
    notes: tuple[str, ...] = ()

    @property
    def conditions(self) -> str:
        """What the headline is measured on, beside the number of images."""
        return ", each among all others"

    @property
    def details(self) -> dict[str, Any]:
        """What else report.json holds."""
        return {"recalls": self.recalls.tolist()}


def retrieval(annotations: Sequence[Annotation], vectors: Array) -> RetrievalReport:
    """Measure vectors (N, D) float32 of length 1 of N annotated images.

    R of an image is how many others share a concept with it; its average precision at R is the mean, over the R
    nearest, of the precision up to each that is right (Musgrave, "A Metric Learning Reality Check", 2020).
    Exact, and a block of images at a time.  Raises Fault where no two images share a concept.
    """
    if vectors.shape != (len(annotations), *vectors.shape[1:]) or vectors.dtype != np.float32:
        raise ValueError(f"vectors must be ({len(annotations)}, D) float32, got {vectors.shape} {vectors.dtype.name}")
    names = tuple(sorted({name for entry in annotations for name in entry.concepts}))
    has = [name in entry.concepts for entry in annotations for name in names]
    actual = np.array(has, bool).reshape(len(annotations), len(names))
    labelled = np.flatnonzero(actual.any(axis=1))
    first = {annotations[i].sha256: i for i in labelled[::-1]}
    gallery = np.sort(np.fromiter(first.values(), np.int64))
    alone = [name for name, count in zip(names, actual[gallery].sum(axis=0), strict=True) if count == 1]
    hits, nearest, right, precision = _ranked(vectors[gallery], actual[gallery])
    asked = ~np.isnan(precision)
    if not asked.any():
        raise Fault(
            f"there is nothing to recall: no two of the {len(annotations)} images share a concept and are no copies of "
            "each other. Measure on a split with two or more images of some concept."
        )
    where = np.where(nearest >= 0, gallery[nearest], -1)
    hits, precision = hits[asked], precision[asked]
    draws = bootstrap(redrawn := _redrawn(hits, precision), len(hits))
    return RetrievalReport(
        concepts=names,
        summary={
            **redrawn(np.arange(len(hits))),
            **bounds(draws),
            "images": len(hits),
            "gallery": len(gallery),
        },
        per_concept=tuple(_row(name, actual[gallery[asked], i], hits, precision) for i, name in enumerate(names)),
        recalls=hits.mean(axis=0),
        asked=gallery[asked],
        nearest=where[asked],
        right=right[asked],
        precision=precision,
        draws=draws,
        headline_on=lambda images: lambda drawn: {"recall_1": float(hits[images[drawn], 0].mean())},
        by_concept=_by_concept(actual[gallery[asked]], hits, names),
        images=int(asked.sum()),
        notes=_notes(alone, names, len(annotations) - len(labelled), len(labelled) - len(gallery)),
    )


def _ranked(vectors: Array, actual: Array) -> tuple[Array, Array, Array, Array]:
    """Of each image: whether a right one is among the nearest 1 to CURVE (N, CURVE), the SHOWN nearest and whether
    they are right, and the average precision at R, nan where no other image is right."""
    count = len(vectors)
    hits, precision = np.zeros((count, CURVE), bool), np.full(count, math.nan)
    nearest, right = np.full((count, SHOWN), -1), np.zeros((count, SHOWN), bool)
    labels = actual.astype(np.float32)
    block = max(1, CELLS // max(1, count))
    for start in range(0, count, block):
        rows = np.arange(start, min(start + block, count))
        similar = vectors[rows] @ vectors.T
        similar[rows - start, rows] = -np.inf  # itself: it comes last, and is left out
        order = np.argsort(-similar, axis=1, kind="stable")[:, : count - 1]
        good = np.take_along_axis(labels[rows] @ labels.T > 0, order, axis=1)
        precision[rows] = _precision_at_r(good)
        first = min(CURVE, count - 1)
        hits[rows, :first] = np.logical_or.accumulate(good[:, :first], axis=1)
        hits[rows, first:] = hits[rows, first - 1 : first] if first else False
        shown = min(SHOWN, count - 1)
        nearest[rows, :shown] = order[:, :shown]
        right[rows, :shown] = good[:, :shown]
    return hits, nearest, right, precision


def _precision_at_r(good: Array) -> Array:
    """(B,) float64: the average precision at R of rankings (B, N) bool, R the number of right ones in each."""
    wanted = good.sum(axis=1)
    places = np.arange(1, good.shape[1] + 1)
    gained = np.where(good & (places <= wanted[:, None]), good.cumsum(axis=1) / places, 0).sum(axis=1)
    return np.where(wanted > 0, gained / np.maximum(wanted, 1), math.nan)


def _redrawn(hits: Array, precision: Array) -> Redrawn:
    """The numbers of the whole on redrawn images asked, the gallery as it is."""

    def numbers(asked: Array) -> dict[str, float]:
        found = {f"recall_{at}": float(hits[asked, at - 1].mean()) for at in AT}
        return found | {"map_r": float(precision[asked].mean())}

    return numbers


def _by_concept(actual: Array, hits: Array, names: Sequence[str]) -> Redrawn:
    """Recall@1 of each concept's images on redrawn ones; nan where none is asked."""

    def numbers(asked: Array) -> dict[str, float]:
        there = actual[asked].sum(axis=0)
        with np.errstate(invalid="ignore"):
            return dict(zip(names, ((actual[asked] & hits[asked, :1]).sum(axis=0) / there).tolist(), strict=True))

    return numbers


def _row(name: str, of_it: Array, hits: Array, precision: Array) -> dict[str, Any]:
    """One concept's line, of its images that could be recalled."""
    asked = int(of_it.sum())
    recalls = {f"Recall@{at}": float(hits[of_it, at - 1].mean()) if asked else math.nan for at in AT}
    return {
        "Concept": name,
        "Total Labeled": asked,
        **recalls,
        "MAP@R": float(precision[of_it].mean()) if asked else math.nan,
    }


def _notes(alone: Sequence[str], names: Sequence[str], unlabelled: int, copies: int) -> tuple[str, ...]:
    """One sentence for each way in which a number is not what it seems."""
    notes = []
    if alone:
        notes.append(f"a single image has {', '.join(map(repr, alone))}: no other can be near it for that")
    if len(names) == 1:
        notes.append(f"every image has {names[0]!r}: whatever is nearest is right, and the numbers say nothing")
    if copies:
        notes.append(f"{copies} images are copies, byte for byte, of others and are left out")
    if unlabelled:
        notes.append(f"{unlabelled} images have no concept and are left out")
    return tuple(notes)
