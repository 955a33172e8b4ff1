"""The moving average of a network's weights, and which of its states is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import safetensors.torch
import torch
from pytorch_lightning.callbacks import WeightAveraging

from models.checkpoints import write_durably


class BestAverage(WeightAveraging):
    """An exponential moving average of the weights; the one that validates best is kept in `best.safetensors`.

    decay: 0 averages nothing: the weights themselves are measured and kept.
    monitored: the metric that says which is best, higher is better; empty: nothing is validated, the last is kept.
    """

    def __init__(self, path: Path, monitored: str, decay: float) -> None:
        super().__init__(multi_avg_fn=average(decay))
        self.path, self.monitored, self.best = path, monitored, -1.0

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        score = float(trainer.callback_metrics[self.monitored])
        if score >= self.best:  # of equals the later: it has seen more
            self.best = score
            self._keep(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        super().on_train_epoch_end(trainer, module)
        # Before the checkpoint of the last epoch: behind that, a resumed training has nothing to do any more.
        if not self.monitored and trainer.current_epoch + 1 == trainer.max_epochs:
            self._keep(trainer)

    def _keep(self, trainer: pl.Trainer) -> None:
        if self._average_model is None or not trainer.is_global_zero:
            return
        weights = self._average_model.module.network.state_dict()  # type: ignore[union-attr]
        whole = {name: tensor.contiguous().cpu() for name, tensor in weights.items()}
        write_durably(self.path, lambda file: file.write(safetensors.torch.save(whole)))

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.best = state_dict["best"]


def average(decay: float) -> Callable[[Iterable[torch.Tensor], Iterable[torch.Tensor], Any], None]:
    """How torch's AveragedModel is to move its tensors towards the current ones, `count` times moved before.

    The decay warms up as min(decay, (1 + count) / (10 + count)), so that a short training is not held back
    by its random start (the rule of TensorFlow's ExponentialMovingAverage).
    """

    @torch.no_grad()
    def move(averaged: Iterable[torch.Tensor], current: Iterable[torch.Tensor], count: Any) -> None:
        """torch hands over one dtype at a time; counters (of batch-norm) are copied."""
        kept = min(decay, (1 + int(count)) / (10 + int(count)))
        old, new = list(averaged), list(current)
        if old[0].dtype.is_floating_point:
            torch._foreach_lerp_(old, new, 1 - kept)
        else:
            torch._foreach_copy_(old, new)

    return move
