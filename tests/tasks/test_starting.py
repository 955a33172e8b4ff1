"""A training that starts from a registered version: pinned, told apart, held against what that version had seen."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.parameters import parameters
from models.runtime import networks
from models.runtime.faults import Fault
from tasks import fitting
from tasks.artifacts import trained_on
from tasks.fitting import learn, network_options
from tasks.plan import TrainingPlan
from tasks.register import predictor_of, started_from
from tasks.train import Checkpoint, start_of
from tests.registered import pinned, planned, registered


@pytest.fixture
def dataset(tmp_path):
    return pinned(tmp_path / "shapes")


@pytest.fixture
def version(dataset):
    return registered(planned(dataset, template="resnet_light", seed=5))


def test_an_alias_is_pinned_to_the_version_it_means(dataset, version):
    plan = planned(dataset, template="resnet_light", weights=f"{version.name}@challenger")
    assert plan.given["weights"] == str(version)


def test_the_plan_tells_versions_apart_even_under_one_name(dataset, version):
    plan = planned(dataset, "again", template="resnet_light", weights=str(version))
    assert plan.versions == {"weights": version.logged_model}
    other = plan.model_dump() | {"versions": {"weights": "m-other"}}  # as after a registry was made anew
    assert TrainingPlan.model_validate(other).digest != plan.digest


def test_no_such_version(dataset, version):
    with pytest.raises(Fault, match=rf"{version.name} has no version 9\. There are: 1\."):
        planned(dataset, template="resnet_light", weights=f"{version.name}/9")
    with pytest.raises(Fault, match=r"there is no model 'roofs-detekt'"):
        planned(dataset, template="resnet_light", weights="roofs-detekt@champion")


def test_it_goes_on_from_the_versions_weights(dataset, version, tmp_path):
    given = planned(
        dataset, template="resnet_light", weights=str(version), learning_rate=1e-9, augmentation="none", batch_size=4
    ).parameters
    start = start_of(given.weights)
    assert start is not None
    learn(dataset.open(), given, tmp_path / "work", start=start)
    before, after = load_file(start / "weights.safetensors"), load_file(tmp_path / "work" / "best.safetensors")
    torch.testing.assert_close(after["head.weight"], before["head.weight"], atol=1e-6, rtol=0)
    assert start_of("none") is start_of("pretrained") is start_of("a.safetensors") is None


def test_what_the_version_had_seen_counts_as_seen(dataset, version):
    plan = planned(dataset, template="resnet_light", weights=str(version))
    assert started_from(plan) == trained_on(version) != frozenset()


def test_anchors_are_fitted_to_the_boxes_as_the_network_sees_them(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(fitting, "fitted", lambda name, sizes, *more: asked.update(sizes=sizes, more=more) or {"x": 1})
    data = pinned(tmp_path / "shapes", task="detection").open()  # of 32 pixels: bars of 8 × 16 and 16 × 8
    given = {"template": "ssdlite320_mobilenet_v3_large", "seed": 3}
    assert network_options(data, parameters(given), None) == {}  # type: ignore[arg-type]
    assert network_options(data, parameters(given | {"fit_anchors": True}), None) == {"x": 1}  # type: ignore[arg-type]
    assert np.unique(asked["sizes"], axis=0).tolist() == [[80, 160], [160, 80]]
    assert len(asked["sizes"]) == len(data.split("train")) and asked["more"] == (320, 3)


def test_a_version_is_built_with_what_its_training_decided(tmp_path):
    plan = planned(
        pinned(tmp_path / "shapes", task="detection"), template="ssdlite320_mobilenet_v3_large", image_size=320
    )
    anchors = [[[width + 1.0, height + 2.0] for width, height in level] for level in _own(plan.parameters.template)]
    options = {"anchors": anchors}
    folder = tmp_path / "work"
    folder.mkdir()
    network = networks.build(plan.parameters.template, 2, image_size=320, options=options)
    save_file(network.state_dict(), folder / "best.safetensors")
    (folder / "card.json").write_text(json.dumps({"network": options}))
    predictor = predictor_of(plan, Checkpoint(weights=str(folder / "best.safetensors")), plan.dataset.open())
    assert predictor.card.network == options
    torch.testing.assert_close(predictor.network.anchors[0], torch.tensor(anchors[0]))


def _own(name: str) -> list:
    with torch.device("meta"):
        return [level.tolist() for level in networks.build(name, 1, image_size=320).anchors]
