"""Where a training starts from: nothing, a library's weights, a file, or a registered version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from models.parameters import NAMED, NetworkParameters, is_version
from models.runtime import networks
from models.runtime.card import Card
from models.runtime.faults import Fault
from models.runtime.rows import carried_over


def network_for(
    parameters: NetworkParameters,
    concepts: Sequence[str],
    options: dict[str, Any] | None = None,
    start: Path | None = None,
) -> nn.Module:
    """The network of the template, with the weights asked for.

    options: what its builder needs beside, such as fitted anchors (`options_for`); None: what the parameters say.
    start: where `weights` means a registered version, the folder with its weights and card. What it knows of these
    concepts is kept by their names, in whatever order; concepts that it does not know are added to its heads.
    Of a file, what fits by name and shape is taken, so that other concepts can be learned from there.
    Raises Fault when the file cannot be read, nothing in it fits or its backbone has other shapes, and when the
    version is of another template.
    """
    torch.manual_seed(parameters.seed)  # what is drawn at the start depends on the seed alone
    weights = parameters.weights
    named = weights if weights in NAMED else "none"
    known = parameters.network_options if options is None else options
    network = networks.build(parameters.template, len(concepts), named, parameters.image_size, known)
    if start is not None:
        _carry_on(network, start, parameters, concepts)
    elif is_version(weights):
        raise Fault(f"weights: {weights} is neither a .safetensors file nor the folder of a version")
    elif weights not in NAMED:
        _take(network, Path(weights), parameters)
    return network.to(memory_format=torch.channels_last)


def options_for(parameters: NetworkParameters, start: Path | None = None) -> dict[str, Any]:
    """What the builder of its network needs: of the version it starts from (`Card.network`), then of the parameters."""
    card = Card.read(start / "card.json") if start else None
    earlier = card.network if card and card.template == parameters.template else {}
    return {**earlier, **parameters.network_options}


def _carry_on(network: nn.Module, start: Path, parameters: NetworkParameters, concepts: Sequence[str]) -> None:
    card = Card.read(start / "card.json")
    # A backbone carries on below an embedder's head, whatever stood on it before.
    own = parameters.network_options.get("backbone", parameters.template)
    theirs = card.network.get("backbone", card.template) if own != parameters.template else card.template
    if theirs != own:
        raise Fault(
            f"weights: {parameters.weights} is a {theirs}, and {own} is to be trained. "
            f"Set {'template' if own == parameters.template else 'backbone'}: {theirs}, or start from other weights."
        )
    stored = _read(start / "weights.safetensors")
    _check_backbone(network, stored, parameters, f", trained at {card.image_size} pixels,")
    layout: Any = getattr(network, "concept_rows", {})
    taken = carried_over(network.state_dict(), concepts, stored, card.concepts, layout)
    if not taken:
        raise Fault(f"weights: nothing of {parameters.weights} fits the network that is to be trained")
    network.load_state_dict(taken, strict=False)


def _check_backbone(network: nn.Module, stored: dict[str, Tensor], given: NetworkParameters, how: str = "") -> None:
    """Raises Fault where its shapes are others: position embeddings and small stems go with the size of the pictures.

    Left as they are drawn they would spoil all that is taken.
    """
    own = network.state_dict()
    for name, x in stored.items():
        if name.startswith(f"{network.trunk}.") and own.get(name, x).shape != x.shape:
            raise Fault(
                f"weights: {given.weights}{how} has a {name} of {tuple(x.shape)}, and {given.architecture} at "
                f"{given.image_size} pixels has one of {tuple(own[name].shape)}. "
                "Set the template and the image_size that these weights were trained with, or start from others."
            )


def _take(network: nn.Module, path: Path, given: NetworkParameters) -> None:
    stored = _read(path)
    _check_backbone(network, stored, given)
    if not networks.copy_fitting(network, stored):
        raise Fault(f"weights: nothing in {path} fits {given.template}. Is it a file of another template?")


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise Fault(f"weights: {path} cannot be read as safetensors ({error})") from None
