"""What a training measured of itself, a row an epoch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from models.checkpoints import write_durably
from models.duration import duration
from models.progress import Progress
from models.runtime.faults import Fault

TIMES = ("seconds", "remaining", "data_wait")  # of a row: what a second training of the same would measure otherwise


class History(Callback):
    """A row an epoch, also in `history.jsonl` and in the logger.

    Of each: epoch, step, learning_rate, train_… (the mean over the epoch's steps of each loss that a step gave back),
    val_… of an epoch that was validated, seconds since the training began, remaining seconds, and data_wait, the
    share of time spent waiting for data. Rows and sums are part of each checkpoint: a training resumed in the middle
    of an epoch ends it with the means of the whole.
    """

    def __init__(
        self, path: Path, progress: Progress, say: Callable[[str], object], watch: Callable[[dict[str, Any]], object]
    ) -> None:
        self.path, self.progress, self.say, self.watch = path, progress, say, watch
        self.rows: list[dict[str, Any]] = []
        self.sums: dict[str, Tensor] = {}
        self.steps = 0
        self.validated = -1  # the last epoch that was

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        # Lightning's own log() costs a millisecond a step, and forgets an epoch's beginning when it is resumed.
        for name, value in outputs.items():
            given = value.detach().to(torch.float64)
            self.sums[name] = self.sums[name] + given if name in self.sums else given
        self.steps += 1

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.validated = trainer.current_epoch

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        row = self._means(trainer, module) | self._validation(trainer)
        row |= {"epoch": trainer.current_epoch, "step": trainer.global_step}
        row |= {"learning_rate": trainer.optimizers[0].param_groups[0]["lr"]}
        row |= {"seconds": round(self.progress.seconds, 1), "data_wait": round(self.progress.data_wait, 4)}
        left = self.progress.remaining(trainer, trainer.global_step)
        row |= {} if left is None else {"remaining": round(left, 1)}
        self.rows.append(row)
        if trainer.is_global_zero:
            lines = "".join(json.dumps(row) + "\n" for row in self.rows)
            write_durably(self.path, lambda file: file.write(lines.encode()))
        if trainer.logger:
            trainer.logger.log_metrics({name: value for name, value in row.items() if name != "step"}, row["step"])
        if self.validated == trainer.current_epoch or not trainer.enable_validation:
            self.say(self._line(row, trainer, module))
        self.watch(row)

    def _means(self, trainer: pl.Trainer, module: Any) -> dict[str, Any]:
        """Of what the steps gave back, over all processes."""
        means = {name: trainer.strategy.reduce(total / self.steps) for name, total in self.sums.items()}
        self.sums, self.steps = {}, 0
        row = {"train_loss" if name == "loss" else name: float(value) for name, value in means.items()}
        if not math.isfinite(row["train_loss"]):
            raise Fault(
                f"the training diverged: its loss is {row['train_loss']} in epoch {trainer.current_epoch}. "
                f"Set a learning_rate below {module.given.learning_rate:g}, or more warmup_steps."
            )
        return row

    def _validation(self, trainer: pl.Trainer) -> dict[str, Any]:
        """Lightning keeps the last validation's metrics: they are none of an epoch without a validation."""
        if self.validated != trainer.current_epoch:
            return {}
        return {name: float(value) for name, value in trainer.callback_metrics.items()}

    def _line(self, row: dict[str, Any], trainer: pl.Trainer, module: Any) -> str:
        measured = f"{module.monitored} {row[module.monitored]:.4f}, " if module.monitored in row else ""
        left = f", about {duration(row['remaining'])} to go" if row.get("remaining") else ""
        return (
            f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}: {measured}loss {row['train_loss']:.4f}, "
            f"{row['seconds']:.0f} s so far{left}, {row['data_wait']:.0%} of it waiting for data"
        )

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "sums": self.sums, "steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])
        self.sums, self.steps = dict(state_dict["sums"]), state_dict["steps"]
