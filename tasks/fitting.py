"""One training in one process: a dataset and a plan's parameters go in, weights and their history come out.

Knows neither Prefect nor MLflow: a training on many devices runs this in each of them (`tasks/distributed.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from models.batch_size import largest
from models.classifier import Classifier
from models.detector import Detector
from models.learner import Learner
from models.parameters import NetworkParameters
from models.runtime.networks import normalisation
from models.training import fit
from tasks.data.dataset import Dataset
from tasks.data.loading import Pictures, collate, entries, loader
from tasks.data.narrowing import only
from tasks.data.sampling import concept_weights
from tasks.files import write

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
    settled = with_batch_size(narrowed, parameters, folder, say)
    module = LEARNERS[settled.type](settled, narrowed.concepts)
    batches = loader(narrowed, settled.splits, settled.type, settled, vary=True)
    if settled.class_weights == "balanced":
        module.weigh(torch.tensor(concept_weights(entries(narrowed, settled.splits), narrowed.concepts)))
    measured = settled.splits == "train"
    unvaried = loader(narrowed, "val", settled.type, settled, vary=False) if measured else None
    history = fit(module, batches, unvaried, settled, folder, logger, say, watch)
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
        module = LEARNERS[parameters.type](parameters, dataset.concepts)
        pictures = Pictures(dataset, parameters.splits, parameters.type, parameters, vary=False)
        together = partial(collate, mean=normalisation(parameters.template)[0])
        small, large = (together([pictures[0, 0]] * count) for count in (2, 4))
        size = largest(module, small, large, max(len(pictures), parameters.min_samples_per_epoch))
        write(noted, str(size))
    size = int(noted.read_text(encoding="utf-8"))
    say(f"batch_size: auto is {size} here; the learning rate stays {parameters.learning_rate:g}")
    return parameters.model_copy(update={"batch_size": size})
