"""Rows that stand for a concept are carried over by its name, in groups and widths as the tensor has them."""

import torch

from models.runtime.rows import Rows, carried_over


def test_rows_are_carried_over_by_name_in_any_order():
    own = {"head.weight": torch.zeros(3, 2)}
    stored = {"head.weight": torch.tensor([[1.0, 1], [2, 2], [3, 3]])}
    taken = carried_over(own, ("wind", "new", "hail"), stored, ("hail", "moss", "wind"), {"head.weight": Rows()})
    assert taken["head.weight"].tolist() == [[3, 3], [0, 0], [1, 1]]
    assert own["head.weight"].sum() == 0


def test_groups_of_anchors_background_and_padding():
    """Two anchors, each with a row for the background, one a concept, and one behind."""
    own = {"bias": torch.full((2 * 4,), -1.0)}
    stored = {"bias": torch.tensor([10.0, 11, 12, 20, 21, 22])}
    taken = carried_over(own, ("b", "a"), stored, ("a",), {"bias": Rows(before=1, after=1)})
    assert taken["bias"].tolist() == [10, -1, 11, 12, 20, -1, 21, 22]


def test_several_rows_a_concept():
    own = {"box": torch.zeros(3 * 2, 1)}
    stored = {"box": torch.arange(1.0, 7.0).reshape(6, 1)}
    layout = {"box": Rows(before=1, width=2)}
    taken = carried_over(own, ("b", "c"), stored, ("a", "b"), layout)
    assert taken["box"].flatten().tolist() == [1, 2, 5, 6, 0, 0]


def test_what_has_no_rows_is_taken_where_it_fits():
    own = {"stem": torch.zeros(2), "other": torch.zeros(3), "head": torch.zeros(2, 5), "mine": torch.zeros(1)}
    stored = {"stem": torch.ones(2), "other": torch.ones(4), "head": torch.ones(2, 4), "theirs": torch.ones(1)}
    taken = carried_over(own, ("a", "b"), stored, ("a", "b"), {"head": Rows()})
    assert taken.keys() == {"stem"}  # a head of other vectors is no head of these
