"""A training killed (`kill -9`) at any moment ends, when it is run again, with the bytes of one that was not."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from models import averaging, checkpoints, training
from models.classifier import Classifier
from models.detector import Detector
from models.history import TIMES
from models.parameters import ClassifierParameters, DetectorParameters, NetworkParameters
from models.runtime import networks
from models.training import fit
from tasks.data.dataset import Dataset
from tasks.data.loading import loader
from tests.drawn import shapes

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture(autouse=True)
def setting(monkeypatch):
    """A CPU, a checkpoint after each step, and a network of a few hundred weights with dropout."""

    def tiny(concepts: int, image_size: int) -> nn.Module:
        layers = [nn.Conv2d(3, 8, 5, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2)]
        return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(32, concepts))

    monkeypatch.setitem(networks.BUILDERS, "resnet_light", tiny)
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0)
    trainer = training.pl.Trainer
    monkeypatch.setattr(training.pl, "Trainer", lambda **given: trainer(**given | {"accelerator": "cpu"}))


def classifying(**more: Any) -> ClassifierParameters:
    """With all that draws: twelve pictures an epoch from eight, by weight, varied, mixed; an average; a schedule."""
    plain = {"image_size": 32, "batch_size": 4, "epochs": 3, "learning_rate": 0.01, "precision": "float32"}
    drawing = {"min_samples_per_epoch": 12, "sampling": "balanced", "mixup": 0.4, "cutmix": 1.0}
    return ClassifierParameters(**plain | drawing | {"augmentation": "strong", "warmup_steps": 3, "seed": 4} | more)


def detecting() -> DetectorParameters:
    plain = {"template": "fcos_light", "image_size": 64, "batch_size": 4, "epochs": 2, "precision": "float32"}
    return DetectorParameters(**plain | {"mosaic": 0.5, "mosaic_free_epochs": 1, "augmentation": "strong"})


def train(dataset: Dataset, given: NetworkParameters, folder: Path) -> None:
    kind = Detector if isinstance(given, DetectorParameters) else Classifier
    module = kind(given, dataset.concepts)  # type: ignore[arg-type]
    batches = loader(dataset, given.splits, given.type, given, vary=True)
    val = loader(dataset, "val", given.type, given, vary=False) if given.splits == "train" else None
    fit(module, batches, val, given, folder)


def killed(prepare: Callable[[], object], dataset: Dataset, given: NetworkParameters, folder: Path) -> None:
    """Train in a process of its own, which `prepare` sees to that it kills itself."""

    def run() -> None:
        torch.set_num_threads(1)
        prepare()
        train(dataset, given, folder)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before_step(step: int) -> Callable[[], None]:
    def prepare() -> None:
        take = checkpoints.SeededSteps.on_train_batch_start

        def start(self, trainer, *more):
            if trainer.global_step == step:
                die()
            take(self, trainer, *more)

        checkpoints.SeededSteps.on_train_batch_start = start

    return prepare


def in_write(module: Any, number: int, at: str) -> Callable[[], None]:
    """Dies in the middle of a module's so manieth durable write, or at once after it."""

    def prepare() -> None:
        write, count = module.write_durably, iter(range(10**6))

        def torn(path, fill, **more):
            last = next(count) == number
            if last and at == "within":
                path.with_name(f".{path.name}.{os.getpid()}").write_bytes(b"half of it")
                die()
            write(path, fill, **more)
            if last:
                die()

        module.write_durably = torn

    return prepare


def results(folder: Path) -> tuple[bytes, list[dict[str, Any]]]:
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    timeless = [{name: value for name, value in row.items() if name not in TIMES} for row in rows]
    return (folder / "best.safetensors").read_bytes(), timeless


MOMENTS = {
    "in the first epoch": before_step(1),
    "at an epoch's end": before_step(3),
    "late in the second epoch": before_step(5),
    "while it saves": in_write(checkpoints, 4, "within"),
    "after it saved": in_write(checkpoints, 4, "after"),
    "while the best is written": in_write(averaging, 1, "within"),
    "after the best was written": in_write(averaging, 1, "after"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_classifier(tmp_path, moment):
    drawn = shapes(tmp_path / "shapes")
    train(drawn, classifying(), tmp_path / "whole")
    killed(MOMENTS[moment], drawn, classifying(), tmp_path / "parts")
    train(drawn, classifying(), tmp_path / "parts")
    assert results(tmp_path / "parts") == results(tmp_path / "whole")
    assert [path.name for path in (tmp_path / "parts").glob(".*")] == []


def test_a_detector_with_mosaics(tmp_path):
    drawn = shapes(tmp_path / "shapes", task="detection", size=64)
    train(drawn, detecting(), tmp_path / "whole")
    killed(before_step(3), drawn, detecting(), tmp_path / "parts")
    train(drawn, detecting(), tmp_path / "parts")
    assert results(tmp_path / "parts") == results(tmp_path / "whole")


def test_one_that_had_stopped_early_stays_stopped(tmp_path):
    drawn = shapes(tmp_path / "shapes")
    given = classifying(epochs=8, early_stopping_epochs=1, early_stopping_metric="val_loss", learning_rate=1.0)
    train(drawn, given, tmp_path / "whole")
    stopped = results(tmp_path / "whole")
    steps = stopped[1][-1]["step"]
    assert steps < 8 * 3
    killed(in_write(checkpoints, steps - 1, "after"), drawn, given, tmp_path / "parts")  # that of the last epoch's end
    train(drawn, given, tmp_path / "parts")
    assert results(tmp_path / "parts") == stopped


def test_one_without_validation_keeps_its_last_weights(tmp_path):
    drawn = shapes(tmp_path / "shapes")
    given = classifying(splits="train+val")
    train(drawn, given, tmp_path / "whole")
    killed(in_write(checkpoints, 8, "after"), drawn, given, tmp_path / "parts")  # nothing is left to do behind it
    train(drawn, given, tmp_path / "parts")
    assert results(tmp_path / "parts") == results(tmp_path / "whole")
    assert not any(name.startswith("val_") for row in results(tmp_path / "parts")[1] for name in row)
