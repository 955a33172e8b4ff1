"""Every network builder, by the name of its template."""

from __future__ import annotations

from urllib.error import URLError

from torch import Tensor, nn
from torchvision import models
from torchvision.models.detection import SSDLite320_MobileNet_V3_Large_Weights

from .faults import Fault, choices
from .light import LightDetector
from .ssdlite import SSDLite

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
NORMALISATION = {
    "resnet18": IMAGENET,
    "fcos_light": IMAGENET,
    "ssdlite320_mobilenet_v3_large": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),  # what its weights were trained with
}
SMALL = 64  # pixels; below, ResNet's own stem would leave a last map of 1 or 2 cells a side


def build(template: str, concepts: int, weights: str = "none", image_size: int = 320) -> nn.Module:
    """The network of a template, for (N, 3, H, W) float pictures normalised by `NORMALISATION[template]`.

    A classifier's forward gives (N, concepts) logits; a detector has `detect` (see `LightDetector`).
    weights: `none`, or `pretrained`: torchvision's, but for what depends on the number of concepts.
    Raises Fault for an unknown name, and when pretrained weights do not exist or cannot be fetched.
    """
    if template not in BUILDERS:
        raise Fault(f"there is no network {template!r}. {choices(template, BUILDERS)}")
    if weights not in ("none", "pretrained"):
        raise Fault(f"weights: a network starts from 'none' or 'pretrained', got {weights!r}")
    network = BUILDERS[template](concepts, image_size)
    if weights == "pretrained":
        copy_fitting(network, _fetch(template))
    return network


def _resnet18(concepts: int, image_size: int) -> nn.Module:
    network = models.resnet18(weights=None, num_classes=concepts)
    if image_size <= SMALL:
        network.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
        network.maxpool = nn.Identity()
    return network


def _fcos_light(concepts: int, image_size: int) -> nn.Module:
    return LightDetector(concepts)


def _ssdlite(concepts: int, image_size: int) -> nn.Module:
    return SSDLite(concepts)


BUILDERS = {
    "resnet18": _resnet18,
    "fcos_light": _fcos_light,
    "ssdlite320_mobilenet_v3_large": _ssdlite,
}
PRETRAINED = {
    "resnet18": (models.ResNet18_Weights.IMAGENET1K_V1, ""),
    "ssdlite320_mobilenet_v3_large": (SSDLite320_MobileNet_V3_Large_Weights.COCO_V1, "network."),
}


def _fetch(template: str) -> dict[str, Tensor]:
    """torchvision's weights, from its cache or its server, under our own names."""
    if template not in PRETRAINED:
        have = ", ".join(PRETRAINED)
        raise Fault(
            f"weights: {template} has no pretrained weights (these have: {have}). "
            "Use 'none', or a .safetensors file of your own."
        )
    entry, prefix = PRETRAINED[template]
    try:
        state = entry.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise Fault(
            f"weights: the pretrained weights of {template} cannot be fetched from {entry.url} ({error}). "
            "Use 'none' to train from nothing, or a .safetensors file."
        ) from None
    return {prefix + name: tensor for name, tensor in state.items()}


def copy_fitting(network: nn.Module, state: dict[str, Tensor]) -> int:
    """Copy what fits by name and shape, and answer how many tensors did.

    Layers whose shape hangs on the number of concepts or the stem stay as they were made.
    """
    own = network.state_dict()
    fitting = {name: tensor for name, tensor in state.items() if name in own and own[name].shape == tensor.shape}
    network.load_state_dict(fitting, strict=False)
    return len(fitting)
