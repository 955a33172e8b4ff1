"""Classification networks: a backbone that makes a vector of a picture, and a head that makes logits of the vector."""

from __future__ import annotations

import copy
from typing import Any

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
    """The name of what averages a classifier's last map into its vector; empty where there is none, or more follows."""
    if not isinstance(network, Classifier):
        return ""
    layers = [
        (name, layer)
        for name, layer in network.backbone.named_modules(prefix="backbone")
        if isinstance(layer, nn.AdaptiveAvgPool2d | nn.Linear)
    ]
    name, last = layers[-1] if layers else ("", None)
    return name if isinstance(last, nn.AdaptiveAvgPool2d) and last.output_size in (1, (1, 1)) else ""


def has_places(network: nn.Module) -> bool:
    """Whether `at_places` can be had of it: a classifier that averages a map, as most convolutional ones do."""
    return bool(_pool(network))


def at_places(network: nn.Module, grid: int) -> nn.Module:
    """The same network, its tensors shared, whose vectors are those of grid × grid places, one behind the other.

    So that what is where counts (spatial pyramid, Lazebnik 2006; here its finest level alone).
    grid 1: the network itself.  Raises ValueError where it has no places.
    """
    if grid == 1:
        return network
    if not has_places(network):
        raise ValueError(f"a {type(network).__name__} has no places")
    shared: dict[int, Any] = {id(x): x for x in (*network.parameters(), *network.buffers())}
    again = copy.deepcopy(network, shared)
    again.set_submodule(_pool(network), nn.AdaptiveAvgPool2d(grid))
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

    A vision transformer's place codes are interpolated to the new grid of patches (Dosovitskiy 2020, §3.2).
    """
    if not name.startswith("vit_"):
        return state
    patch = state["conv_proj.weight"].shape[-1]
    return dict(interpolate_embeddings(image_size, patch, dict(state)))
