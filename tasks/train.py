"""The verb train: fit one model to one version of a dataset."""

from __future__ import annotations

import shutil
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import mlflow
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from models.catalog import template
from models.embedding_parameters import EmbeddingParameters
from models.parameters import NetworkParameters, Parameters, is_version
from models.runtime.faults import Fault
from tasks.artifacts import artifacts
from tasks.data.dataset import Dataset
from tasks.distributed import Machines, learn_together
from tasks.embeddings import embedder_of, grid_of
from tasks.estimate import estimate
from tasks.files import alone_at, write
from tasks.learnable import check_learnable, unseen
from tasks.page import log, show
from tasks.plan import PinnedDataset, TrainingPlan, check_name, default_name, labels_digest, resolved, sources_digest
from tasks.registry import resolve, trained
from tasks.tracking import active, start_run
from tasks.workspace import state

ALONE = Machines()


class Checkpoint(BaseModel):
    """A finished training: where its weights lie, its MLflow run, and how it went.

    version: `name/number` when the registry held this very training already and nothing was trained.
    monitored, best: the validation metric that picked the weights, and its value, 0 to 1; empty and 0 where nothing
    was left to measure on, and the last weights were kept.
    """

    model_config = ConfigDict(frozen=True)

    weights: str = ""
    run: str = ""
    version: str = ""
    monitored: str = ""
    best: float = 0.0
    epochs: int = 0
    seconds: float = 0.0


def plan_training(dataset: PinnedDataset, parameters: Parameters, name: str = "", app: str = "") -> TrainingPlan:
    """The plan to train on a dataset. Raises Fault when it cannot be trained on so, or for a bad name."""
    if isinstance(parameters, EmbeddingParameters):
        version = embedder_of(parameters.embedder)
        grid_of(version, getattr(parameters, "grid", 1) or 1, 0)  # a wanted one is refused here, before a run begins
    given, named = resolved(parameters)
    plan = TrainingPlan(
        name=check_name(name or default_name(dataset.name, template(parameters.template).type)),
        dataset=dataset,
        given=given,
        sources=sources_digest(),
        app=app,
        versions=named,
    )
    check_trainable(plan.opened(), plan)
    return plan


def check_trainable(dataset: Dataset, plan: TrainingPlan) -> None:
    """Raises Fault that lists every reason why this dataset cannot train this model."""
    check_learnable(dataset, plan.parameters, plan.name)


def alone(plan: TrainingPlan) -> AbstractContextManager[None]:
    """Only one process at a time trains and registers a plan; the next waits, and then finds the version there."""
    path = state() / "training" / "locks" / plan.digest
    return alone_at(path, lambda: log("another process is at this very training: waiting until it is done"))


@task(cache_policy=NO_CACHE, task_run_name="train {plan.name}")
def train(plan: TrainingPlan, machines: Machines = ALONE) -> Checkpoint:
    """Fit one model to one version of a dataset, unless the registry holds that very training."""
    held = trained(plan.name, plan.digest)
    if held is not None:
        log(f"nothing to train: data, parameters and code are those of {held}")
        return Checkpoint(version=str(held), run=held.run)
    folder = work_folder(plan)
    finished = folder / "checkpoint.json"
    if finished.exists():
        known = Checkpoint.model_validate_json(finished.read_text(encoding="utf-8"))
        log("the training was finished before; only its registration is left")
        return known if active(known.run) else known.model_copy(update={"run": start_run(plan, folder)})
    what = f"{plan.parameters.template} on {plan.dataset.name} {plan.dataset.version}"
    log(f"training {plan.name}: {what}")
    given = plan.parameters
    for name in unseen(plan.opened(), given.splits) if isinstance(given, NetworkParameters) else ():
        log(f"no training image shows {name!r}: the model will not know it")
    if (folder / "last.ckpt").exists():
        log(f"going on from an interrupted training ({folder / 'last.ckpt'})")
    elif expected := estimate(plan):
        log(expected)
    checkpoint = _fit(plan, folder, machines)
    _check_unchanged(plan)
    write(finished, checkpoint.model_dump_json())
    pictures = sorted([*folder.glob("*.png"), *folder.glob("*.jpg")])
    show(_story(plan, checkpoint), f"training-{plan.name}", "Training", pictures)
    return checkpoint


