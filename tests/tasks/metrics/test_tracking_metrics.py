"""Tracks against motmetrics on random videos, against published numbers, and against what can be worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import motmetrics
import numpy as np
import pytest

from tasks.metrics.tracking import ALPHAS, TrackingReport, Tracks, combined, tracking

DATA = Path(motmetrics.__file__).parent / "data"
HOST = motmetrics.metrics.create()
THEIRS = {
    "mota": "mota",
    "precision": "precision",
    "recall": "recall",
    "idf1": "idf1",
    "idp": "idp",
    "idr": "idr",
    "false_positives": "num_false_positives",
    "misses": "num_misses",
    "id_switches": "num_switches",
    "fragments": "num_fragmentations",
    "mostly_tracked": "mostly_tracked",
    "partially_tracked": "partially_tracked",
    "mostly_lost": "mostly_lost",
    "tracks": "num_unique_objects",
    "boxes": "num_objects",
}


def tracks(*rows) -> Tracks:
    """Tracks of rows (frame, track, x0, y0, x1, y1)."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Tracks(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:])


def still(frames, track: int, x: float = 0.0) -> list[tuple[float, ...]]:
    """A box 10 pixels wide and high that stays where it is."""
    return [(frame, track, x, 0, x + 10, 10) for frame in frames]


