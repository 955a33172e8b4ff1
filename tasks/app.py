"""The App file: one product's source, dataset, training, gate and schedule, in `apps/<name>.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.parameters import Parameters, parameters
from models.runtime.faults import Fault, choices
from tasks.files import write
from tasks.workspace import root


class Gate(BaseModel):
    """When a new version takes the champion's place."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    metric: str = ""
    """Higher is better; empty: accuracy for a classifier, map_50 for a detector."""
    min_improvement: float = Field(0.0, ge=0, le=1)
    """By so much the metric must be higher than the champion's."""
    minimum: float = Field(0.0, ge=0, le=1)
    """Nothing below this is ever promoted, not even a first version."""


class App(BaseModel):
    """One product's work."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")
    """Lower-case letters, digits and '-'; also the MLflow experiment and the Prefect tag."""
    source: str
    """Folder with the labelled pictures, from the project's root."""
    dataset: str
    """What they are called under data/."""
    format: str = "auto"
    """auto, folder, voc, coco, yolo or csv."""
    split: str = ""
    """train/val/test in percent where the source has none of its own; empty: 80/10/10."""
    tolerance: float = Field(0.05, ge=0, le=1)
    """Share of images and boxes that may be left out before the ingest is refused."""
    model: str = ""
    """Name in the registry; empty: <dataset>-classifier or <dataset>-detector."""
    training: dict[str, Any]
    """template and its parameters: `sightline template show NAME` lists them."""
    gate: Gate = Gate()
    schedule: str = Field("0 2 * * *", pattern=r"^(\S+ ){4}\S+$")
    """Cron: minute, hour, day, month, weekday."""

    @model_validator(mode="after")
    def _good_training(self) -> Self:
        try:
            parameters(self.training, "training")
        except Fault as fault:
            raise ValueError(str(fault)) from None
        return self

    def parameters(self) -> Parameters:
        """Of the training, checked."""
        return parameters(self.training, "training")


def read_app(given: str | Path) -> App:
    """The app in a file, or of a name (`apps/<name>.yaml`). Raises Fault that lists every fault in it."""
    path = app_path(given)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise Fault(f"{path}: not YAML ({error})") from None
    if not isinstance(content, dict):
        raise Fault(f"{path}: an app is a mapping (name, source, dataset, training, …), this is not one")
    try:
        return App(**content)
    except ValidationError as error:
        raise Fault(f"{path}: {_count(error)}\n" + "\n".join(f"  {line}" for line in _faults(error))) from None


def apps() -> tuple[str, ...]:
    """The names of the apps there are, sorted."""
    return tuple(sorted(path.stem for path in (root() / "apps").glob("*.yaml")))


def create_app(name: str, source: str, template: str) -> Path:
    """Write `apps/<name>.yaml`, commented. Raises Fault for a bad name, and when there is one already."""
    path = root() / "apps" / f"{name}.yaml"
    if path.exists():
        raise Fault(f"{path}: there is an app of that name already")
    text = TEMPLATE.format(name=name, source=source, dataset=name, template=template)
    try:
        App(**yaml.safe_load(text))
    except ValidationError as error:
        raise Fault(f"app {name!r}: " + "; ".join(_faults(error))) from None
    write(path, text)
    return path


def app_path(given: str | Path) -> Path:
    """The file of an app: a path as it stands, a name under `apps/`. Raises Fault when there is none."""
    candidates = [Path(given), root() / given, root() / "apps" / f"{given}.yaml"]
    for path in candidates:
        if path.is_file():
            return path
    known = choices(Path(given).stem, apps())
    raise Fault(f"there is no app {str(given)!r}. {known} `sightline app create` makes one.")


def _count(error: ValidationError) -> str:
    return f"{error.error_count()} fault{'s' if error.error_count() > 1 else ''}"


def _faults(error: ValidationError) -> list[str]:
    lines = []
    for entry in error.errors():
        name = ".".join(str(part) for part in entry["loc"])
        if entry["type"] == "extra_forbidden":
            lines.append(f"{name}: no such key. {choices(name, App.model_fields)}")
        elif entry["type"] == "value_error":
            lines.append(str(entry["ctx"]["error"]))
        else:
            lines.append(f"{name}: {entry['msg'].lower()}, got {entry['input']!r}")
    return lines


TEMPLATE = """\
# {name}: one product's work, from its pictures to a model that is promoted when it is better.
# Try it: sightline app check {name}    Run it: sightline pipeline {name}    Nightly: sightline up
name: {name}

# Where labelled pictures arrive: a folder per class, Pascal VOC, COCO, YOLO or a CSV.
source: {source}
# What they are called under data/.
dataset: {dataset}
# auto looks and says what it saw; or folder, voc, coco, yolo, csv.
format: auto
# Share of images and boxes that may be left out before the ingest is refused.
tolerance: 0.05

# What to train: `sightline template list`, then `sightline template show {template}` for every parameter.
training:
  template: {template}

# A new version takes the champion's place when it is better on images neither was trained on.
gate:
  # Empty: accuracy for a classifier, map_50 for a detector.
  metric: ""
  # By so much it must be better, 0 to 1.
  min_improvement: 0.0

# Cron: minute, hour, day, month, weekday. This is every night at two.
schedule: "0 2 * * *"
"""
