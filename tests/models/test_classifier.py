"""A classifier in training: which loss, which measure, for concepts that exclude each other and for others."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.classifier import Classifier
from models.parameters import ClassifierParameters
from models.runtime import networks
from models.runtime.transform import normalise

NAMES = ("hail", "wind", "wear")


class Means(nn.Module):
    """Logits are the means of the three channels."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))


@pytest.fixture
def made(monkeypatch):
    """(classifier, what it logs) for some parameters, with `Means` as its network."""
    monkeypatch.setitem(networks.BUILDERS, "resnet_light", lambda concepts, image_size: Means())

    def make(**given) -> tuple[Classifier, dict[str, float]]:
        module = Classifier(ClassifierParameters(image_size=32, **given), NAMES)
        logged: dict[str, float] = {}
        monkeypatch.setattr(module, "log", lambda name, value, **_: logged.__setitem__(name, value))
        return module, logged

    return make


def batch() -> tuple[Tensor, Tensor]:
    """A red, a green, a blue and once more a red picture, the last one labelled wrongly."""
    images = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)
    for row, channel in enumerate((0, 1, 2, 0)):
        images[row, channel] = 255
    return images, F.one_hot(torch.tensor([0, 1, 2, 1]), 3).float()


def test_concepts_that_exclude_each_other(made):
    module, logged = made(label_smoothing=0.2)
    images, targets = batch()
    logits = normalise(images, *networks.normalisation("resnet_light")).mean((2, 3))
    expected = F.cross_entropy(logits, targets.argmax(1), label_smoothing=0.2)
    assert float(module.training_step((images, targets), 0)) == pytest.approx(float(expected))
    module.validation_step((images, targets), 0)
    assert module.monitored == "val_accuracy"
    assert float(logged["val_accuracy"].compute()) == 0.75
    assert float(logged["val_loss"]) == pytest.approx(float(expected))


def test_any_number_of_concepts(made):
    module, logged = made(concepts_mutually_exclusive=False, label_smoothing=0)
    images, targets = batch()
    targets[1] = 0  # none at all
    targets[2] = 1  # all of them
    logits = normalise(images, *networks.normalisation("resnet_light")).mean((2, 3))
    expected = F.binary_cross_entropy_with_logits(logits, targets)
    assert float(module.training_step((images, targets), 0)) == pytest.approx(float(expected))
    module.validation_step((images, targets), 0)
    assert module.monitored == "val_average_precision"
    assert 0 < float(logged["val_average_precision"].compute()) < 1


def test_a_perfect_ranking_has_an_average_precision_of_one(made):
    module, logged = made(concepts_mutually_exclusive=False, label_smoothing=0)
    images, targets = batch()
    module.validation_step((images[:3], targets[:3]), 0)
    assert float(logged["val_average_precision"].compute()) == 1.0


def test_the_network_sees_what_it_will_see_in_prediction(made):
    module, _ = made()
    images = batch()[0]
    assert torch.equal(module.seen(images), normalise(images, *networks.normalisation("resnet_light")))


def test_concepts_that_exclude_each_other_as_yes_or_nos(made):
    module, _ = made(loss="binary", label_smoothing=0.3)
    images, targets = batch()
    logits = normalise(images, *networks.normalisation("resnet_light")).mean((2, 3))
    expected = F.binary_cross_entropy_with_logits(logits, targets * 0.7 + 0.1)
    assert float(module.training_step((images, targets), 0)) == pytest.approx(float(expected))
    assert module.monitored == "val_accuracy"


def test_smoothing_of_any_number_of_concepts_is_towards_a_half(made):
    module, _ = made(concepts_mutually_exclusive=False, label_smoothing=0.2)
    logits, targets = torch.randn(4, 3), batch()[1]
    expected = F.binary_cross_entropy_with_logits(logits, targets * 0.8 + 0.1)
    assert float(module.loss(logits, targets)) == pytest.approx(float(expected))


@pytest.mark.parametrize("loss", ["cross-entropy", "binary"])
def test_weights_of_concepts(made, loss):
    module, _ = made(loss=loss, label_smoothing=0)
    logits, targets = torch.randn(4, 3), batch()[1]
    plain = float(module.loss(logits, targets))
    module.weigh(torch.full((3,), 2.0))
    assert float(module.loss(logits, targets)) == pytest.approx(2 * plain)
    module.weigh(torch.tensor([0.0, 0.0, 1.0]))
    if loss == "cross-entropy":
        expected = F.cross_entropy(logits[2:3], torch.tensor([2])) / 4
        assert float(module.loss(logits, targets)) == pytest.approx(float(expected))


def test_mixed_pictures_are_learned_and_unmixed_ones_measured(made, monkeypatch):
    module, logged = made(mixup=1.0, label_smoothing=0)
    images, targets = batch()
    torch.manual_seed(0)
    mixed = float(module.training_step((images, targets), 0))
    torch.manual_seed(0)
    assert float(module.training_step((images, targets), 0)) == mixed
    module.validation_step((images, targets), 0)
    assert float(logged["val_loss"]) != mixed
    assert module.measures == ("val_accuracy", "val_loss")
