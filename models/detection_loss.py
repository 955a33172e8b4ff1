"""What a detector in training is told: which cell answers for which box, and how far off it is.

Task-aligned assignment (TOOD, Feng 2021): of the cells whose centre lies in a box, those answer for it that
already are the best at both, naming its concept and drawing it; how good the best is, is the score to learn.
So a score means how well the box fits, which is what ranks the answers in average precision.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.runtime.light import STRIDES, LightDetector, Raw

CELLS_PER_BOX = 10
SCORE_POWER, OVERLAP_POWER = 0.5, 4.0
FOCUS = 2.0  # power of |target - score|: easy cells weigh less (quality focal loss, Li 2020)
OBJECT_WEIGHT, CONCEPT_WEIGHT, BOX_WEIGHT = 1.0, 1.0, 2.0
RAISE = 0.5  # power of the best overlap that makes the score to learn: early overlaps are poor


class Assigned(NamedTuple):
    """What every cell is to learn.

    scores: (N, L) in [0, 1].  labels: (N, L) and boxes: (N, L, 4) xyxy of what it answers for.
    answers: (N, L) bool, whether it answers for any.
    """

    scores: Tensor
    labels: Tensor
    boxes: Tensor
    answers: Tensor


def detection_losses(
    network: nn.Module, images: Tensor, targets: list[dict[str, Tensor]], weights: Tensor | None = None
) -> dict[str, Tensor]:
    """The losses to add up for one batch, by name.

    images: (N, 3, H, W) normalised.  targets: for each image `boxes` (n, 4) xyxy in its pixels and `labels`
    (n,) int64; n may be 0.  weights: (C,) of each concept, for a `LightDetector` alone.
    """
    if not isinstance(network, LightDetector):
        return network.losses(images, targets)  # type: ignore[operator]
    raw = network(images)
    return light_losses(raw, assign(raw, *_padded(targets, raw.logits.device)), weights)


def light_losses(raw: Raw, assigned: Assigned, weights: Tensor | None = None) -> dict[str, Tensor]:
    """Three losses, each per cell that answers or per unit of its score.

    object: quality focal loss.  concept: cross-entropy of cells that answer, apart from the first, so that it
    teaches from the first step on. (Digit scenes, 300 steps, one run each: mAP@50 .325 with one sigmoid a
    concept, .373 so, mAP .219 and .218; then .430 and .274 with RAISE at 0.5 in place of 1.) Weighed by `weights`.
    box: 1 - GIoU, weighted by the score to learn.
    """
    total = assigned.scores.sum().clamp(min=1.0)
    off = (assigned.scores - raw.objects.detach().sigmoid()).abs().pow(FOCUS)
    each = F.binary_cross_entropy_with_logits(raw.objects, assigned.scores, reduction="none")
    answers = assigned.answers
    weight = assigned.scores[answers]
    apart = 1 - overlap(raw.boxes[answers], assigned.boxes[answers], generalised=True)
    named = F.cross_entropy(raw.logits[answers], assigned.labels[answers], weights, reduction="none")
    return {
        "object": OBJECT_WEIGHT * (off * each).sum() / total,
        "concept": CONCEPT_WEIGHT * named.sum() / max(1, len(named)),
        "box": BOX_WEIGHT * (apart * weight).sum() / total,
    }


@torch.no_grad()
def assign(raw: Raw, boxes: Tensor, labels: Tensor, present: Tensor) -> Assigned:
    """Which cells answer for which boxes. boxes: (N, M, 4), labels: (N, M), present: (N, M) bool, False for padding."""
    count, most = labels.shape
    cells = raw.objects.shape[1]
    if most == 0:
        nothing = torch.zeros_like(raw.objects, dtype=torch.int64)
        return Assigned(torch.zeros_like(raw.objects), nothing, torch.zeros_like(raw.distances), nothing > 0)
    images = torch.arange(count, device=labels.device)[:, None]
    overlaps = overlap(boxes[:, :, None], raw.boxes[:, None])
    named = raw.scores.transpose(1, 2)[images, labels]
    fit = named.pow(SCORE_POWER) * overlaps.pow(OVERLAP_POWER)
    fit = fit * (_inside(raw.points, boxes) & present[..., None])
    best, where = fit.topk(min(CELLS_PER_BOX, cells), dim=-1)
    chosen = torch.zeros_like(fit).scatter(-1, where, (best > 0).to(fit))
    # A cell that several boxes chose answers for the one it draws best.
    owner = (overlaps * chosen).argmax(1)
    chosen = chosen * F.one_hot(owner, most).transpose(1, 2)
    fit, overlaps = fit * chosen, overlaps * chosen
    scale = overlaps.amax(-1, keepdim=True).pow(RAISE) / fit.amax(-1, keepdim=True).clamp(min=1e-9)
    return Assigned((fit * scale).amax(1), labels[images, owner], boxes[images, owner], chosen.amax(1) > 0)


def overlap(some: Tensor, others: Tensor, generalised: bool = False) -> Tensor:
    """Intersection over union of (..., 4) xyxy boxes, row by row; GIoU (Rezatofighi 2019) in (-1, 1] if generalised."""
    low, high = torch.maximum(some[..., :2], others[..., :2]), torch.minimum(some[..., 2:], others[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    either = (some[..., 2:] - some[..., :2]).prod(-1) + (others[..., 2:] - others[..., :2]).prod(-1) - shared
    ratio = shared / either.clamp(min=1e-6)
    if not generalised:
        return ratio
    low, high = torch.minimum(some[..., :2], others[..., :2]), torch.maximum(some[..., 2:], others[..., 2:])
    around = (high - low).prod(-1).clamp(min=1e-6)
    return ratio - (around - either) / around


def _inside(points: Tensor, boxes: Tensor) -> Tensor:
    """(N, M, L) bool: the centre lies in the box, or in one of the finest stride's size around its middle.

    The latter, so that a box that falls between all centres still has a cell that answers for it.
    """
    middle, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2
    away = (points - middle[..., None, :]).abs()
    return (away <= half.clamp(min=STRIDES[0] / 2)[..., None, :]).all(-1)


def _padded(targets: list[dict[str, Tensor]], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (N, M, 4), labels (N, M) and which of them are real (N, M), M the most of any image."""
    most = max(len(target["labels"]) for target in targets)
    boxes = torch.zeros(len(targets), most, 4, device=device)
    labels = torch.zeros(len(targets), most, dtype=torch.int64, device=device)
    present = torch.zeros(len(targets), most, dtype=torch.bool, device=device)
    for i, target in enumerate(targets):
        n = len(target["labels"])
        boxes[i, :n], labels[i, :n], present[i, :n] = target["boxes"], target["labels"], True
    return boxes, labels, present
