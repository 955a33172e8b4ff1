"""Trackers: the same ids as the library's own, on the rows as they came; and what crosses a line."""

from __future__ import annotations

import numpy as np
import pytest
import supervision
import trackers
from PIL import Image

from models.runtime.faults import Fault
from models.runtime.operators import OPERATORS
from models.runtime.operators.lines import LineCounter
from models.runtime.operators.track import ByteTrack, Centroid, OcSort, Sort, Tracker
from models.runtime.operators.views import View
from models.runtime.predictions import Regions

NAMES = ("car", "truck")
LIBRARY = {
    Sort: (trackers.SORTTracker, {"new_track_confidence_thresh": "track_activation_threshold"}),
    ByteTrack: (
        trackers.ByteTrackTracker,
        {"new_track_confidence_thresh": "track_activation_threshold", "high_confidence": "high_conf_det_threshold"},
    ),
    OcSort: (
        trackers.OCSORTTracker,
        {
            "high_confidence": "high_conf_det_threshold",
            "direction_weight": "direction_consistency_weight",
            "direction_frames": "delta_t",
        },
    ),
}
SHARED = {
    "max_disappeared": "lost_track_buffer",
    "min_visible_frames": "minimum_consecutive_frames",
    "min_iou": "minimum_iou_threshold",
    "frame_rate": "frame_rate",
}
ALL = [*LIBRARY, Centroid]


def scene(seed: int, frames: int = 300, objects: int = 5) -> list[Regions]:
    """Boxes that move and cross, hide for a while, are missed now and then, among false ones; some frames have none."""
    random = np.random.default_rng(seed)
    middles, speeds = random.uniform(100, 700, (objects, 2)), random.normal(0, 5, (objects, 2))
    sides, hidden = random.uniform(40, 110, (objects, 2)), random.integers(0, frames, objects)
    found = []
    for at in range(frames):
        middles += speeds
        speeds[(middles < 0) | (middles > 800)] *= -1
        seen = (random.random(objects) > 0.1) & ~((at >= hidden) & (at < hidden + 15))
        seen &= at % 80 > 1
        false = random.uniform(0, 800, (random.poisson(0.6) if at % 80 > 1 else 0, 2))
        half = np.concatenate([sides[seen], random.uniform(30, 90, false.shape)]) / 2
        middle = np.concatenate([middles[seen] + random.normal(0, 1.5, (seen.sum(), 2)), false])
        order = random.permutation(len(middle))
        found.append(
            regions(np.concatenate([middle - half, middle + half], 1)[order], random.uniform(0.2, 1, len(order)))
        )
    return found


def regions(boxes, scores=None, labels=None, more=None) -> Regions:
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    scores = np.full(len(boxes), 0.9) if scores is None else scores
    labels = np.zeros(len(boxes)) if labels is None else labels
    return Regions(boxes, np.array(scores, np.float32), np.array(labels, np.int64), NAMES, more or {})


def directly(operator, frames: list[Regions], seconds: list[float | None]) -> list[list[int]]:
    """The library's ids by themselves, brought back to the rows given by their boxes, from 1 on."""
    library, names = LIBRARY[type(operator)]
    tracker = library(**{theirs: getattr(operator, ours) for ours, theirs in (SHARED | names).items()})
    answers = []
    for frame, at in zip(frames, seconds, strict=True):
        told = tracker.update(supervision.Detections(xyxy=frame.boxes, confidence=frame.scores), timestamp=at)
        ids = {tuple(box): int(one) for box, one in zip(told.xyxy, told.tracker_id, strict=True)}
        assert len(ids) == len(frame)
        answers.append([ids[tuple(box)] + 1 or -1 for box in frame.boxes])
    return answers


def followed(operator: Tracker, frames: list[Regions], times=None) -> list[list[int]]:
    follow = operator.started()
    times = [at * 1000 / 30 for at in range(len(frames))] if times is None else times
    return [
        follow(regions=frame, time_ms=at).more["track_id"].tolist() for frame, at in zip(frames, times, strict=True)
    ]


