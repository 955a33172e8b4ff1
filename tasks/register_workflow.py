"""The verb register, of a workflow: its graph and the versions in it become one that plain MLflow can load."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
import shutil
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path

import mlflow
from mlflow.entities import LoggedModel
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.catalog import libraries
from models.runtime.faults import Fault, short
from models.runtime.workflows.plan import Plan
from tasks.answers import in_our_words
from tasks.artifacts import artifacts_at, card, files_of
from tasks.page import log
from tasks.pyfunc import GRAPH, PARTS, SUMS, load
from tasks.register import REQUIREMENTS, sealed
from tasks.registry import CHAMPION, Version, client, resolve, set_alias, trained, versions
from tasks.tracking import experiment, git_revision
from tasks.workflows import WORKFLOW, Job, planned

# What the rooms of some operators import beside the runtime's own.
LIBRARIES = {
    **dict.fromkeys(("sort", "byte-track", "oc-sort"), ("trackers", "supervision")),
    "draw": ("supervision", "matplotlib"),
}


@task(cache_policy=NO_CACHE, task_run_name="register {job.name}")
def register_workflow(job: Job, alias: str = CHAMPION) -> Version:
    """Write the version with its parts' files and its own code, read it back, and only then enter it in the registry.

    A workflow that is registered already, with the same parts and code, is not entered twice; the alias goes to it.
    Raises Fault where a model of another kind has its name.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", alias) or alias == "latest":
        raise Fault(f"{short(alias)!r} is no alias: it begins with a letter, then letters, digits, `-` and `_`")
    others = [version for version in versions(job.name) if version.type != WORKFLOW]
    if others:
        raise Fault(f"{others[-1]} is a {others[-1].type}: a workflow cannot have its name. Give another with --name.")
    plan = planned(job)
    with tempfile.TemporaryDirectory() as scratch:
        folder = write_workflow(job, plan, Path(scratch) / "version")
        digest = _digest(folder)
        held = trained(job.name, digest)
        if held is not None:
            log(f"{held} is this very workflow")
        else:
            held = _enter(job, plan, folder, digest)
            log(f"registered {held}")
    set_alias(held, alias)
    return resolve(str(held))


def write_workflow(job: Job, plan: Plan, folder: Path) -> Path:
    """The graph, each part's files, a copy of the runtime, the digests of the images learned from; then their own."""
    folder.mkdir(parents=True)
    seen: set[str] = set()
    signatures = {}
    for step in plan.steps:
        if step.signature is None or step.signature.version in signatures:
            continue
        version = resolve(step.signature.version)
        signatures[str(version)] = asdict(step.signature) | {"files": version.slug}
        with files_of(version) as files:
            compiled = shutil.ignore_patterns("__pycache__")
            shutil.copytree(files, folder / PARTS / version.slug, ignore=compiled)
            seen |= set((files / "trained_on.txt").read_text(encoding="utf-8").split())
    content = {**job.graph, "signatures": signatures}
    (folder / GRAPH).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return sealed(folder, frozenset(seen))


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / SUMS).read_bytes()).hexdigest()


def _enter(job: Job, plan: Plan, folder: Path, digest: str) -> Version:
    registry = client()
    parts = [resolve(each) for each in plan.versions]
    with mlflow.start_run(experiment_id=experiment(job.name), run_name=f"register {job.name}") as run:
        mlflow.set_tags({"stage": "register", "model": job.name, "plan": digest, "git_revision": git_revision()})
        logged = _log(job, plan, folder, [card(part).template for part in parts])
    _read_back(logged, folder.with_name("stored"))
    try:
        registry.create_registered_model(job.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    tags = {
        "plan": digest,
        "type": WORKFLOW,
        "parts": json.dumps([str(part) for part in parts]),
        "megabytes": f"{size / 1e6:.1f}",
    }
    entry = registry.create_model_version(
        job.name, f"models:/{logged.model_id}", run_id=run.info.run_id, tags=tags, model_id=logged.model_id
    )
    return resolve(f"{job.name}/{entry.version}")


def _read_back(logged: LoggedModel, place: Path) -> None:
    """Load what was stored, with the code that was stored. Raises Fault unless all of it is there and fits."""
    stored = artifacts_at(f"{logged.artifact_location}/artifacts/version", place)
    with in_our_words(stored):
        load(stored)


def _log(job: Job, plan: Plan, folder: Path, templates: list[str]) -> LoggedModel:
    needed = {*REQUIREMENTS, *(name for template in templates for name in libraries(template))}
    needed |= {name for step in plan.steps for name in LIBRARIES.get(step.node.operator, ())}
    with warnings.catch_warnings():
        # The signature is ours and the version was read back: an example adds nothing to either.
        warnings.filterwarnings("ignore", ".*input example was not provided.*")
        info = mlflow.pyfunc.log_model(
            name=job.name.replace(".", "-"),
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={"version": str(folder)},
            signature=signature(plan),
            pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in sorted(needed)],
            metadata={"sightline": ports(plan)},
        )
    return client().get_logged_model(info.model_id)


def signature(plan: Plan) -> ModelSignature:
    """A row a picture, a column a node: each node's answer as an object, as in a line of predictions.jsonl."""
    columns = (ColSpec(AnyType(), step.node.id) for step in plan.steps)
    fps = ParamSpec("fps", DataType.double, -1.0)
    return ModelSignature(outputs=Schema([ColSpec(DataType.long, "image"), *columns]), params=ParamSchema([fps]))


def ports(plan: Plan) -> dict:
    """What it takes and gives, and the parts in it."""
    return {
        "type": WORKFLOW,
        "inputs": {"image": "image"},
        "outputs": {step.node.id: step.gives for step in plan.steps},
        "concepts": list(dict.fromkeys(name for step in plan.steps for name in step.concepts)),
    }
