"""The visual classifier as Lightning trains it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MultilabelAveragePrecision

from models.learner import Learner
from models.parameters import ClassifierParameters


class Classifier(Learner):
    """Pictures to concepts: cross-entropy when concepts exclude each other, else one yes-or-no each.

    Targets are (N, C) float in {0, 1}.
    """

    def __init__(self, given: ClassifierParameters, concepts: Sequence[str], **start: Any) -> None:
        super().__init__(given, concepts, **start)
        self.exclusive = given.concepts_mutually_exclusive
        self.monitored = "val_accuracy" if self.exclusive else "val_average_precision"
        self.loss: nn.Module = nn.BCEWithLogitsLoss()
        self.metric: Metric = MultilabelAveragePrecision(len(concepts))
        if self.exclusive:
            self.loss = nn.CrossEntropyLoss(label_smoothing=given.label_smoothing)
            self.metric = MulticlassAccuracy(len(concepts), average="micro")

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        images, targets = batch
        loss = self.loss(self.network(self.seen(images)), targets)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(images), prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        images, targets = batch
        logits = self.network(self.seen(images)).float()
        self.log("val_loss", self.loss(logits, targets), batch_size=len(images))
        self.metric.update(logits, targets.argmax(1) if self.exclusive else targets.long())
        self.log(self.monitored, self.metric, prog_bar=True, batch_size=len(images))
