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
