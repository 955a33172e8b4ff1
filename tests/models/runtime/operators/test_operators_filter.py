"""What filters keep: by score, concept, overlap, rank and chance, with the shapes of what they were given."""

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from models.runtime.operators.filter import (
    PLATFORM,
    ConceptThresholder,
    NonMaxSuppression,
    RandomSample,
    RegionThresholder,
    SelectConcepts,
    TopK,
)
from models.runtime.operators.views import View, Views
from models.runtime.predictions import Concepts, Regions

NAMES = ("hail", "wind", "wear")
EDGES = [0.1, 0.5, 0.7, 0.3, 0.9]


def concepts(*scores):
    return Concepts(np.array(scores, np.float32), NAMES)


def regions(scores, labels=None, boxes=None, **more):
    """Apart from each other, unless boxes say otherwise."""
    count = len(scores)
    boxes = np.array(boxes if boxes is not None else [(20.0 * i, 0, 20.0 * i + 10, 10) for i in range(count)])
    labels = np.zeros(count, np.int64) if labels is None else np.array(labels, np.int64)
    return Regions(boxes.reshape(-1, 4).astype(np.float64), np.array(scores, np.float32), labels, NAMES, more)


@pytest.mark.parametrize(
    ("type", "kept"),
    [(">", [2, 4]), (">=", [1, 2, 4]), ("=", [1]), ("<=", [0, 1, 3]), ("<", [0, 3])],
)
def test_a_score_is_compared_with_the_threshold(type, kept):
    found = RegionThresholder(threshold=0.5, type=type)(regions=regions(EDGES))
    assert found.boxes[:, 0].tolist() == [20.0 * i for i in kept]
    assert found.concepts == NAMES


@pytest.mark.parametrize("score", [0.1, 0.3, 0.7, 0.9])
def test_a_score_equals_the_same_number_as_threshold(score):
    found = regions([score])
    assert len(RegionThresholder(threshold=score, type="=")(regions=found)) == 1
    assert len(RegionThresholder(threshold=score, type=">")(regions=found)) == 0


def test_the_platforms_names_of_comparisons_mean_the_same():
    assert {name: RegionThresholder(type=name).type for name in PLATFORM} == PLATFORM
    with pytest.raises(ValidationError, match="'>', '>=', '=', '<=' or '<'"):
        RegionThresholder(type="GREATER")


def test_a_concept_can_have_a_threshold_of_its_own():
    given = regions([0.6, 0.6, 0.6, 0.2], [0, 1, 2, 2])
    kept = RegionThresholder(threshold=0.5, thresholds={"wind": 0.7, "wear": 0.1})(regions=given)
    assert kept.labels.tolist() == [0, 2, 2]


@pytest.mark.parametrize(("type", "score"), [(">=", 1.0), ("<=", 0.0), ("=", 0.5)])
def test_concepts_without_a_threshold_of_their_own_can_be_dropped(type, score):
    given = regions([score] * 3, [0, 1, 2])
    params = {"thresholds": {"wind": score}, "type": type, "threshold": score}
    assert RegionThresholder(**params)(regions=given).labels.tolist() == [0, 1, 2]
    assert RegionThresholder(**params, rest="drop")(regions=given).labels.tolist() == [1]
    answer = ConceptThresholder(**params, rest="drop")(concepts=concepts(score, score, score))
    assert answer.scores.tolist() == [0, score, 0]


def test_concepts_that_fail_are_zero_and_the_names_stay():
    answer = ConceptThresholder(threshold=0.3, thresholds={"wear": 0.05})(concepts=concepts(0.6, 0.2, 0.1))
    assert answer.scores.tolist() == pytest.approx([0.6, 0, 0.1])
    assert answer.scores.dtype == np.float32
    assert answer.concepts == NAMES


def test_selected_concepts_come_in_the_models_order_with_labels_of_their_own():
    every = np.array([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]], np.float32)
    given = regions([0.7, 0.6, 0.8], [2, 0, 1], concept_scores=every, track_id=np.array([7, 8, 9]))
    found = SelectConcepts(names=["wear", "hail"])(found=given)
    assert found.concepts == ("hail", "wear")
    assert [row["concept"] for row in found.rows()] == ["wear", "hail"]
    assert found.more["concept_scores"].tolist() == every[:2][:, [0, 2]].tolist()
    assert found.more["track_id"].tolist() == [7, 8]
    answer = SelectConcepts(names=["wear", "hail"])(found=concepts(0.6, 0.3, 0.1))
    assert (answer.concepts, answer.scores.tolist()) == (("hail", "wear"), pytest.approx([0.6, 0.1]))


