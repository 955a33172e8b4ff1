"""Operators that leave out: by score, by concept, by overlap, by rank, by chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import BeforeValidator, Field
from torchvision.ops import batched_nms

from ..predictions import Array, Concepts, Regions
from .operator import FOUND, REGIONS, Fraction, Names, Operator, Port
from .views import Views

PASSES = {">": np.greater, ">=": np.greater_equal, "=": np.equal, "<=": np.less_equal, "<": np.less}
# The hosted platform's words for the same.
PLATFORM = {
    "GREATER_THAN": ">",
    "GREATER_THAN_OR_EQUAL": ">=",
    "EQUAL": "=",
    "LESS_THAN_OR_EQUAL": "<=",
    "LESS_THAN": "<",
}
Comparison = Annotated[
    Literal[">", ">=", "=", "<=", "<"],
    BeforeValidator(lambda given: PLATFORM.get(given, given) if isinstance(given, str) else given),
]


class Thresholder(Operator):
    """What the two thresholders share: a threshold for all concepts, others for some."""

    threshold: Fraction = 0.5
    """What a score is compared with, for concepts without a threshold of their own."""
    thresholds: dict[str, Fraction] = Field(default_factory=dict)
    """Thresholds of single concepts, by name."""
    type: Comparison = ">="
    """How a score that passes compares with its threshold."""
    rest: Literal["compare", "drop"] = "compare"
    """Whether concepts without a threshold of their own are compared with `threshold`, or fail whatever their score."""

    def named(self) -> Names:
        return tuple(self.thresholds)

    def passes(self, scores: Array, names: Names) -> Array:
        """A mask of (N,) float32 scores, each of the concept `names[i]`.

        Thresholds are made float32 first: .3 as a score and .3 as a threshold are then equal.
        """
        limits = np.array([self.thresholds.get(name, self.threshold) for name in names], np.float32)
        known = np.array([self.rest == "compare" or name in self.thresholds for name in names], bool)
        return PASSES[self.type](scores, limits) & known


class ConceptThresholder(Thresholder):
    """Set the scores of concepts that fail to 0; the names stay, as every picture has the same."""

    takes: ClassVar[dict[str, Port]] = {"concepts": Port(("concepts",))}
    gives: ClassVar[str] = "concepts"

    def __call__(self, concepts: Concepts) -> Concepts:
        passing = self.passes(concepts.scores, concepts.concepts)
        return replace(concepts, scores=np.where(passing, concepts.scores, np.float32(0)))


class RegionThresholder(Thresholder):
    """Drop the regions whose score fails."""

    takes: ClassVar[dict[str, Port]] = {"regions": REGIONS}
    gives: ClassVar[str] = "regions"

    def __call__(self, regions: Regions) -> Regions:
        return regions[self.passes(regions.scores, tuple(regions.concepts[label] for label in regions.labels))]


class SelectConcepts(Operator):
    """Keep some concepts only, or drop them; scores stay as they are."""

    takes: ClassVar[dict[str, Port]] = {"found": FOUND}
    gives: ClassVar[str] = "found"

    names: Names = ()
    """The concepts; none named: all stay."""
    keep: bool = True
    """Whether these are kept, or all others."""

    def named(self) -> Names:
        return self.names

    def concepts(self, given: Mapping[str, Names]) -> Names:
        every = super().concepts(given)
        return tuple(name for name in every if not self.names or (name in self.names) == self.keep)

    def __call__(self, found: Concepts | Regions) -> Concepts | Regions:
        picked = self.concepts({"found": found.concepts})
        columns = np.array([found.concepts.index(name) for name in picked], np.int64)
        if isinstance(found, Concepts):
            return Concepts(found.scores[columns], picked)
        became = np.full(len(found.concepts), -1, np.int64)
        became[columns] = np.arange(len(columns))
        return relabelled(found, became, picked, lambda scores: scores[:, columns])


class NonMaxSuppression(Operator):
    """Of regions that overlap keep the surest; they come surest first."""

    takes: ClassVar[dict[str, Port]] = {"regions": REGIONS}
    gives: ClassVar[str] = "regions"

    iou: Fraction = 0.5
    """Two regions with more than this of their union in common are the same thing."""
    across_concepts: bool = False
    """Whether regions of different concepts compete, too."""

    def __call__(self, regions: Regions) -> Regions:
        groups = np.zeros_like(regions.labels) if self.across_concepts else regions.labels
        boxes, scores, ids = map(torch.tensor, (regions.boxes, regions.scores.astype(np.float64), groups))
        kept = batched_nms(boxes, scores, ids, self.iou).numpy()
        return surest_first(regions[np.sort(kept)])  # sorted: equals in their order, whatever way torchvision took


class TopK(Operator):
    """Keep the surest: so many regions, surest first, or so many concepts, the others' scores 0."""

    takes: ClassVar[dict[str, Port]] = {"found": FOUND}
    gives: ClassVar[str] = "found"

    k: Annotated[int, Field(ge=1, le=1000)] = 5
    """How many at most; of equals the first."""
    per_concept: bool = False
    """Of regions: whether so many of each concept, not of all together."""

    def __call__(self, found: Concepts | Regions) -> Concepts | Regions:
        if isinstance(found, Concepts):
            scores = np.zeros_like(found.scores)
            best = np.argsort(-found.scores, kind="stable")[: self.k]
            scores[best] = found.scores[best]
            return replace(found, scores=scores)
        ordered = surest_first(found)
        if not self.per_concept:
            return ordered[: self.k]
        places = [np.flatnonzero(ordered.labels == label)[: self.k] for label in range(len(found.concepts))]
        return ordered[np.sort(np.concatenate([np.zeros(0, np.int64), *places]))]