def _check_unchanged(plan: TrainingPlan) -> None:
    """Raises Fault, and keeps nothing of the training, when pictures of another version may be in it."""
    data = plan.dataset
    if not data.labels or labels_digest(Path(data.folder)) == data.labels:
        return
    discard(plan)
    raise Fault(
        f"{data.folder}: was ingested anew while {plan.name} was trained on it. What it learned is of "
        f"neither version and is not kept. Train again, on the new version or on `sightline dataset checkout "
        f"{data.name}@{data.version} FOLDER`."
    )


def work_folder(plan: TrainingPlan) -> Path:
    """Where an unfinished training keeps its state; gone once the version is registered."""
    return state() / "training" / plan.digest


def discard(plan: TrainingPlan) -> None:
    """Remove a training's working state: the registry holds all that matters now."""
    shutil.rmtree(work_folder(plan), ignore_errors=True)


def _fit(plan: TrainingPlan, folder: Path, machines: Machines) -> Checkpoint:
    from tasks.plots import plot_training

    run = start_run(plan, folder)
    began = time.monotonic()
    with mlflow.start_run(run_id=run):  # running until here it ends, failed when it raises
        history, monitored = _learned(plan, folder, run, machines)
        best = max((row[monitored] for row in history if monitored in row), default=0.0)
        seconds = history[-1].get("seconds", round(time.monotonic() - began, 1))  # of all its processes together
        mlflow.log_metrics({"seconds": seconds} | ({"best_" + monitored: best} if monitored else {}))
        mlflow.log_artifact(str(folder / "history.jsonl"), "training")
        for plot in plot_training(history, folder) if len(history) > 1 else ():
            mlflow.log_artifact(str(plot), "training")
    return Checkpoint(
        weights=str(folder / "best.safetensors"),
        run=run,
        monitored=monitored,
        best=best,
        epochs=len(history),
        seconds=seconds,
    )


def _learned(plan: TrainingPlan, folder: Path, run: str, machines: Machines) -> tuple[list[dict[str, Any]], str]:
    """The history of the training in `folder`, and the metric that counts: of a network, or of a head on embeddings."""
    dataset, given = plan.dataset.open(), plan.parameters
    if isinstance(given, EmbeddingParameters):
        from tasks.embedded import learn_on_embeddings

        history, monitored = learn_on_embeddings(dataset, given, folder, log)
        mlflow.log_metrics({name: value for name, value in history[-1].items() if name != "step"})
        for picture in sorted([*folder.glob("*.png"), *folder.rglob("*.jpg")]):
            mlflow.log_artifact(str(picture), (Path("training") / picture.parent.relative_to(folder)).as_posix())
        return history, monitored
    assert isinstance(given, NetworkParameters)
    # Lightning takes seconds to import: only a run that really trains pays for it.
    from pytorch_lightning.loggers import MLFlowLogger

    from models.training import lightning_precision
    from tasks.fitting import learn, with_batch_size

    mlflow.set_tag("precision", lightning_precision(given))  # what `auto` came to on this processor
    logger = MLFlowLogger(run_id=run, tracking_uri=mlflow.get_tracking_uri())
    start = start_of(given.weights)
    if machines.several:
        settled = with_batch_size(plan.opened(), given, folder, log)
        if not given.batch_size:  # auto: as many for each process
            world = machines.devices * machines.nodes
            settled = settled.model_copy(update={"batch_size": max(1, settled.batch_size // world) * world})
        return learn_together(dataset, settled, folder, machines, logger, log, start=start)
    return learn(dataset, given, folder, logger, log, start=start)


def start_of(weights: str) -> Path | None:
    """The folder of the registered version that a parameter `weights` names; None where it names none.

    Raises Fault when the registry holds no such version, or its files are gone.
    """
    return artifacts(resolve(weights)) if is_version(weights) else None


def _story(plan: TrainingPlan, checkpoint: Checkpoint) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in sorted(plan.given.items()))
    best = f"best {checkpoint.monitored} **{checkpoint.best:.4f}**" if checkpoint.monitored else "the last weights kept"
    return (
        f"# {plan.name}\n\n{plan.given['template']} on **{plan.dataset.name}** (`{plan.dataset.version}`): "
        f"{f'{checkpoint.epochs} epochs' if checkpoint.epochs > 1 else 'fitted'} in {checkpoint.seconds:.0f} s, {best}."
        f"\n\n| parameter | value |\n|---|---|\n{rows}\n"
    )
