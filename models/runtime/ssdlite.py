"""torchvision's SSDlite on MobileNetV3, behind the same doors as every detector here."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from .boxes import Found, surest


class Anchored(NamedTuple):
    """What the network says of every anchor.

    logits: (N, L, C + 1), the first for background.  offsets: (N, L, 4) from the anchor, as SSD codes them.
    anchors: (L, 4) xyxy in pixels of the tensor that went in.  All float32.
    """

    logits: Tensor
    offsets: Tensor
    anchors: Tensor


class SSDLite(nn.Module):
    """torchvision's network without its own resizing and normalising, which happen outside.

    Its anchors are fractions of the picture's sides, so a picture is padded to a square (right, bottom).
    """

    def __init__(self, concepts: int) -> None:
        super().__init__()
        self.network = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=concepts + 1)
        self.network.transform = nn.Identity()

    def forward(self, images: Tensor) -> Anchored:
        """(N, 3, H, W) normalised float pictures to what is said of every anchor."""
        side = max(images.shape[-2:])
        square = F.pad(images, (0, side - images.shape[-1], 0, side - images.shape[-2]))
        maps = list(self.network.backbone(square).values())
        said = self.network.head(maps)
        anchors = self.network.anchor_generator(ImageList(square[:1], [(side, side)]), maps)[0]
        return Anchored(said["cls_logits"].float(), said["bbox_regression"].float(), anchors)

    def detect(
        self,
        images: Tensor,
        score_threshold: float = 0.05,
        nms_iou: float = 0.6,
        max_detections: int = 100,
    ) -> list[Found]:
        """For each image (n, 4) float32 xyxy boxes in its pixels, (n,) scores, (n,) int64 labels, surest first."""
        said = self(images)
        return [
            surest(
                self.network.box_coder.decode_single(offsets, said.anchors),
                logits.softmax(-1)[:, 1:],
                score_threshold,
                nms_iou,
                max_detections,
            )
            for logits, offsets in zip(said.logits, said.offsets, strict=True)
        ]

    def losses(self, images: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """SSD's losses (Liu 2016): smooth L1 on matched anchors, cross-entropy with the 3 hardest empty ones each."""
        said = self(images)
        matched = [self._match(target["boxes"], said.anchors) for target in targets]
        shifted = [{"boxes": target["boxes"], "labels": target["labels"] + 1} for target in targets]
        outputs = {"cls_logits": said.logits, "bbox_regression": said.offsets}
        losses = self.network.compute_loss(shifted, outputs, [said.anchors] * len(targets), matched)
        return {"concept": losses["classification"], "box": losses["bbox_regression"]}

    def _match(self, boxes: Tensor, anchors: Tensor) -> Tensor:
        """(L,) index of the box each anchor answers for, -1 for none."""
        if not len(boxes):
            return torch.full((len(anchors),), -1, dtype=torch.int64, device=anchors.device)
        return self.network.proposal_matcher(box_iou(boxes.to(anchors), anchors))
