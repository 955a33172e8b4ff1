"""Lightning's Trainer, set up the same way for every model type. Knows no Prefect, MLflow or DVC."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pytorch_lightning as pl
import safetensors.torch
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint, EarlyStopping, TQDMProgressBar, WeightAveraging
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch.utils.data import DataLoader

from models.learner import Learner
from models.parameters import Parameters
from models.runtime.faults import Fault

VALIDATIONS = 20  # about so many a training: enough for a curve, cheap enough for a detector
SAVE_SECONDS = 30  # at most so much work is lost to an interruption, an epoch aside
EMA_DECAY = 0.998


class BestAverage(WeightAveraging):
    """An exponential moving average of the weights; the one that validates best is kept in `best.safetensors`.

    The decay warms up as min(EMA_DECAY, (1 + n) / (10 + n)), so that a short training is not held back
    by its random start (the rule of TensorFlow's ExponentialMovingAverage).
    """

    def __init__(self, path: Path, monitored: str) -> None:
        super().__init__(multi_avg_fn=self._average)
        self.path, self.monitored, self.best = path, monitored, -1.0

    @staticmethod
    @torch.no_grad()
    def _average(averaged: Iterable[torch.Tensor], current: Iterable[torch.Tensor], count: Any) -> None:
        """torch hands over one dtype at a time; counters (of batch-norm) are copied."""
        decay = min(EMA_DECAY, (1 + int(count)) / (10 + int(count)))
        old, new = list(averaged), list(current)
        if old[0].dtype.is_floating_point:
            torch._foreach_lerp_(old, new, 1 - decay)
        else:
            torch._foreach_copy_(old, new)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        score = float(trainer.callback_metrics[self.monitored])
        if self._average_model is None or score < self.best:  # of equals the later: it has seen more
            return
        self.best = score
        weights = self._average_model.module.network.state_dict()  # type: ignore[union-attr]
        whole = {name: tensor.contiguous().cpu() for name, tensor in weights.items()}
        write_durably(self.path, lambda file: file.write(safetensors.torch.save(whole)))

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.best = state_dict["best"]


class Latest(Checkpoint):
    """`last.ckpt` at the end of an epoch, when the one before is SAVE_SECONDS old: what a resumed run goes on from."""

    def __init__(self, path: Path) -> None:
        self.path, self.saved = path, time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if time.monotonic() - self.saved >= SAVE_SECONDS:
            trainer.save_checkpoint(self.path)
            self.saved = time.monotonic()


class SeededSteps(Callback):
    """Whatever a step draws depends on the seed and its number alone, not on what was drawn before it was resumed."""

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, *_: Any) -> None:
        torch.manual_seed(module.given.seed * 1_000_003 + trainer.global_step)


class History(Callback):
    """A row an epoch (epoch, step, learning rate, seconds, every metric measured in it), also in `history.jsonl`.

    The rows are part of each checkpoint: a resumed training goes on with those of the epochs it goes on from.
    """

    def __init__(
        self, path: Path, say: Callable[[str], object], watch: Callable[[dict[str, Any]], object] = bool
    ) -> None:
        self.path, self.say, self.watch, self.began = path, say, watch, time.monotonic()
        self.rows: list[dict[str, Any]] = []
        self.validated = -1  # the last epoch that was

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.validated = trainer.current_epoch

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        measured = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not math.isfinite(measured["train_loss"]):
            raise Fault(
                f"the training diverged: its loss is {measured['train_loss']} in epoch {trainer.current_epoch}. "
                f"Set a learning_rate below {module.given.learning_rate:g}, or more warmup_steps."
            )
        # Lightning keeps the last validation's metrics: they are none of an epoch without a validation.
        stale = self.validated != trainer.current_epoch
        row = {name: value for name, value in measured.items() if not (stale and name.startswith("val_"))}
        row |= {"epoch": trainer.current_epoch, "step": trainer.global_step}
        row |= {"learning_rate": trainer.optimizers[0].param_groups[0]["lr"]}
        row |= {"seconds": round(time.monotonic() - self.began, 1)}
        self.rows.append(row)
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        write_durably(self.path, lambda file: file.write(lines.encode()))
        if not stale:
            done = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}: {module.monitored}"
            self.say(f"{done} {row[module.monitored]:.4f}, loss {row['train_loss']:.4f}, {row['seconds']:.0f} s so far")
        self.watch(row)

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])
        self.began = time.monotonic() - self.rows[-1]["seconds"]


class DurableCheckpoints(TorchCheckpointIO):
    """Checkpoints that are either whole or not there."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_durably(Path(path), lambda file: torch.save(checkpoint, file))


def write_durably(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Written beside, flushed to the disk, renamed: after a `kill -9` the file is the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def fit(
    module: Learner,
    train: DataLoader,
    val: DataLoader,
    parameters: Parameters,
    folder: Path,
    logger: Any = False,
    say: Callable[[str], object] = str,
    watch: Callable[[dict[str, Any]], object] = bool,
) -> list[dict[str, Any]]:
    """Train; leaves the weights with the best validation metric in `best.safetensors` in `folder`.

    say: is told how far it is, at each validation. watch: is given each row of the history, and
    may raise. An interrupted training goes on from the `last.ckpt` in `folder`.
    Answers the history, one dict an epoch. Raises Fault when the loss is no number any more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _quiet()
    last = folder / "last.ckpt"
    history = History(folder / "history.jsonl", say, watch)
    trainer = _trainer(module, parameters, folder, history, logger)
    trainer.fit(module, train, val, ckpt_path=str(last) if last.exists() else None, weights_only=True)
    return history.rows


def _trainer(module: Learner, parameters: Parameters, folder: Path, history: History, logger: Any) -> pl.Trainer:
    every = _validate_every(parameters.epochs)
    callbacks: list[Callback] = [
        BestAverage(folder / "best.safetensors", module.monitored),
        SeededSteps(),
        history,
        Latest(folder / "last.ckpt"),
    ]
    if parameters.early_stopping_epochs:
        patience = max(1, parameters.early_stopping_epochs // every)
        callbacks.append(EarlyStopping(module.monitored, mode="max", patience=patience))
    interactive = sys.stderr.isatty()
    if interactive:
        callbacks.append(TQDMProgressBar(leave=False))
    return pl.Trainer(
        default_root_dir=folder,
        max_epochs=parameters.epochs,
        accelerator="auto",
        devices=1,
        precision=lightning_precision(parameters.precision),
        check_val_every_n_epoch=every,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        plugins=[DurableCheckpoints()],
        logger=logger,
        log_every_n_steps=1,
        enable_progress_bar=interactive,
        enable_checkpointing=True,
        enable_model_summary=False,
        enable_autolog_hparams=False,
    )


def lightning_precision(wanted: str) -> Literal["bf16-mixed", "32-true"]:
    """Lightning's name for a parameter `precision`.

    `auto` is bfloat16 where the processor has it: where it is only emulated it is several times slower than float32.
    """
    if wanted != "auto":
        native = wanted == "bfloat16"
    elif torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if native else "32-true"


def _validate_every(epochs: int) -> int:
    """The widest step that divides the epochs, so that the last is validated, and gives VALIDATIONS or more."""
    return max(step for step in range(1, max(1, epochs // VALIDATIONS) + 1) if epochs % step == 0)


def _quiet() -> None:
    """Lightning's advice that does not apply here, by name."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    # Lightning 2.6 asks torch's pytree in an old way: https://github.com/Lightning-AI/pytorch-lightning/issues/21326
    warnings.filterwarnings("ignore", ".*treespec, LeafSpec.*")
    # Decoded pictures are cached in memory and the processor is busy training: more workers would slow it.
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
