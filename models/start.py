"""Where a training starts from: nothing, torchvision's weights, or a file."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from models.parameters import Parameters
from models.runtime import networks
from models.runtime.faults import Fault


def network_for(parameters: Parameters, concepts: int) -> nn.Module:
    """The network of the template with the weights asked for.

    Of a file, what fits by name and shape is taken, so that other concepts can be learned from there.
    Raises Fault when the file cannot be read or nothing in it fits.
    """
    torch.manual_seed(parameters.seed)  # what is drawn at the start depends on the seed alone
    named = parameters.weights in ("none", "pretrained")
    start = parameters.weights if named else "none"
    network = networks.build(parameters.template, concepts, start, parameters.image_size, parameters.network_options)
    if not named:
        _take(network, Path(parameters.weights), parameters.template)
    return network.to(memory_format=torch.channels_last)


def _take(network: nn.Module, path: Path, template: str) -> None:
    try:
        stored = load_file(path)
    except (OSError, SafetensorError) as error:
        raise Fault(f"weights: {path} cannot be read as safetensors ({error})") from None
    if not networks.copy_fitting(network, stored):
        raise Fault(f"weights: nothing in {path} fits {template}. Is it a file of another template?")
