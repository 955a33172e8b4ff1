"""Counts, votes, texts and merged regions, against numbers worked out by hand."""

import numpy as np
import pytest

from models.runtime.faults import Fault
from models.runtime.operators.aggregate import ObjectCounter, ReadingOrder, TrackVote, Vote
from models.runtime.operators.merge import RegionMerge
from models.runtime.predictions import Concepts, Regions

NAMES = ("hail", "wind", "wear")
BOX = (0.0, 0, 10, 10)


def regions(*rows, concepts=NAMES, **more):
    """Each row a concept, a score and perhaps a box."""
    boxes = np.array([row[2] if len(row) > 2 else BOX for row in rows], np.float64).reshape(-1, 4)
    scores = np.array([row[1] for row in rows], np.float32)
    return Regions(boxes, scores, np.array([concepts.index(row[0]) for row in rows], np.int64), concepts, more)


def concepts(*scores, names=NAMES):
    return Concepts(np.array(scores, np.float32), names)


def test_regions_of_each_concept_are_counted():
    given = regions(("hail", 0.9), ("wear", 0.4), ("hail", 0.3))
    assert ObjectCounter()(regions=given).line() == {"count": 3, "counts": {"hail": 2, "wind": 0, "wear": 1}}
    assert ObjectCounter(threshold=0.4)(regions=given).counts.tolist() == [1, 0, 1]
    only = ObjectCounter(names=["wear", "wind"])
    assert only(regions=given).line() == {"count": 1, "counts": {"wind": 0, "wear": 1}}
    assert only.concepts({"regions": NAMES}) == ("wind", "wear")


def test_the_mean_of_several_models():
    answer = Vote()(found=[concepts(0.6, 0.3, 0.1), concepts(0.2, 0.8, 0)])
    assert answer.scores.tolist() == pytest.approx([0.4, 0.55, 0.05])


def test_who_does_not_know_a_concept_has_no_say_in_its_mean():
    answer = Vote()(found=[concepts(0.6, 0.3, 0.1), concepts(0.2, 0.8, names=("wind", "rust"))])
    assert answer.concepts == (*NAMES, "rust")
    assert answer.scores.tolist() == pytest.approx([0.6, 0.25, 0.1, 0.8])


def test_the_share_of_those_whose_best_it_is():
    voters = [concepts(0.5, 0.3, 0.2), concepts(0.4, 0.6, 0), concepts(0.1, 0.9, 0), concepts(0, 0, 0)]
    assert Vote(method="majority")(found=voters).scores.tolist() == pytest.approx([1 / 3, 2 / 3, 0])
    assert Vote(method="majority")(found=voters[:2]).best == "hail"  # of equals the first


def test_the_highest_score():
    assert Vote(method="max")(found=[concepts(0.5, 0.3, 0.2), concepts(0.1, 0.6, 0)]).scores.tolist() == pytest.approx(
        [0.5, 0.6, 0.2]
    )


def test_each_region_is_a_voter():
    given = regions(("hail", 0.9), ("wear", 0.4), ("hail", 0.3))
    assert Vote(method="majority")(found=[given]).scores.tolist() == pytest.approx([2 / 3, 0, 1 / 3])
    assert Vote(method="mean")(found=[given]).scores.tolist() == pytest.approx([0.4, 0, 0.4 / 3])
    assert Vote(method="max")(found=[given]).scores.tolist() == pytest.approx([0.9, 0, 0.4])


def test_a_classifiers_whole_answer_on_a_crop_counts():
    every = np.array([[0.5, 0.4, 0.1], [0.2, 0.3, 0.5]], np.float32)
    given = regions(("hail", 0.5), ("wear", 0.5), concept_scores=every)
    assert Vote()(found=[given]).scores.tolist() == pytest.approx([0.35, 0.35, 0.3])
    assert Vote(method="max")(found=[given]).scores.tolist() == pytest.approx([0.5, 0.4, 0.5])
    assert Vote(method="majority")(found=[given, concepts(0, 0.2, 0.8)]).scores.tolist() == pytest.approx(
        [1 / 3, 0, 2 / 3]
    )


