"""One training in one process: a dataset and a plan's parameters go in, weights and their history come out.

Knows neither Prefect nor MLflow: a training on many devices runs this in each of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from models.anchors import fitted
from models.checkpoints import write_durably
from models.classifier import Classifier
from models.detector import Detector
from models.embedder import Embedder
from models.learner import Learner
from models.parameters import DetectorParameters, NetworkParameters
from models.start import options_for
from models.training import fit
from tasks.data.dataset import Dataset
from tasks.data.loading import entries, loader
from tasks.data.narrowing import only
from tasks.data.sampling import concept_weights

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
    options = network_options(narrowed, parameters, start)
    module = LEARNERS[parameters.type](parameters, narrowed.concepts, options=options, start=start)
    if options != parameters.network_options:  # registration builds the network again
        write_durably(folder / "card.json", lambda file: file.write(json.dumps({"network": options}).encode()))
    if not parameters.epochs:
        return as_it_is(module, narrowed, folder), module.monitored
    batches = loader(narrowed, parameters.splits, parameters.type, parameters, vary=True)
    if parameters.class_weights == "balanced":
        module.weigh(torch.tensor(concept_weights(entries(narrowed, parameters.splits), narrowed.concepts)))
    measured = parameters.splits == "train"
    unvaried = loader(narrowed, "val", parameters.type, parameters, vary=False) if measured else None
    history = fit(module, batches, unvaried, parameters, folder, logger, say, watch)
    return history, module.monitored if measured else ""


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
    row = {"epoch": 0, "step": 0, module.monitored: float(module.metric.compute())}  # type: ignore[operator, union-attr]
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    decided: dict[str, Any] = {"concepts": [], "network": module.given.network_options}
    written = {
        "best.safetensors": save(state),
        "card.json": json.dumps(decided).encode(),
        "history.jsonl": json.dumps(row).encode() + b"\n",
    }
    for name, content in written.items():
        write_durably(folder / name, lambda file, content=content: file.write(content))
    return [row]