def overlap(a, b) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(wide, 0) * max(high, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def theirs(truth: Tracks, found: Tracks, iou: float) -> dict[str, float]:
    """What motmetrics finds, under our names."""
    events = motmetrics.MOTAccumulator()
    for frame in np.union1d(truth.frame, found.frame):
        labelled, followed = np.flatnonzero(truth.frame == frame), np.flatnonzero(found.frame == frame)
        # It lets the first row keep a found track that two claim. Ours is the later matched: that row comes first.
        labelled = np.array(sorted(labelled, key=lambda i: -events.last_match.get(truth.track[i], -1)), int)
        shared = [[overlap(truth.boxes[i], found.boxes[j]) for j in followed] for i in labelled]
        distance = 1 - np.array(shared, float).reshape(len(labelled), len(followed))
        distance[distance > 1 - iou] = np.nan
        events.update(truth.track[labelled], found.track[followed], distance, frameid=int(frame))
    names = [*THEIRS.values(), "motp"]
    answer = HOST.compute(events, metrics=names, return_dataframe=False)
    return {ours: answer[name] for ours, name in THEIRS.items()} | {"motp": 1 - answer["motp"]}


def same(report: TrackingReport, expected: dict[str, float]) -> bool:
    return {name: report.summary[name] for name in expected} == pytest.approx(expected, rel=1e-9, nan_ok=True)


def video(drawn: np.random.Generator) -> tuple[Tracks, Tracks]:
    """Things that wander into each other, and what a poor tracker makes of them: boxes missed, false and shaken, tracks
    swapped and begun anew, frames with none of one kind or of both. No two overlaps are equal."""
    things, truth, found = int(drawn.integers(1, 6)), [], []
    called, fresh = list(range(things)), 100
    places = drawn.uniform(0, 50, (things, 2))
    for frame in np.flatnonzero(drawn.random(int(drawn.integers(4, 25))) < 0.9):
        places += drawn.normal(0, 4, places.shape)
        if drawn.random() < 0.3:
            called = list(drawn.permutation(called))
        if drawn.random() < 0.2:
            called[int(drawn.integers(things))] = fresh = fresh + 1
        labelled, seen = drawn.random((2, things)) < 0.85 * (drawn.random((2, 1)) < 0.95)
        for thing, place in enumerate(places):
            box = np.tile(place, 2) + np.array([0, 0, 20, 30])
            truth += [(frame, thing, *box)] * int(labelled[thing])
            found += [(frame, called[thing], *(box + drawn.normal(0, 2.5, 4)))] * int(seen[thing])
        for place in drawn.uniform(0, 50, (drawn.poisson(0.4), 2)):
            fresh += 1
            found.append((frame, fresh, *place, *(place + 25)))
    return tracks(*truth), tracks(*found)


def one_after_the_other(videos: list[tuple[Tracks, Tracks]]) -> tuple[Tracks, Tracks]:
    """One video of several, in which no track goes on from one to the next."""
    return chained([truth for truth, _ in videos]), chained([found for _, found in videos])


def chained(parts: list[Tracks]) -> Tracks:
    frame = np.concatenate([100 * i + part.frame for i, part in enumerate(parts)])
    track = np.concatenate([1000 * i + part.track for i, part in enumerate(parts)])
    return Tracks(frame, track, np.concatenate([part.boxes for part in parts]))


@pytest.mark.parametrize("iou", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("seed", range(3))
def test_clear_and_identity_are_motmetrics_own_on_random_videos(seed, iou):
    drawn = np.random.default_rng(seed)
    for several in (1, 1, 9, 17):  # several at once: it takes long even for a short one
        videos = [video(drawn) for _ in range(several)]
        expected = theirs(*one_after_the_other(videos), iou)
        assert same(combined([tracking(truth, found, iou) for truth, found in videos]), expected)


def load(path: Path) -> Tracks:
    table = np.loadtxt(path, delimiter=",")
    boxes = np.hstack([table[:, 2:4], table[:, 2:4] + table[:, 4:6]])
    return Tracks(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), boxes)


# The counts and rounded shares are those of motmetrics' README and tests. HOTA, DetA and AssA are TrackEval's, with
# which py-motmetrics compares its own in https://github.com/cheind/py-motmetrics/pull/212.
PUBLISHED = {
    "TUD-Campus": (
        {"idf1": 0.558, "idp": 0.730, "idr": 0.451, "recall": 0.582, "precision": 0.941, "mota": 0.526, "motp": 0.723},
        {"tracks": 8, "mostly_tracked": 1, "partially_tracked": 6, "mostly_lost": 1},
        {"false_positives": 13, "misses": 150, "id_switches": 7, "fragments": 7},
        {"hota": 0.3913974378451139, "deta": 0.418047030142763, "assa": 0.36912068120832836},
    ),
    "TUD-Stadtmitte": (
        {"idf1": 0.645, "idp": 0.820, "idr": 0.531, "recall": 0.609, "precision": 0.940, "mota": 0.564, "motp": 0.654},
        {"tracks": 10, "mostly_tracked": 5, "partially_tracked": 4, "mostly_lost": 1},
        {"false_positives": 45, "misses": 452, "id_switches": 7, "fragments": 6},
        {"hota": 0.3978490169927877, "deta": 0.3922675723693166, "assa": 0.4088407518112996},
    ),
    "both": (
        {"idf1": 0.624, "idp": 0.799, "idr": 0.512, "recall": 0.603, "precision": 0.940, "mota": 0.555, "motp": 0.670},
        {"tracks": 18, "mostly_tracked": 6, "partially_tracked": 10, "mostly_lost": 2},
        {"false_positives": 58, "misses": 602, "id_switches": 14, "fragments": 13},
        {"hota": 0.3999570912884786, "deta": 0.3976832912424188, "assa": 0.4124495298453543},
    ),
}


def test_published_numbers_of_two_videos_and_of_both_together():
    reports = {}
    for name in ("TUD-Campus", "TUD-Stadtmitte"):
        truth, found = load(DATA / name / "gt.txt"), load(DATA / name / "test.txt")
        reports[name] = tracking(truth, found)
        assert same(reports[name], theirs(truth, found, 0.5))
    reports["both"] = combined(list(reports.values()))
    for name, (shares, lives, faults, higher) in PUBLISHED.items():
        summary = reports[name].summary
        assert {key: round(summary[key], 3) for key in shares} == shares
        assert {key: summary[key] for key in lives | faults} == lives | faults
        assert same(reports[name], higher)
        assert reports[name].hota_by_alpha.shape == (19,)
        assert reports[name].hota_by_alpha.mean() == pytest.approx(summary["hota"])


def test_a_perfect_tracker_has_ones():
    truth = tracks(*still(range(5), 1), *still(range(3, 9), 2, x=5))
    report = tracking(truth, truth, iou=1)
    shares = ("mota", "motp", "precision", "recall", "idf1", "idp", "idr", "hota", "deta", "assa", "loca")
    assert same(report, dict.fromkeys(shares, 1.0) | {"misses": 0, "id_switches": 0, "fragments": 0, "boxes": 11})


def test_a_thing_that_two_tracks_follow_one_after_the_other():
    report = tracking(tracks(*still(range(10), 1)), tracks(*still(range(5), 7), *still(range(5, 10), 8)))
    # Of each of ten boxes: five are in its two tracks, five more in the labelled one alone.
    assert same(report, {"deta": 1, "assa": 0.5, "hota": math.sqrt(0.5), "loca": 1})
    assert same(report, {"mota": 0.9, "id_switches": 1, "fragments": 0, "idf1": 0.5, "mostly_tracked": 1})


def test_a_track_that_goes_over_from_one_thing_to_another():
    truth = tracks(*still(range(8), 1), *still(range(8), 2, x=50))
    report = tracking(truth, tracks(*still(range(4), 7), *still(range(4, 8), 7, x=50)))
    # Of each of eight boxes: four are in its two tracks, four more in the labelled, four more in the found one.
    assert same(report, {"deta": 0.5, "assa": 1 / 3, "hota": math.sqrt(1 / 6), "id_switches": 0, "misses": 8})
    assert same(report, {"idf1": 2 * 4 / (16 + 8), "idp": 0.5, "idr": 0.25, "partially_tracked": 2})


def test_a_track_with_misses_alone():
    report = tracking(tracks(*still(range(10), 1)), tracks(*still([0, 1, 2, 5, 6, 7], 7)))
    assert same(report, {"deta": 0.6, "assa": 0.6, "hota": 0.6, "loca": 1, "mota": 0.6, "precision": 1, "recall": 0.6})
    assert same(report, {"misses": 4, "fragments": 1, "id_switches": 0, "idr": 0.6, "idp": 1, "partially_tracked": 1})


def test_boxes_count_up_to_the_alpha_that_they_overlap_by():
    report = tracking(tracks(*still(range(4), 1)), tracks(*still(range(4), 7, x=2.5)))  # 7.5 of 12.5: 0.6
    assert report.hota_by_alpha.tolist() == [1.0] * 12 + [0.0] * 7
    assert same(report, {"hota": 12 / 19, "deta": 12 / 19, "assa": 12 / 19, "loca": (12 * 0.6 + 7) / 19, "motp": 0.6})
    assert same(tracking(tracks(*still(range(4), 1)), tracks(*still(range(4), 7, x=2.5)), iou=0.6), {"mota": 1})
    assert same(tracking(tracks(*still(range(4), 1)), tracks(*still(range(4), 7, x=2.5)), iou=0.61), {"mota": -1})


@pytest.mark.parametrize("gap", [0, 5])
def test_a_track_is_kept_while_it_is_near_however_much_nearer_another_is(gap):
    truth = tracks(*still(range(10), 1))
    frames = range(1 + gap, 10)
    found = [*still([0], 7), *still(frames, 7, x=2), *still(frames, 8)]
    assert same(tracking(truth, tracks(*found)), {"id_switches": 0, "motp": (1 + (9 - gap) * 2 / 3) / (10 - gap)})
    away = [*found[:-1], *still([10], 7, x=6)]
    assert same(tracking(tracks(*still(range(11), 1)), tracks(*away, *still([9, 10], 8))), {"id_switches": 1})


@pytest.mark.parametrize("first", [1, 2])
def test_of_two_things_that_claim_a_track_the_later_matched_keeps_it(first):
    second = 3 - first
    truth = tracks(*still([0, 2], first), *still([1, 2], second, x=2))
    report = tracking(truth, tracks(*still([0], 7), *still([1, 2], 7, x=1), *still([2], 8)))
    assert same(report, {"id_switches": 1, "misses": 0, "false_positives": 0})
    assert same(report, {"motp": (1 + 9 / 11 + 9 / 11 + 1) / 4})


def test_as_many_as_can_be_are_matched_before_overlaps_count():
    truth = tracks(*still([0], 1), *still([0], 2, x=4), *still([0], 3, x=8))
    found = tracks(*still([0], 7, x=4), *still([0], 8, x=8), *still([0], 9, x=12))
    assert same(tracking(truth, found, iou=0.4), {"misses": 0, "motp": 6 / 14})
    assert same(tracking(truth, found, iou=0.5), {"misses": 1, "motp": 1})


def test_a_thing_out_of_sight_is_neither_missed_nor_lost():
    truth, found = tracks(*still([0, 1, 5, 6], 1)), tracks(*still([0, 1, 5, 6], 7))
    assert same(tracking(truth, found), {"misses": 0, "fragments": 0, "id_switches": 0, "hota": 1})


@pytest.mark.parametrize(("seen", "life"), [(8, "mostly_tracked"), (7, "partially_tracked"), (2, "partially_tracked")])
def test_the_borders_of_mostly_tracked_and_mostly_lost(seen, life):
    assert same(tracking(tracks(*still(range(10), 1)), tracks(*still(range(seen), 7))), {life: 1, "tracks": 1})
    assert same(tracking(tracks(*still(range(10), 1)), tracks(*still([0], 7))), {"mostly_lost": 1})


def test_neither_the_order_of_rows_nor_the_numbers_of_tracks_and_frames_matter():
    drawn = np.random.default_rng(3)
    for _ in range(20):
        truth, found = video(drawn)
        shuffled: list[Tracks] = []
        for one, most in ((truth, 5), (found, 999)):
            order, names = drawn.permutation(len(one.frame)), drawn.permutation(most + 1) - 7
            shuffled.append(Tracks(one.frame[order] * 10 - 3, names[one.track[order]], one.boxes[order]))
        report, again = tracking(truth, found), tracking(shuffled[0], shuffled[1])
        assert same(again, report.summary)
        assert again.hota_by_alpha == pytest.approx(report.hota_by_alpha)


def test_videos_are_combined_as_if_they_were_one_with_tracks_of_their_own():
    drawn = np.random.default_rng(4)
    videos = [video(drawn) for _ in range(5)]
    together, one = combined([tracking(*pair) for pair in videos]), tracking(*one_after_the_other(videos))
    assert same(together, one.summary)
    assert together.hota_by_alpha == pytest.approx(one.hota_by_alpha)


def test_what_cannot_be_measured_is_nan():
    nothing, something = tracks(), tracks(*still(range(4), 1))
    assert same(tracking(something, nothing), {"mota": 0, "recall": 0, "idf1": 0, "idr": 0, "hota": 0, "deta": 0})
    assert same(tracking(something, nothing), {"misses": 4, "mostly_lost": 1} | _nan("motp precision idp assa loca"))
    assert same(tracking(nothing, something), {"precision": 0, "idf1": 0, "idp": 0, "hota": 0, "false_positives": 4})
    assert same(tracking(nothing, something), {"tracks": 0} | _nan("mota motp recall idr assa loca"))
    empty = tracking(nothing, nothing)
    assert same(empty, _nan("mota motp precision recall idf1 idp idr hota deta assa loca"))
    assert np.isnan(empty.hota_by_alpha).all()
    assert same(combined([empty, tracking(something, something)]), {"mota": 1, "idf1": 1, "hota": 1, "boxes": 4})
    assert same(tracking(something, tracks(*still(range(4), 1, x=80))), {"mota": -1, "hota": 0} | _nan("motp assa"))


def _nan(names: str) -> dict[str, float]:
    return dict.fromkeys(names.split(), math.nan)


def test_a_box_without_area_overlaps_nothing():
    point = tracks((0, 1, 5, 5, 5, 5))
    assert same(tracking(point, point), {"misses": 1, "false_positives": 1, "hota": 0})


def test_the_alphas_are_those_of_the_paper():
    assert ALPHAS.tolist() == [float(f"0.{5 * i:02d}") for i in range(1, 20)]


ONE = np.zeros(1, np.int64)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ((ONE, np.zeros(2, np.int64), np.zeros((1, 4))), r"track must be \(1,\) int64, got \(2,\) int64"),
        ((ONE.astype(float), ONE, np.zeros((1, 4))), r"frame must be \(1,\) int64, got \(1,\) float64"),
        ((ONE, ONE, np.zeros((1, 4), np.float32)), r"boxes must be \(1, 4\) float64, got \(1, 4\) float32"),
        ((ONE, ONE, np.zeros(4)), r"boxes must be \(1, 4\) float64, got \(4,\) float64"),
        ((ONE, ONE, np.array([[0, 0, np.nan, 1]])), "boxes must be finite"),
        ((ONE, ONE, np.array([[0.0, 5, 9, 4]])), "y0 <= y1"),
        ((np.array([3, 2, 3]), np.array([8, 8, 8]), np.zeros((3, 4))), "track 8 is more than once in frame 3"),
    ],
)
def test_columns_that_are_no_tracks_are_refused(columns, told):
    with pytest.raises(ValueError, match=told):
        Tracks(*columns)


@pytest.mark.parametrize("iou", [0, -0.1, 1.1, math.nan])
def test_an_overlap_that_there_is_not_is_refused(iou):
    with pytest.raises(ValueError, match="iou must be above 0 and at most 1"):
        tracking(tracks(), tracks(), iou)


def test_only_reports_at_the_same_overlap_are_combined():
    reports = [tracking(tracks(), tracks(), iou) for iou in (0.5, 0.7)]
    for some in (reports, []):
        with pytest.raises(ValueError, match="one or more reports at the same iou"):
            combined(some)
