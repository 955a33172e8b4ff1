"""Four pictures in one (mosaic, Bochkovskiy 2020): more things, smaller and cut, in what a detector learns from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from models.augment import FILL, visible

CENTRE = (0.3, 0.7)  # of each side: between these lies the corner where the four meet
SHRUNK = 0.5  # each picture is shown at this scale at least, and at its own at most

Row = tuple[Tensor, dict[str, Tensor]]


def mosaic(rows: Sequence[Row], side: int) -> Row:
    """Four (picture (3, H, W) uint8, target) as one of `side` × `side`, meeting at a drawn point.

    Each picture lies with its inner corner at that point, shrunk by a drawn factor, and is cut at the edges;
    boxes move with it, and go with their labels when less than `augment.VISIBLE` of them stays.
    target: `boxes` (n, 4) xyxy in pixels and `labels` (n,).  Draws from torch's global generator alone.
    """
    low, high = CENTRE
    draw = torch.rand(2 + len(rows)).tolist()
    x, y = (round(side * (low + (high - low) * share)) for share in draw[:2])
    ground = torch.tensor(FILL, dtype=torch.uint8).expand(side, side, 3).clone().permute(2, 0, 1)
    boxes, labels = [], []
    for place, ((picture, target), share) in enumerate(zip(rows, draw[2:], strict=True)):
        scale = SHRUNK ** (1 - share)
        height, width = (max(8, round(length * scale)) for length in picture.shape[-2:])
        left = x - width if place % 2 == 0 else x
        top = y - height if place < 2 else y
        small = F.resize(picture, [height, width], antialias=True)
        first, last = max(0, left), min(side, left + width)
        above, below = max(0, top), min(side, top + height)
        ground[:, above:below, first:last] = small[:, above - top : below - top, first - left : last - left]
        ratio = [width / picture.shape[-1], height / picture.shape[-2]] * 2
        moved = target["boxes"].as_subclass(Tensor) * torch.tensor(ratio) + torch.tensor([left, top, left, top])
        boxes.append(moved)
        labels.append(target["labels"])
    return ground, visible(torch.cat(boxes), torch.cat(labels), (side, side))
