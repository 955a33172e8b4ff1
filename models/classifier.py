"""The visual classifier as Lightning trains it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MultilabelAveragePrecision

from models.learner import Learner
from models.mixing import mixing
from models.parameters import ClassifierParameters


class Classifier(Learner):
    """Pictures to concepts: cross-entropy or one yes-or-no each when concepts exclude each other, else the latter.

    Targets are (N, C) float in [0, 1]; mixed pictures have shares of several.
    """

    given: ClassifierParameters
    weights: Tensor | None

    def __init__(self, given: ClassifierParameters, concepts: Sequence[str], **start: Any) -> None:
        super().__init__(given, concepts, **start)
        self.exclusive = given.concepts_mutually_exclusive
        self.softmax = self.exclusive and given.loss == "cross-entropy"
        self.monitored = "val_accuracy" if self.exclusive else "val_average_precision"
        self.mixed = mixing(given.mixup, given.cutmix)
        self.register_buffer("weights", None, persistent=False)
        # Every process of a training measures on all of the split: nothing is to be put together.
        self.metric: Metric
        if self.exclusive:
            self.metric = MulticlassAccuracy(len(concepts), average="micro", sync_on_compute=False)
        else:
            self.metric = MultilabelAveragePrecision(len(concepts), sync_on_compute=False)

    @property
    def measures(self) -> tuple[str, ...]:
        return (self.monitored, "val_loss")

    def weigh(self, weights: Tensor) -> None:
        self.weights = weights.to(self.device)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean over the pictures (and, of yes-or-nos, over the concepts). Smoothing spreads over what could be."""
        logits, smoothing = logits.float(), self.given.label_smoothing
        if self.softmax:
            return F.cross_entropy(logits, targets, self.weights, label_smoothing=smoothing)
        spread = 1 / targets.shape[1] if self.exclusive else 0.5
        smooth = targets * (1 - smoothing) + smoothing * spread
        return F.binary_cross_entropy_with_logits(logits, smooth, self.weights)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        images, targets = self.seen(batch[0]), batch[1]
        if self.mixed:
            images, targets = self.mixed(images, targets)
            images = images.contiguous(memory_format=torch.channels_last)
        return self.loss(self.network(images), targets)

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        images, targets = batch
        logits = self.network(self.seen(images)).float()
        self.log("val_loss", self.loss(logits, targets), batch_size=len(images), logger=False)
        self.metric.update(logits, targets.argmax(1) if self.exclusive else targets.long())
        self.log(self.monitored, self.metric, prog_bar=True, batch_size=len(images), logger=False)
