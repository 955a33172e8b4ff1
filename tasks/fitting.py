"""One training in one process: a dataset and a plan's parameters go in, weights and their history come out.

Knows neither Prefect nor MLflow: a training on many devices runs this in each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.classifier import Classifier
from models.detector import Detector
from models.learner import Learner
from models.parameters import Parameters
from models.training import fit
from tasks.data.dataset import Dataset
from tasks.data.loading import loader

LEARNERS: dict[str, type[Learner]] = {"visual-classifier": Classifier, "visual-detector": Detector}


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
    batches = loader(dataset, "train", parameters.type, parameters, vary=True)
    unvaried = loader(dataset, "val", parameters.type, parameters, vary=False)
    history = fit(module, batches, unvaried, parameters, folder, logger, say, watch)
    return history, module.monitored