class RandomSample(Operator):
    """Keep a random share of regions or crops, or of whole answers on pictures (their scores 0 otherwise).

    Each is drawn by itself, from its own content and the seed: it is the same sample in any order and after a restart,
    and a smaller fraction's is part of a larger one's.
    """

    takes: ClassVar[dict[str, Port]] = {"found": Port(("concepts", "regions", "images"))}
    gives: ClassVar[str] = "found"
    picks: ClassVar[bool] = True

    keep_fraction: Fraction = 0.5
    """The chance of each to be kept."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """Another seed draws another sample."""

    def __call__(self, found: Concepts | Regions | Views) -> Concepts | Regions | Views:
        if isinstance(found, Concepts):
            kept = self._kept(repr(found.concepts).encode(), found.scores.tobytes())
            return found if kept else replace(found, scores=np.zeros_like(found.scores))
        if isinstance(found, Views):
            pixels = [view.image.tobytes() for view in found.views]
            rows = zip(_rows(found.regions), pixels, strict=True)
            return found[np.array([self._kept(row, shown) for row, shown in rows], bool)]
        return found[np.array([self._kept(row) for row in _rows(found)], bool)]

    def _kept(self, *content: bytes) -> bool:
        drawn = blake2b(b"".join(content), digest_size=8, key=self.seed.to_bytes(8, "little")).digest()
        return int.from_bytes(drawn, "little") < self.keep_fraction * 2**64


def _rows(regions: Regions) -> list[bytes]:
    """What each region is, as bytes: its box, score and concept."""
    return [
        box.tobytes() + score.tobytes() + regions.concepts[label].encode()
        for box, score, label in zip(regions.boxes, regions.scores, regions.labels, strict=True)
    ]


def surest_first(regions: Regions) -> Regions:
    """By score; equals in their order."""
    return regions[np.argsort(-regions.scores, kind="stable")]


def relabelled(regions: Regions, became: Array, concepts: Names, columns: Any) -> Regions:
    """Regions of other concepts, without those that have none now.

    became: (C,) int64, the new label of each old one, or -1.  columns: from (N, C) `concept_scores` to those of the
    new concepts.
    """
    labels = became[regions.labels]
    stay = labels >= 0
    more = dict(regions[stay].more)
    if "concept_scores" in more:
        more["concept_scores"] = columns(more["concept_scores"])
    return Regions(regions.boxes[stay], regions.scores[stay], labels[stay], concepts, more)
