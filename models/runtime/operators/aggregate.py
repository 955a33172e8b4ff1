"""Operators that make one answer of several: counts, votes, a text, the regions of several detectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ..predictions import Array, Concepts, Regions
from .findings import Counts, Text
from .operator import REGIONS, Fraction, Names, Operator, Port


class ObjectCounter(Operator):
    """Count the regions of each concept."""

    takes: ClassVar[dict[str, Port]] = {"regions": REGIONS}
    gives: ClassVar[str] = "count"

    names: Names = ()
    """The concepts to count; none named: all."""
    threshold: Fraction = 0.0
    """Regions with a smaller score are not counted."""

    def named(self) -> Names:
        return self.names

    def concepts(self, given: Mapping[str, Names]) -> Names:
        return tuple(name for name in super().concepts(given) if not self.names or name in self.names)

    def __call__(self, regions: Regions) -> Counts:
        counted = regions.labels[regions.scores >= np.float32(self.threshold)]
        names = self.concepts({"regions": regions.concepts})
        counts = [np.count_nonzero(counted == regions.concepts.index(name)) for name in names]
        return Counts(np.array(counts, np.int64), names)


class Vote(Operator):
    """Make one answer of several: of several models' on a picture, or of one model's on several crops.

    Each connected answer of concepts is a voter, and each region; one whose scores are all 0 has no say. No voter: all
    scores are 0. Of concepts with equal votes the first in order is `best`.
    """

    takes: ClassVar[dict[str, Port]] = {"found": Port(("concepts", "regions"), many=True)}
    gives: ClassVar[str] = "concepts"

    method: Literal["mean", "majority", "max"] = "mean"
    """The mean of scores over those who know the concept; the share of voters whose best it is; the highest score."""

    def __call__(self, found: Sequence[Concepts | Regions]) -> Concepts:
        names = _union(found)
        sums, known = np.zeros(len(names)), np.zeros(len(names))
        for each in found:
            ballots = self._ballots(each)
            ballots = ballots[ballots.any(axis=1)]
            columns = np.array([names.index(name) for name in each.concepts], np.int64)
            if self.method == "max":
                sums[columns] = np.maximum(sums[columns], ballots.max(axis=0, initial=0))
                continue
            sums[columns] += ballots.sum(axis=0)
            known[columns if self.method == "mean" else slice(None)] += len(ballots)
        total = sums if self.method == "max" else np.divide(sums, known, out=np.zeros_like(sums), where=known > 0)
        return Concepts(total.astype(np.float32).clip(0, 1), names)

    def _ballots(self, found: Concepts | Regions) -> Array:
        """(voters, C) float64: the scores that each gives, or 1 for its best."""
        if isinstance(found, Concepts):
            scores, best = found.scores[None].astype(np.float64), found.scores[None].argmax(axis=1)
        else:
            rows, best = np.arange(len(found)), found.labels
            scores = np.zeros((len(found), len(found.concepts)))
            scores[rows, best] = found.scores
            if self.method != "majority":
                scores = np.asarray(found.more.get("concept_scores", scores), np.float64)
        if self.method != "majority":
            return scores
        said = np.arange(len(found.concepts)) == best[:, None]
        return said * (scores > 0).any(axis=1, keepdims=True).astype(np.float64)


class ReadingOrder(Operator):
    """Read regions as text: line by line from above, each from left to right, their concepts joined."""

    takes: ClassVar[dict[str, Port]] = {"regions": REGIONS}
    gives: ClassVar[str] = "text"

    separator: Annotated[str, Field(max_length=16)] = ""
    """What stands between the concepts of a line."""
    line_separator: Annotated[str, Field(max_length=16)] = "\n"
    """What stands between two lines."""
    overlap: Fraction = 0.5
    """By more than this share of the lower one's height two neighbours overlap that stand on one line."""

    def __call__(self, regions: Regions) -> Text:
        names = [[regions.concepts[regions.labels[i]] for i in line] for line in self._lines(regions.boxes)]
        return Text(self.line_separator.join(map(self.separator.join, names)))

    def _lines(self, boxes: Array) -> list[list[int]]:
        """The rows of (N, 4) boxes line by line. Each joins the line whose rightmost one it is most level with.

        Only neighbours are compared, so that a line may slope.
        """
        middles = boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]
        lines: list[list[int]] = []
        for i in np.lexsort((middles[1], middles[0])):
            ends = boxes[[line[-1] for line in lines]]
            shared = np.minimum(boxes[i, 3], ends[:, 3]) - np.maximum(boxes[i, 1], ends[:, 1])
            lower = np.minimum(boxes[i, 3] - boxes[i, 1], ends[:, 3] - ends[:, 1])
            level = shared / lower.clip(1e-9)
            if len(level) and level.max() > self.overlap:
                lines[int(level.argmax())].append(int(i))
            else:
                lines.append([int(i)])
        return sorted(lines, key=lambda line: float(middles[1][line].mean()))


def _union(found: Sequence[Concepts | Regions]) -> Names:
    """The concepts of all, in order."""
    return tuple(dict.fromkeys(name for each in found for name in each.concepts))
