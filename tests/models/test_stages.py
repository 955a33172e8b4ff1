"""A backbone is told apart into stages, each weight in one; frozen ones stay as they are, batch-norm too."""

import pytest
import torch
from torch import nn

from models.runtime.faults import Fault
from models.runtime.networks import build
from models.stages import frozen, stages


def weightless(name: str) -> nn.Module:
    with torch.device("meta"):
        return build(name, 3, image_size=224)


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("resnet18", ["conv1.weight", "layer1.0", "layer2.0", "layer3.0", "layer4.0"]),
        ("efficientnet_b0", ["features.0.0", "features.2.0", "features.3.0", "features.4.0", "features.6.0"]),
        ("convnext_tiny", ["features.0.0", "features.2.1", "features.4.1", "features.6.1"]),
        ("swin_t", ["features.0.0", "features.2.reduction", "features.4.reduction", "features.6.reduction"]),
        ("vgg11_bn", ["features.0", "features.4", "features.8", "features.15", "features.22", "classifier.0"]),
        ("densenet121", ["features.conv0", *(f"features.denseblock{i}" for i in (1, 2, 3, 4))]),
        ("vit_b_16", ["class_token", *(f"encoder.layers.encoder_layer_{i}." for i in range(12))]),
        ("resnet_light", ["maps.stem", *(f"maps.stages.{i}" for i in range(4))]),
        ("fcos_light", ["stem", *(f"stages.{i}" for i in range(4))]),
        ("fcos_resnet50_fpn", ["conv1.weight", "layer1.0", "layer2.0", "layer3.0", "layer4.0"]),
        ("fasterrcnn_mobilenet_v3_large_320_fpn", ["0.0", "2.block", "4.block", "7.block", "13.block"]),
    ],
)
def test_a_stage_begins_where_the_picture_shrinks(name, begin):
    network = weightless(name)
    found = stages(network)
    names = [own for own, _ in network.named_parameters()]
    assert sorted(own for stage in found for own in stage) == sorted(names)
    *inner, head = found
    first = [stage[0].removeprefix(f"{network.trunk}.") for stage in inner]
    assert len(first) == len(begin)
    assert [name[: len(prefix)] for name, prefix in zip(first, begin, strict=True)] == begin
    assert not [own for own in head if own.startswith(f"{network.trunk}.")]


def test_frozen_stages_take_no_gradient_and_keep_their_statistics():
    network = build("resnet18", 2, image_size=96).train()
    for layer in frozen(network, 2):
        layer.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network(torch.rand(2, 3, 96, 96)).sum().backward()
    still = {name for name, weight in network.named_parameters() if weight.grad is None}
    assert still == {own for stage in stages(network)[:2] for own in stage}
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed and not [name for name in changed if "layer1" in name or "backbone.bn1" in name]
    assert [name for name in changed if "layer2" in name]


def test_none_frozen():
    network = build("resnet_light", 2)
    assert frozen(network, 0) == []
    assert all(weight.requires_grad for weight in network.parameters())


def test_more_stages_than_there_are():
    with pytest.raises(Fault, match=r"frozen_stages: this backbone has 5 stages, got 6"):
        frozen(build("resnet_light", 2), 6)


def test_a_network_without_a_backbone_is_all_head():
    assert stages(nn.Linear(2, 3)) == [["weight", "bias"]]
