"""Every network builder, by the name of its template."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.error import URLError

from torch import Tensor, nn
from torchvision import models

from . import dfine, heads
from .classifiers import SMALL, at_places, at_size, has_small_stem, resnet_light, torchvision
from .faults import Fault, choices
from .light import LightDetector
from .torchvision_detectors import FAMILIES, TorchvisionDetector

Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]
IMAGENET: Normalisation = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# What the weights of these were trained with.
HALVES: Normalisation = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
OTHER: dict[str, Normalisation] = {
    "ssdlite320_mobilenet_v3_large": HALVES,
    "googlenet": HALVES,
    "inception_v3": HALVES,
    "ssd300_vgg16": ((0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255)),
    "dfine_small": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
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
    Each says in `trunk` where its backbone lies and in `concept_rows` which tensors have a row a concept.
    weights: `none`, or `pretrained`: the library's, but for what depends on the number of concepts.
    options: what a card keeps beside (`Card.network`) to build its network again, such as fitted anchors.
    Raises Fault for an unknown name, when pretrained weights do not exist or cannot be fetched, and when the library
    that a network is from is not installed.
    """
    if weights not in ("none", "pretrained"):
        raise Fault(f"weights: a network starts from 'none' or 'pretrained', got {weights!r}")
    network = _builder(template)(concepts, image_size, **(options or {}))
    if weights == "pretrained":
        state = _fetch((options or {}).get("backbone", template), image_size)
        rows = getattr(network, "concept_rows", {})
        copy_fitting(network, {name: tensor for name, tensor in state.items() if name not in rows})
    return network


def _builder(template: str) -> Callable[..., Any]:
    if template in BUILDERS:
        return BUILDERS[template]
    name = SAME.get(template, template)
    known = models.list_models(module=models)
    if name in known:
        return partial(torchvision, name)
    raise Fault(f"there is no network {template!r}. {choices(template, [*BUILDERS, *known])}")


def _fcos_light(concepts: int, image_size: int) -> nn.Module:
    return LightDetector(concepts)


def _dfine_small(concepts: int, image_size: int, **changed: Any) -> nn.Module:
    return dfine.DFine(concepts, **changed)


def _embedder(concepts: int, image_size: int, backbone: str, embedding_size: int) -> nn.Module:
    """On the backbone of any classification network, by its template's name."""
    return heads.Embedder(build(backbone, 1, image_size=image_size), embedding_size)  # type: ignore[arg-type]


def _headed(
    head: Any, concepts: int, image_size: int, embedder: dict[str, Any], grid: int = 1, **options: Any
) -> nn.Module:
    """A head on a whole network, which `embedder` says how to build: template, concepts and options.

    grid: it stands on the vectors of so many places a side.
    """
    return head(at_places(build(**embedder, image_size=image_size), grid), concepts, **options)


BUILDERS: dict[str, Callable[..., Any]] = {
    "resnet_light": resnet_light,
    "angular_margin": _embedder,
    "as_is": _embedder,
    "linear": partial(_headed, heads.linear),
    "knn": partial(_headed, heads.knn),
    "kmeans": partial(_headed, heads.kmeans),
    "fcos_light": _fcos_light,
    "dfine_small": _dfine_small,
    **{name: partial(TorchvisionDetector, name) for name in FAMILIES},
}


def _fetch(template: str, image_size: int) -> dict[str, Tensor]:
    """The library's weights, from its cache or its server, under our own names."""
    if template == "dfine_small":
        return dfine.fetched()
    name = SAME.get(template, template)
    if name not in (*FAMILIES, *models.list_models(module=models)):
        have = ", ".join(["all of torchvision's networks", "dfine_small"])
        raise Fault(
            f"weights: {template} has no pretrained weights (these have: {have}). "
            "Use 'none', or a .safetensors file of your own."
        )
    if has_small_stem(name, image_size):
        raise Fault(
            f"weights: at {image_size} pixels a {template} has a stem of its own, for which there are no pretrained "
            f"weights. Set an image_size above {SMALL}, or weights: none."
        )
    entry: Any = models.get_model_weights(name).DEFAULT
    try:
        # Its own network takes them: it renames what older files of them call otherwise.
        state = models.get_model(name, weights=entry, progress=False).state_dict()
    except (URLError, OSError, RuntimeError) as error:
        raise Fault(
            f"weights: the pretrained weights of {template} cannot be fetched from {entry.url} ({error}). "
            "Use 'none' to train from nothing, or a .safetensors file."
        ) from None
    prefix = "network." if name in FAMILIES else "backbone."
    return {prefix + key: tensor for key, tensor in at_size(name, state, image_size).items()}


def copy_fitting(network: nn.Module, state: dict[str, Tensor]) -> int:
    """Copy what fits by name and shape, and answer how many tensors did. What does not stays as it was made."""
    own = network.state_dict()
    fitting = {name: tensor for name, tensor in state.items() if name in own and own[name].shape == tensor.shape}
    network.load_state_dict(fitting, strict=False)
    return len(fitting)