@pytest.mark.parametrize(("seed", "timed"), [(0, True), (1, True), (2, False)])
@pytest.mark.parametrize("kind", LIBRARY)
def test_ids_are_those_of_the_library_used_directly(kind, seed, timed):
    frames = scene(seed)
    gaps = np.random.default_rng(seed).choice([20, 33, 34, 200], len(frames))
    times = np.cumsum(gaps).tolist() if timed else [None] * len(frames)
    ours = followed(kind(), frames, times)
    assert ours == directly(kind(), frames, [at / 1000 if timed else None for at in times])
    assert len({one for ids in ours for one in ids}) > 5


@pytest.mark.parametrize(
    "operator",
    [
        Sort(max_disappeared=3, frame_rate=10, new_track_confidence_thresh=0.6),
        Sort(min_visible_frames=1, min_iou=0.6),
        ByteTrack(max_disappeared=3, min_iou=0.5, frame_rate=10),
        ByteTrack(min_visible_frames=4, high_confidence=0.3, new_track_confidence_thresh=0.4),
        OcSort(max_disappeared=3, min_iou=0.5, frame_rate=10),
        OcSort(min_visible_frames=5, high_confidence=0.25, direction_weight=0.9, direction_frames=1),
    ],
    ids=repr,
)
def test_each_parameter_reaches_the_library(operator):
    frames, times = scene(3, 100), [at * 50 for at in range(100)]
    ours = followed(operator, frames, times)
    assert ours == directly(operator, frames, [at / 1000 for at in times])
    assert ours != followed(type(operator)(), frames, times)


@pytest.mark.parametrize("kind", ALL)
def test_regions_come_out_as_they_went_in(kind):
    """Rows in their order, their own boxes, the columns they had; a frame without regions has its columns too."""
    follow = kind().started()
    for at, frame in enumerate(scene(4, 90)):
        given = regions(frame.boxes, frame.scores, more={"parent": np.arange(len(frame))})
        told = follow(regions=given, time_ms=at * 33)
        assert told.boxes is given.boxes
        assert told.scores is given.scores
        assert told.more["parent"].tolist() == list(range(len(frame)))
        assert told.more["track_id"].shape == (len(frame),)
        assert told.more["track_id"].dtype == np.int64
        assert told.concepts == NAMES


@pytest.mark.parametrize("kind", ALL)
def test_ids_begin_anew_with_each_video_whatever_else_runs(kind):
    frames = scene(5, 60)
    alone = followed(kind(), frames)
    one, other = kind().started(), kind().started()
    for at, frame in enumerate(frames):
        told = one(regions=frame, time_ms=at * 1000 / 30).more["track_id"].tolist()
        other(regions=frames[-1 - at], time_ms=at * 1000 / 30)
        assert told == alone[at]
    given = sorted({one for ids in alone for one in ids if one > 0})
    assert given == list(range(1, len(given) + 1))


def test_unsure_regions_stay_unless_asked_to_go():
    box = [0, 0, 50, 50]
    kept, left = ByteTrack().started(), ByteTrack(keep_unsure=False).started()
    told = [
        [len(f(regions=regions([box, [300, 0, 350, 50]], [0.9, 0.3]), time_ms=at)) for f in (kept, left)]
        for at in (0, 33)
    ]
    assert told == [[2, 0], [2, 1]]


@pytest.mark.parametrize("kind", ALL)
def test_regions_below_the_least_confidence_are_not_followed(kind):
    frame = regions([[0, 0, 50, 50], [300, 0, 350, 50]], [0.95, 0.9])
    assert followed(kind(min_confidence=0.93), [frame] * 4)[-1] == [1, -1]


@pytest.mark.parametrize("kind", ALL)
def test_a_concept_of_its_own_keeps_its_own_ids(kind):
    """A box that is a car and then a truck is one object, or two if each concept is followed by itself."""
    frames = [regions([[at, 0, 50 + at, 50]], labels=[at >= 6]) for at in range(12)]
    assert {one for (one,) in followed(kind(), frames)} - {-1} == {1}
    apart = [one for (one,) in followed(kind(per_concept=True), frames)]
    assert set(apart[:6]) - {-1} == {1}
    assert set(apart[6:]) - {-1} == {2}


@pytest.mark.parametrize("kind", ALL)
def test_a_concept_that_is_not_there_for_a_while_ages(kind):
    """Trucks are seen throughout; the car is gone for two seconds, and is another one then."""
    both = regions([[0, 0, 50, 50], [300, 0, 350, 50]], labels=[0, 1])
    frames = [both] * 5 + [both[1:]] * 60 + [both] * 5
    ids = followed(kind(per_concept=True), frames)
    assert ids[4] == [1, 2]
    assert ids[-1] == [3, 2]


