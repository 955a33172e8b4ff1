"""Lightning's Trainer, set up the same way for every model type. Knows no Prefect, MLflow or DVC."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, TQDMProgressBar

from models.averaging import BestAverage
from models.checkpoints import DurableCheckpoints, Latest, SeededSteps, sweep
from models.history import History
from models.learner import Learner
from models.parameters import NetworkParameters
from models.progress import Progress
from models.runtime.faults import Fault, choices

VALIDATIONS = 20  # about so many a training: enough for a curve, cheap enough for a detector


class Patience(EarlyStopping):
    """Stops when a metric has not improved for some epochs; and stops again when resumed behind that point."""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience


def fit(
    module: Learner,
    train: Any,
    val: Iterable[Any] | None,
    parameters: NetworkParameters,
    folder: Path,
    logger: Any = False,
    say: Callable[[str], object] = str,
    watch: Callable[[dict[str, Any]], object] = bool,
) -> list[dict[str, Any]]:
    """Train; leaves the weights with the best validation metric in `best.safetensors` in `folder`.

    train: `tasks.data.loading.Batches`, so that an interrupted training can go on in the middle of an epoch.
    val: batches to measure on; None: the last weights are kept.  say: is told how far it is, at each validation.
    watch: is given each row of the history, and may raise. An interrupted training goes on from the `last.ckpt` in
    `folder`. In each process of several (`torchrun`) it takes part in the one training, and the first of them alone
    writes.
    Answers the history, one dict an epoch. Raises Fault when the loss is no number any more, for an
    early_stopping_metric that there is not, and for a step of too few pictures for batch-norm.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stopping = _stopping(module, parameters, val is not None)
    _quiet()
    if int(os.environ.get("RANK", 0)) == 0:
        sweep(folder)
    last = folder / "last.ckpt"
    progress = Progress(folder / "progress.json", say)
    history = History(folder / "history.jsonl", progress, say, watch)
    callbacks = [
        BestAverage(folder / "best.safetensors", module.monitored if val is not None else "", parameters.ema_decay),
        SeededSteps(),
        history,
        *stopping,
        progress,  # behind all that works after a step, so that none of it counts as waiting for data
        Latest(last, train),
    ]
    trainer = _trainer(parameters, folder, callbacks, logger)
    try:
        trainer.fit(module, train, val, ckpt_path=str(last) if last.exists() else None, weights_only=True)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise Fault(
            f"batch_size: the batch-norm of {parameters.architecture} needs two pictures a step in each process, and "
            f"got one. Set batch_size: {2 * trainer.world_size} or more."
        ) from None
    return history.rows


def _stopping(module: Learner, parameters: NetworkParameters, measured: bool) -> list[Callback]:
    """Early stopping, where it is asked for. Raises Fault where the metric that it goes by does not exist."""
    if not parameters.early_stopping_epochs:
        return []
    if not measured:
        raise Fault("early_stopping_epochs: with splits train+val nothing is measured that it could go by. Set it to 0")
    metric = parameters.early_stopping_metric or module.monitored
    if metric not in module.measures:
        known = choices(metric, module.measures, f"A {type(module).__name__.lower()} measures")
        raise Fault(f"early_stopping_metric: there is no {metric!r}. {known}")
    patience = max(1, parameters.early_stopping_epochs // _validate_every(parameters.epochs))
    mode = "min" if metric.endswith("loss") else "max"
    return [Patience(metric, mode=mode, patience=patience, check_on_train_epoch_end=False)]


def _trainer(parameters: NetworkParameters, folder: Path, callbacks: list[Callback], logger: Any) -> pl.Trainer:
    interactive = sys.stderr.isatty()
    if interactive:
        callbacks.append(TQDMProgressBar(leave=False))
    world, here = (int(os.environ.get(name, 1)) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    return pl.Trainer(
        default_root_dir=folder,
        max_epochs=parameters.epochs,
        accelerator="auto",
        devices=here,
        num_nodes=world // here,
        strategy="ddp" if world > 1 else "auto",
        use_distributed_sampler=False,  # `Batches` deals out the pictures
        precision=lightning_precision(parameters),
        check_val_every_n_epoch=_validate_every(parameters.epochs),
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


def lightning_precision(given: NetworkParameters) -> Literal["bf16-mixed", "32-true"]:
    """Lightning's name for the parameter `precision`.

    `auto` is bfloat16 where the processor has it: where it is only emulated it is several times slower than float32.
    On a processor that has it a ResNet trains 1.3 to 2.1 times as fast so, a MobileNet at .88 of its pace.
    """
    network = given.architecture
    if given.precision != "auto":
        native = given.precision == "bfloat16"
    elif not torch.cuda.is_available() and network.startswith("mobilenet"):
        native = False
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
    # Learning from train and val together leaves nothing to validate on: that is what was asked for.
    warnings.filterwarnings("ignore", ".*have no `val_dataloader`.*")
    # Decoded pictures are cached in memory and the processor is busy training: more workers would slow it.
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