@pytest.mark.parametrize("method", ["mean", "majority", "max"])
def test_nobodys_vote_is_zero(method):
    assert Vote(method=method)(found=[regions(), concepts(0, 0, 0)]).scores.tolist() == [0, 0, 0]


def voted(how, *frames):
    """(concept, score) of each region, frame by frame. frames: each a list of (id, concept, score)."""
    vote, answers = how.started(), []
    for i, rows in enumerate(frames):
        given = regions(*((name, score) for _, name, score in rows), track_id=np.array([row[0] for row in rows], int))
        found = vote(frames=given, time_ms=40.0 * i)
        assert found.more["track_id"].tolist() == given.more["track_id"].tolist()
        answers.append([(row["concept"], pytest.approx(row["score"])) for row in found.rows()])
    return answers


WAVERING = [(7, "hail", 0.6)], [(7, "wind", 0.9)], [(7, "hail", 0.8)]  # one object, three frames


def test_an_object_is_what_its_frames_so_far_say_most_often():
    found = voted(TrackVote(method="majority"), *WAVERING)
    assert found == [[("hail", 1)], [("hail", 0.5)], [("hail", 2 / 3)]]  # of equals the first


def test_an_object_is_what_its_frames_say_in_the_mean():
    assert voted(TrackVote(), *WAVERING) == [[("hail", 0.6)], [("wind", 0.45)], [("hail", 1.4 / 3)]]


def test_the_highest_score_of_any_frame():
    assert voted(TrackVote(method="max"), *WAVERING) == [[("hail", 0.6)], [("wind", 0.9)], [("wind", 0.9)]]


def test_a_sure_frame_may_count_more():
    frames = [(7, "hail", 0.3)], [(7, "hail", 0.3)], [(7, "wind", 0.9)]
    assert voted(TrackVote(method="majority"), *frames)[-1] == [("hail", 2 / 3)]
    assert voted(TrackVote(method="majority", weight="score"), *frames)[-1] == [("wind", 0.6)]
    assert voted(TrackVote(weight="score"), *frames)[-1] == [("wind", 0.9 * 0.9 / 1.5)]


@pytest.mark.parametrize("weight", ["same", "score", "area"])
def test_the_highest_score_counts_however_sure_or_near_the_frame(weight):
    every = np.array([[0.9, 0.1, 0.0]], np.float32)
    vote = TrackVote(method="max", weight=weight).started()
    line = regions(("hail", 0, (5, 0, 5, 10)), concept_scores=every, track_id=np.array([1]))
    vote(frames=line)
    found = vote(frames=regions(("wind", 0.5), track_id=np.array([1])))
    assert (found.rows()[0]["concept"], found.rows()[0]["score"]) == ("hail", pytest.approx(0.9))


def test_a_near_frame_may_count_more():
    vote = TrackVote(method="majority", weight="area").started()
    far, near = (
        regions(("hail", 0.9), track_id=np.array([1])),
        regions(("wind", 0.4, (0, 0, 20, 10)), track_id=np.array([1])),
    )
    line = regions(("wear", 1, (5, 0, 5, 10)), track_id=np.array([1]))  # without area, and so without a say
    assert [vote(frames=each).rows()[0]["concept"] for each in (line, far, near, line)] == [
        "wear",
        "hail",
        "wind",
        "wind",
    ]
    assert vote(frames=far).scores.tolist() == pytest.approx([0.5])


def test_objects_are_voted_on_each_by_itself_and_what_has_no_id_stays():
    first = [(1, "hail", 0.8), (-1, "wear", 0.3), (2, "wind", 0.6)]
    second = [(2, "hail", 0.2), (1, "wind", 0.2), (-1, "wind", 0.7)]
    found = voted(TrackVote(), first, [], second)
    assert found == [
        [("hail", 0.8), ("wear", 0.3), ("wind", 0.6)],
        [],
        [("wind", 0.3), ("hail", 0.4), ("wind", 0.7)],
    ]