@pytest.mark.parametrize("kind", ALL)
def test_out_of_sight_is_counted_in_time_not_in_frames(kind):
    """Half a second is short and two seconds are long, with 10 frames a second as with 60."""
    box = regions([[0, 0, 50, 50]])
    for rate in (10, 60):
        for gone, same in ((0.5, True), (2, False)):
            frames = [box] * 5 + [box[:0]] * round(gone * rate) + [box] * 5
            ids = followed(kind(), frames, [at * 1000 / rate for at in range(len(frames))])
            assert (ids[-1] == ids[4] == [1]) is same


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("lost", [0, 30])
def test_frames_farther_apart_than_it_may_be_out_of_sight_are_followed(kind, lost):
    frames = [regions([[at, 0, 50 + at, 50]]) for at in range(8)]
    assert followed(kind(max_disappeared=lost), frames, [at * 2000 for at in range(8)])[-1] == [1]


@pytest.mark.parametrize("kind", ALL)
def test_two_frames_at_one_time_are_followed(kind):
    frames = [regions([[at, 0, 50 + at, 50]]) for at in range(8)]
    assert followed(kind(), frames, [0, 33, 33, 67, 67, 100, 133, 133])[-1] == [1]


@pytest.mark.parametrize(
    ("times", "match"), [((40, 0), "a frame of 0 ms after one of 40 ms"), ((np.nan,), "of nan ms")]
)
def test_time_runs_forwards(times, match):
    with pytest.raises(Fault, match=match):
        followed(Sort(), [regions([])] * len(times), times)


def test_centroid_takes_the_nearest_pair_first_and_none_too_far():
    frames = [
        regions([[0, 0, 10, 10], [40, 0, 50, 10]]),
        regions([[30, 0, 40, 10], [75, 0, 85, 10]]),  # the first is 30 from the first and 10 from the second
        regions([[30, 0, 40, 10], [60, 20, 70, 30]]),
    ]
    assert followed(Centroid(max_distance=40), frames) == [[1, 2], [2, 3], [2, 3]]
    assert followed(Centroid(max_distance=90), frames) == [[1, 2], [2, 1], [2, 1]]


def test_centroid_waits_for_as_many_frames_in_a_row_as_it_is_told():
    seen = [1, 1, 0, 1, 1, 1, 0, 1]
    frames = [regions([[at, 0, 50 + at, 50]] * here) for at, here in enumerate(seen)]
    assert followed(Centroid(min_visible_frames=3), frames) == [[-1], [-1], [], [-1], [-1], [1], [], [1]]


VIEW = View.whole(Image.new("RGB", (200, 100)))


def walked(counter: LineCounter, *frames: list[tuple[int, float, float]], labels=None) -> list[dict[str, int]]:
    """The counts after each frame of objects (id, x, y), boxes of 10 by 20 around that middle."""
    count, answers = counter.started(), []
    for at, objects in enumerate(frames):
        boxes = [[x - 5, y - 10, x + 5, y + 10] for _, x, y in objects]
        ids = np.array([one for one, _, _ in objects], np.int64)
        found = regions(boxes, labels=labels and labels[at], more={"track_id": ids})
        answers.append(count(image=VIEW, frames=found, time_ms=at * 33).line()["counts"])
    return answers


def test_a_line_counts_what_crosses_each_way_so_far():
    told = walked(LineCounter(), [(1, 50, 70), (2, 90, 30)], [(1, 50, 40), (2, 90, 40)], [(1, 50, 30), (2, 90, 60)])
    none = {"car in": 0, "car out": 0, "truck in": 0, "truck out": 0}
    assert told == [none, none | {"car in": 1}, none | {"car in": 1, "car out": 1}]
    assert LineCounter().concepts({"image": (), "frames": NAMES}) == tuple(none)
    assert LineCounter(per_concept=False).concepts({"image": (), "frames": NAMES}) == ("in", "out")


def test_an_object_counts_under_the_concept_it_has_then():
    told = walked(LineCounter(), [(1, 50, 70)], [(1, 50, 40)], labels=[[0], [1]])
    assert told[-1] == {"car in": 0, "car out": 0, "truck in": 1, "truck out": 0}


