"""A light anchor-free detector with batch-norm, made to learn well from nothing and quickly on a CPU.

A half-width ResNet, a feature pyramid of strides 8, 16 and 32, and one prediction a cell (as in FCOS,
Tian 2019): how well it draws something, what that is, and how far the box's four sides are from its centre.
Plain 3×3 convolutions throughout: on a CPU depth-wise ones train slower although they count fewer operations.
One block a stage: what is saved goes into more steps (digit scenes from nothing, float32, 364 s of CPU each, one run
each: mAP@50 .825 with a second block at strides 8 and 16 and 4 epochs, .844 so and 5 epochs; docs/benchmarks.md).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .boxes import Found, centres, from_distances, surest
from .rows import Rows

STRIDES = (8, 16, 32)
WIDTHS = (32, 64, 128, 192)  # channels at strides 4, 8, 16, 32
NECK = 64
PRIOR = 0.01  # of every cell before training, so that the many empty ones do not drown the first steps


class Raw(NamedTuple):
    """What the network says of every cell, finest level first, row by row.

    objects: (N, L) logit of drawing something well.  logits: (N, L, C) of what it would be, for a softmax.
    distances: (N, L, 4) left, top, right, bottom in units of the cell's stride, > 0.
    points: (L, 2) centres in pixels.  strides: (L,) pixels.  All float32.
    """

    objects: Tensor
    logits: Tensor
    distances: Tensor
    points: Tensor
    strides: Tensor

    @property
    def scores(self) -> Tensor:
        """(N, L, C) in [0, 1]: how well it draws something, shared out over what that may be."""
        return self.objects.sigmoid()[..., None] * self.logits.softmax(-1)

    @property
    def boxes(self) -> Tensor:
        """(N, L, 4) xyxy in pixels of the tensor that went in."""
        return from_distances(self.points, self.distances * self.strides[:, None])


def convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1, relu: bool = True) -> nn.Sequential:
    """Convolution, batch-norm and, if wanted, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class Block(nn.Module):
    """Two 3×3 convolutions, the first in steps of two, and a way round them (He 2015)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.path = nn.Sequential(convolution(inputs, outputs, 3, 2), convolution(outputs, outputs, relu=False))
        self.way_round = convolution(inputs, outputs, 1, 2, relu=False)

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(self.path(features) + self.way_round(features))


class Backbone(nn.Module):
    """(N, 3, H, W) to feature maps of strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(3, 16, stride=2)
        self.stages = nn.ModuleList(Block(*widths) for widths in pairwise((16, *WIDTHS)))

    def forward(self, images: Tensor) -> list[Tensor]:
        features, maps = self.stem(images), []
        for stage in self.stages:
            features = stage(features)
            maps.append(features)
        return maps[1:]


class LightResNet(nn.Module):
    """(N, 3, H, W) to (N, size) vectors: the detector's backbone, its last map averaged."""

    size = WIDTHS[-1]

    def __init__(self) -> None:
        super().__init__()
        self.maps, self.pool = Backbone(), nn.AdaptiveAvgPool2d(1)

    def forward(self, images: Tensor) -> Tensor:
        return self.pool(self.maps(images)[-1]).flatten(1)


class Pyramid(nn.Module):
    """Feature maps of one width that know what the coarser ones saw (feature pyramid, Lin 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(convolution(width, NECK, 1) for width in WIDTHS[1:])
        self.smooth = nn.ModuleList(convolution(NECK, NECK) for _ in STRIDES)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        maps = [layer(features) for layer, features in zip(self.lateral, maps, strict=True)]
        for fine in range(len(maps) - 2, -1, -1):
            maps[fine] = maps[fine] + F.interpolate(maps[fine + 1], size=maps[fine].shape[-2:])
        return [layer(features) for layer, features in zip(self.smooth, maps, strict=True)]


class Head(nn.Module):
    """What one level says of each of its cells. Each level has its own: a shared batch-norm would mix them."""

    def __init__(self, concepts: int) -> None:
        super().__init__()
        self.what = convolution(NECK, NECK)
        self.where = convolution(NECK, NECK)
        self.logits = nn.Conv2d(NECK, concepts, 3, padding=1)
        self.box = nn.Conv2d(NECK, 5, 3, padding=1)
        for last in (self.logits, self.box):
            nn.init.normal_(last.weight, std=0.01)
        start = torch.tensor([-math.log((1 - PRIOR) / PRIOR), 1.0, 1.0, 1.0, 1.0])
        self.box.bias = nn.Parameter(start)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, H*W) objects, (N, H*W, C) logits and (N, H*W, 4) distances in strides, float32."""
        logits = self.logits(self.what(features)).flatten(2).transpose(1, 2).float()
        box = self.box(self.where(features)).flatten(2).transpose(1, 2).float()
        return box[..., 0], logits, F.softplus(box[..., 1:])


class LightDetector(nn.Module):
    """(N, 3, H, W) normalised float pictures to `Raw`; any H and W, multiples of 32 waste nothing."""

    trunk = "backbone"

    def __init__(self, concepts: int) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.pyramid = Pyramid()
        self.heads = nn.ModuleList(Head(concepts) for _ in STRIDES)

    @property
    def concept_rows(self) -> dict[str, Rows]:
        """The tensors with a row a concept."""
        return {f"heads.{i}.logits.{part}": Rows() for i in range(len(STRIDES)) for part in ("weight", "bias")}

    def forward(self, images: Tensor) -> Raw:
        maps = self.pyramid(self.backbone(images))
        said = [head(features) for head, features in zip(self.heads, maps, strict=True)]
        points, strides = [], []
        for features, stride in zip(maps, STRIDES, strict=True):
            height, width = features.shape[-2:]
            points.append(centres(height, width, stride, features.device))
            strides.append(points[-1].new_full((len(points[-1]),), stride))
        objects, logits, distances = (torch.cat(column, 1) for column in zip(*said, strict=True))
        return Raw(objects, logits, distances, torch.cat(points), torch.cat(strides))

    def detect(
        self,
        images: Tensor,
        score_threshold: float = 0.05,
        nms_iou: float = 0.6,
        max_detections: int = 100,
    ) -> list[Found]:
        """For each image (n, 4) float32 xyxy boxes in its pixels, (n,) scores, (n,) int64 labels, surest first."""
        raw = self(images)
        return [
            surest(boxes, scores, score_threshold, nms_iou, max_detections)
            for boxes, scores in zip(raw.boxes, raw.scores, strict=True)
        ]
