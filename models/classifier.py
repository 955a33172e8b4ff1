"""The visual classifier as Lightning trains it."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MultilabelAveragePrecision

from models.optimization import optimizer, schedule
from models.parameters import ClassifierParameters
from models.runtime import networks
from models.runtime.transform import normalise
from models.start import network_for


class Classifier(pl.LightningModule):
    """Pictures to concepts: cross-entropy when concepts exclude each other, else one yes-or-no each.

    Batches are (images (N, 3, S, S) uint8, targets (N, C) float in {0, 1}).
    """

    def __init__(self, parameters: ClassifierParameters, concepts: tuple[str, ...]) -> None:
        super().__init__()
        self.parameters_given = parameters
        self.network = network_for(parameters, len(concepts))
        self.normalisation = networks.NORMALISATION[parameters.template]
        self.exclusive = parameters.concepts_mutually_exclusive
        self.loss: nn.Module = (
            nn.CrossEntropyLoss(label_smoothing=parameters.label_smoothing)
            if self.exclusive
            else nn.BCEWithLogitsLoss()
        )
        self.metric: Metric = (
            MulticlassAccuracy(len(concepts), average="micro")
            if self.exclusive
            else MultilabelAveragePrecision(len(concepts))
        )

    @property
    def monitored(self) -> str:
        """The validation metric that picks the best weights: higher is better."""
        return "val_accuracy" if self.exclusive else "val_average_precision"

    def forward(self, images: Tensor) -> Tensor:
        return self.network(normalise(images, *self.normalisation))

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        images, targets = batch
        loss = self.loss(self(images), targets)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(images), prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        images, targets = batch
        logits = self(images).float()
        self.log("val_loss", self.loss(logits, targets), batch_size=len(images))
        self.metric.update(logits, targets.argmax(1) if self.exclusive else targets.long())
        self.log(self.monitored, self.metric, prog_bar=True, batch_size=len(images))

    def configure_optimizers(self):
        chosen = optimizer(self.network, self.parameters_given)
        steps = int(self.trainer.estimated_stepping_batches)
        rate = torch.optim.lr_scheduler.LambdaLR(chosen, schedule(self.parameters_given, steps))
        return {"optimizer": chosen, "lr_scheduler": {"scheduler": rate, "interval": "step"}}
