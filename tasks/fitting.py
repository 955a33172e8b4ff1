"""One training in one process: a dataset and a plan's parameters go in, weights and their history come out.

Knows neither Prefect nor MLflow: a training on many devices runs this in each of them (`tasks/distributed.py`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from models.anchors import fitted
from models.batch_size import largest
from models.checkpoints import write_durably
from models.classifier import Classifier
from models.detector import Detector
from models.embedder import Embedder
from models.learner import Learner
from models.parameters import DetectorParameters, NetworkParameters
from models.runtime.networks import normalisation
from models.start import options_for
from models.training import fit
from tasks.data.dataset import Dataset
from tasks.data.loading import Pictures, collate, entries, loader
from tasks.data.narrowing import only
from tasks.data.sampling import concept_weights
from tasks.files import write

LEARNERS: dict[str, type[Learner]] = {
    "visual-classifier": Classifier,
    "visual-detector": Detector,
    "visual-embedder": Embedder,
}


def learn(
    dataset: Dataset,
    parameters: NetworkParameters,
    folder: Path,
    logger: Any = False,
    say: Callable[[str], object] = str,
    watch: Callable[[dict[str, Any]], object] = bool,
    start: Path | None = None,
) -> tuple[list[dict[str, Any]], str]:
    """Fit a network; leaves `best.safetensors` in `folder`. Answers the history, a row an epoch, and the metric's name.

    The metric is the one that picked the weights; empty where none did, which then are the last ones.
    say: is told how far it is, at each validation.  watch: is given each row of the history as it comes, and may
    raise to stop.  An interrupted training goes on from what lies in `folder`.
    start: the folder of the registered version whose weights it starts from, where `weights` names one.
    """
    narrowed = only(dataset, parameters.concepts)
    given = with_batch_size(narrowed, parameters, folder, say)
    options = network_options(narrowed, given, start)
    module = LEARNERS[given.type](given, narrowed.concepts, options=options, start=start)
    first = os.environ.get("RANK", "0") == "0"
    if first and options != given.network_options:  # registration builds the network again
        write_durably(folder / "card.json", lambda file: file.write(json.dumps({"network": options}).encode()))
    if not given.epochs:
        return as_it_is(module, narrowed, folder), module.monitored
    batches = loader(narrowed, given.splits, given.type, given, vary=True)
    if given.class_weights == "balanced":
        module.weigh(torch.tensor(concept_weights(entries(narrowed, given.splits), narrowed.concepts)))
    measured = given.splits == "train"
    unvaried = loader(narrowed, "val", given.type, given, vary=False) if measured else None
    history = fit(module, batches, unvaried, given, folder, logger, say, watch)
    return history, module.monitored if measured else ""


def with_batch_size(
    dataset: Dataset, parameters: NetworkParameters, folder: Path, say: Callable[[str], object]
) -> NetworkParameters:
    """The parameters with a batch size for 0 (`auto`): the largest that fits, or what an interrupted training had.

    It is kept in `folder`, for the memory that is free changes. The learning rate is not: it stays as it was given.
    """
    if parameters.batch_size:
        return parameters
    noted = folder / "batch_size.txt"
    if not noted.exists():
        empty = parameters.model_copy(update={"weights": "none"})  # what they are takes no memory of its own
        module = LEARNERS[parameters.type](empty, dataset.concepts)
        pictures = Pictures(dataset, parameters.splits, parameters.type, parameters, vary=False)
        together = partial(collate, mean=normalisation(parameters.architecture)[0])
        small, large = (together([pictures[0, 0]] * count) for count in (2, 4))
        size = largest(module, small, large, max(len(pictures), parameters.min_samples_per_epoch))
        write(noted, str(size))
    size = int(noted.read_text(encoding="utf-8"))
    say(f"batch_size: auto is {size} here; the learning rate stays {parameters.learning_rate:g}")
    return parameters.model_copy(update={"batch_size": size})


def network_options(dataset: Dataset, parameters: NetworkParameters, start: Path | None) -> dict[str, Any]:
    """What the network's builder needs to know of the data, of the version it starts from and of the parameters."""
    options = options_for(parameters, start)
    if isinstance(parameters, DetectorParameters) and parameters.fit_anchors:
        rows = [(entry, box) for entry in entries(dataset, parameters.splits) for box in entry.boxes]
        scales = np.array([parameters.image_size / max(entry.width, entry.height) for entry, _ in rows])
        boxes = np.array([box for _, box in rows]).reshape(-1, 4)
        sizes = (boxes[:, 2:] - boxes[:, :2]) * scales[:, None]
        options |= fitted(parameters.template, sizes, parameters.image_size, parameters.seed)
    return options


@torch.inference_mode()
def as_it_is(module: Learner, dataset: Dataset, folder: Path) -> list[dict[str, Any]]:
    """Keep the weights that a network starts from, measured on val; it knows no concept by name."""
    network = module.eval().network
    for images, targets in loader(dataset, "val", module.given.type, module.given, vary=False):
        module.metric.update(network(module.seen(images)), targets.argmax(1))  # type: ignore[operator, union-attr]
    row: dict[str, Any] = {"epoch": 0, "step": 0}
    row[module.monitored] = float(module.metric.compute())  # type: ignore[operator, union-attr]
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    decided: dict[str, Any] = {"concepts": [], "network": module.given.network_options}
    written = {
        "best.safetensors": save(state),
        "card.json": json.dumps(decided).encode(),
        "history.jsonl": json.dumps(row).encode() + b"\n",
    }
    for name, content in written.items():
        write(folder / name, content)
    return [row]
