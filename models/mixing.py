"""Pictures of a batch mixed with each other, and their concepts with them."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torchvision.transforms import v2


def mixing(mixup: float, cutmix: float) -> Any:
    """(images (N, 3, H, W) float, targets (N, C) float) to the same, each mixed with its neighbour; None for neither.

    mixup, cutmix: their alphas; where both are above 0 each batch is mixed one way or the other, with equal
    chance (as in 'ResNet strikes back', Wightman 2021).  A share of a picture is that share of its targets.
    Draws from torch's global generator alone. In a training on many devices each mixes its own share of the batch.
    """
    ways: list[Any] = []
    if mixup:
        ways.append(v2.MixUp(alpha=mixup, labels_getter=_targets))
    if cutmix:
        ways.append(v2.CutMix(alpha=cutmix, labels_getter=_targets))
    if len(ways) == 2:
        return v2.RandomChoice(ways)
    return ways[0] if ways else None


def _targets(batch: tuple[Tensor, Tensor]) -> Tensor:
    return batch[1]
