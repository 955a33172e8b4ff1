"""One training in one process: a dataset and a plan's parameters go in, weights and their history come out.

Knows neither Prefect nor MLflow: a training on many devices runs this in each of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from models.classifier import Classifier
from models.detector import Detector
from models.embedder import Embedder
from models.learner import Learner
from models.parameters import Parameters
from models.training import fit
from tasks.data.dataset import Dataset
from tasks.data.loading import loader

LEARNERS: dict[str, type[Learner]] = {
    "visual-classifier": Classifier,
    "visual-detector": Detector,
    "visual-embedder": Embedder,
}


def learn(
    dataset: Dataset,
    parameters: Parameters,
    folder: Path,
    logger: Any = False,
    say: Callable[[str], object] = str,
    watch: Callable[[dict[str, Any]], object] = bool,
) -> tuple[list[dict[str, Any]], str]:
    """Fit a network; leaves `best.safetensors` in `folder`. Answers the history, a row an epoch, and the metric's name.

    say: is told how far it is, at each validation.  watch: is given each row of the history as it comes, and may
    raise to stop.  An interrupted training goes on from what lies in `folder`.
    """
    module = LEARNERS[parameters.type](parameters, dataset.concepts)  # type: ignore[arg-type]
    if not parameters.epochs:
        return as_it_is(module, dataset, folder), module.monitored
    batches = loader(dataset, "train", parameters.type, parameters, vary=True)
    unvaried = loader(dataset, "val", parameters.type, parameters, vary=False)
    history = fit(module, batches, unvaried, parameters, folder, logger, say, watch)
    return history, module.monitored


@torch.inference_mode()
def as_it_is(module: Learner, dataset: Dataset, folder: Path) -> list[dict[str, Any]]:
    """Keep the weights that a network starts from, measured on val; it knows no concept by name."""
    network = module.eval().network
    for images, targets in loader(dataset, "val", module.given.type, module.given, vary=False):
        module.metric.update(network(module.seen(images)), targets.argmax(1))  # type: ignore[operator, union-attr]
    row = {"epoch": 0, "step": 0, module.monitored: float(module.metric.compute())}  # type: ignore[operator, union-attr]
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, folder / "best.safetensors")
    (folder / "card.json").write_text(json.dumps({"concepts": []}), encoding="utf-8")
    (folder / "history.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    return [row]
