"""What a model got wrong: which images, which boxes, and in which order."""

import numpy as np

from models.runtime.predictions import Concepts, Regions
from tasks.data.annotations import Annotation
from tasks.metrics.classification import classification
from tasks.metrics.detection import detection
from tasks.metrics.mistakes import Confused, Mislocated, confused, mislocated

NAMES = ("cat", "dog")
HERE, ASIDE, THERE = (0.0, 0.0, 9.0, 9.0), (80.0, 0.0, 90.0, 9.0), (50.0, 50.0, 60.0, 60.0)


def boxed(*boxes, difficult=False):
    one = len(boxes)
    columns = (boxes, (81.0,) * one, ("cat",) * one, (False,) * one, (difficult,) * one)
    return Annotation("a.png", "", 100, 100, "test", (), *columns)


def regions(*rows):
    boxes, scores, labels = zip(*rows, strict=True) if rows else ((), (), ())
    columns = np.array(boxes, np.float64).reshape(-1, 4), np.array(scores, np.float32), np.array(labels, np.int64)
    return Regions(*columns, NAMES)


def test_images_with_most_missed_and_wrong_come_first():
    entries = [boxed(HERE), boxed(HERE, THERE), boxed(HERE), boxed(HERE, difficult=True)]
    found = [
        regions((HERE, 0.9, 0)),
        regions((ASIDE, 0.4, 0), (ASIDE, 0.9, 0), (HERE, 0.8, 0), (THERE, 0.8, 1)),
        regions((HERE, 0.4, 0), (ASIDE, 0.4, 0)),
        regions((HERE, 0.9, 0)),
    ]
    report = detection(entries, found, NAMES)
    rows = mislocated(report)
    assert rows == [Mislocated(1, missed=(1,), wrong=(1, 3), right=(2,)), Mislocated(2, (0,), (), ())]
    assert sum(len(row.missed) for row in rows) == report.summary["false_negatives"]
    assert sum(len(row.wrong) for row in rows) == report.summary["false_positives"]


def test_of_equals_the_earlier_comes_first_and_no_mistake_is_no_row():
    entries, found = [boxed(HERE), boxed(), boxed(HERE)], [regions()] * 3
    assert [row.index for row in mislocated(detection(entries, found, NAMES))] == [0, 2]


def asked(truths, answers, exclusive=True):
    entries = [Annotation(f"{i}.png", "", 8, 8, "test", names) for i, names in enumerate(truths)]
    scores = np.array(answers, np.float32)
    report = classification(entries, scores, NAMES, exclusive)
    return confused(entries, [Concepts(row, NAMES) for row in scores], report)


def test_the_surest_of_a_wrong_concept_comes_first():
    truths = [("cat",), ("cat",), ("dog",)]
    assert asked(truths, [(0.25, 0.75), (0.75, 0.25), (1.0, 0.0)]) == [
        Confused(2, ("dog",), (("cat", 1.0),)),
        Confused(0, ("cat",), (("dog", 0.75),)),
    ]


def test_of_several_concepts_most_wrong_ones_come_first():
    rows = asked([("cat",), ("cat",), (), ("cat", "dog")], [(1, 0.75), (0.25, 0.75), (0, 0), (0, 1)], exclusive=False)
    assert [row.index for row in rows] == [1, 3, 0]
    assert rows[1] == Confused(3, ("cat", "dog"), (("dog", 1.0),))


def test_a_concept_that_the_model_does_not_know_is_a_mistake():
    assert asked([("bird",), ("cat",)], [(0.75, 0.25), (0.75, 0.25)]) == [Confused(0, ("bird",), (("cat", 0.75),))]
    rows = asked([("bird",), ("cat",)], [(0.25, 0.25), (0.75, 0.25)], exclusive=False)
    assert rows == [Confused(0, ("bird",), ())]