def test_concepts_can_be_dropped_instead_and_none_named_keeps_all():
    drop = SelectConcepts(names=["wind"], keep=False)
    assert drop(found=regions([0.9, 0.8], [1, 2])).rows()[0]["concept"] == "wear"
    assert drop.concepts({"found": NAMES}) == ("hail", "wear")
    for keep in (True, False):
        assert SelectConcepts(keep=keep)(found=concepts(0.5, 0.2, 0.3)).concepts == NAMES


OVER = [(0, 0, 10, 10), (1, 0, 11, 10), (40, 0, 50, 10)]  # the first two share 9 / 11


def test_of_overlapping_regions_the_surest_stays():
    found = NonMaxSuppression(iou=0.5)(regions=regions([0.4, 0.9, 0.6], boxes=OVER))
    assert found.scores.tolist() == pytest.approx([0.9, 0.6])
    assert len(NonMaxSuppression(iou=0.82)(regions=regions([0.4, 0.9, 0.6], boxes=OVER))) == 3


def test_concepts_compete_only_if_they_shall():
    given = regions([0.4, 0.9, 0.6], [0, 1, 1], OVER)
    assert NonMaxSuppression()(regions=given).scores.tolist() == pytest.approx([0.9, 0.6, 0.4])
    assert NonMaxSuppression(across_concepts=True)(regions=given).scores.tolist() == pytest.approx([0.9, 0.6])


def test_of_equally_sure_regions_the_first_stays_and_order_is_kept():
    rng = np.random.default_rng(0)
    places = rng.permutation(3000)
    boxes = np.repeat([(20.0 * i, 0, 20.0 * i + 10, 10) for i in places], 2, axis=0)
    boxes[1::2, :] += [1, 0, 1, 0]
    found = NonMaxSuppression()(regions=regions(np.full(6000, 0.5), boxes=boxes))
    assert found.boxes.tolist() == boxes[::2].tolist()


def test_the_surest_regions_are_kept_in_all_or_of_each_concept():
    given = regions([0.2, 0.9, 0.8, 0.8, 0.1], [0, 1, 1, 2, 0])
    assert TopK(k=2)(found=given).boxes[:, 0].tolist() == [20, 40]
    each = TopK(k=1, per_concept=True)(found=given)
    assert [(row["concept"], row["box"][0]) for row in each.rows()] == [("wind", 20), ("wear", 60), ("hail", 0)]
    assert len(TopK(k=1000)(found=given)) == 5


def test_the_best_concepts_are_kept_the_others_zero():
    assert TopK(k=2)(found=concepts(0.2, 0.4, 0.4)).scores.tolist() == pytest.approx([0, 0.4, 0.4])
    assert TopK(k=1)(found=concepts(0.2, 0.4, 0.4)).scores.tolist() == pytest.approx([0, 0.4, 0])


def many(count=2000, seed=0):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 500, (count, 2))
    return regions(rng.uniform(0, 1, count), rng.integers(0, 3, count), np.hstack([corners, corners + 10]))


def test_a_sample_is_the_same_in_any_order_and_grows_with_its_fraction():
    given, turned = many(), np.random.default_rng(1).permutation(2000)
    few, more = (RandomSample(keep_fraction=fraction)(found=given) for fraction in (0.2, 0.6))
    assert len(few) == pytest.approx(400, abs=60)
    assert len(more) == pytest.approx(1200, abs=70)
    rows = [set(map(tuple, each.boxes)) for each in (few, more, RandomSample(keep_fraction=0.2)(found=given[turned]))]
    assert rows[0] == rows[2] < rows[1]
    other = set(map(tuple, RandomSample(keep_fraction=0.2, seed=1)(found=given).boxes))
    assert len(other & rows[0]) == pytest.approx(80, abs=40)  # as two independent draws share


def test_all_and_none_are_samples():
    assert len(RandomSample(keep_fraction=1)(found=many())) == 2000
    assert len(RandomSample(keep_fraction=0)(found=many())) == 0


def test_crops_are_sampled_by_what_they_show():
    where = regions([1.0, 1.0], boxes=[(0, 0, 8, 8)] * 2)  # the same place in every picture
    kept = []
    for i in range(200):
        views = tuple(View.whole(Image.new("RGB", (8, 8), (i, 0, blue))) for blue in (0, 1))
        sample = RandomSample(keep_fraction=0.5)(found=Views(views, where))
        assert len(sample.views) == len(sample.regions)
        kept.append(len(sample))
    assert np.bincount(kept, minlength=3).tolist() == pytest.approx([50, 100, 50], abs=25)


def test_an_answer_of_concepts_is_sampled_whole():
    rng = np.random.default_rng(0)
    answers = [RandomSample()(found=concepts(*rng.dirichlet([1, 1, 1]))) for _ in range(400)]
    sums = [float(answer.scores.sum()) for answer in answers]
    assert all(total == 0 or total == pytest.approx(1) for total in sums)
    assert np.count_nonzero(sums) == pytest.approx(200, abs=40)
