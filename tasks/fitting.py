"""One training in one process: a dataset and a plan's parameters go in, weights and their history come out.

Knows neither Prefect nor MLflow: a training on many devices runs this in each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from models.classifier import Classifier
from models.detector import Detector
from models.learner import Learner
from models.parameters import NetworkParameters
from models.training import fit
from tasks.data.dataset import Dataset
from tasks.data.loading import entries, loader
from tasks.data.narrowing import only
from tasks.data.sampling import concept_weights

LEARNERS: dict[str, type[Learner]] = {"visual-classifier": Classifier, "visual-detector": Detector}


def learn(
    dataset: Dataset,
    parameters: NetworkParameters,
    folder: Path,
    logger: Any = False,
    say: Callable[[str], object] = str,
    watch: Callable[[dict[str, Any]], object] = bool,
) -> tuple[list[dict[str, Any]], str]:
    """Fit a network; leaves `best.safetensors` in `folder`. Answers the history, a row an epoch, and the metric's name.

    The metric is the one that picked the weights; empty where none did, which then are the last ones.
    say: is told how far it is, at each validation.  watch: is given each row of the history as it comes, and may
    raise to stop.  An interrupted training goes on from what lies in `folder`.
    """
    narrowed = only(dataset, parameters.concepts)
    module = LEARNERS[parameters.type](parameters, narrowed.concepts)
    batches = loader(narrowed, parameters.splits, parameters.type, parameters, vary=True)
    if parameters.class_weights == "balanced":
        module.weigh(torch.tensor(concept_weights(entries(narrowed, parameters.splits), narrowed.concepts)))
    measured = parameters.splits == "train"
    unvaried = loader(narrowed, "val", parameters.type, parameters, vary=False) if measured else None
    history = fit(module, batches, unvaried, parameters, folder, logger, say, watch)
    return history, module.monitored if measured else ""
