"""Labels planted wrong are told first and by their kind; where none is, hardly any is doubted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from models.runtime.faults import Fault
from models.runtime.predictions import Concepts, Regions
from tasks.data.annotations import Annotation
from tasks.metrics.label_issues import label_issues

NAMES = ("cat", "dog", "owl")
COUNT, PLANTED = 300, 30


def image(number: int, *concepts: str) -> Annotation:
    return Annotation(f"{number}.png", str(number), 200, 200, "train", tuple(sorted(concepts)))


def answers(truth: np.ndarray, seed: int = 0) -> list[Concepts]:
    """Of a model that errs on 3 of 100 images, and is less sure there. truth: (N,) int64 into NAMES."""
    drawn = np.random.default_rng(seed)
    said = np.where(drawn.random(len(truth)) < 0.95, truth, drawn.integers(0, 3, len(truth)))
    sure = np.where(said == truth, drawn.uniform(0.6, 0.98, len(truth)), drawn.uniform(0.4, 0.8, len(truth)))
    scores = np.repeat((1 - sure)[:, None] / 2, 3, axis=1)
    scores[np.arange(len(truth)), said] = sure
    return [Concepts(row, NAMES) for row in scores.astype(np.float32)]


def test_wrong_concepts_rank_first():
    drawn = np.random.default_rng(1)
    truth = drawn.integers(0, 3, COUNT)
    wrong = drawn.permutation(COUNT)[:PLANTED]
    label = truth.copy()
    label[wrong] = (truth[wrong] + 1) % 3
    issues = label_issues([image(i, NAMES[c]) for i, c in enumerate(label)], answers(truth), NAMES, True)
    first = issues[:PLANTED]
    assert np.mean([issue.index in wrong for issue in first]) >= 0.7
    assert np.mean([issue.index in wrong for issue in issues[:10]]) >= 0.9
    assert [issue.suspicion for issue in issues] == sorted((issue.suspicion for issue in issues), reverse=True)
    told = [issue for issue in issues if issue.index in wrong]
    assert len(told) >= 0.5 * PLANTED  # those it is sure about
    assert {(issue.kind, issue.given == NAMES[label[issue.index]]) for issue in told} == {("wrong concept", True)}
    assert np.mean([issue.suggested == NAMES[truth[issue.index]] for issue in told]) > 0.9
    assert all(0 <= issue.suspicion <= 1 and issue.box is issue.suggested_box is None for issue in issues)


def test_hardly_a_right_label_is_doubted():
    truth = np.random.default_rng(1).integers(0, 3, COUNT)
    issues = label_issues([image(i, NAMES[c]) for i, c in enumerate(truth)], answers(truth), NAMES, True)
    assert len(issues) <= 0.05 * COUNT


def test_thresholds_margin_and_suggestion_by_hand():
    """Means of own scores: cat (.9 + .7 + .2) / 3 = .6, dog (.8 + .6) / 2 = .7; owl has no image, and no threshold."""
    labels = ("cat", "cat", "cat", "dog", "dog")
    scores = [[0.9, 0.1, 0], [0.7, 0.3, 0], [0.2, 0.75, 0.05], [0.2, 0.8, 0], [0.05, 0.6, 0.35]]
    found = [Concepts(np.array(row, np.float32), NAMES) for row in scores]
    (issue,) = label_issues([image(i, name) for i, name in enumerate(labels)], found, NAMES, True)
    assert (issue.index, issue.kind, issue.given, issue.suggested) == (2, "wrong concept", "cat", "dog")
    assert (issue.suspicion, issue.score) == (pytest.approx((1 + 0.75 - 0.2) / 2), pytest.approx(0.75))


def test_equal_scores_are_all_at_their_mean():
    found = [Concepts(np.array([0.1, 0.9, 0], np.float32), NAMES)] * 7
    issues = label_issues([image(0, "cat"), *(image(i, "dog") for i in range(1, 7))], found, NAMES, True)
    assert [(issue.index, issue.suggested) for issue in issues] == [(0, "dog")]


def test_several_concepts_are_told_one_by_one():
    """A missed and a wrong concept of one image are two rows; both are told by how sure the model is."""
    drawn = np.random.default_rng(2)
    truth = drawn.random((COUNT, 3)) < 0.4
    label = truth.copy()
    label[0], label[1], truth[0], truth[1] = [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 1]
    scores = np.where(truth, drawn.uniform(0.7, 0.9, truth.shape), drawn.uniform(0.05, 0.2, truth.shape))
    scores[0], scores[1] = [0.01, 0.98, 0.1], [0.1, 0.8, 0.96]
    found = [Concepts(row, NAMES) for row in scores.astype(np.float32)]
    images = [image(i, *(name for name, there in zip(NAMES, row, strict=True) if there)) for i, row in enumerate(label)]
    issues = label_issues(images, found, NAMES, False)
    told = [(issue.index, issue.kind, issue.given, issue.suggested) for issue in issues]
    assert told == [
        (0, "wrong concept", "cat", ""),
        (0, "missed concept", "", "dog"),
        (1, "missed concept", "", "owl"),
    ]
    assert [issue.suspicion for issue in issues] == pytest.approx([0.99, 0.98, 0.96])
    assert [issue.score for issue in issues] == pytest.approx([0.01, 0.98, 0.96])


def test_a_concept_that_the_model_does_not_know_is_not_doubted():
    found = [Concepts(np.array([0.9, 0.1], np.float32), NAMES[:2])] * 4
    images = [image(0, "cat"), image(1, "cat"), image(2, "cat"), image(3, "owl")]
    assert label_issues(images, found, NAMES[:2], True) == []


def test_several_concepts_do_not_fit_a_model_of_one():
    with pytest.raises(Fault, match=r"0\.png: 2 concepts, but the model answers exactly one an image"):
        label_issues([image(0, "cat", "dog")], answers(np.zeros(1, np.int64)), NAMES, True)
    with pytest.raises(ValueError, match="1 annotations, but answers on 2 images"):
        label_issues([image(0, "cat")], answers(np.zeros(2, np.int64)), NAMES, True)
    assert label_issues([], [], NAMES, True) == []


PLACES = ((10.0, 10.0, 50.0, 50.0), (110.0, 10.0, 150.0, 50.0), (10.0, 110.0, 50.0, 150.0))


def scene(number: int) -> Annotation:
    """Three boxes, one of each concept."""
    no = (False,) * 3
    return replace(image(number), boxes=PLACES, areas=(1600.0,) * 3, box_concepts=NAMES, crowd=no, difficult=no)


def without(entry: Annotation, which: int) -> Annotation:
    columns = ("boxes", "areas", "box_concepts", "crowd", "difficult")
    return replace(
        entry, **{name: (*getattr(entry, name)[:which], *getattr(entry, name)[which + 1 :]) for name in columns}
    )


def with_(entry: Annotation, which: int, **changed: object) -> Annotation:
    """One value of some columns replaced; of a column that has none there, appended."""
    return replace(
        entry,
        **{
            name: (*getattr(entry, name)[:which], value, *getattr(entry, name)[which + 1 :])
            for name, value in changed.items()
        },
    )


def regions(rows: Sequence[tuple[tuple[float, ...], float, str]]) -> Regions:
    boxes, scores, names = zip(*rows, strict=True) if rows else ((), (), ())
    labels = np.array([NAMES.index(name) for name in names], np.int64)
    return Regions(np.array(boxes, np.float64).reshape(-1, 4), np.array(scores, np.float32), labels, NAMES)


def right(score: float = 0.8) -> Regions:
    """What is in a `scene`, and a faint region that is nowhere near."""
    return regions(
        [*((box, score, name) for box, name in zip(PLACES, NAMES, strict=True)), ((160, 160, 190, 190), 0.1, "cat")]
    )


def test_right_boxes_are_not_doubted():
    assert label_issues([scene(i) for i in range(20)], [right()] * 20, NAMES, False) == []


def test_each_kind_of_planted_box_is_found_and_told_by_its_kind():
    images = [scene(i) for i in range(40)]
    found = [right(0.7 + 0.005 * i) for i in range(40)]
    invented = (150.0, 100.0, 190.0, 140.0)
    shifted = (10.0 + 18, 110.0, 50.0 + 18, 150.0)  # overlaps by 22 / 58 = .38
    images[36] = without(images[36], 0)
    images[37] = with_(images[37], 1, box_concepts="owl")
    images[38] = with_(images[38], 2, boxes=shifted)
    images[39] = with_(images[39], 3, boxes=invented, areas=1600.0, box_concepts="dog", crowd=False, difficult=False)
    issues = label_issues(images, found, NAMES, False)
    told = {issue.index: (issue.kind, issue.given, issue.suggested, issue.box, issue.suggested_box) for issue in issues}
    assert told == {
        36: ("missed box", "", "cat", None, PLACES[0]),
        37: ("wrong concept", "owl", "dog", PLACES[1], PLACES[1]),
        38: ("badly placed", "owl", "owl", shifted, PLACES[2]),
        39: ("nothing there", "dog", "", invented, None),
    }
    suspicion = {issue.index: issue.suspicion for issue in issues}
    assert len(issues) == 4 and all(0 < value <= 1 for value in suspicion.values())
    # So many of the 39 right regions of the concept score no more, of 40; and 39 of 40 dogs have a region.
    assert suspicion[36] == pytest.approx(36 / 40)
    assert suspicion[37] == pytest.approx(37 / 40)
    assert suspicion[38] == pytest.approx(38 / 40 * (1 - 22 / 58))
    assert suspicion[39] == pytest.approx(39 / 40)


def test_a_tenth_of_the_boxes_removed_rank_first():
    drawn = np.random.default_rng(3)
    removed = set(drawn.permutation(COUNT)[:PLANTED].tolist())
    images = [without(scene(i), 0) if i in removed else scene(i) for i in range(COUNT)]
    found = []
    for _ in range(COUNT):
        rows = [(box, drawn.uniform(0.5, 0.95), name) for box, name in zip(PLACES, NAMES, strict=True)]
        wrong = [((150, 100, 190, 140), drawn.uniform(0.05, 0.9), "dog")] if drawn.random() < 0.05 else []
        found.append(regions(rows + wrong))
    issues = label_issues(images, found, NAMES, False)
    right = [issue.index in removed and issue.suggested == "cat" for issue in issues]
    assert np.mean(right) >= 0.7 and np.mean(right[:8]) == 1


def alone(score: float, name: str, *more: tuple[tuple[float, ...], float, str]) -> list[Regions]:
    """Answers on eleven scenes, in the last of which the first box is found as told."""
    rest = list(zip(PLACES[1:], (0.8, 0.8), NAMES[1:], strict=True))
    return [right()] * 10 + [regions([(PLACES[0], score, name), *rest, *more])]


@pytest.mark.parametrize(
    ("found", "kinds"),
    [
        (alone(0.9, "dog"), ["wrong concept"]),
        (alone(0.8, "dog"), ["wrong concept"]),  # as sure as all are
        (alone(0.5, "dog"), []),  # not sure
        (alone(0.9, "dog", (PLACES[0], 0.8, "cat")), []),  # its own is sure as well
        (alone(0.9, "dog", (PLACES[0], 0.3, "cat")), ["wrong concept"]),
        (alone(0.1, "cat"), []),  # found, if hardly
    ],
)
def test_a_box_is_of_another_concept_where_its_own_is_not_comparable(found, kinds):
    issues = label_issues([scene(i) for i in range(11)], found, NAMES, False)
    assert [issue.kind for issue in issues] == kinds
    if len(found[10]) == 4 and kinds:
        assert issues[0].suspicion == pytest.approx((11 - 1) / 12)


def test_a_box_whose_own_concept_is_sure_is_right_whatever_else_is_surer():
    rest = list(zip(PLACES[1:], (0.8, 0.8), NAMES[1:], strict=True))
    for own, kinds in ((0.73, []), (0.7, ["wrong concept"])):  # cats are right at .72 on average
        last = regions([(PLACES[0], own, "cat"), (PLACES[0], 0.99, "dog"), *rest])
        found = [*(right(0.7 + 0.005 * i) for i in range(10)), last]
        assert [issue.kind for issue in label_issues([scene(i) for i in range(11)], found, NAMES, False)] == kinds


def test_a_region_that_hardly_touches_a_box_is_of_something_else():
    touching = (45.0, 10.0, 85.0, 50.0)  # 5 of 75: .07
    rest = list(zip(PLACES[1:], (0.8, 0.8), NAMES[1:], strict=True))
    found = [right()] * 10 + [regions([(touching, 0.9, "cat"), *rest])]
    issues = label_issues([scene(i) for i in range(11)], found, NAMES, False)
    assert [(issue.index, issue.kind) for issue in issues] == [(10, "nothing there"), (10, "missed box")]


def test_what_is_missed_is_told_once_and_not_where_a_box_may_be_left_out():
    twice = [((150, 100, 190, 140), 0.95, "dog"), ((152, 100, 192, 140), 0.9, "owl")]
    found = [right()] * 10 + [regions([*zip(PLACES, (0.8,) * 3, NAMES, strict=True), *twice])]
    images = [scene(i) for i in range(11)]
    (issue,) = label_issues(images, found, NAMES, False)
    assert (issue.suggested, issue.suspicion) == ("dog", pytest.approx(11 / 12))
    crowd = {"boxes": (140.0, 90.0, 199.0, 150.0), "areas": 1.0, "box_concepts": "cat", "difficult": False}
    images[10] = with_(images[10], 3, **crowd, crowd=True)
    assert label_issues(images, found, NAMES, False) == []


def test_a_region_that_is_right_about_a_neighbour_tells_nothing_of_a_box():
    """A dog on a cat, both labelled: the dog's region is the dog's."""
    near = (12.0, 10.0, 50.0, 50.0)
    more = {"boxes": near, "areas": 1.0, "crowd": False, "difficult": False}
    images = [scene(i) for i in range(10)] + [with_(scene(10), 3, **more, box_concepts="dog")]
    rest = list(zip(PLACES[1:], (0.8, 0.8), NAMES[1:], strict=True))
    found = [right()] * 10 + [regions([(near, 0.95, "dog"), (PLACES[0], 0.4, "cat"), *rest])]
    assert label_issues(images, found, NAMES, False) == []


def test_boxes_of_a_concept_that_the_model_does_not_know_are_not_doubted_but_are_there():
    images = [with_(scene(i), 0, box_concepts="yak") for i in range(5)]
    found = [regions([*zip(PLACES, (0.8,) * 3, ("dog", *NAMES[1:]), strict=True)])] * 5
    assert label_issues(images, found, NAMES, False) == []


def test_images_without_a_box_or_a_region():
    empty = [replace(image(i)) for i in range(3)]
    assert label_issues(empty, [Regions.empty(NAMES)] * 3, NAMES, False) == []
    assert label_issues(empty, [right()] * 3, NAMES, False) == []  # right about nothing, so sure of nothing
    assert label_issues([scene(0)], [Regions.empty(NAMES)], NAMES, False) == []  # it never finds any
