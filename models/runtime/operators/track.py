"""Operators that give regions of frames an id which an object keeps from frame to frame.

Whatever follows the objects, the regions come out as they went in, in their order, their boxes untouched (the library
reorders rows, and a filter's own box is never given out), with one column more: `track_id` int64, 1, 2, 3, … in the
order in which objects become sure, -1 for what is not sure of any. Ids begin anew with each video.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from ..faults import Fault
from ..predictions import Array, Regions
from .operator import REGIONS, Fraction, Operator, Port

# A frame's boxes (N, 4), scores (N,), seconds or None → an id for each row, from 0 on, -1 where it is not sure of one.
Follower = Callable[[Array, Array, float | None], Array]
RATE = 30  # a second: what `max_disappeared` counts, as the library does


class Tracker(Operator):
    """Follow objects from frame to frame."""

    takes: ClassVar[dict[str, Port]] = {"regions": REGIONS}
    gives: ClassVar[str] = "frames"
    in_order: ClassVar[bool] = True

    min_confidence: Fraction = 0.0
    """Regions with a lower score are not followed: their id stays -1."""
    min_visible_frames: Annotated[int, Field(ge=1, le=1000)] = 3
    """Frames in a row in which an object must be seen before it gets its id; at first sight only with `centroid`."""
    max_disappeared: Annotated[int, Field(ge=0, le=100_000)] = 30
    """How long an object may be out of sight and keep its id, in thirtieths of a second: 30 is a second at any rate."""
    per_concept: bool = False
    """Follow each concept by itself, so that an object keeps its concept; off, it may be a car now and a truck then."""
    keep_unsure: bool = True
    """Keep regions that have no id (-1); off, they are left out."""

    def started(self) -> Following:
        """What follows the objects of one video."""
        return Following(self)

    def follower(self) -> Follower:
        """What gives the regions of one frame after the other their ids."""
        raise NotImplementedError


class Kalman(Tracker):
    """Follow objects by where their motion should have brought them, with the library `trackers`."""

    min_iou: Fraction = 0.3
    """Overlap that a region must have with where an object is expected (the library's minimum_iou_threshold)."""
    frame_rate: Annotated[float, Field(gt=0, le=1000)] = 30.0
    """Frames a second of the video as it is read: the step that the motion model is tuned for."""

    def shared(self) -> dict[str, Any]:
        """The parameters that all three have, under the library's names."""
        return {
            "lost_track_buffer": self.max_disappeared,
            "frame_rate": self.frame_rate,
            "minimum_consecutive_frames": self.min_visible_frames,
            "minimum_iou_threshold": self.min_iou,
        }


class Sort(Kalman):
    """Follow objects with SORT: overlap with where each should be by now. Fast; for a sure detector."""

    new_track_confidence_thresh: Fraction = 0.25
    """Score that a region needs to begin a new track (the library's track_activation_threshold)."""

    def follower(self) -> Follower:
        from trackers import SORTTracker

        return by_library(SORTTracker(track_activation_threshold=self.new_track_confidence_thresh, **self.shared()))


class ByteTrack(Kalman):
    """Follow objects with ByteTrack: sure regions first, then unsure ones for objects that are still missing."""

    min_visible_frames: Annotated[int, Field(ge=1, le=1000)] = 2
    """Frames in a row in which an object must be seen before it gets its id."""
    min_iou: Fraction = 0.1
    """Overlap that a region must have with where an object is expected (the library's minimum_iou_threshold)."""
    new_track_confidence_thresh: Fraction = 0.7
    """Score that a region needs to begin a new track (the library's track_activation_threshold)."""
    high_confidence: Fraction = 0.6
    """Score from which on a region is matched first (the library's high_conf_det_threshold)."""

    def follower(self) -> Follower:
        from trackers import ByteTrackTracker

        return by_library(
            ByteTrackTracker(
                track_activation_threshold=self.new_track_confidence_thresh,
                high_conf_det_threshold=self.high_confidence,
                **self.shared(),
            )
        )


class OcSort(Kalman):
    """Follow objects with OC-SORT: the direction counts too. For crowds, and for objects that turn behind others."""

    min_visible_frames: Annotated[int, Field(ge=1, le=1000)] = 3
    """Frames in a row in which an object must be seen before it gets its id; in the first ones of a video, two do."""
    high_confidence: Fraction = 0.6
    """Regions with a lower score are not followed (the library's high_conf_det_threshold)."""
    direction_weight: Fraction = 0.2
    """How much the direction counts beside the overlap (the library's direction_consistency_weight)."""
    direction_frames: Annotated[int, Field(ge=1, le=100)] = 3
    """Frames that a direction is taken over (the library's delta_t)."""

    def follower(self) -> Follower:
        from trackers import OCSORTTracker

        return by_library(
            OCSORTTracker(
                high_conf_det_threshold=self.high_confidence,
                direction_consistency_weight=self.direction_weight,
                delta_t=self.direction_frames,
                **self.shared(),
            )
        )


class Centroid(Tracker):
    """Follow objects by the distance of their middles, nearest first. For few objects, far apart, or few frames."""

    min_visible_frames: Annotated[int, Field(ge=1, le=1000)] = 1
    """Frames in a row in which an object must be seen before it gets its id."""
    max_distance: Annotated[float, Field(gt=0, le=100_000)] = 100.0
    """Pixels of the picture that an object's middle may have moved since it was last seen."""

    def follower(self) -> Follower:
        return Nearest(self.max_distance, self.max_disappeared, self.min_visible_frames)


class Following:
    """One video's objects: called with its frames in their order, it answers each with `track_id`."""

    def __init__(self, how: Tracker) -> None:
        self.how = how
        self.followers: dict[str, Follower] = {}  # by concept; "" for all together
        self.ids: dict[tuple[str, int], int] = {}  # a follower's own id → the one given out
        self.last: float | None = None

    def __call__(self, *, regions: Regions, time_ms: float | None = None) -> Regions:
        """The regions of the next frame, with their ids.

        time_ms: since the video began; never less than that of the frame before, else a `Fault`. None for every frame:
        they are counted instead, a step of `frame_rate` each.
        """
        seconds = self._seconds(time_ms)
        ids = np.full(len(regions), -1, np.int64)
        sure = regions.scores >= self.how.min_confidence
        for name, rows in self._shares(regions, sure).items():
            follow = self.followers.get(name)
            if follow is None:
                follow = self.followers[name] = self.how.follower()
            own = follow(regions.boxes[rows], regions.scores[rows], seconds).tolist()
            for new in sorted(one for one in set(own) if one >= 0 and (name, one) not in self.ids):
                self.ids[name, new] = len(self.ids) + 1
            ids[rows] = [self.ids.get((name, one), -1) for one in own]
        followed = replace(regions, more={**regions.more, "track_id": ids})
        return followed if self.how.keep_unsure else followed[ids > 0]

    def _shares(self, regions: Regions, sure: Array) -> dict[str, Array]:
        """The rows that each follower sees: also none, for concepts that were seen before, whose time goes on."""
        if not self.how.per_concept:
            return {"": np.flatnonzero(sure)}
        names = [regions.concepts[label] for label in np.unique(regions.labels[sure])]
        labels = {name: label for label, name in enumerate(regions.concepts)}
        return {
            name: np.flatnonzero(sure & (regions.labels == labels.get(name, -1)))
            for name in dict.fromkeys([*self.followers, *names])
        }

    def _seconds(self, time_ms: float | None) -> float | None:
        last, self.last = self.last, time_ms
        if time_ms is None:
            return None
        if not np.isfinite(time_ms):
            raise Fault(f"A tracker got a frame of {time_ms} ms. Each frame needs its time in the video.")
        if last is not None and time_ms < last:
            raise Fault(
                f"A tracker got a frame of {time_ms} ms after one of {last} ms, but follows a video forwards. "
                "Hand it the frames in the order of their times, and begin anew for each video."
            )
        return time_ms / 1000


def by_library(tracker: Any) -> Follower:
    """A tracker of the library, as a follower. Its ids begin with 0 in each instance.

    It hands rows back in an order of its own and only carries classes along: so it gets the rows' numbers as classes.
    """
    from supervision import Detections

    allowed, last = tracker.maximum_time_without_update, None

    def follow(boxes: Array, scores: Array, seconds: float | None) -> Array:
        nonlocal last
        given = Detections(xyxy=boxes, confidence=scores, class_id=np.arange(len(boxes)))
        gap = seconds - last if seconds is not None and last is not None else None
        last = seconds
        if gap is not None:
            # What was seen in the frame before was never out of sight; of frames farther apart than it allows, the
            # library would forget everything at each.
            tracker.maximum_time_without_update = max(allowed, gap)
        with warnings.catch_warnings() if gap == 0 else nullcontext():
            if gap == 0:  # it stays where it is and matches there, which is right, and warns
                warnings.simplefilter("ignore", UserWarning)
            found = tracker.update(given, timestamp=seconds)
        ids = np.full(len(boxes), -1, np.int64)
        if len(found):
            ids[found.class_id] = found.tracker_id
        return ids

    return follow


class Nearest:
    """A follower by the distance of middles: the nearest pair first, each object and each region once."""

    def __init__(self, distance: float, lost: int, visible: int) -> None:
        self.distance, self.lost, self.visible = distance, lost, visible
        self.middles = np.zeros((0, 2))  # of each object, where it was last seen
        self.seen = np.zeros(0)  # when, in parts of a second, RATE of them
        self.times = np.zeros(0, np.int64)  # in how many frames so far
        self.ids = np.zeros(0, np.int64)
        self.frame, self.sure, self.now = 0, 0, 0.0

    def __call__(self, boxes: Array, scores: Array, seconds: float | None) -> Array:
        """(N,) int64: the ids of the next frame's regions."""
        self.frame += 1
        last, self.now = self.now, self.frame if seconds is None else seconds * RATE
        known = (self.ids >= 0) & (self.now - self.seen <= self.lost + 1e-6)
        self._keep(known | (self.seen == last))
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2
        rows = self._matched(middles)
        new = np.flatnonzero(rows < 0)
        rows[new] = len(self.ids) + np.arange(len(new))
        self.middles = np.concatenate([self.middles, middles[new]])
        self.seen = np.concatenate([self.seen, np.zeros(len(new))])
        self.times = np.concatenate([self.times, np.zeros(len(new), np.int64)])
        self.ids = np.concatenate([self.ids, np.full(len(new), -1, np.int64)])
        self.middles[rows], self.seen[rows] = middles, self.now
        self.times[rows] += 1
        sure = rows[(self.ids[rows] < 0) & (self.times[rows] >= self.visible)]
        self.ids[sure] = self.sure + np.arange(len(sure))
        self.sure += len(sure)
        return self.ids[rows]

    def _matched(self, middles: Array) -> Array:
        """For each region the row of its object, -1 for none near enough; of equal distances the older object first."""
        apart = np.linalg.norm(self.middles[:, None] - middles, axis=2)
        rows = np.full(len(middles), -1, np.int64)
        taken: set[int] = set()
        near = np.flatnonzero(apart <= self.distance)
        for pair in near[np.argsort(apart.ravel()[near], kind="stable")].tolist():
            known, row = divmod(pair, len(middles))
            if known not in taken and rows[row] < 0:
                rows[row] = known
                taken.add(known)
        return rows

    def _keep(self, which: Array) -> None:
        self.middles, self.seen, self.times, self.ids = (
            column[which] for column in (self.middles, self.seen, self.times, self.ids)
        )
