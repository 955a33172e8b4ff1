"""Renamed concepts: what becomes of names, scores and regions."""

import numpy as np
import pytest

from models.runtime.operators.concepts import ConceptMap
from models.runtime.predictions import Concepts, Regions

NAMES = ("puppy", "cat", "dog", "kitten", "car")
PETS = {"puppy": "dog", "kitten": "cat"}


def test_names_that_become_one_have_the_highest_of_their_scores():
    given = Concepts(np.array([0.3, 0.1, 0.2, 0.15, 0.25], np.float32), NAMES)
    answer = ConceptMap(mapping=PETS)(found=given)
    assert answer.concepts == ("dog", "cat", "car")  # each where the first that became it was
    assert answer.scores.tolist() == pytest.approx([0.3, 0.15, 0.25])


def test_the_rest_can_be_dropped_but_who_has_a_new_name_stays():
    given = Concepts(np.array([0.1, 0.1, 0.4, 0.15, 0.25], np.float32), NAMES)
    answer = ConceptMap(mapping=PETS, rest="drop")(found=given)
    assert answer.concepts == ("dog", "cat")
    assert answer.scores.tolist() == pytest.approx([0.4, 0.15])


def regions():
    every = np.array([[0.5, 0.1, 0.2, 0.1, 0.1], [0.1, 0.1, 0.1, 0.1, 0.6], [0.1, 0.2, 0.1, 0.4, 0.2]], np.float32)
    labels, scores = every.argmax(axis=1), every.max(axis=1)
    more = {"concept_scores": every, "track_id": np.array([4, 5, 6])}
    return Regions(np.arange(12.0).reshape(3, 4), scores, labels, NAMES, more)


def test_regions_are_relabelled():
    found = ConceptMap(mapping=PETS)(found=regions())
    assert [row["concept"] for row in found.rows()] == ["dog", "car", "cat"]
    assert found.boxes.tolist() == regions().boxes.tolist()
    assert found.more["concept_scores"] == pytest.approx(
        np.array([[0.5, 0.1, 0.1], [0.1, 0.1, 0.6], [0.1, 0.4, 0.2]], np.float32)
    )


def test_regions_of_dropped_concepts_are_dropped():
    found = ConceptMap(mapping=PETS, rest="drop")(found=regions())
    assert (found.concepts, found.labels.tolist()) == (("dog", "cat"), [0, 1])
    assert found.more["track_id"].tolist() == [4, 6]
    assert found.more["concept_scores"].shape == (2, 2)


def test_names_can_be_swapped_and_are_not_looked_up_twice():
    given = Concepts(np.array([0.5, 0.1, 0.2, 0.1, 0.1], np.float32), NAMES)
    swapped = ConceptMap(mapping={"cat": "dog", "dog": "cat"})(found=given)
    assert dict(zip(swapped.concepts, swapped.scores.tolist(), strict=True)) == pytest.approx(
        {"puppy": 0.5, "dog": 0.1, "cat": 0.2, "kitten": 0.1, "car": 0.1}
    )


def test_it_says_which_concepts_it_names_and_can_answer():
    pets = ConceptMap(mapping=PETS, rest="drop")
    assert pets.named() == ("puppy", "kitten")
    assert pets.concepts({"found": NAMES}) == ("dog", "cat")
    assert ConceptMap().concepts({"found": NAMES}) == NAMES
