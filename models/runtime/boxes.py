"""Boxes from raw numbers: distances to corners, and the surest of those that overlap."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import batched_nms

Found = tuple[Tensor, Tensor, Tensor]

CANDIDATES = 1000  # kept before suppression, which is quadratic; ten times what may be answered where that is more


def centres(height: int, width: int, stride: int, device: torch.device) -> Tensor:
    """(height * width, 2) float32 xy of the middle of every cell of a feature map, in pixels, row by row."""
    rows = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) * stride
    columns = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) * stride
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)


def from_distances(points: Tensor, distances: Tensor) -> Tensor:
    """(..., 4) xyxy boxes from (..., 2) points and (..., 4) distances to left, top, right, bottom; pixels."""
    return torch.cat([points - distances[..., :2], points + distances[..., 2:]], dim=-1)


def surest(boxes: Tensor, scores: Tensor, score_threshold: float, nms_iou: float, max_detections: int) -> Found:
    """The boxes of one image worth reporting, highest score first.

    boxes: (L, 4) xyxy, one for all concepts.  scores: (L, C) in [0, 1].  Within a concept, of two boxes
    that overlap by more than nms_iou (intersection over union) the surer stays; concepts do not compete.
    Returns (n, 4) float32 boxes, (n,) float32 scores, (n,) int64 labels, n at most max_detections.
    """
    places, labels = torch.nonzero(scores > score_threshold, as_tuple=True)
    sure = scores[places, labels]
    most = max(CANDIDATES, 10 * max_detections)
    if len(sure) > most:
        sure, order = sure.sort(descending=True, stable=True)
        sure, order = sure[:most], order[:most]
        places, labels = places[order], labels[order]
    near = boxes[places].float()
    kept = batched_nms(near, sure.float(), labels, nms_iou)[:max_detections]
    return near[kept], sure[kept].float(), labels[kept]
