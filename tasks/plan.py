"""References that flows hand to tasks: a dataset pinned to a version, and a training in full."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from models.catalog import template
from models.parameters import Parameters, is_version, parameters
from models.runtime.faults import Fault, short
from tasks.data.dataset import Dataset, named_dataset, open_dataset
from tasks.data.narrowing import only
from tasks.data.version import folder_version, verify
from tasks.registry import resolve
from tasks.workspace import root

SOURCES = (
    "models/*.py",
    "models/runtime/*.py",
    "tasks/fitting.py",
    "tasks/embedded.py",
    "tasks/embeddings.py",
    "tasks/data/cache.py",
    "tasks/data/loading.py",
    "tasks/data/narrowing.py",
    "tasks/data/sampling.py",
    "tasks/data/annotations.py",
)
VERSIONS = ("weights", "embedder")  # parameters that may name a registered version
LONGEST = 200  # bytes of a model's name: files and folders are called after it, with a number or a date behind


class PinnedDataset(BaseModel):
    """A dataset at one version, and the folder where it lies.

    labels: digest of its concepts and annotations, which hold the sha256 of every picture; empty: not checked.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    folder: str
    labels: str = ""

    @property
    def here(self) -> bool:
        """Whether it is the one in `data/`, not one that was checked out elsewhere."""
        return Path(self.folder).resolve() == (root() / "data" / self.name).resolve()

    def open(self) -> Dataset:
        """Its images, concepts and annotations. Raises Fault when an ingest has put another version in its place."""
        folder = Path(self.folder)
        opened = open_dataset(folder, self.version)
        if self.labels and labels_digest(folder) != self.labels:
            raise Fault(
                f"{folder}: was ingested anew since this run began, which is about {self.version}. Nothing is lost: "
                f"`sightline dataset checkout {self.name}@{self.version} FOLDER` brings that version back, and what is "
                "run on FOLDER goes on where this stopped; or run it again on the new version."
            )
        return opened


def pin(dataset: str) -> PinnedDataset:
    """The dataset of that name in `data/`, or in a folder it was checked out to, at its version.

    Raises Fault when its files are not those of the version that data.dvc names: nothing may be trained or
    measured under a digest that is another's.
    """
    folder = Path(dataset)
    checked_out = "/" in dataset and (folder / "dataset.yaml").is_file()
    opened = open_dataset(folder.resolve()) if checked_out else named_dataset(dataset)
    labels = labels_digest(opened.folder)
    version = folder_version(opened.folder) if checked_out else verify(opened.name)
    return PinnedDataset(name=opened.name, version=version, folder=str(opened.folder), labels=labels)


def labels_digest(folder: Path) -> str:
    """Of a dataset's concepts and annotations, 32 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in ("dataset.yaml", "annotations.jsonl"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:32]


class TrainingPlan(BaseModel):
    """A training, by what it means: model name, dataset version, parameters and the code that trains.

    name: in the registry.
    app: the product it is for, empty when it is for none.  sources: digest of the training code.
    versions: by the parameter that names a registered version, MLflow's id of that version's files.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    dataset: PinnedDataset
    given: dict[str, Any]
    sources: str
    app: str = ""
    versions: dict[str, str] = {}

    @property
    def type(self) -> str:
        return template(self.given["template"]).type

    @cached_property
    def parameters(self) -> Parameters:
        """Of the plan's model type, checked."""
        return parameters(self.given)

    def opened(self) -> Dataset:
        """The dataset as this training sees it: with the concepts that it learns alone."""
        return only(self.dataset.open(), self.parameters.concepts)

    @cached_property
    def digest(self) -> str:
        """32 hexadecimal digits of everything that decides the outcome. Not the git revision: docs train nothing."""
        meaning = {
            "name": self.name,
            "type": self.type,
            "dataset_version": self.dataset.version,
            "parameters": self.parameters.model_dump(mode="json"),
            "weights": _bytes_of(getattr(self.parameters, "weights", "")),
            "versions": self.versions,
            "sources": self.sources,
        }
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:32]


def resolved(parameters: Parameters) -> tuple[dict[str, Any], dict[str, str]]:
    """What a plan is given, and the versions in it: each that a parameter names as `name/number`, for good.

    Answers the parameters as JSON values, and by parameter MLflow's id of that version's files: a name that was
    deleted and given again means other weights. Raises Fault, naming the parameter, where there is no such version.
    """
    given, ids = parameters.model_dump(mode="json"), {}
    for name in VERSIONS:
        reference = given.get(name) or "none"
        if not is_version(reference):
            continue
        try:
            version = resolve(reference)
        except Fault as fault:
            raise Fault(f"{name}: {fault}") from None
        given[name], ids[name] = str(version), version.logged_model
    return given, ids


def _bytes_of(weights: str) -> str:
    """The digest of the file that a training starts from: the same path may hold other weights tomorrow."""
    path = Path(weights)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def check_name(name: str) -> str:
    """A model's name, as it is. Raises Fault when it can be none."""
    if not re.fullmatch(r"[^\W_][\w.-]*", name):
        rule = "letters, digits, '-', '_' and '.', a letter or digit first"
        raise Fault(f"{short(name)!r} cannot name a model: {rule}")
    size = len(name.encode())
    if size > LONGEST:
        raise Fault(f"{short(name)!r} cannot name a model: it takes {size} bytes, and {LONGEST} are allowed")
    return name


def default_name(dataset: str, type: str) -> str:
    """`<dataset>-classifier`, `<dataset>-clusterer`: what a model is called when nobody says."""
    return f"{dataset}-{type.removeprefix('visual-')}"


def sources_digest() -> str:
    """Of the code that trains: its files' names and bytes. A change to it makes every plan a new one."""
    project = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(path for pattern in SOURCES for path in project.glob(pattern)):
        digest.update(path.relative_to(project).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:32]
