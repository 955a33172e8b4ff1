"""The learning rate warms up and then takes the shape asked for; norms and biases are not decayed."""

import itertools

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

from models.optimization import optimizer, schedule
from models.parameters import ClassifierParameters

STEPS = 1000


def given(**parameters) -> ClassifierParameters:
    return ClassifierParameters(warmup_steps=100, **parameters)


def factors(shape: str, steps: int = STEPS, warmup: int = 100) -> list[float]:
    factor = schedule(ClassifierParameters(schedule=shape, warmup_steps=warmup), steps)  # type: ignore[arg-type]
    return [factor(step) for step in range(steps)]


@pytest.mark.parametrize("shape", ["cosine", "steps", "constant"])
def test_warm_up_rises_evenly_to_the_full_rate(shape):
    row = factors(shape)
    assert row[0] == pytest.approx(1 / 101)
    rises = [after - before for before, after in itertools.pairwise(row[:101])]
    assert rises == pytest.approx([1 / 101] * 100)
    assert row[100] == 1.0 == max(row)
    assert min(row) > 0


@pytest.mark.parametrize("final", [0.0, 0.01, 0.2, 1.0])
def test_cosine_falls_to_the_share_asked_for(final):
    factor = schedule(ClassifierParameters(warmup_steps=100, final_learning_rate=final), STEPS)
    row = [factor(step) for step in range(STEPS)]
    assert row[550] == pytest.approx((1 + final) / 2)
    assert row[-1] == pytest.approx(final, abs=1e-4)
    assert factor(STEPS) == pytest.approx(final)
    assert all(after <= before for before, after in itertools.pairwise(row[100:]))


def test_steps_fall_to_a_tenth_twice():
    row = factors("steps")
    falls = [step for step in range(101, STEPS) if row[step] < row[step - 1]]
    assert falls == [700, 900]
    assert (row[699], row[700], row[900]) == pytest.approx((1, 0.1, 0.01))


def test_constant_stays():
    assert set(factors("constant")[100:]) == {1.0}


@pytest.mark.parametrize(("steps", "warm"), [(40, 10), (3, 0), (1, 0)])
def test_warm_up_takes_a_quarter_at_most(steps, warm):
    row = factors("constant", steps)
    assert row.index(1.0) == warm


def test_no_warm_up():
    assert factors("cosine", warmup=0)[0] == 1.0


def test_the_rate_stays_defined_past_the_end():
    assert schedule(given(), STEPS)(STEPS + 5) == pytest.approx(0.01)


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def test_norms_and_biases_are_not_decayed():
    layers = network()
    chosen = optimizer(layers, given(weight_decay=0.3))
    decay = {id(weight): group["weight_decay"] for group in chosen.param_groups for weight in group["params"]}
    assert {name: decay[id(weight)] for name, weight in layers.named_parameters()} == {
        "0.weight": 0.3,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
        "3.weight": 0.3,
        "3.bias": 0.0,
    }


def test_frozen_weights_are_left_out():
    layers = network()
    layers[0].requires_grad_(False)
    chosen = optimizer(layers, given())
    assert sum(len(group["params"]) for group in chosen.param_groups) == 4


class Staged(nn.Module):
    """Three stages of a backbone, the first with a place code, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 4, 3, 2), nn.Conv2d(4, 4, 3, 2))
        self.backbone.place = nn.Parameter(torch.zeros(1, 4, 4))
        self.head = nn.Linear(4, 2)


def rates(layers: nn.Module, **parameters) -> dict[str, float]:
    chosen = optimizer(layers, given(learning_rate=0.8, **parameters))
    rate = {id(weight): group["lr"] for group in chosen.param_groups for weight in group["params"]}
    return {name: rate[id(weight)] for name, weight in layers.named_parameters() if name.endswith("weight")}


def test_each_stage_learns_at_its_own_rate():
    assert list(rates(Staged()).values()) == [0.8] * 4
    decayed = rates(Staged(), layer_decay=0.5)
    assert list(decayed.values()) == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert list(rates(Staged(), backbone_learning_rate=0.1).values()) == pytest.approx([0.08, 0.08, 0.08, 0.8])
    both = rates(Staged(), layer_decay=0.5, backbone_learning_rate=0.1)
    assert list(both.values()) == pytest.approx([0.01, 0.02, 0.04, 0.8])


def test_the_heads_group_is_the_first_whose_rate_the_history_shows():
    layers = Staged()
    first = optimizer(layers, given(learning_rate=0.8, layer_decay=0.5)).param_groups[0]
    assert first["lr"] == 0.8 and first["params"][0] is layers.head.weight


def test_place_codes_are_not_decayed():
    layers = Staged()
    groups = optimizer(layers, given(weight_decay=0.3)).param_groups
    decay = {id(weight): group["weight_decay"] for group in groups for weight in group["params"]}
    assert decay[id(layers.backbone.place)] == 0.0
    assert len(decay) == len(list(layers.parameters()))


@pytest.mark.parametrize(("name", "kind"), [("adamw", AdamW), ("sgd", SGD)])
def test_the_optimiser_asked_for(name, kind):
    chosen = optimizer(network(), given(optimizer=name, learning_rate=0.25))
    assert isinstance(chosen, kind)
    assert {group["lr"] for group in chosen.param_groups} == {0.25}
    if kind is SGD:
        assert {(group["momentum"], group["nesterov"]) for group in chosen.param_groups} == {(0.9, True)}
