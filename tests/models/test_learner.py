"""What every model type's training has in common."""

from __future__ import annotations

import pytest
import torch

from models.classifier import Classifier
from models.optimization import optimizer
from models.parameters import ClassifierParameters


@pytest.mark.parametrize(("size", "most", "left"), [(1e6, 10, 10), (1e6, 0.5, 0.5), (1e-6, 10, None), (1e6, 0, None)])
def test_gradients_are_cut_to_their_largest_norm_before_a_step(size, most, left):
    module = Classifier(ClassifierParameters(image_size=32, clip_gradients=most), ["a", "b"])
    for weight in module.network.parameters():
        weight.grad = torch.full_like(weight, size)
    before = torch.nn.utils.get_total_norm([weight.grad for weight in module.network.parameters()])

    module.on_before_optimizer_step(optimizer(module.network, module.given))

    after = torch.nn.utils.get_total_norm([weight.grad for weight in module.network.parameters()])
    assert float(after) == pytest.approx(left or float(before), rel=1e-3)


@pytest.mark.parametrize("hook", ["on_train_epoch_start", "on_train_start"])  # in the middle of an epoch, the latter
def test_frozen_stages_rest_while_the_others_learn(hook):
    module = Classifier(ClassifierParameters(template="resnet_light", image_size=32, frozen_stages=2), ["a", "b"])
    module.train()
    getattr(module, hook)()
    norms = {name: layer for name, layer in module.network.named_modules() if isinstance(layer, torch.nn.BatchNorm2d)}
    resting = {name for name, layer in norms.items() if not layer.training}
    assert resting == {name for name in norms if ".stem." in name or ".stages.0." in name} != set()
    learning = sum(len(group["params"]) for group in optimizer(module.network, module.given).param_groups)
    assert learning == sum(weight.requires_grad for weight in module.network.parameters())