def test_a_classifiers_whole_answer_on_each_frame_counts():
    every = np.array([[0.5, 0.4, 0.1]], np.float32), np.array([[0.1, 0.35, 0.55]], np.float32)
    vote, one = TrackVote().started(), np.array([1])
    first = regions(("hail", 0.5), concept_scores=every[0], track_id=one)
    second = regions(("wear", 0.55), concept_scores=every[1], track_id=one, parent=np.array([0]))
    vote(frames=first)
    found = vote(frames=second)
    assert found.more["concept_scores"].tolist() == [pytest.approx([0.3, 0.375, 0.325])]
    assert (found.rows()[0]["concept"], found.rows()[0]["score"]) == ("wind", pytest.approx(0.375))
    assert list(found.more) == ["concept_scores", "track_id", "parent"]
    assert second.more["concept_scores"].tolist() == [
        pytest.approx([0.1, 0.35, 0.55])
    ]  # what it was given stays what it was
    assert (second.labels.tolist(), second.scores.tolist()) == ([2], pytest.approx([0.55]))


def test_a_frame_that_says_nothing_has_no_say():
    assert voted(TrackVote(), [(1, "wind", 0.0)], [(1, "hail", 0.8)], [(1, "wind", 0.0)]) == [
        [("wind", 0.0)],
        [("hail", 0.8)],
        [("hail", 0.8)],
    ]


def test_each_video_is_voted_on_anew_and_the_same_again():
    how = TrackVote()
    assert voted(how, *WAVERING) == voted(how, *WAVERING)
    one, other = how.started(), how.started()
    one(frames=regions(("wind", 0.9), track_id=np.array([7])))
    assert other(frames=regions(("hail", 0.6), track_id=np.array([7]))).rows()[0]["concept"] == "hail"


def test_a_vote_over_frames_needs_ids():
    with pytest.raises(Fault, match=r"track-vote: its frames have no track_id\. Connect it to a tracker"):
        TrackVote().started()(frames=regions(("hail", 0.9)))


def digits(text, sizes=(10, 14), slope=0.0, shake=0.0, shuffled=None):
    """Regions for the digits of a text, lines 24 pixels apart, which may slope and shake."""
    names = tuple("0123456789")
    rows = []
    for i, line in enumerate(text.split("\n")):
        for j, digit in enumerate(line):
            wobble = shake * (-1) ** j
            x, y = 12.0 * j, 24.0 * i + slope * 12 * j + wobble
            rows.append((digit, 0.9, (x, y, x + sizes[0], y + sizes[1])))
    order = np.arange(len(rows)) if shuffled is None else np.random.default_rng(shuffled).permutation(len(rows))
    return regions(*(rows[i] for i in order), concepts=names)


@pytest.mark.parametrize("seed", range(5))
def test_digits_are_read_line_by_line(seed):
    text = "00471\n83\n1250"
    read = ReadingOrder()
    assert read(regions=digits(text, shuffled=seed)).text == text
    assert read(regions=digits(text, shake=2, shuffled=seed)).text == text
    spaced = ReadingOrder(separator=" ", line_separator=" | ")(regions=digits(text, shuffled=seed))
    assert spaced.text == "0 0 4 7 1 | 8 3 | 1 2 5 0"


def test_a_line_may_slope():
    text = "12345678\n87654321"
    assert ReadingOrder()(regions=digits(text, slope=0.4, shuffled=1)).text == text  # it falls by more than a line


def test_how_level_neighbours_must_be():
    steps = regions(("1", 0.9, (0, 0, 10, 10)), ("2", 0.9, (12, 4, 22, 14)), concepts=("1", "2"))
    assert ReadingOrder(overlap=0.5)(regions=steps).text == "12"
    assert ReadingOrder(overlap=0.7)(regions=steps).text == "1\n2"


def test_no_region_reads_as_nothing():
    assert ReadingOrder()(regions=regions()).text == ""


NEAR = (0.0, 0, 10, 8)  # shares .8 of its union with BOX


def test_boxes_fuse_by_their_scores():
    found = RegionMerge()(found=[regions(("hail", 0.9)), regions(("hail", 0.3, NEAR))])
    assert found.boxes.tolist() == [pytest.approx([0, 0, 10, (0.9 * 10 + 0.3 * 8) / 1.2])]
    assert found.scores.tolist() == pytest.approx([0.6])  # both found it


def test_what_only_some_have_found_is_less_sure():
    one = [regions(("hail", 0.9)), regions()]
    assert RegionMerge()(found=one).scores.tolist() == pytest.approx([0.45])
    assert RegionMerge(agreement=False)(found=one).scores.tolist() == pytest.approx([0.9])


