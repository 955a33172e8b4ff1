"""A training of a study, a trial or a fold: in an MLflow run below the study's, and never registered."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import mlflow

from models.parameters import NetworkParameters
from models.runtime.faults import Fault
from tasks.data.dataset import Dataset
from tasks.page import log
from tasks.plan import TrainingPlan
from tasks.tracking import start_run
from tasks.train import start_of


class Attempt(NamedTuple):
    """What came of it.

    history: a row an epoch.  monitored: the metric that picked the weights.  seconds: of this process.
    run: in MLflow.
    """

    history: list[dict[str, Any]]
    monitored: str
    seconds: float
    run: str = ""

    @property
    def kept(self) -> dict[str, Any]:
        """The row of the epoch whose weights are kept: of equals the later, as the training has it."""
        measured = [row for row in self.history if self.monitored in row]
        return max(reversed(measured), key=lambda row: row[self.monitored])


def attempt(
    plan: TrainingPlan,
    dataset: Dataset,
    folder: Path,
    stage: str,
    title: str,
    watch: Callable[[dict[str, Any]], object] = bool,
) -> Attempt:
    """Train in `folder`, going on from what lies there. The run of the study must be open in MLflow.

    stage: `trial` or `fold`.  watch: is given each epoch's row, and may raise.
    """
    from pytorch_lightning.loggers import MLFlowLogger

    from tasks.fitting import learn
    from tasks.plots import plot_training

    run = start_run(plan, folder, stage, title)
    began = time.monotonic()
    with mlflow.start_run(run_id=run, nested=True):
        logger = MLFlowLogger(run_id=run, tracking_uri=mlflow.get_tracking_uri())
        given = network_parameters(plan)
        history, monitored = learn(dataset, given, folder, logger, log, watch, start_of(given.weights))
        mlflow.log_artifact(str(folder / "history.jsonl"), "training")
        for plot in plot_training(history, folder):
            mlflow.log_artifact(str(plot), "training")
    return Attempt(history, monitored, round(time.monotonic() - began, 1), run)


def network_parameters(plan: TrainingPlan) -> NetworkParameters:
    """The plan's parameters. Raises Fault where it is for what is not trained in epochs."""
    given = plan.parameters
    if not isinstance(given, NetworkParameters):
        raise Fault(f"{plan.name}: a {plan.type} is not trained in epochs: there is nothing to sweep or to fold")
    return given
