"""A detector in training: its losses add up, and it is measured by what it would answer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.detector import Detector
from models.parameters import DetectorParameters
from models.runtime import networks
from models.runtime.faults import Fault
from models.runtime.kinds import FLOOR

NAMES = ("hail", "wind")
BOXES = torch.tensor([[4.0, 4.0, 24.0, 24.0], [32.0, 32.0, 60.0, 50.0]])


class Answers(nn.Module):
    """Gives prepared answers, batch by batch, and remembers how it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared: list[list[tuple[Tensor, Tensor, Tensor]]] = []
        self.asked: list[tuple[Any, ...]] = []

    def detect(self, images: Tensor, *limits: Any) -> list[tuple[Tensor, Tensor, Tensor]]:
        self.asked.append((images.dtype, *limits))
        return self.prepared.pop(0)


@pytest.fixture
def made(monkeypatch):
    """(detector, its network of prepared answers, what it logs)."""
    answers = Answers()
    monkeypatch.setitem(networks.BUILDERS, "fcos_light", lambda concepts, image_size: answers)
    module = Detector(DetectorParameters(image_size=64, nms_iou=0.4, max_detections=7), NAMES)
    logged: dict[str, float] = {}
    monkeypatch.setattr(module, "log", lambda name, value, **_: logged.__setitem__(name, float(value.detach())))
    return module, answers, logged


def images(count: int = 1) -> Tensor:
    return torch.zeros(count, 3, 64, 64, dtype=torch.uint8)


def target(*which: int, labels=(0, 1)) -> dict[str, Tensor]:
    return {"boxes": BOXES[list(which)], "labels": torch.tensor([labels[i] for i in which], dtype=torch.int64)}


def found(*which: int, score: float = 0.9, labels=(0, 1)) -> tuple[Tensor, Tensor, Tensor]:
    wanted = target(*which, labels=labels)
    return wanted["boxes"], torch.full((len(which),), score), wanted["labels"]


@pytest.mark.parametrize(
    ("answer", "score"),
    [(found(0, 1), 1.0), (found(0), 0.5), (found(), 0.0), (found(0, 1, labels=(1, 0)), 0.0)],
    ids=["all", "one of two", "none", "the wrong concepts"],
)
def test_it_is_measured_by_its_answers(made, answer, score):
    module, answers, logged = made
    answers.prepared = [[answer]]
    module.validation_step((images(), [target(0, 1)]), 0)
    module.on_validation_epoch_end()
    assert logged == {"val_map_50": pytest.approx(score, abs=1e-6)}


def test_it_is_asked_as_a_predictor_will_ask(made):
    module, answers, _ = made
    answers.prepared = [[found(0)]]
    module.validation_step((images(), [target(0)]), 0)
    assert answers.asked == [(torch.float32, FLOOR, 0.4, 7)]


def test_each_validation_begins_anew(made):
    module, answers, logged = made
    answers.prepared = [[found()], [found(0), found(1)]]
    module.validation_step((images(), [target(0)]), 0)
    module.on_validation_epoch_end()
    assert logged["val_map_50"] == 0.0
    module.validation_step((images(2), [target(0), target(1)]), 0)
    module.on_validation_epoch_end()
    assert logged["val_map_50"] == pytest.approx(1.0)


def test_without_a_box_the_measure_is_zero(made):
    module, answers, logged = made
    answers.prepared = [[found()]]
    module.validation_step((images(), [target()]), 0)
    module.on_validation_epoch_end()
    assert logged["val_map_50"] == 0.0


@pytest.mark.parametrize("template", ["fcos_light", "ssdlite320_mobilenet_v3_large"])
def test_its_losses_add_up_and_reach_the_weights(template):
    module = Detector(DetectorParameters(template=template), NAMES)
    size = 64 if template == "fcos_light" else 320
    told = module.training_step((torch.zeros(2, 3, size, size, dtype=torch.uint8), [target(0, 1), target()]), 0)
    loss = told.pop("loss")
    assert float(loss.detach()) == pytest.approx(float(sum(told.values())))
    assert {"train_box", "train_concept"} <= told.keys()
    loss.backward()
    moved = [weight.grad is not None and bool(weight.grad.abs().sum() > 0) for weight in module.parameters()]
    assert sum(moved) > 0.5 * len(moved)


def test_concepts_are_weighed_where_the_loss_is_our_own():
    module = Detector(DetectorParameters(image_size=64), NAMES)
    batch = (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), [target(0)])
    plain = module.training_step(batch, 0)["train_concept"]
    module.weigh(torch.tensor([3.0, 1.0]))
    module.load_state_dict(Detector(DetectorParameters(image_size=64), NAMES).state_dict())
    assert float(module.training_step(batch, 0)["train_concept"]) == pytest.approx(3 * float(plain), rel=1e-4)


def test_concepts_are_not_weighed_by_torchvisions_losses():
    module = Detector(DetectorParameters(template="ssdlite320_mobilenet_v3_large"), NAMES)
    with pytest.raises(Fault, match="class_weights: the loss of ssdlite320_mobilenet_v3_large cannot be weighed"):
        module.weigh(torch.ones(2))