def test_an_input_that_does_not_know_a_concept_cannot_doubt_it():
    found = RegionMerge()(found=[regions(("hail", 0.9)), regions(concepts=("rust",)), regions()])
    assert (found.concepts, found.scores.tolist()) == ((*NAMES, "rust"), pytest.approx([0.45]))


def test_a_cluster_of_more_boxes_than_inputs_is_no_surer_than_its_mean():
    found = RegionMerge()(found=[regions(("hail", 0.9), ("hail", 0.6, NEAR)), regions(("hail", 0.6))])
    assert found.scores.tolist() == pytest.approx([0.7])


def test_inputs_count_by_their_weights():
    both = [regions(("hail", 0.9)), regions(("hail", 0.3, NEAR))]
    found = RegionMerge(weights=[1, 3])(found=both)
    assert found.boxes[0, 3] == pytest.approx((0.9 * 10 + 0.9 * 8) / 1.8)
    assert found.scores.tolist() == pytest.approx([(0.9 + 3 * 0.3) / 4])
    assert RegionMerge(weights=[1, 3])(found=[both[0], regions()]).scores.tolist() == pytest.approx([0.9 / 4])
    with pytest.raises(Fault, match=r"region-merge: 3 weights for 2 inputs\. Give one for each input, or none"):
        RegionMerge(weights=[1, 2, 3])(found=both)


def test_a_box_joins_the_cluster_it_overlaps_most():
    """The mean moves as boxes join: the third box fits it, though it overlaps the first by less than is asked."""
    chain = [("hail", 0.9, (0, 0, 10, 10)), ("hail", 0.8, (2, 0, 12, 10)), ("hail", 0.7, (3.2, 0, 13.2, 10))]
    found = RegionMerge(iou=0.55, agreement=False)(found=[regions(row) for row in chain])
    assert len(found) == 1
    assert found.boxes[0, 0] == pytest.approx((0.8 * 2 + 0.7 * 3.2) / 2.4, abs=1e-6)
    two = [("hail", 0.9, (0, 0, 10, 10)), ("hail", 0.8, (6, 0, 16, 10)), ("hail", 0.7, (4, 0, 14, 10))]
    found = RegionMerge(iou=0.4, agreement=False)(found=[regions(row) for row in two])
    assert sorted(found.boxes[:, 0].tolist()) == pytest.approx([0, (0.8 * 6 + 0.7 * 4) / 1.5], abs=1e-6)


def test_suppression_keeps_the_surest_as_it_is():
    given = [regions(("hail", 0.6), ("wind", 0.2)), regions(("hail", 0.7, NEAR), ("hail", 0.5, (50, 0, 60, 10)))]
    found = RegionMerge(method="nms")(found=given)
    assert [(row["concept"], row["box"][3], row["score"]) for row in found.rows()] == [
        ("hail", 8, pytest.approx(0.7)),
        ("hail", 10, pytest.approx(0.5)),
        ("wind", 10, pytest.approx(0.2)),
    ]
    weighed = RegionMerge(method="nms", weights=[2, 1])(found=given)
    assert weighed.scores.tolist() == pytest.approx([0.6, 0.5, 0.2])


def test_unsure_regions_can_be_left_out_before():
    given = [regions(("hail", 0.9)), regions(("hail", 0.1, NEAR))]
    found = RegionMerge(least=0.2)(found=given)
    assert (found.boxes.tolist(), found.scores.tolist()) == ([list(BOX)], pytest.approx([0.45]))


def test_equal_answers_fuse_to_themselves():
    rng = np.random.default_rng(0)
    rows = [(NAMES[i % 3], float(rng.uniform(0.1, 1)), (30.0 * i, 0, 30.0 * i + 20, 20)) for i in range(40)]
    one = regions(*rows)
    found = RegionMerge()(found=[one, one, one])
    order = np.argsort(-one.scores, kind="stable")
    assert found.boxes == pytest.approx(one.boxes[order])
    assert found.scores == pytest.approx(one.scores[order])
    assert found.labels.tolist() == one.labels[order].tolist()
