"""A training's run in MLflow, and the experiment it belongs to."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import re
import subprocess
from pathlib import Path

import mlflow
from mlflow.data.meta_dataset import MetaDataset
from mlflow.data.sources import LocalArtifactDatasetSource  # type: ignore[attr-defined]
from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException

from tasks.files import write
from tasks.page import flow_run
from tasks.plan import TrainingPlan
from tasks.progress import FLOW_RUN
from tasks.registry import client
from tasks.workspace import root, state

# Tags of a training's run that its version keeps: `sightline model rebuild` needs no more than the version.
RECORDED = (
    *("sources", "git_revision", "precision", "python", "processor", "threads"),
    *("torch", "torchvision", "pytorch-lightning"),
)


def start_run(plan: TrainingPlan, folder: Path, stage: str = "train", title: str = "") -> str:
    """The MLflow run of a training: a new one with all that says what it does, or the interrupted one.

    stage: `train`, or `trial` and `fold` of a study, whose own run is open then: it becomes the parent.
    title: of the run; empty: the stage and the model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / FLOW_RUN, flow_run())
    noted = folder / "run.txt"
    if noted.exists() and active(noted.read_text(encoding="utf-8")):
        return noted.read_text(encoding="utf-8")
    with mlflow.start_run(
        experiment_id=experiment(plan.app or plan.name),
        run_name=title or f"{stage} {plan.name}",
        nested=stage != "train",
    ) as run:
        mlflow.log_params(plan.given)
        mlflow.set_tags(
            {
                "stage": stage,
                "model": plan.name,
                "dataset": plan.dataset.name,
                "dataset_version": plan.dataset.version,
                "plan": plan.digest,
                "sources": plan.sources,
                "git_revision": git_revision(),
                **surroundings(),
            }
        )
        data = plan.dataset
        source = LocalArtifactDatasetSource(data.folder)
        # MetaDataset is abstract only to a type checker: its `profile` is left to `Dataset`.
        named = MetaDataset(source, name=data.name, digest=data.version)  # type: ignore[abstract]
        mlflow.log_input(named, context="training")
    write(noted, run.info.run_id)
    return run.info.run_id


def study_run(plan: TrainingPlan, folder: Path, stage: str, **told: str) -> str:
    """The MLflow run of a study, such as a sweep: a new one, or the interrupted one. Its trainings lie below it."""
    noted = folder / "run.txt"
    if noted.exists() and active(noted.read_text(encoding="utf-8")):
        return noted.read_text(encoding="utf-8")
    with mlflow.start_run(experiment_id=experiment(plan.app or plan.name), run_name=f"{stage} {plan.name}") as run:
        data = {"model": plan.name, "dataset": plan.dataset.name, "dataset_version": plan.dataset.version}
        mlflow.set_tags({"stage": stage, "plan": plan.digest, "sources": plan.sources, **data, **told})
    write(noted, run.info.run_id)
    return run.info.run_id


def surroundings() -> dict[str, str]:
    """Beside data, parameters and sources, what the bytes of trained weights depend on."""
    import torch

    return {
        "python": platform.python_version(),
        "processor": processor(),
        "threads": str(torch.get_num_threads()),
        **{name: importlib.metadata.version(name) for name in ("torch", "torchvision", "pytorch-lightning")},
    }


def record(run: str) -> dict[str, str]:
    """What the run of a training says of how it came about: for the version, which outlives its run."""
    known = client().get_run(run).data.tags
    return {name: known[name] for name in RECORDED if name in known}


def processor() -> str:
    """What trains here: the GPU's name, or the processor's, or its kind where nothing tells."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    with contextlib.suppress(OSError):
        named = re.search(r"^model name\s*: *(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
        if named:
            return named[1]
    return platform.processor() or platform.machine()


def active(run: str) -> bool:
    """Whether MLflow still has a run: people delete them in its UI."""
    try:
        return client().get_run(run).info.lifecycle_stage == LifecycleStage.ACTIVE
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False


def experiment(name: str) -> str:
    """The id of the experiment of that name, made when there is none; its files under this workspace.

    One that was deleted in MLflow's UI is brought back: its name cannot be had otherwise.
    """
    registry = client()
    found = registry.get_experiment_by_name(name)
    if found is not None:
        if found.lifecycle_stage == LifecycleStage.DELETED:
            registry.restore_experiment(found.experiment_id)
        return found.experiment_id
    local = mlflow.get_tracking_uri().startswith("sqlite:")
    location = (state() / "mlartifacts" / name).as_uri() if local else None
    try:
        return registry.create_experiment(name, artifact_location=location)
    except MlflowException:  # another process was faster
        return registry.get_experiment_by_name(name).experiment_id  # type: ignore[union-attr]


def page_of(run: str, path: str) -> str:
    """Where MLflow's pages show a file of a run; empty where no server does, or the run is gone."""
    from tasks.servers import status  # which know what is trained here

    address, up = mlflow.get_tracking_uri(), status()
    if not address.startswith("http"):  # our own: files that a server of ours shows, if it is up
        address = up.mlflow_ui if up else ""
    if not address:
        return ""
    try:
        experiment = client().get_run(run).info.experiment_id
    except MlflowException:  # deleted since
        return ""
    return f"{address.rstrip('/')}/#/experiments/{experiment}/runs/{run}/artifacts/{path}"


def git_revision() -> str:
    """The commit this runs from, with `+` when files differ from it; empty outside git and without it."""
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"]
    try:
        asked = subprocess.run(command, cwd=root(), capture_output=True, text=True, check=False)
    except OSError:  # git is not installed
        return ""
    return asked.stdout.strip()
