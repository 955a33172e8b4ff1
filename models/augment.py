"""How training pictures vary: named presets on torchvision.transforms.v2.

Every draw comes from torch's global generator, so that whoever seeds it per picture gets the same picture again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F
from torchvision.tv_tensors import BoundingBoxes

from models.runtime.faults import Fault, choices

VISIBLE = 0.3  # of a box must stay in the picture for it to be learnt
FILL = [124, 116, 104]  # the mean colour, which padding is made of too


class Reframe(nn.Module):
    """Looks at the picture through another window: nearer or farther, elsewhere, a little wider or narrower.

    zoom: (lowest, highest) enlargement, aspect: largest ratio by which width may change against height.
    The picture keeps its size (H, W). Boxes move with it, are cut at its edges, and go with their labels when
    less than VISIBLE of them stays. fill: a colour for what lies outside, or None to continue the edge.
    """

    def __init__(self, zoom: tuple[float, float], aspect: float, fill: list[int] | None = None) -> None:
        super().__init__()
        self.zoom, self.aspect, self.fill = zoom, aspect, fill

    def forward(self, image: Tensor, target: Any = None) -> tuple[Tensor, Any]:
        height, width = image.shape[-2:]
        low, high = self.zoom
        draw = torch.rand(4).tolist()
        # Zooming in and out are equally likely, whatever the range.
        zoom = low * (high / low) ** draw[0]
        stretch = self.aspect ** (draw[1] - 0.5)
        wide, tall = max(8, round(width / zoom * stretch)), max(8, round(height / zoom / stretch))
        x, y = round((width - wide) * draw[2]), round((height - tall) * draw[3])
        image = self._seen(image, x, y, wide, tall)
        image = F.resize(image, [height, width], antialias=wide > width)
        if isinstance(target, dict):
            target = _moved(target, x, y, width / wide, height / tall, (height, width))
        return image, target

    def _seen(self, image: Tensor, x: int, y: int, wide: int, tall: int) -> Tensor:
        height, width = image.shape[-2:]
        outside = [max(0, -x), max(0, -y), max(0, x + wide - width), max(0, y + tall - height)]
        if any(outside):
            mode = "edge" if self.fill is None else "constant"
            image = F.pad(image, outside, fill=self.fill, padding_mode=mode)
        left, top = x + outside[0], y + outside[1]
        return image[..., top : top + tall, left : left + wide]


def _moved(
    target: dict[str, Tensor], x: int, y: int, across: float, down: float, size: tuple[int, int]
) -> dict[str, Tensor]:
    boxes = target["boxes"].as_subclass(Tensor)
    moved = (boxes - boxes.new_tensor([x, y, x, y])) * boxes.new_tensor([across, down, across, down])
    cut = torch.minimum(moved.clamp(min=0), moved.new_tensor([size[1], size[0]] * 2))
    kept = _areas(cut) >= VISIBLE * _areas(moved)
    kept &= ((cut[:, 2:] - cut[:, :2]) >= 2).all(-1)
    framed = BoundingBoxes(cut[kept], format="XYXY", canvas_size=size)
    return {"boxes": framed, "labels": target["labels"][kept]}


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(-1)


def _colour(strength: float) -> v2.Transform:
    return v2.RandomApply([v2.ColorJitter(strength, strength, strength)], p=0.8)


PRESETS = {
    "classification": {
        "none": list,
        "light": lambda: [Reframe((0.85, 1.2), 1.2), _colour(0.3)],
        "flip": lambda: [Reframe((0.9, 1.6), 1.3), v2.RandomHorizontalFlip(), _colour(0.3)],
        "strong": lambda: [
            Reframe((0.8, 2.2), 1.6),
            v2.RandomHorizontalFlip(),
            v2.RandAugment(2, 7),
            v2.RandomErasing(0.25),
        ],
    },
    "detection": {
        "none": list,
        "light": lambda: [Reframe((0.75, 1.33), 1.2, FILL), _colour(0.3)],
        "flip": lambda: [Reframe((0.7, 1.4), 1.3, FILL), v2.RandomHorizontalFlip(), _colour(0.3)],
        "strong": lambda: [
            Reframe((0.5, 2.0), 1.5, FILL),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            _colour(0.5),
        ],
    },
}


def augmentation(preset: str, task: str) -> v2.Transform:
    """(picture (3, H, W) uint8, target) to the same, varied; H and W stay.

    task: `classification` (the target passes untouched) or `detection` (target: `boxes`, tv_tensors xyxy in
    pixels, and `labels`, which stay in step). Raises Fault for an unknown preset.
    """
    if preset not in PRESETS[task]:
        raise Fault(f"augmentation: there is no preset {preset!r}. {choices(preset, PRESETS[task])}")
    return v2.Compose([*PRESETS[task][preset](), v2.Identity()])
