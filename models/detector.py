"""The visual detector as Lightning trains it."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from models.detection_loss import detection_losses
from models.optimization import optimizer, schedule
from models.parameters import DetectorParameters
from models.runtime import networks
from models.runtime.predictor import FLOOR
from models.runtime.transform import normalise
from models.start import network_for


class Detector(pl.LightningModule):
    """Pictures to boxes with a concept and a score each.

    Batches are (images (N, 3, H, W) uint8, targets: N dicts of boxes (n, 4) float32 xyxy pixels of the
    padded image and labels (n,) int64).
    """

    monitored = "val_map_50"

    def __init__(self, parameters: DetectorParameters, concepts: tuple[str, ...]) -> None:
        super().__init__()
        self.parameters_given = parameters
        self.network = network_for(parameters, len(concepts))
        self.normalisation = networks.NORMALISATION[parameters.template]
        self.metric = MeanAveragePrecision(iou_thresholds=[0.5])
        self.metric.warn_on_many_detections = False

    def training_step(self, batch: tuple[Tensor, list[dict[str, Tensor]]], _: int) -> Tensor:
        images, targets = batch
        losses = detection_losses(self.network, normalise(images, *self.normalisation), targets)
        total = torch.stack(list(losses.values())).sum()
        named = {f"train_{name}": value.detach() for name, value in losses.items()}
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=len(images))
        self.log("train_loss", total, on_step=False, on_epoch=True, batch_size=len(images), prog_bar=True)
        return total

    def validation_step(self, batch: tuple[Tensor, list[dict[str, Tensor]]], _: int) -> None:
        images, targets = batch
        given = self.parameters_given
        found = self.network.detect(normalise(images, *self.normalisation), FLOOR, given.nms_iou, given.max_detections)
        self.metric.update([dict(zip(("boxes", "scores", "labels"), row, strict=True)) for row in found], targets)

    def on_validation_epoch_end(self) -> None:
        score = self.metric.compute()["map_50"].clamp(min=0)  # -1 where the split holds no box
        self.metric.reset()
        self.log(self.monitored, score, prog_bar=True)

    def configure_optimizers(self):
        chosen = optimizer(self.network, self.parameters_given)
        steps = int(self.trainer.estimated_stepping_batches)
        rate = torch.optim.lr_scheduler.LambdaLR(chosen, schedule(self.parameters_given, steps))
        return {"optimizer": chosen, "lr_scheduler": {"scheduler": rate, "interval": "step"}}
