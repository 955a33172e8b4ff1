"""A sweep and a cross-validation as flows: two tiny trials, two tiny folds, and what comes of them."""

from __future__ import annotations

import json

import pytest
from prefect.artifacts import Artifact

from flows.folds import folds
from flows.sweep import sweep
from tasks.data.commit import commit
from tasks.registry import client, resolve, versions
from tasks.search import Search
from tests.registered import numbers, pinned

GIVEN = {"template": "resnet18", "image_size": 32, "batch_size": 4, "epochs": 1}


@pytest.fixture
def data(workspace):
    pinned(workspace / "data/shapes")
    commit("shapes")
    return "shapes"


def test_a_sweep_ends_with_the_best_trained_registered_and_measured(data):
    name = f"swept-{next(numbers)}"
    search = Search(space={"learning_rate": [1e-4, 1e-2]}, trials=2)
    done = sweep(data, GIVEN, search, name)
    assert (done.evaluation.model, done.evaluation.split) == (f"{name}/1", "test")
    version = resolve(name)
    given = client().get_run(version.run).data.params
    assert float(given["learning_rate"]) == done.sweep.best["learning_rate"]
    text = Artifact.get(f"sweep-{name}").data
    assert "| learning_rate |" in text and "data:image/png;base64," in text
    assert len(json.loads(Artifact.get(f"trials-{name}").data)) == 2
    again = sweep(data, GIVEN, search, name)
    assert (again.sweep, again.evaluation.measured_before) == (done.sweep, True)
    assert [each.number for each in versions(name)] == [1]


def test_a_cross_validation_says_mean_and_spread_and_registers_nothing(data):
    name = f"folded-{next(numbers)}"
    done = folds(data, GIVEN, 2, name)
    assert [fold.images for fold in done.folds] == [6, 6]
    assert done.sentence() in Artifact.get(f"folds-{name}").data
    assert len(json.loads(Artifact.get(f"folds-table-{name}").data)) == 4
    assert name not in {version.name for version in versions()}
