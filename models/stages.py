"""The stages of a network's backbone, in the order in which a picture passes through them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn
from torchvision.models.swin_transformer import PatchMerging, PatchMergingV2
from torchvision.models.vision_transformer import EncoderBlock

from models.runtime.faults import Fault

_LISTS = nn.Sequential | nn.ModuleList | nn.ModuleDict
_SHRINKING = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d


@dataclass(frozen=True, slots=True)
class Part:
    """A layer or block of a backbone; or (`holder`) what holds such, of which only its very own weights count."""

    module: nn.Module
    holder: bool

    @property
    def weights(self) -> list[nn.Parameter]:
        """The parameters that are this part's and no other's."""
        return list(self.module.parameters(recurse=not self.holder))

    @property
    def begins(self) -> bool:
        """Whether a stage begins here."""
        if self.holder:
            return False
        if isinstance(self.module, PatchMerging | PatchMergingV2 | EncoderBlock):
            return True
        steps = [layer.stride for layer in self.module.modules() if isinstance(layer, _SHRINKING)]
        return any((max(step) if isinstance(step, tuple) else step) > 1 for step in steps)


def stages(network: nn.Module) -> list[list[str]]:
    """Names of the parameters by stage: the backbone's, stem first; then, last, all that is not backbone (the head).

    A stage begins where the picture shrinks (a convolution or pooling in steps of two or more), so a ResNet has
    five, or at each block of a vision transformer, which shrinks it once. Where the backbone lies is what the
    network says in `trunk`; else in `backbone`.
    """
    names = {id(weight): name for name, weight in network.named_parameters()}
    found = [[names[id(weight)] for part in stage for weight in part.weights] for stage in backbone(network)]
    inside = {name for stage in found for name in stage}
    return [*found, [name for name in names.values() if name not in inside]]


def frozen(network: nn.Module, count: int) -> list[nn.Module]:
    """Keep the first stages of the backbone as they are; answers their layers, which belong in `eval` while it learns.

    Their weights take no gradient; in `eval` their batch-norm keeps its statistics and their dropout rests.
    Raises Fault when the backbone has fewer stages.
    """
    if not count:
        return []
    parts = backbone(network)
    if count > len(parts):
        raise Fault(f"frozen_stages: this backbone has {len(parts)} stages, got {count}")
    kept = [part for stage in parts[:count] for part in stage]
    for weight in (weight for part in kept for weight in part.weights):
        weight.requires_grad_(False)
    return [part.module for part in kept if not part.holder]


def backbone(network: nn.Module) -> list[list[Part]]:
    """The parts of a network's backbone by stage; none where it has no backbone."""
    trunk = str(getattr(network, "trunk", "backbone"))
    if trunk not in dict(network.named_modules()):
        return []
    found: list[list[Part]] = [[]]
    for part in _in_order(network.get_submodule(trunk), holder=True):
        if part.begins and any(other.weights for other in found[-1] if not other.holder):
            found.append([])
        found[-1].append(part)
    return found


def _in_order(module: nn.Module, holder: bool) -> Iterator[Part]:
    """The parts in the order in which they were made, which is the one in which these networks use them."""
    yield Part(module, holder)
    for child in module.children() if holder else ():
        yield from _in_order(child, _lists(child))


def _lists(module: nn.Module) -> bool:
    """Whether it is a mere list of blocks: torch's own, or a class that holds its stages or an encoder's layers."""
    return isinstance(module, _LISTS) or hasattr(module, "stages") or hasattr(module, "pos_embedding")
