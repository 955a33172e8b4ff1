"""Every network builder, by the name of its template."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.error import URLError

from torch import Tensor, nn
from torchvision import models
from torchvision.models.detection import SSDLite320_MobileNet_V3_Large_Weights

from . import heads
from .classifiers import resnet_light, torchvision
from .faults import Fault, choices
from .light import LightDetector
from .ssdlite import SSDLite

Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]
IMAGENET: Normalisation = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
OTHER: dict[str, Normalisation] = {
    "ssdlite320_mobilenet_v3_large": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # what its weights were trained with
}
SAME = {"resnet50_rsb_a1": "resnet50"}  # templates that are a recipe for another's network


def normalisation(template: str) -> Normalisation:
    """(mean, deviation) of each channel in [0, 1] by which a template's network wants its pictures normalised."""
    return OTHER.get(template, IMAGENET)


def build(
    template: str, concepts: int, weights: str = "none", image_size: int = 320, options: dict[str, Any] | None = None
) -> nn.Module:
    """The network of a template, for (N, 3, H, W) float pictures normalised by `normalisation(template)`.

    A classifier's forward gives (N, concepts) logits, and has `embed`; a detector has `detect` (see `LightDetector`);
    an embedder's forward gives vectors, a clusterer's distances (see `heads`).
    weights: `none`, or `pretrained`: torchvision's, but for what depends on the number of concepts.
    options: what a card keeps beside (`Card.network`) to build its network again, such as fitted anchors.
    Raises Fault for an unknown name, and when pretrained weights do not exist or cannot be fetched.
    """
    if weights not in ("none", "pretrained"):
        raise Fault(f"weights: a network starts from 'none' or 'pretrained', got {weights!r}")
    network = _builder(template)(concepts, image_size, **(options or {}))
    if weights == "pretrained":
        copy_fitting(network, _fetch((options or {}).get("backbone", template)))
    return network


def _builder(template: str) -> Any:
    if template in BUILDERS:
        return BUILDERS[template]
    name = SAME.get(template, template)
    known = models.list_models(module=models)
    if name in known:
        return partial(torchvision, name)
    raise Fault(f"there is no network {template!r}. {choices(template, [*BUILDERS, *known])}")


def _fcos_light(concepts: int, image_size: int) -> nn.Module:
    return LightDetector(concepts)


def _ssdlite(concepts: int, image_size: int) -> nn.Module:
    return SSDLite(concepts)


def _embedder(concepts: int, image_size: int, backbone: str, embedding_size: int) -> nn.Module:
    """On the backbone of any classification network, by its template's name."""
    network = build(backbone, 1, image_size=image_size)
    return heads.Embedder(network.backbone, network.head.in_features, embedding_size)  # type: ignore[arg-type]


def _headed(head: Any, concepts: int, image_size: int, embedder: dict[str, Any], **options: Any) -> nn.Module:
    """A head on a whole network, which `embedder` says how to build: template, concepts and options."""
    return head(build(**embedder, image_size=image_size), concepts, **options)


BUILDERS = {
    "resnet_light": resnet_light,
    "angular_margin": _embedder,
    "as_is": _embedder,
    "linear": partial(_headed, heads.linear),
    "knn": partial(_headed, heads.knn),
    "kmeans": partial(_headed, heads.kmeans),
    "fcos_light": _fcos_light,
    "ssdlite320_mobilenet_v3_large": _ssdlite,
}
PRETRAINED = {"ssdlite320_mobilenet_v3_large": (SSDLite320_MobileNet_V3_Large_Weights.COCO_V1, "network.")}


def _fetch(template: str) -> dict[str, Tensor]:
    """torchvision's weights, from its cache or its server, under our own names."""
    entry, prefix = _pretrained(template)
    try:
        state = entry.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise Fault(
            f"weights: the pretrained weights of {template} cannot be fetched from {entry.url} ({error}). "
            "Use 'none' to train from nothing, or a .safetensors file."
        ) from None
    return {prefix + name: tensor for name, tensor in state.items()}


def _pretrained(template: str) -> tuple[Any, str]:
    """torchvision's newest weights of a template's network, and what our names put before theirs."""
    if template in PRETRAINED:
        return PRETRAINED[template]
    name = SAME.get(template, template)
    if name in models.list_models(module=models):
        return models.get_model_weights(name).DEFAULT, "backbone."
    have = ", ".join([*PRETRAINED, "all of torchvision's classification networks"])
    raise Fault(
        f"weights: {template} has no pretrained weights (these have: {have}). "
        "Use 'none', or a .safetensors file of your own."
    )


def copy_fitting(network: nn.Module, state: dict[str, Tensor]) -> int:
    """Copy what fits by name and shape, and answer how many tensors did.

    Layers whose shape hangs on the number of concepts or the stem stay as they were made.
    """
    own = network.state_dict()
    fitting = {name: tensor for name, tensor in state.items() if name in own and own[name].shape == tensor.shape}
    network.load_state_dict(fitting, strict=False)
    return len(fitting)
