"""How far a training is and how long it will still take: said once it is known, and kept beside its history."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from models.checkpoints import write_durably
from models.duration import duration

FIRST = 2  # steps that do not count: they set up what later ones find ready
STEPS = 5  # then so many, before the first estimate
WRITE_SECONDS = 2.0  # at most so often


class Progress(Callback):
    """Times the steps of a training, and what of that is spent waiting for data.

    waited, worked: seconds of the current epoch between its steps and in them. On a CPU, where batches are made in
    the training process, waiting is making them.
    `progress.json` holds epoch and step (done so far, of this epoch), epochs, steps (an epoch), seconds (since the
    training began, interruptions aside) and remaining (seconds, null until it is known).
    """

    def __init__(self, path: Path, say: Callable[[str], object]) -> None:
        self.path, self.say = path, say
        self.waited = self.worked = self.validating = self._since = 0.0
        self.validations = self.timed = 0
        self.step_seconds = 0.0  # of all steps timed, their waiting included
        self.began = self.mark = time.monotonic()
        self.written = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, module: Any) -> None:
        self.waited = self.worked = 0.0
        self.mark = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        self.mark = time.monotonic()

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        now = time.monotonic()
        self._since, self.mark = now - self.mark, now
        self.waited += self._since

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        now = time.monotonic()
        self.worked += now - self.mark
        self.timed += 1
        if self.timed > FIRST:
            self.step_seconds += now - self.mark + self._since
        self.mark = now
        if self.timed == FIRST + STEPS:
            self.say(self._estimate(trainer))
        if now - self.written >= WRITE_SECONDS:
            self._write(trainer, trainer.current_epoch, batch_idx + 1)

    def on_validation_start(self, trainer: pl.Trainer, module: Any) -> None:
        self.mark = time.monotonic()

    def on_validation_end(self, trainer: pl.Trainer, module: Any) -> None:
        self.validating += time.monotonic() - self.mark
        self.validations += 1
        self.mark = time.monotonic()

    def on_train_end(self, trainer: pl.Trainer, module: Any) -> None:
        self._write(trainer, trainer.current_epoch, 0)

    @property
    def seconds(self) -> float:
        """Since the training began, interruptions aside."""
        return time.monotonic() - self.began

    @property
    def data_wait(self) -> float:
        """Share of this epoch's time, 0 to 1, that was spent waiting for data."""
        return self.waited / max(1e-9, self.waited + self.worked)

    def remaining(self, trainer: pl.Trainer, done: int) -> float | None:
        """Seconds that the steps after the `done` first ones will take, validations too; None while unknown."""
        if self.timed <= FIRST:
            return None
        epochs, steps = trainer.max_epochs or 0, int(trainer.num_training_batches)
        left = epochs * steps - done
        every = trainer.check_val_every_n_epoch or epochs
        still = epochs // every - done // steps // every if trainer.enable_validation else 0
        each = self.validating / self.validations if self.validations else 0.0
        return left * self.step_seconds / (self.timed - FIRST) + still * each

    def _estimate(self, trainer: pl.Trainer) -> str:
        """Before the first validation, and so without what those take."""
        each = self.step_seconds / STEPS
        left = self.remaining(trainer, trainer.global_step) or 0.0
        what = f"{trainer.max_epochs} epochs, {trainer.num_training_batches} steps each, {each:.2g} s a step"
        return f"about {duration(left)} to go ({what}; validations not counted)"

    def _write(self, trainer: pl.Trainer, epoch: int, step: int) -> None:
        self.written = time.monotonic()
        if not trainer.is_global_zero:
            return
        steps = int(trainer.num_training_batches)
        left = self.remaining(trainer, epoch * steps + step)
        told = {
            "epoch": epoch,
            "epochs": trainer.max_epochs,
            "step": step,
            "steps": steps,
            "seconds": round(self.seconds, 1),
            "remaining": None if left is None else round(left, 1),
        }
        write_durably(self.path, lambda file: file.write(json.dumps(told).encode()), flush=False)

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "waited": self.waited, "worked": self.worked}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.began = time.monotonic() - state_dict["seconds"]
        self.waited, self.worked = state_dict["waited"], state_dict["worked"]
