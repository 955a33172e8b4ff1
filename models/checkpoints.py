"""What an interrupted training goes on from: files that are whole or not there, and draws that depend on no past."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

SAVE_SECONDS = 30  # at most about so much work is lost to an interruption
AGREE_STEPS = 20  # processes of one training ask each other so often whether it is time to save


class Latest(Checkpoint):
    """`last.ckpt`, whenever the one before is SAVE_SECONDS old: after a step, and at an epoch's end.

    Not after an epoch's last step: its validation belongs to it, and comes before the epoch's end.
    batches: the loader, whose position is part of the checkpoint. Lightning 2.6 stores it too, but does not restore
    it where a learning-rate schedule asked how many steps there are: by then it has set up its data.
    """

    def __init__(self, path: Path, batches: Any) -> None:
        self.path, self.batches, self.saved = path, batches, time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"batches": self.batches.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.batches.load_state_dict(state_dict["batches"])

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx + 1 < trainer.num_training_batches:
            self._save(trainer, batch_idx)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._save(trainer, 0)

    def _save(self, trainer: pl.Trainer, batch_idx: int) -> None:
        due = time.monotonic() - self.saved >= SAVE_SECONDS
        if trainer.world_size > 1:  # all save together, so all must find that it is time
            due = batch_idx % AGREE_STEPS == 0 and trainer.strategy.broadcast(due)
        if due:
            trainer.save_checkpoint(self.path)
            self.saved = time.monotonic()


class SeededSteps(Callback):
    """Whatever a step draws depends on the seed and its number alone, not on what was drawn before it was resumed."""

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, *_: Any) -> None:
        seed = module.given.seed * 1_000_003 + trainer.global_step + trainer.global_rank * 2**52
        if trainer.strategy.root_device.type == "cpu":
            torch.default_generator.manual_seed(seed)  # torch.manual_seed looks for every kind of device
        else:
            torch.manual_seed(seed)


class DurableCheckpoints(TorchCheckpointIO):
    """Checkpoints that are either whole or not there."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_durably(Path(path), lambda file: torch.save(checkpoint, file))


def write_durably(path: Path, write: Callable[[BinaryIO], Any], flush: bool = True) -> None:
    """Written beside, flushed to the disk, renamed: after a `kill -9` the file is the old one or the new one.

    flush: without, that holds for the end of a process, and not for that of the machine.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        write(file)
        file.flush()
        if flush:
            os.fsync(file.fileno())
    beside.replace(path)


def sweep(folder: Path) -> None:
    """Remove what a `kill -9` in the middle of `write_durably` left beside. Nobody else may be writing there."""
    for path in folder.glob(".*.*"):
        if path.suffix[1:].isdigit():
            path.unlink(missing_ok=True)
