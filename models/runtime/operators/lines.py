"""The operator that counts objects which cross a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from ..faults import Fault
from ..predictions import Regions
from .findings import Counts
from .operator import IMAGE, Names, Operator, Port
from .views import View

WAYS = ("in", "out")
Point = Sequence[float]  # x, y


class LineCounter(Operator):
    """Count the objects that crossed a line so far, each way."""

    takes: ClassVar[dict[str, Port]] = {"image": IMAGE, "frames": Port(("frames",))}
    gives: ClassVar[str] = "count"
    in_order: ClassVar[bool] = True

    line: tuple[float, float, float, float] = (0.0, 0.5, 1.0, 0.5)
    """x0, y0, x1, y1. In is from its right to its left, seen from its first end: upwards, if it runs left to right."""
    unit: Literal["fraction", "pixels"] = "fraction"
    """Whether the line is in fractions of the picture's width and height, 0 to 1, or in pixels."""
    anchor: Literal["middle", "bottom"] = "middle"
    """The point of a region that must cross: its middle, or the middle of its lower side, where it stands."""
    settled: Annotated[int, Field(ge=1, le=1000)] = 1
    """Frames in a row in which an object must be seen beyond the line before it counts: more, if boxes tremble."""
    per_concept: bool = True
    """Count each concept by itself, as `car in` and `car out`; off, all together as `in` and `out`."""

    @model_validator(mode="after")
    def _is_a_line(self) -> LineCounter:
        if not np.isfinite(self.line).all() or self.line[:2] == self.line[2:]:
            raise ValueError(f"line must run between two points, x0, y0, x1, y1, got {list(self.line)}")
        if self.unit == "fraction" and not all(0 <= value <= 1 for value in self.line):
            raise ValueError(f"line must lie in 0 to 1, got {list(self.line)}. In pixels? Then set unit: pixels")
        return self

    def started(self) -> Callable[..., Counts]:
        """What counts the crossings of one video."""
        return Crossings(self)

    def concepts(self, given: Mapping[str, Names]) -> Names:
        """`in` and `out`, or both of each concept of the frames."""
        return self.ways(given["frames"])

    def ways(self, names: Names) -> Names:
        """What is counted, for frames of these concepts."""
        return tuple(f"{name} {way}" for name in names for way in WAYS) if self.per_concept else WAYS


@dataclass(slots=True)
class Course:
    """Where an object has been of late.

    side: of the line, the one it is taken to be on; True is left.  point: (x, y), its last one there.
    beyond: frames in a row that it was seen on the other side.  through: whether its way there crossed the line itself,
    and did not pass beside it.
    """

    side: bool
    point: Point
    beyond: int = 0
    through: bool = False


class Crossings:
    """One video's crossings: called with its frames in their order, it answers each with the counts so far.

    An object crosses where the straight way between two places at which it was seen cuts the line between its ends, be
    there frames between in which it was not seen. (supervision's LineZone, of which this is the rule for one anchor,
    forgets an object after two such frames, and with it crossings behind a lamp post.)
    """

    def __init__(self, how: LineCounter) -> None:
        self.how = how
        self.courses: dict[int, Course] = {}  # by track_id
        self.counts: dict[str, int] = {}

    def __call__(self, *, image: View, frames: Regions, time_ms: float | None = None) -> Counts:
        """The counts up to this frame; each crossing under the concept that the object has when it is counted."""
        if "track_id" not in frames.more:
            raise Fault("line-counter: its frames have no track_id. Connect it to a tracker: byte-track, sort, ….")
        line = np.array(self.how.line).reshape(2, 2)
        if self.how.unit == "fraction":
            line = line * image.size
        y = frames.boxes[:, 3] if self.how.anchor == "bottom" else frames.boxes[:, 1::2].mean(axis=1)
        points = np.column_stack([frames.boxes[:, ::2].mean(axis=1), y])
        ids, labels = frames.more["track_id"].tolist(), frames.labels.tolist()
        for one, point, label in zip(ids, points.tolist(), labels, strict=True):
            way = self._crossed(one, point, line.tolist()) if one >= 0 else None
            if way:
                name = f"{frames.concepts[label]} {way}" if self.how.per_concept else way
                self.counts[name] = self.counts.get(name, 0) + 1
        names = self.how.ways(frames.concepts)
        return Counts(np.array([self.counts.get(name, 0) for name in names], np.int64), names)

    def _crossed(self, one: int, point: Point, line: Sequence[Point]) -> str | None:
        """Which way an object crossed with this frame, if it did."""
        left = _turn(line[0], line[1], point) < 0
        course = self.courses.setdefault(one, Course(left, point))
        if left == course.side:
            course.point, course.beyond = point, 0
            return None
        if not course.beyond:
            ends = [_turn(course.point, point, end) for end in line]
            course.through = bool(min(ends) <= 0 <= max(ends))
        course.beyond += 1
        if course.beyond < self.how.settled:
            return None
        course.side, course.point, course.beyond = left, point, 0
        if not course.through:
            return None
        return "in" if left else "out"


def _turn(start: Point, end: Point, point: Point) -> float:
    """The cross product of end - start and point - start: below 0 where the point lies left, as y points down."""
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])
