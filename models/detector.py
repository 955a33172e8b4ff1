"""The visual detector as Lightning trains it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from models.detection_loss import detection_losses
from models.learner import Learner
from models.parameters import DetectorParameters
from models.runtime.kinds import FLOOR
from models.runtime.light import LightDetector

Targets = list[dict[str, Tensor]]


class Detector(Learner):
    """Pictures to boxes with a concept and a score each.

    Targets are N dicts of boxes (n, 4) float32 xyxy, pixels of the padded picture, and labels (n,) int64.
    """

    monitored = "val_map_50"
    given: DetectorParameters
    weights: Tensor | None

    def __init__(self, given: DetectorParameters, concepts: Sequence[str], **start: Any) -> None:
        super().__init__(given, concepts, **start)
        self.register_buffer("weights", None, persistent=False)
        # Every process of a training measures on all of the split: nothing is to be put together.
        self.metric = MeanAveragePrecision(iou_thresholds=[0.5], sync_on_compute=False)
        self.metric.warn_on_many_detections = False

    def weigh(self, weights: Tensor) -> None:
        if not isinstance(self.network, LightDetector):  # torchvision's networks make their losses themselves
            super().weigh(weights)
        self.weights = weights.to(self.device)

    def training_step(self, batch: tuple[Tensor, Targets], _: int) -> dict[str, Tensor]:
        images, targets = batch
        losses = detection_losses(self.network, self.seen(images), targets, self.weights)
        named = {f"train_{name}": value.detach() for name, value in losses.items()}
        return {"loss": torch.stack(list(losses.values())).sum()} | named

    def validation_step(self, batch: tuple[Tensor, Targets], _: int) -> None:
        images, targets = batch
        limits = (FLOOR, self.given.nms_iou, self.given.max_detections)
        found = self.network.detect(self.seen(images), *limits)  # type: ignore[operator]
        columns = ("boxes", "scores", "labels")
        self.metric.update([dict(zip(columns, row, strict=True)) for row in found], targets)

    def on_validation_epoch_end(self) -> None:
        score = self.metric.compute()["map_50"].clamp(min=0)  # -1 where the split holds no box
        self.metric.reset()
        self.log(self.monitored, score, prog_bar=True, logger=False)
