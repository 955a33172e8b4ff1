"""The verb register: a trained checkpoint becomes a version that plain MLflow can load."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import LoggedModel
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array
from prefect import task
from prefect.cache_policies import NO_CACHE
from safetensors.torch import load_file
from torch import nn

from models.catalog import libraries
from models.parameters import NAMED, is_version
from models.runtime import networks
from models.runtime.card import Card
from models.runtime.faults import Fault
from models.runtime.kinds import KINDS
from models.runtime.predictor import Predictor
from tasks.answers import in_our_words
from tasks.artifacts import artifacts_at, trained_on
from tasks.data.dataset import Dataset
from tasks.estimate import samples
from tasks.metrics.detection import best_threshold
from tasks.page import log
from tasks.plan import TrainingPlan
from tasks.pyfunc import SUMS, load
from tasks.registry import CHALLENGER, Version, client, resolve, set_alias, trained, versions
from tasks.tracking import record
from tasks.train import Checkpoint, discard

RUNTIME = Path(__file__).resolve().parents[1] / "models" / "runtime"
REQUIREMENTS = ("mlflow", "numpy", "pandas", "pillow", "safetensors", "torch", "torchvision")
PROBES = 4  # pictures on which the version read back must answer as the one in memory


@task(cache_policy=NO_CACHE, task_run_name="register {plan.name}")
def register(plan: TrainingPlan, checkpoint: Checkpoint) -> Version:
    """Write the version with its own code, read it back, and only then enter it in the registry."""
    held = trained(plan.name, plan.digest)
    if held is not None:
        log(f"{held} holds this very training")
        holders = [entry.number for entry in versions(plan.name) if CHALLENGER in entry.aliases]
        if max(holders, default=0) < held.number == max(entry.number for entry in versions(plan.name)):
            set_alias(held, CHALLENGER)  # it was killed before it got it
        discard(plan)
        return resolve(str(held))
    dataset = plan.opened()
    predictor = predictor_of(plan, checkpoint, dataset)
    with tempfile.TemporaryDirectory() as scratch:
        seen = started_from(plan) | learned_from(plan, dataset)
        folder = write_version(predictor, Path(scratch) / "version", seen)
        _remove_unfinished(plan, checkpoint)
        logged = _log(plan, checkpoint, folder, predictor.card)
        stored = f"{logged.artifact_location}/artifacts/version"
        read_back(artifacts_at(stored, Path(scratch) / "stored"), predictor, dataset)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    version = _enter(plan, checkpoint, predictor.card, logged.model_id, size)
    discard(plan)
    log(f"registered {version}")
    return version


def predictor_of(plan: TrainingPlan, checkpoint: Checkpoint, dataset: Dataset) -> Predictor:
    """The trained network with its card; a detector's threshold is the one with the best F1 on val."""
    given, weights = plan.parameters, Path(checkpoint.weights)
    known = {name: value for name, value in given.model_dump().items() if name in FROM_PARAMETERS}
    mean, std = networks.normalisation(getattr(given, "architecture", given.template))
    card = Card(
        **{"mean": mean, "std": std, "concepts": dataset.concepts, "network": given.network_options}
        | known
        | _decided(weights.with_name("card.json")),
        type=plan.type,
        template=given.template,
        exclusive=getattr(given, "concepts_mutually_exclusive", True),
        dataset=plan.dataset.name,
        dataset_version=plan.dataset.version,
        parameters=given.model_dump(mode="json") | _settled(weights.with_name("batch_size.txt")),
    )
    network = networks.build(card.template, len(card.concepts), image_size=card.image_size, options=card.network)
    state = {name: tensor for name, tensor in load_file(weights).items() if not name.startswith(STAYS_BEHIND)}
    network.load_state_dict(state)
    return _at_best_threshold(network, card, dataset) if KINDS[plan.type].sure else Predictor(network, card)


FROM_PARAMETERS = ("image_size", "nms_iou", "max_detections")  # what a card takes over as it is
STAYS_BEHIND = "margin."  # weights that only a training needs


def _decided(file: Path) -> dict:
    """What of the card the training itself decided, where it did."""
    if not file.is_file():
        return {}
    found = json.loads(file.read_text(encoding="utf-8"))
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def _settled(file: Path) -> dict[str, int]:
    """The batch size that `auto` came to: trained again with another one, other bytes would come out."""
    return {"batch_size": int(file.read_text(encoding="utf-8"))} if file.is_file() else {}


def _at_best_threshold(network: nn.Module, card: Card, dataset: Dataset) -> Predictor:
    val = dataset.split("val")
    found = Predictor(network, card).predict([dataset.path(entry) for entry in val])
    return Predictor(network, card.with_(threshold=best_threshold(val, found, card.concepts)))


def started_from(plan: TrainingPlan) -> frozenset[str]:
    """sha256 of the images that the weights it started from were learned from, where those are a version's."""
    embedder = getattr(plan.parameters, "embedder", "")
    if embedder:
        return trained_on(resolve(embedder))
    weights = getattr(plan.parameters, "weights", "none")
    if is_version(weights):
        return trained_on(resolve(weights))
    if weights in NAMED:
        return frozenset()
    beside = Path(weights).with_name("trained_on.txt")
    return frozenset(beside.read_text(encoding="utf-8").split()) if beside.is_file() else frozenset()


