"""What the training of every model type has in common: a network, its parameters, its optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from models.optimization import optimizer, schedule
from models.parameters import NetworkParameters
from models.runtime.faults import Fault
from models.runtime.networks import normalisation
from models.runtime.transform import normalise
from models.stages import frozen
from models.start import network_for


class Learner(pl.LightningModule):
    """A network in training. Batches come as uint8 pictures (N, 3, H, W) with their targets.

    A subclass says what is learned from a batch and how it is measured: `training_step` gives back the loss, or a
    dict of `loss` and whatever else the history is to show the means of (`train_…`); `validation_step` logs metrics
    `val_…` with `logger=False`: the history tells the logger.
    monitored: the validation metric that picks the best weights; higher is better.
    measures: every metric of its validation.
    """

    monitored: str

    def __init__(
        self,
        given: NetworkParameters,
        concepts: Sequence[str],
        options: dict[str, Any] | None = None,
        start: Path | None = None,
    ) -> None:
        """options, start: of `models.start.network_for`."""
        super().__init__()
        self.given = given
        self.network = network_for(given, concepts, options, start)
        self.resting = frozen(self.network, given.frozen_stages)

    def on_train_epoch_start(self) -> None:
        """Layers of frozen stages rest, whatever put them into training since."""
        for layer in self.resting:
            layer.eval()

    on_train_start = on_train_epoch_start  # one that goes on in the middle of an epoch does not begin that epoch

    @property
    def measures(self) -> tuple[str, ...]:
        """Every metric of its validation."""
        return (self.monitored,)

    def weigh(self, weights: Tensor) -> None:
        """Let the loss weigh each concept so: weights (C,). Raises Fault where it cannot."""
        raise Fault(f"class_weights: the loss of {self.given.template} cannot be weighed. Use 'none'")

    def seen(self, images: Tensor) -> Tensor:
        """The pictures as the network sees them: float32, normalised."""
        return normalise(images, *normalisation(self.given.architecture))

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clips here: Lightning's own clipping refuses, with bfloat16, AdamW's fused kernel (a twentieth of a step)."""
        if self.given.clip_gradients:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.given.clip_gradients)

    def configure_optimizers(self) -> Any:
        chosen = optimizer(self.network, self.given)
        steps = int(self.trainer.estimated_stepping_batches)
        rate = torch.optim.lr_scheduler.LambdaLR(chosen, schedule(self.given, steps))
        return {"optimizer": chosen, "lr_scheduler": {"scheduler": rate, "interval": "step"}}
