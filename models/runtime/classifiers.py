"""Classification networks: a backbone that makes a vector of a picture, and a head that makes logits of the vector."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.vision_transformer import interpolate_embeddings

from .light import LightResNet
from .rows import Rows

SMALL = 64  # pixels; below, ResNet's own stem would leave a last map of 1 or 2 cells a side


class Classifier(nn.Module):
    """(N, 3, H, W) normalised float pictures to (N, concepts) logits; `embed` to the vectors before the head.

    backbone: anything that ends in vectors (N, size).
    """

    trunk = "backbone"

    def __init__(self, backbone: nn.Module, size: int, concepts: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(size, concepts)

    @property
    def concept_rows(self) -> dict[str, Rows]:
        """The tensors with a row a concept."""
        return {"head.weight": Rows(), "head.bias": Rows()}

    def embed(self, images: Tensor) -> Tensor:
        """(N, size) float vectors, as the head sees them."""
        return self.backbone(images)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.embed(images))


def _pool(network: nn.Module) -> str:
    """The name of the pooling layer whose means are a classifier's vector; empty without one, or if a layer follows."""
    if not isinstance(network, Classifier):
        return ""
    layers = [
        (name, layer)
        for name, layer in network.backbone.named_modules(prefix="backbone")
        if isinstance(layer, nn.AdaptiveAvgPool2d | nn.Linear)
    ]
    name, last = layers[-1] if layers else ("", None)
    return name if isinstance(last, nn.AdaptiveAvgPool2d) and last.output_size in (1, (1, 1)) else ""


@torch.no_grad()
def finest_grid(network: nn.Module, image_size: int) -> int:
    """The most places a side that `at_places` can tell apart: the side of the last map, where a classifier averages it.

    1 where a vector is not the mean of a map by a pooling layer of its own.  network: in evaluation mode.
    """
    if not (pool := _pool(network)):
        return 1
    sides: list[int] = []
    hook = network.get_submodule(pool).register_forward_pre_hook(lambda _, maps: sides.append(maps[0].shape[-1]))
    network(next(network.parameters()).new_zeros(1, 3, image_size, image_size))
    hook.remove()
    return sides[0]


def at_places(network: nn.Module, grid: int) -> nn.Module:
    """The same network, its tensors shared, whose vectors (N, D × grid²) hold of each channel grid × grid places.

    So that what is where counts (spatial pyramid, Lazebnik 2006; here its finest level alone).
    grid 1: the network itself.  Raises ValueError where it has no places (`finest_grid` is 1).
    """
    if grid == 1:
        return network
    if not (pool := _pool(network)):
        raise ValueError(f"a {type(network).__name__} has no places")
    shared: dict[int, Any] = {id(x): x for x in (*network.parameters(), *network.buffers())}
    again = copy.deepcopy(network, shared)
    again.set_submodule(pool, nn.AdaptiveAvgPool2d(grid))
    return again


def resnet_light(concepts: int, image_size: int) -> Classifier:
    """A light ResNet: made to learn well from nothing and quickly on a CPU."""
    backbone = LightResNet()
    return Classifier(backbone, backbone.size, concepts)


def torchvision(name: str, concepts: int, image_size: int) -> Classifier:
    """torchvision's classification network of that name, its last linear layer taken for the head."""
    network = models.get_model(name, weights=None, **_options(name, image_size))
    if has_small_stem(name, image_size):
        network.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
        network.maxpool = nn.Identity()
    if isinstance(network, models.MNASNet):  # its own refuses a plain state dict, which has no version in it
        network._load_from_state_dict = nn.Module._load_from_state_dict.__get__(network)
    return Classifier(network, _behead(network), concepts)


def has_small_stem(name: str, image_size: int) -> bool:
    """Whether a network of torchvision's is given another stem than its own, for pictures of so few pixels."""
    return name.startswith(("resnet", "resnext", "wide_resnet")) and image_size <= SMALL


def _options(name: str, image_size: int) -> dict[str, Any]:
    if name.startswith("vit_"):
        return {"image_size": image_size}
    if name.startswith("maxvit"):
        return {"input_size": (image_size, image_size)}
    if name in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": True}  # not to choose makes them warn
    return {}


def _behead(network: nn.Module) -> int:
    """Put nothing in the place of the last linear layer, and answer how long the vectors are that went into it."""
    if isinstance(network, models.SqueezeNet):  # has none: a 1×1 convolution makes its logits, which are averaged
        size = network.classifier[1].in_channels
        network.classifier = nn.AdaptiveAvgPool2d(1)
    else:
        last = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
        size = network.get_submodule(last).in_features
        network.set_submodule(last, nn.Identity())
    return int(size)


def at_size(name: str, state: dict[str, Tensor], image_size: int) -> dict[str, Tensor]:
    """torchvision's weights as its network of that name wants them for pictures of that side.

    A vision transformer's position embeddings are interpolated to the new grid of patches (Dosovitskiy 2020, §3.2).
    """
    if not name.startswith("vit_"):
        return state
    patch = state["conv_proj.weight"].shape[-1]
    return dict(interpolate_embeddings(image_size, patch, dict(state)))
