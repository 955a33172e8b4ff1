"""Operators that make one answer of several: counts, votes of models, of crops and of frames, a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ..faults import Fault
from ..predictions import Array, Concepts, Regions
from .findings import Counts, Text
from .operator import REGIONS, Fraction, Names, Operator, Port

Method = Literal["mean", "majority", "max"]  # how several answers become one


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

    method: Method = "mean"
    """The mean of scores over those who know the concept; the share of voters whose best it is; the highest score."""

    def __call__(self, found: Sequence[Concepts | Regions]) -> Concepts:
        names = _union(found)
        sums, known = np.zeros(len(names)), np.zeros(len(names))
        for each in found:
            ballots = _ballots(each, self.method)
            ballots = ballots[ballots.any(axis=1)]
            columns = np.array([names.index(name) for name in each.concepts], np.int64)
            if self.method == "max":
                sums[columns] = np.maximum(sums[columns], ballots.max(axis=0, initial=0))
                continue
            sums[columns] += ballots.sum(axis=0)
            known[columns if self.method == "mean" else slice(None)] += len(ballots)
        total = sums if self.method == "max" else np.divide(sums, known, out=np.zeros_like(sums), where=known > 0)
        return Concepts(total.astype(np.float32).clip(0, 1), names)


class TrackVote(Operator):
    """Give each object that is followed the concept that its frames so far say together.

    A region with an id gets the concept and the score that the votes for the object come to, this frame's among them;
    boxes, order and regions without an id stay as they are. A frame whose scores are all 0 has no say. Of concepts with
    equal votes the first in order.
    """

    takes: ClassVar[dict[str, Port]] = {"frames": Port(("frames",))}
    gives: ClassVar[str] = "frames"
    in_order: ClassVar[bool] = True

    method: Method = "mean"
    """The mean of the object's scores; the share of its frames whose best it is; the highest score of any."""
    weight: Literal["same", "score", "area"] = "same"
    """How much a frame counts in mean and majority: as much as any, by its region's score, or by its region's area."""

    def started(self) -> Votes:
        """What counts the votes of one video."""
        return Votes(self)


class Votes:
    """One video's votes: called with its frames in their order, it answers each by all up to it.

    What it keeps of an object are sums, as long as the video lasts: a number for each concept, however many frames.
    """

    def __init__(self, how: TrackVote) -> None:
        self.how = how
        self.sums: dict[int, Array] = {}  # by track_id, (C,) float64: of weighted ballots, or the highest of each
        self.weights: dict[int, float] = {}

    def __call__(self, *, frames: Regions, time_ms: float | None = None) -> Regions:
        """The regions of the next frame, each with the concept of its object. Raises Fault if it has no `track_id`."""
        if "track_id" not in frames.more:
            raise Fault("track-vote: its frames have no track_id. Connect it to a tracker: byte-track, sort, ….")
        ids = frames.more["track_id"].tolist()
        for one, ballot, weight in zip(ids, _ballots(frames, self.how.method), self._weights(frames), strict=True):
            if one >= 0 and weight > 0 and ballot.any():
                self._count(one, ballot, float(weight))
        scores, labels, more = frames.scores.copy(), frames.labels.copy(), dict(frames.more)
        if "concept_scores" in more:
            more["concept_scores"] = more["concept_scores"].copy()
        for row, one in enumerate(ids):
            if one in self.sums:
                share = self.sums[one] if self.how.method == "max" else self.sums[one] / self.weights[one]
                labels[row], scores[row] = share.argmax(), share.max().clip(0, 1)
                if "concept_scores" in more:
                    more["concept_scores"][row] = share.clip(0, 1)
        return Regions(frames.boxes, scores, labels, frames.concepts, more)

    def _weights(self, frames: Regions) -> Array:
        """(N,) float64: how much the row of each region counts; the highest score is that however sure or near."""
        if self.how.weight == "same" or self.how.method == "max":
            return np.ones(len(frames))
        if self.how.weight == "score":
            return frames.scores.astype(np.float64)
        return (frames.boxes[:, 2:] - frames.boxes[:, :2]).clip(0).prod(axis=1)

    def _count(self, one: int, ballot: Array, weight: float) -> None:
        before = self.sums.get(one, np.zeros_like(ballot))
        self.sums[one] = np.maximum(before, ballot) if self.how.method == "max" else before + weight * ballot
        self.weights[one] = self.weights.get(one, 0.0) + weight


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


def _ballots(found: Concepts | Regions, method: Method) -> Array:
    """(voters, C) float64: the scores that each gives, or in a majority 1 for its best."""
    if isinstance(found, Concepts):
        scores, best = found.scores[None].astype(np.float64), found.scores[None].argmax(axis=1)
    else:
        rows, best = np.arange(len(found)), found.labels
        scores = np.zeros((len(found), len(found.concepts)))
        scores[rows, best] = found.scores
        if method != "majority":
            scores = np.asarray(found.more.get("concept_scores", scores), np.float64)
    if method != "majority":
        return scores
    said = np.arange(len(found.concepts)) == best[:, None]
    return said * (scores > 0).any(axis=1, keepdims=True).astype(np.float64)
