"""One training in one process: what the parameters ask for reaches the network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models import training
from models.classifier import Classifier
from models.parameters import ClassifierParameters
from models.runtime import networks
from models.runtime.faults import Fault
from tasks import fitting
from tasks.fitting import learn, with_batch_size
from tests.drawn import shapes


@pytest.fixture(autouse=True)
def setting(monkeypatch):
    def tiny(concepts: int, image_size: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 4, 5, stride=4), nn.Flatten(), nn.Linear(196, concepts))

    monkeypatch.setitem(networks.BUILDERS, "resnet_light", tiny)
    trainer = training.pl.Trainer
    monkeypatch.setattr(training.pl, "Trainer", lambda **given: trainer(**given | {"accelerator": "cpu"}))


def given(**more) -> ClassifierParameters:
    return ClassifierParameters(**{"image_size": 32, "batch_size": 4, "epochs": 1, "precision": "float32"} | more)


def test_a_batch_size_of_its_own_is_kept_for_the_training_that_goes_on(tmp_path, monkeypatch):
    drawn, said = shapes(tmp_path / "shapes", train=40), []
    settled = with_batch_size(drawn, given(batch_size=0), tmp_path / "run", said.append)
    assert settled.batch_size == 4  # a power of two, and eight steps an epoch
    assert said == ["batch_size: auto is 4 here; the learning rate stays 0.002"]
    monkeypatch.setattr(fitting, "largest", None)
    assert with_batch_size(drawn, given(batch_size=0), tmp_path / "run", str).batch_size == 4
    assert learn(drawn, given(batch_size=0), tmp_path / "run")[0][0]["step"] == 10


def test_balanced_weights_reach_the_loss(tmp_path, monkeypatch):
    weighed = []
    monkeypatch.setattr(Classifier, "weigh", lambda self, weights: weighed.append(weights))
    learn(shapes(tmp_path / "shapes", train=9), given(class_weights="balanced"), tmp_path / "run")
    assert torch.allclose(weighed[0], torch.tensor([0.9, 1.125]))  # five `tall` and four `wide`


def test_of_concepts_that_there_are(tmp_path):
    with pytest.raises(Fault, match="concepts: dataset shapes has no 'wode'"):
        learn(shapes(tmp_path / "shapes"), given(concepts=("wode",)), tmp_path / "run")
