"""The learning rate warms up and then takes the shape asked for; norms and biases are not decayed."""

import itertools

import pytest
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


def test_cosine_falls_to_a_hundredth():
    row = factors("cosine")
    assert row[550] == pytest.approx(0.505)
    assert row[-1] == pytest.approx(0.01, abs=1e-4)
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


@pytest.mark.parametrize(("name", "kind"), [("adamw", AdamW), ("sgd", SGD)])
def test_the_optimiser_asked_for(name, kind):
    chosen = optimizer(network(), given(optimizer=name, learning_rate=0.25))
    assert isinstance(chosen, kind)
    assert {group["lr"] for group in chosen.param_groups} == {0.25}
    if kind is SGD:
        assert {(group["momentum"], group["nesterov"]) for group in chosen.param_groups} == {(0.9, True)}
