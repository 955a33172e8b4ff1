"""An epoch's order depends on (seed, epoch) alone; repetition and balance are exact."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from tasks.data.annotations import Annotation
from tasks.data.sampling import MOST_WEIGHT, Order, Rounds, concept_weights, picture_weights


def labelled(*concepts: str) -> list[Annotation]:
    return [Annotation(f"{i}.png", "0" * 64, 8, 8, "train", (name,)) for i, name in enumerate(concepts)]


@pytest.mark.parametrize("weights", [None, [1.0] * 15 + [5.0] * 5])
def test_draws_depend_on_seed_and_epoch_alone(weights):
    first = Order(20, 20, 3, weights).draws(5)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert Order(20, 20, 3, weights).draws(5) == first
    assert torch.equal(torch.get_rng_state(), before)
    assert first not in (Order(20, 20, 3, weights).draws(6), Order(20, 20, 4, weights).draws(5))


def test_each_picture_once():
    assert sorted(Order(20, 20, 0).draws(1)) == list(range(20))


def test_a_small_split_is_repeated_equally_and_no_two_draws_are_the_same():
    draws = Order(5, 13, 0).draws(2)
    assert len(set(draws)) == len(draws) == 13
    assert set(Counter(draw % 5 for draw in draws).values()) == {2, 3}
    assert sorted(draws) == sorted({*range(10)} | {draw for draw in draws if draw >= 10})


def test_balanced_draws_show_each_concept_equally_often():
    entries = labelled(*["common"] * 90, *["rare"] * 10)
    draws = Order(100, 100, 0, picture_weights(entries)).draws(0)
    assert len(set(draws)) == 100
    assert Counter(entries[draw % 100].concepts[0] for draw in draws) == {"common": 50, "rare": 50}
    assert set(Counter(draw % 100 for draw in draws if draw % 100 >= 90).values()) == {5}


def test_a_picture_counts_by_the_rarest_concept_it_shows():
    entries = labelled("a", "a", "a", "b")
    entries.append(replace(entries[0], concepts=("a", "b")))
    entries.append(replace(entries[0], concepts=()))
    assert picture_weights(entries) == [1 / 4, 1 / 4, 1 / 4, 1 / 2, 1 / 2, 1 / 4]


def test_weights_of_concepts_are_inverse_to_their_share_and_capped():
    entries = labelled(*["a"] * 60, *["b"] * 20, *["c"] * 1)
    weights = concept_weights(entries, ("a", "b", "c", "never"))
    assert [weight / weights[0] for weight in weights] == pytest.approx([1, 3, MOST_WEIGHT, MOST_WEIGHT])
    assert (60 * weights[0] + 20 * weights[1] + weights[2]) / 81 == pytest.approx(1)


def test_several_processes_see_together_what_one_would():
    order = Order(11, 11, 0)
    alone = list(Rounds(order, 4))
    shares = [list(Rounds(order, 4, rank, 2)) for rank in (0, 1)]
    assert [len(batch) for batch in alone] == [4, 4]
    for batch, *parts in zip(alone, *shares, strict=True):
        assert [len(part) for part in parts] == [2, 2]
        assert sorted(at for part in parts for at in part) == sorted(batch)


def test_a_round_begins_where_it_is_told():
    rounds = Rounds(Order(12, 12, 0), 4)
    rounds.set_epoch(3)
    every = list(rounds)
    rounds.start = 2
    assert list(rounds) == every[2:]
    assert {epoch for batch in every for epoch, _ in batch} == {3}