def test_a_line_in_pixels_is_the_same_line():
    upright = (
        LineCounter(line=(0.5, 0, 0.5, 1), per_concept=False),
        LineCounter(line=(100, 0, 100, 100), unit="pixels", per_concept=False),
    )
    for counter in upright:
        assert walked(counter, [(1, 90, 50)], [(1, 101, 50)])[-1] == {"in": 1, "out": 0}
        assert walked(counter, [(1, 80, 50)], [(1, 99, 50)])[-1] == {"in": 0, "out": 0}


def test_the_lower_side_crosses_before_the_middle():
    steps = [(1, 50, 35)], [(1, 50, 45)]
    assert walked(LineCounter(per_concept=False), *steps)[-1] == {"in": 0, "out": 0}
    assert walked(LineCounter(per_concept=False, anchor="bottom"), *steps)[-1] == {"in": 0, "out": 1}


def test_who_passes_beside_the_line_has_not_crossed_it():
    half = LineCounter(line=(0, 0.5, 0.5, 0.5), per_concept=False)
    assert walked(half, [(1, 150, 70)], [(1, 150, 30)])[-1] == {"in": 0, "out": 0}
    assert walked(half, [(1, 150, 70)], [(1, 150, 30)], [(1, 50, 30)], [(1, 50, 70)])[-1] == {"in": 0, "out": 1}


def test_a_crossing_behind_something_counts():
    hidden = [(1, 50, 70)], [], [], [], [], [(1, 50, 30)]
    assert walked(LineCounter(per_concept=False), *hidden)[-1] == {"in": 1, "out": 0}


def test_ids_that_are_not_sure_do_not_count():
    assert walked(LineCounter(per_concept=False), [(-1, 50, 70)], [(-1, 50, 30)])[-1] == {"in": 0, "out": 0}


@pytest.mark.parametrize("settled", [1, 2, 4])
@pytest.mark.parametrize("anchor", ["middle", "bottom"])
def test_a_line_across_the_whole_picture_counts_as_supervision_does(settled, anchor):
    """Walks without gaps along a slanted line, whose ends nobody reaches."""
    random = np.random.default_rng(settled)
    counter = LineCounter(line=(-500, 40, 700, 60), unit="pixels", anchor=anchor, settled=settled)
    position = {"middle": supervision.Position.CENTER, "bottom": supervision.Position.BOTTOM_CENTER}[anchor]
    zone = supervision.LineZone(supervision.Point(-500, 40), supervision.Point(700, 60), [position], settled)
    count, middles = counter.started(), random.uniform(20, 80, (8, 2))
    ids, labels, half = np.arange(8), np.arange(8) % 2, np.array([5, 10])
    for at in range(200):
        middles = np.clip(middles + random.normal(0, 8, (8, 2)), 0, 100)
        found = regions(np.concatenate([middles - half, middles + half], 1), labels=labels, more={"track_id": ids})
        told = count(image=VIEW, frames=found, time_ms=at)
        zone.trigger(supervision.Detections(xyxy=found.boxes, class_id=labels, tracker_id=ids))
        theirs = [side.get(one, 0) for one in (0, 1) for side in (zone.in_count_per_class, zone.out_count_per_class)]
        assert told.counts.tolist() == theirs
    assert told.total > 20


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"line": (0.5, 0.5, 0.5, 0.5)}, "between two points"),
        ({"line": (0, 0, 100, 100)}, "unit: pixels"),
        ({"line": (0, 0, np.nan, 1)}, "between two points"),
    ],
)
def test_what_is_no_line_is_refused(given, match):
    with pytest.raises(ValueError, match=match):
        LineCounter(**given)


def test_a_line_needs_ids():
    with pytest.raises(Fault, match="no track_id"):
        LineCounter().started()(image=VIEW, frames=regions([[0, 0, 9, 9]]), time_ms=0)


def test_they_are_known_by_name_and_each_parameter_says_what_it_is():
    mine = {"byte-track": ByteTrack, "centroid": Centroid, "oc-sort": OcSort, "sort": Sort, "line-counter": LineCounter}
    for name, kind in mine.items():
        assert OPERATORS[name] is kind
        assert kind.in_order
        assert kind.__doc__
        assert [field for field, about in kind.model_fields.items() if not about.description] == []
        kind()
