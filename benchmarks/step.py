"""What a training step through Sightline costs beside the same step in a bare PyTorch loop, in CPU time.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/step.py

Both do the same arithmetic on the same pictures, varied the same: network, loss, clipped gradients, fused AdamW, the
moving average of the weights, the schedule. One is written out below, the other is Lightning's Trainer as Sightline
sets it up, with its history, its checkpoints and its seeding. They go by turns in one process: Sightline's loader runs
a round of the bare loop before each round of its own. Printed is the median over the rounds of Sightline's CPU time
as a multiple of the bare loop's, with a 95 % bootstrap interval.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from models import training
from models.averaging import average
from models.classifier import Classifier
from models.detector import Detector
from models.optimization import optimizer, schedule
from models.parameters import ClassifierParameters, DetectorParameters, NetworkParameters
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset
from tasks.data.loading import loader

PICTURES = 64
KINDS: dict[str, tuple[type, NetworkParameters]] = {
    "classifier": (Classifier, ClassifierParameters(precision="float32")),
    "detector": (Detector, DetectorParameters(precision="float32")),
}


def drawn(folder: Path, detects: bool, size: int) -> Dataset:
    """Pictures of noise with labels that nobody can learn: a step costs what it costs."""
    (folder / "images").mkdir(parents=True)
    random, names = np.random.default_rng(0), ("a", "b", "c")
    entries = []
    for number in range(PICTURES):
        small = random.integers(0, 255, (size // 8, size // 8, 3), dtype=np.uint8)
        image = f"{number:03d}.png"
        Image.fromarray(small).resize((size, size)).save(folder / "images" / image)
        boxes = tuple((float(x), float(y), x + 40.0, y + 50.0) for x, y in random.integers(0, size - 50, (6, 2)))
        columns: tuple[Any, ...] = ((names[number % 3],),)
        if detects:
            columns = ((), boxes, (2000.0,) * 6, tuple(names[i % 3] for i in range(6)), (False,) * 6, (False,) * 6)
        entries.append(Annotation(image, f"{number:064d}", size, size, "train", *columns))
    return Dataset("drawn", folder, "detection" if detects else "classification", True, names, tuple(entries))


class Bare:
    """The step written out. The loss is the model type's own: it is arithmetic, not Sightline's machinery."""

    def __init__(self, kind: type, given: NetworkParameters, dataset: Dataset, steps: int) -> None:
        self.module = kind(given, dataset.concepts).train()
        self.network, self.given = self.module.network, given
        self.optimizer = optimizer(self.network, given)
        self.rate = torch.optim.lr_scheduler.LambdaLR(self.optimizer, schedule(given, steps))
        self.averaged = [tensor.detach().clone() for tensor in self.tensors()]
        self.move, self.taken, self.total = average(given.ema_decay), 0, torch.zeros(())
        self.batches = iter(loader(dataset, "train", given.type, given, vary=True)._loader)  # type: ignore[union-attr]

    def tensors(self) -> list[torch.Tensor]:
        """What is averaged: weights, and batch-norm's means and variances."""
        every = [*self.network.parameters(), *self.network.buffers()]
        return [tensor for tensor in every if tensor.dtype.is_floating_point]

    def step(self) -> None:
        told = self.module.training_step(next(self.batches), 0)
        loss = told["loss"] if isinstance(told, dict) else told
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.given.clip_gradients)
        self.optimizer.step()
        self.rate.step()
        self.move(self.averaged, self.tensors(), self.taken)
        self.taken += 1
        self.total += loss.detach()


class ByTurns:
    """Sightline's batches; before each round of them, a round of the bare loop."""

    def __init__(self, batches: Any, bare: Bare, steps: int) -> None:
        self.batches, self.bare, self.steps, self.sampler = batches, bare, steps, batches.sampler
        self.seconds: dict[str, list[float]] = {"bare": [], "sightline": []}

    def __len__(self) -> int:
        return len(self.batches)

    def state_dict(self) -> dict[str, int]:
        """Of the batches."""
        return self.batches.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Of the batches."""
        self.batches.load_state_dict(state)

    def __iter__(self) -> Iterator[Any]:
        began = 0.0
        for at, batch in enumerate(self.batches):
            if at % self.steps == 0:
                now = time.process_time()
                if at:
                    self.seconds["sightline"].append(now - began)
                for _ in range(self.steps if at + 1 < len(self) else 0):  # the last batch only ends a round
                    self.bare.step()
                began = time.process_time()
                self.seconds["bare"].append(began - now)
            yield batch


def measure(name: str, rounds: int, steps: int, folder: Path) -> tuple[np.ndarray, dict[str, list[float]]]:
    """Sightline's CPU time as a multiple of the bare loop's, of each round but the first, which sets up."""
    kind, given = KINDS[name]
    dataset = drawn(folder / "data", name == "detector", given.image_size)
    count = ((rounds + 1) * steps + 1) * given.batch_size
    given = given.model_copy(update={"min_samples_per_epoch": count, "epochs": 1})
    bare = Bare(kind, given, dataset, (rounds + 1) * steps)
    batches = ByTurns(loader(dataset, "train", given.type, given, vary=True), bare, steps)
    training.fit(kind(given, dataset.concepts), batches, None, given, folder / "work")
    ours, theirs = (np.array(batches.seconds[who][1 : rounds + 1]) for who in ("sightline", "bare"))
    return ours / theirs, batches.seconds


def main() -> None:
    """Measure both kinds and print a line of each."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rounds", type=int, default=150)
    asked.add_argument("--steps", type=int, default=1, help="of each, a round")
    asked.add_argument("--only", choices=KINDS)
    chosen = asked.parse_args()
    torch.set_num_threads(1)
    for name in [chosen.only] if chosen.only else KINDS:
        with tempfile.TemporaryDirectory() as folder:
            ratios, seconds = measure(name, chosen.rounds, chosen.steps, Path(folder))
        random = np.random.default_rng(0)
        medians = np.median(random.choice(ratios, (2000, len(ratios))), axis=1)
        low, high = np.quantile(medians, (0.025, 0.975))
        each = np.median(seconds["bare"]) / chosen.steps
        print(  # noqa: T201
            f"{name}: {np.median(ratios):.3f} times the bare loop's CPU time, {low:.3f} to {high:.3f} "
            f"({len(ratios)} rounds, steps a round: {chosen.steps}, {each:.3f} s a bare step)"
        )


if __name__ == "__main__":
    main()
