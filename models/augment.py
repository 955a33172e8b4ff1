"""How training pictures vary: named presets on torchvision.transforms.v2.

Every draw comes from torch's global generator, so that whoever seeds it per picture gets the same picture again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F
from torchvision.tv_tensors import BoundingBoxes

from models.runtime.faults import Fault, choices

VISIBLE = 0.3  # of a box must stay in the picture for it to be learnt
SMALLEST = 2  # pixels a side
FILL = [124, 116, 104]  # the mean colour, which padding is made of too
# Of a detector's pictures so many are shown through another window, the others whole: what is cut by a picture's
# own edge may be labelled otherwise than what a window cuts. (bccd, from nothing, one run each, 0.5 against 1:
# mAP@50 .900 against .892 on val and .900 against .889 on test; docs/benchmarks.md.)
REFRAMED = 0.5


class Reframe(nn.Module):
    """Looks at the picture through another window: nearer or farther, elsewhere, a little wider or narrower.

    zoom: (lowest, highest) enlargement, aspect: largest ratio by which width may change against height.
    The picture keeps its size (H, W). Boxes move with it, are cut at its edges, and go with their labels when
    less than VISIBLE of them stays. fill: a colour for what lies outside, or None to continue the edge.
    share: of the pictures; the others stay as they are.
    """

    def __init__(
        self, zoom: tuple[float, float], aspect: float, fill: list[int] | None = None, share: float = 1.0
    ) -> None:
        super().__init__()
        self.zoom, self.aspect, self.fill, self.share = zoom, aspect, fill, share

    def forward(self, image: Tensor, target: Any = None) -> tuple[Tensor, Any]:
        if self.share < 1 and float(torch.rand(())) >= self.share:
            return image, target
        height, width = image.shape[-2:]
        low, high = self.zoom
        draw = torch.rand(4).tolist()
        # Zooming in and out are equally likely, whatever the range.
        zoom = low * (high / low) ** draw[0]
        stretch = self.aspect ** (draw[1] - 0.5)
        wide, tall = max(8, round(width / zoom * stretch)), max(8, round(height / zoom / stretch))
        columns = _Span.of(width, wide, draw[2])
        rows = _Span.of(height, tall, draw[3])
        seen = image[..., rows.first : rows.last, columns.first : columns.last]
        # Only what is seen is resized, and laid onto its ground: half the work of padding the whole picture first.
        seen = F.resize(seen, [rows.length, columns.length], antialias=wide > width)
        if isinstance(target, dict):
            target = _moved(target, columns, rows, (height, width))
        return self._laid(seen, columns, rows, height, width), target

    def _laid(self, seen: Tensor, columns: _Span, rows: _Span, height: int, width: int) -> Tensor:
        if seen.shape[-2:] == (height, width):
            return seen
        left, top = columns.start, rows.start
        right, below = left + columns.length, top + rows.length
        ground = seen.new_empty((height, width, 3)).permute(2, 0, 1)  # as a decoded picture lies in memory
        if self.fill is not None:
            ground.copy_(torch.tensor(self.fill, dtype=seen.dtype).view(3, 1, 1))
        ground[:, top:below, left:right] = seen
        if self.fill is None:
            ground[:, top:below, :left] = seen[..., :1]
            ground[:, top:below, right:] = seen[..., -1:]
            ground[:, :top] = ground[:, top : top + 1]
            ground[:, below:] = ground[:, below - 1 : below]
        return ground


class _Span(NamedTuple):
    """One axis of a window: from which pixel to which of the picture it sees, and where that comes to lie."""

    first: int
    last: int
    start: int
    length: int

    @classmethod
    def of(cls, size: int, window: int, where: float) -> _Span:
        begin = round((size - window) * where)  # negative where the window is larger than the picture
        first, last = max(0, begin), min(size, begin + window)
        start = round((first - begin) * size / window)
        return cls(first, last, start, max(1, round((last - begin) * size / window) - start))

    def moved(self, at: Tensor) -> Tensor:
        return (at - self.first) * (self.length / (self.last - self.first)) + self.start


def _moved(target: dict[str, Tensor], columns: _Span, rows: _Span, size: tuple[int, int]) -> dict[str, Tensor]:
    boxes = target["boxes"].as_subclass(Tensor)
    moved = torch.stack([(rows if side % 2 else columns).moved(boxes[:, side]) for side in range(4)], dim=1)
    return visible(moved, target["labels"], size)


def visible(boxes: Tensor, labels: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
    """The target of boxes (n, 4) cut at the edges of a picture of `size` (H, W): those of which enough is left."""
    cut = torch.minimum(boxes.clamp(min=0), boxes.new_tensor([size[1], size[0]] * 2))
    kept = _areas(cut) >= VISIBLE * _areas(boxes)
    kept &= ((cut[:, 2:] - cut[:, :2]) >= SMALLEST).all(-1)
    return {"boxes": BoundingBoxes(cut[kept], format="XYXY", canvas_size=size), "labels": labels[kept]}


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(-1)


class Colour(nn.Module):
    """Four times in five: brightness, contrast and saturation by a factor of 1 ± strength each.

    What torchvision's ColorJitter does in that order, in one pass: all three are linear in a pixel's three values.
    (CPU time, one thread, 320×320: 0.7 ms against 1.9.)
    """

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, image: Tensor, target: Any = None) -> tuple[Tensor, Any]:
        draw = torch.rand(4)
        if draw[3] >= 0.8:
            return image, target
        brightness, contrast, saturation = (1 + self.strength * (2 * draw[:3] - 1)).tolist()
        grey = torch.tensor([0.299, 0.587, 0.114])
        mixed = saturation * torch.eye(3) + (1 - saturation) * grey.expand(3, 3)
        middle = brightness * float(grey @ image[:, ::4, ::4].mean((1, 2), dtype=torch.float32))
        kernel = (brightness * contrast * mixed).view(3, 3, 1, 1)
        shift = torch.full((3,), (1 - contrast) * middle)
        changed = conv2d(image.to(torch.float32)[None], kernel, shift)[0]
        return changed.clamp_(0, 255).to(torch.uint8), target


PRESETS = {
    "classification": {
        "none": list,
        "light": lambda: [Reframe((0.85, 1.2), 1.2), Colour(0.3)],
        "flip": lambda: [Reframe((0.9, 1.6), 1.3), v2.RandomHorizontalFlip(), Colour(0.3)],
        "strong": lambda: [
            Reframe((0.8, 2.2), 1.6),
            v2.RandomHorizontalFlip(),
            v2.RandAugment(2, 7),
            v2.RandomErasing(0.25),
        ],
    },
    "detection": {
        "none": list,
        "light": lambda: [Reframe((0.75, 1.33), 1.2, FILL, REFRAMED), Colour(0.3)],
        "flip": lambda: [Reframe((0.7, 1.4), 1.3, FILL, REFRAMED), v2.RandomHorizontalFlip(), Colour(0.3)],
        "strong": lambda: [
            Reframe((0.35, 2.5), 1.6, FILL),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            Colour(0.5),
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
