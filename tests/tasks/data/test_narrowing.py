"""A dataset as if it had some of its concepts alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.runtime.faults import Fault
from tasks.data.narrowing import as_learned, only
from tests.drawn import shapes


def test_pictures_of_other_concepts_are_left_out_where_concepts_exclude_each_other(tmp_path):
    narrowed = only(shapes(tmp_path / "shapes"), ("wide",))
    assert narrowed.concepts == ("wide",)
    assert {entry.concepts for entry in narrowed.annotations} == {("wide",)}
    assert len(narrowed.annotations) == 6


def test_elsewhere_they_stay_and_show_none(tmp_path):
    several = replace(shapes(tmp_path / "shapes"), exclusive=False)
    narrowed = only(several, ("wide",))
    assert len(narrowed.annotations) == 12
    assert {entry.concepts for entry in narrowed.annotations} == {("wide",), ()}


def test_boxes_of_other_concepts_are_left_out(tmp_path):
    narrowed = only(shapes(tmp_path / "shapes", task="detection"), ("tall",))
    assert len(narrowed.annotations) == 12
    assert {entry.box_concepts for entry in narrowed.annotations} == {("tall",), ()}
    assert all(len(entry.boxes) == len(entry.areas) == len(entry.box_concepts) for entry in narrowed.annotations)


def test_none_named_is_all_in_the_datasets_own_order(tmp_path):
    drawn = shapes(tmp_path / "shapes")
    assert only(drawn, ()) is drawn
    assert only(drawn, ("wide", "tall")).concepts == drawn.concepts


def test_a_concept_that_there_is_not(tmp_path):
    with pytest.raises(
        Fault, match=r"concepts: dataset shapes has no 'wode'\. Known: tall, wide\. Did you mean 'wide'"
    ):
        only(shapes(tmp_path / "shapes"), ("wode",))


def test_a_model_is_measured_on_what_it_was_told_to_learn_of_what_a_dataset_has(tmp_path):
    drawn = shapes(tmp_path / "shapes")
    assert as_learned(drawn, ()) is drawn
    assert as_learned(drawn, ("wide", "round")).concepts == ("wide",)
