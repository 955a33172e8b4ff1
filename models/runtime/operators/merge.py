"""What several detectors found in one picture, made one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ..faults import Fault
from ..predictions import Array, Regions
from .filter import surest_first
from .operator import Fraction, Operator, Port
from .overlaps import overlaps


class RegionMerge(Operator):
    """Make one set of regions of several detectors' (or of one's on a picture and its mirror), surest first.

    Concepts are those of all, in order, and are merged each by itself; further columns are left out.
    weighted-box-fusion: Solovyev, Wang, Gabruseva 2021, arXiv 1910.13302. nms: of those that overlap the surest stays.
    """

    takes: ClassVar[dict[str, Port]] = {"found": Port(("regions",), many=True)}
    gives: ClassVar[str] = "regions"

    method: Literal["weighted-box-fusion", "nms"] = "weighted-box-fusion"
    """Fusion means over the boxes of a thing, each by its score; nms takes the surest as it is."""
    iou: Fraction = 0.55
    """Regions with more than this of their union in common are the same thing."""
    least: Fraction = 0.0
    """Regions with a smaller score are left out before."""
    weights: tuple[Annotated[float, Field(gt=0, le=1000)], ...] = ()
    """How much each input's scores count beside the others', in their order; none: all the same."""
    agreement: bool = True
    """In fusion: whether what only some of the inputs that know a concept have found gets a lower score for it."""

    def misfits(self, connected: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        return self._misfits(len(connected.get("found", ())))

    def __call__(self, found: Sequence[Regions]) -> Regions:
        for wrong in self._misfits(len(found)):
            raise Fault(f"region-merge: {wrong}.")
        weights = self.weights or (1.0,) * len(found)
        concepts = tuple(dict.fromkeys(name for each in found for name in each.concepts))
        merge = _fused if self.method == "weighted-box-fusion" else _suppressed
        merged = []
        for name in concepts:
            knowing = [(each, weight) for each, weight in zip(found, weights, strict=True) if name in each.concepts]
            listed = _Listed.of([(self._of(each, name), weight) for each, weight in knowing])
            total = sum(weight for _, weight in knowing) if self.agreement else None
            merged.append(merge(listed, self.iou, total))
        boxes = [np.zeros((0, 4)), *(boxes for boxes, _ in merged)]
        scores = [np.zeros(0), *(scores for _, scores in merged)]
        labels = np.repeat(np.arange(len(concepts)), [len(scores) for _, scores in merged]).astype(np.int64)
        shares = np.concatenate(scores).astype(np.float32).clip(0, 1)
        return surest_first(Regions(np.concatenate(boxes), shares, labels, concepts))

    def _misfits(self, inputs: int) -> tuple[str, ...]:
        count = len(self.weights)
        if count in (0, inputs):
            return ()
        told = f"{count} weight{'s' * (count != 1)} for {inputs} input{'s' * (inputs != 1)}"
        return (f"{told}. Give one for each input, or none",)

    def _of(self, found: Regions, name: str) -> Regions:
        one = found.labels == found.concepts.index(name)
        return found[one & (found.scores >= np.float32(self.least))]


@dataclass(frozen=True, slots=True, eq=False)
class _Listed:
    """All inputs' regions of one concept, those that count most first.

    boxes: (N, 4).  scores: (N,).  weights: (N,), each its input's.
    """

    boxes: Array
    scores: Array
    weights: Array

    @classmethod
    def of(cls, found: Sequence[tuple[Regions, float]]) -> _Listed:
        boxes = np.concatenate([each.boxes for each, _ in found])
        scores = np.concatenate([each.scores for each, _ in found]).astype(np.float64)
        weights = np.repeat([weight for _, weight in found], [len(each) for each, _ in found])
        order = np.argsort(-scores * weights, kind="stable")
        return cls(boxes[order], scores[order], weights[order])


def _suppressed(listed: _Listed, iou: float, total: float | None) -> tuple[Array, Array]:
    """Boxes and scores that no box before them overlaps by more."""
    kept: list[int] = []
    for i, box in enumerate(listed.boxes):
        if not (overlaps(box, listed.boxes[kept]) > iou).any():
            kept.append(i)
    return listed.boxes[kept], listed.scores[kept]


def _fused(listed: _Listed, iou: float, total: float | None) -> tuple[Array, Array]:
    """One box and score for each cluster of boxes.

    A box joins the cluster whose mean so far it overlaps most, if by more than `iou`. The mean is weighted by
    scores; the cluster's score is the mean of scores times min(T, N) / N, T boxes in it, N inputs. With weights
    a box counts as much as its input's, which is the paper's formula where all are 1. total: their sum over the
    inputs, N; None leaves the factor away.
    """
    means = np.zeros((0, 4))
    clusters: list[list[int]] = []
    counts = listed.scores * listed.weights
    for i, box in enumerate(listed.boxes):
        near = overlaps(box, means)
        best = int(near.argmax()) if len(near) else 0
        if len(near) and near[best] > iou:
            clusters[best].append(i)
            means[best] = _mean(listed.boxes[clusters[best]], counts[clusters[best]])
        else:
            clusters.append([i])
            means = np.concatenate([means, box[None]])
    scores = np.array([_mean(listed.scores[each], listed.weights[each]) for each in clusters])
    if total is not None:
        scores *= np.array([min(listed.weights[each].sum(), total) / total for each in clusters])
    return means, scores


def _mean(values: Array, weights: Array) -> Array:
    """Weighted, over rows; the plain one where no weight is more than 0."""
    return np.average(values, axis=0, weights=weights if weights.any() else None)