def learned_from(plan: TrainingPlan, dataset: Dataset) -> frozenset[str]:
    """sha256 of the dataset's images that were learned from or picked by; none where nothing was trained."""
    if getattr(plan.parameters, "epochs", 1) == 0:
        return frozenset()
    return frozenset(entry.sha256 for entry in dataset.annotations if entry.split in ("train", "val"))


def write_version(predictor: Predictor, folder: Path, seen: frozenset[str]) -> Path:
    """Weights, card, a copy of the runtime and the digests of the images learned from, in one folder; then their own.

    seen: digests of the images that its weights were learned from or picked by, also before this training.
    """
    predictor.save(folder)
    return sealed(folder, seen)


def sealed(folder: Path, seen: frozenset[str]) -> Path:
    """A version's own files completed: with the runtime, the digests of what was learned from, and their own."""
    shutil.copytree(RUNTIME, folder / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "trained_on.txt").write_text("\n".join(sorted(seen)) + "\n", encoding="utf-8")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}" for path in files]
    (folder / SUMS).write_text("\n".join(sums) + "\n", encoding="utf-8")
    return folder


def read_back(folder: Path, predictor: Predictor, dataset: Dataset) -> None:
    """Load what was stored, with the code that was stored. Raises Fault unless it answers exactly the same."""
    pictures = [dataset.path(entry) for entry in dataset.annotations[:PROBES]]
    with in_our_words(folder):
        stored = load(folder, predictor.device)
    expected = [answer.rows() for answer in predictor.predict(pictures)]
    if [answer.rows() for answer in stored.predict(pictures)] != expected:
        raise Fault(f"{folder}: the stored version answers otherwise than the one trained. Nothing was registered.")


def _remove_unfinished(plan: TrainingPlan, checkpoint: Checkpoint) -> None:
    """Delete what registrations of this very plan logged and, killed before the end, never entered."""
    experiment = client().get_run(checkpoint.run).info.experiment_id
    entered = {version.logged_model for version in versions()}
    for logged in client().search_logged_models([experiment], filter_string=f"tags.plan = '{plan.digest}'"):
        # Of this very run: another of the same plan may be at its registration now, on another machine.
        if logged.source_run_id == checkpoint.run and logged.model_id not in entered:
            get_artifact_repository(logged.artifact_location).delete_artifacts()
            client().delete_logged_model(logged.model_id)
            log(f"removed {logged.model_id}, which a registration that was cut off had left")


def _log(plan: TrainingPlan, checkpoint: Checkpoint, folder: Path, card: Card) -> LoggedModel:
    """Log the version under its training run."""
    with mlflow.start_run(run_id=checkpoint.run), warnings.catch_warnings():
        # The signature is ours and the version is read back below: an example adds nothing to either.
        warnings.filterwarnings("ignore", ".*input example was not provided.*")
        info = mlflow.pyfunc.log_model(
            name=plan.name.replace(".", "-"),  # MLflow refuses the dot here, and takes it in the registry
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={"version": str(folder)},
            signature=signature(card),
            pip_requirements=[
                f"{name}=={importlib.metadata.version(name)}" for name in (*REQUIREMENTS, *libraries(card.template))
            ],
            metadata={"sightline": ports(card)},
            tags={"plan": plan.digest},
        )
    return client().get_logged_model(info.model_id)


def signature(card: Card) -> ModelSignature:
    """What comes out and what can be set, in MLflow's words.

    Not what goes in: MLflow makes a table of every input that has a schema, and then refuses lists of paths
    and of arrays. `ports` says what goes in.
    """
    columns = {"image": "long"} | KINDS[card.type].answer.columns
    outputs = Schema([ColSpec(COLUMNS[kind], name) for name, kind in columns.items()])
    threshold = ParamSpec("threshold", DataType.double, -1.0)
    return ModelSignature(outputs=outputs, params=ParamSchema([threshold]))


COLUMNS: dict[str, Any] = {
    "long": DataType.long,
    "string": DataType.string,
    "double": DataType.double,
    "array of float": Array(DataType.float),
}


def ports(card: Card) -> dict:
    """What a workflow needs to know before any weight is loaded."""
    name = KINDS[card.type].answer.name
    return {
        "type": card.type,
        "inputs": {"image": "image"},
        "outputs": {name: name},
        "concepts": list(card.concepts),
        "image_size": card.image_size,
    }


def _enter(plan: TrainingPlan, checkpoint: Checkpoint, card: Card, logged: str, size: int) -> Version:
    """The last step: the registry's row, its tags, and the alias `challenger`."""
    registry = client()
    try:
        registry.create_registered_model(plan.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    tags = {
        "plan": plan.digest,
        "type": card.type,
        "template": card.template,
        "dataset": card.dataset,
        "dataset_version": card.dataset_version,
        "training_seconds": str(checkpoint.seconds),
        "threshold": str(card.threshold),
        "concepts": json.dumps(card.concepts, ensure_ascii=False),
        "epochs": str(checkpoint.epochs),
        "samples": str(samples(plan)),
        "image_size": str(card.image_size),
        "megabytes": f"{size / 1e6:.1f}",
        **record(checkpoint.run),
    }
    entry = registry.create_model_version(
        plan.name, f"models:/{logged}", run_id=checkpoint.run, tags=tags, model_id=logged
    )
    registry.set_registered_model_alias(plan.name, CHALLENGER, entry.version)
    return resolve(f"{plan.name}/{entry.version}")
