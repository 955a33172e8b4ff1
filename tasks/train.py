"""The verb train: fit one model to one version of a dataset."""

from __future__ import annotations

import shutil
import time
from contextlib import AbstractContextManager
from pathlib import Path

import mlflow
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from models.catalog import template
from models.parameters import ClassifierParameters, NetworkParameters, Parameters
from models.runtime.faults import Fault
from tasks.data.dataset import Dataset
from tasks.data.narrowing import only
from tasks.distributed import Machines, learn_together
from tasks.files import alone_at, write
from tasks.page import log, show
from tasks.plan import PinnedDataset, TrainingPlan, check_name, default_name, labels_digest, sources_digest
from tasks.registry import trained
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
    plan = TrainingPlan(
        name=check_name(name or default_name(dataset.name, template(parameters.template).type)),
        dataset=dataset,
        given=parameters.model_dump(mode="json"),
        sources=sources_digest(),
        app=app,
    )
    check_trainable(plan.opened(), plan)
    return plan


def check_trainable(dataset: Dataset, plan: TrainingPlan) -> None:
    """Raises Fault that lists every reason why this dataset cannot train this model."""
    wanted = "detection" if plan.type == "visual-detector" else "classification"
    faults = []
    given = plan.parameters
    if dataset.task != wanted:
        faults.append(f"its labels are for {dataset.task}, and {plan.parameters.template} needs {wanted}")
    measured = not isinstance(given, NetworkParameters) or given.splits == "train"
    for split in ("train", "val") if measured else ("train",):
        if not dataset.split(split):
            faults.append(f"its {split} split is empty (ingest it under another name with --split 80/10/10)")
    if isinstance(given, ClassifierParameters) and given.concepts_mutually_exclusive and not dataset.exclusive:
        faults.append("some images have several concepts or none; set concepts_mutually_exclusive: false")
    if isinstance(given, NetworkParameters) and given.early_stopping_epochs and not measured:
        faults.append("with splits train+val nothing is measured to stop early by; set early_stopping_epochs: 0")
    shown = len(dataset.concepts) - len(unseen(dataset))
    if plan.type == "visual-classifier" and shown < 2:
        faults.append(f"a classifier needs two concepts or more, and its training images show {shown}")
    if plan.type == "visual-detector" and not shown:
        faults.append("no training image has a box")
    if faults:
        raise Fault(f"dataset {dataset.name}: cannot train {plan.name}: {'; '.join(faults)}.")


def unseen(dataset: Dataset) -> list[str]:
    """Concepts that no training image shows: nothing can learn them."""
    shown = {name for entry in dataset.split("train") for name in (*entry.concepts, *entry.box_concepts)}
    return [name for name in dataset.concepts if name not in shown]


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
    given = plan.parameters
    log(f"training {plan.name}: {given.template}, {given.epochs} epochs on {plan.dataset.name} {plan.dataset.version}")
    for name in unseen(plan.opened()):
        log(f"no training image shows {name!r}: the model will not know it")
    if (folder / "last.ckpt").exists():
        log(f"going on from an interrupted training ({folder / 'last.ckpt'})")
    checkpoint = _fit(plan, folder, machines)
    _check_unchanged(plan)
    write(finished, checkpoint.model_dump_json())
    pictures = sorted(folder.glob("*.png"))
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


def _fit(plan: TrainingPlan, folder: Path, machines: Machines = ALONE) -> Checkpoint:
    # Lightning takes seconds to import: only a run that really trains pays for it.
    from pytorch_lightning.loggers import MLFlowLogger

    from models.training import lightning_precision
    from tasks.fitting import learn, with_batch_size
    from tasks.plots import plot_training

    dataset = plan.dataset.open()
    run = start_run(plan, folder)
    given = plan.parameters
    began = time.monotonic()
    with mlflow.start_run(run_id=run):  # running until here it ends, failed when it raises
        mlflow.set_tag("precision", lightning_precision(given.precision))  # what `auto` came to on this processor
        logger = MLFlowLogger(run_id=run, tracking_uri=mlflow.get_tracking_uri())
        if machines.several:
            together = with_batch_size(only(dataset, given.concepts), given, folder, log)
            history, monitored = learn_together(dataset, together, folder, machines, logger, log)
        else:
            history, monitored = learn(dataset, given, folder, logger, log)
        best = max((row[monitored] for row in history if monitored in row), default=0.0)
        measured = {"best_" + monitored: best} if monitored else {}
        mlflow.log_metrics(measured | {"seconds": time.monotonic() - began})
        mlflow.log_artifact(str(folder / "history.jsonl"), "training")
        for plot in plot_training(history, folder):
            mlflow.log_artifact(str(plot), "training")
    return Checkpoint(
        weights=str(folder / "best.safetensors"),
        run=run,
        monitored=monitored,
        best=best,
        epochs=len(history),
        seconds=round(time.monotonic() - began, 1),
    )


def _story(plan: TrainingPlan, checkpoint: Checkpoint) -> str:
    best = f"best {checkpoint.monitored} **{checkpoint.best:.4f}**" if checkpoint.monitored else "the last weights kept"
    rows = "\n".join(f"| {name} | {value} |" for name, value in sorted(plan.given.items()))
    return (
        f"# {plan.name}\n\n{plan.given['template']} on **{plan.dataset.name}** (`{plan.dataset.version}`): "
        f"{checkpoint.epochs} epochs in {checkpoint.seconds:.0f} s, {best}.\n\n"
        f"| parameter | value |\n|---|---|\n{rows}\n"
    )
