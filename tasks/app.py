"""The App file: one product's source, dataset, training, gate and schedule, in `apps/<name>.yaml`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from cronsim import CronSim, CronSimError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from models.parameters import Parameters, parameters
from models.runtime.faults import Fault, choices
from tasks.data.dataset import folder_of
from tasks.data.formats import check_format
from tasks.data.split import shares
from tasks.files import write
from tasks.parsed import parsed
from tasks.plan import check_name
from tasks.workspace import root


class Gate(BaseModel):
    """When a new version takes the champion's place."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    metric: str = ""
    """Higher is better; empty: accuracy for a classifier, macro_average_precision where an image may have several
    concepts, map_50 for a detector, recall_1 for an embedder, silhouette for a clusterer."""
    min_improvement: float | None = Field(None, ge=0, le=1)
    """By so much the metric must be higher than the champion's. Empty: the 95 % interval of the difference, of pairs on
    the same images, must lie above 0."""
    minimum: float = Field(0.0, ge=0, le=1)
    """Nothing below this is ever promoted, not even a first version."""

    @field_validator("min_improvement", "minimum", mode="before")
    @classmethod
    def _a_number(cls, given: object, field: ValidationInfo) -> object:
        if isinstance(given, bool):
            raise ValueError(f"gate.{field.field_name}: a number from 0 to 1 is wanted, got {str(given).lower()}")
        return given


class App(BaseModel):
    """One product's work."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")
    """Lower-case letters, digits and '-'; also the MLflow experiment and the Prefect tag."""
    source: str = Field(min_length=1)
    """Folder with the labelled pictures, from the project's root."""
    dataset: str
    """What they are called under data/."""
    format: str = "auto"
    """auto, folder, voc, coco, yolo or csv."""
    split: str = ""
    """train/val/test in percent where the source has none of its own; empty: 80/10/10."""
    tolerance: float = Field(0.05, ge=0, le=1)
    """Share of the images, and of the boxes, that may be left out before the ingest is refused."""
    model: str = ""
    """Name in the registry; empty: <dataset>-<type>, as in roofs-detector."""
    training: dict[str, Any]
    """template and its parameters: `sightline template show NAME` lists them."""
    gate: Gate = Gate()
    schedule: str = Field("0 2 * * *", pattern=r"^(\S+ ){4}\S+$")
    """Cron: minute, hour, day, month, weekday."""

    @field_validator("dataset", "format", "split", "model")
    @classmethod
    def _as_its_night_takes_it(cls, given: str, field: ValidationInfo) -> str:
        checks = {"dataset": folder_of, "format": check_format, "split": shares, "model": check_name}
        try:
            if given or field.field_name == "dataset":
                checks[field.field_name or ""](given)
        except Fault as fault:
            raise ValueError(f"{field.field_name}: {fault}") from None
        return given

    @field_validator("schedule")
    @classmethod
    def _good_schedule(cls, given: str) -> str:
        try:
            CronSim(given, datetime(2000, 1, 1))
        except CronSimError as error:
            raise ValueError(f"schedule: got {given!r} ({error}). {cls.model_fields['schedule'].description}") from None
        return given

    @field_validator("training")
    @classmethod
    def _good_training(cls, given: dict[str, Any]) -> dict[str, Any]:
        try:
            parameters(given, "training")
        except Fault as fault:
            raise ValueError(str(fault)) from None
        return given

    @field_validator("gate", mode="before")
    @classmethod
    def _gate_as_it_is(cls, given: object) -> object:
        return {} if given is None else given  # `gate:` with all its lines commented out

    @field_validator("gate")
    @classmethod
    def _good_gate(cls, given: Gate, before: ValidationInfo) -> Gate:
        if given.metric and "training" in before.data:
            from tasks.kinds import KINDS  # with numpy: .3 s, for those who name a metric
            from tasks.metrics.compare import GATED, UNBOUNDED

            training = parameters(before.data["training"])
            task = KINDS[training.type].report.task
            gated = [name for name in GATED[task] if name not in _unmeasured(training)]
            if given.metric not in gated:
                known = choices(given.metric, gated)
                raise ValueError(f"gate.metric: no {task} model is promoted by {given.metric!r}. {known}")
            if given.metric in UNBOUNDED and given.min_improvement is None:
                how = "say with min_improvement by how much a new version must be better"
                raise ValueError(f"gate.metric: a difference in {given.metric} has no interval: {how}")
        return given

    @property
    def place(self) -> str:
        """Where the source is, whatever folder a command is given in."""
        return str(root() / self.source)

    def with_gate(self, min_improvement: float | None) -> App:
        """The app with another bar in its gate; with none, as it is. Raises Fault where it is out of range."""
        if min_improvement is None:
            return self
        if not 0 <= min_improvement <= 1:
            raise Fault(f"min_improvement: a number from 0 to 1 is wanted, got {min_improvement}")
        return self.model_copy(update={"gate": self.gate.model_copy(update={"min_improvement": min_improvement})})

    def parameters(self) -> Parameters:
        """Of the training, checked."""
        return parameters(self.training, "training")


def _unmeasured(training: Parameters) -> tuple[str, ...]:
    """Metrics that a classifier of this kind will not have; whether it has a best five is known with its concepts."""
    exclusive = getattr(training, "concepts_mutually_exclusive", None)
    return () if exclusive is None else ("subset_accuracy",) if exclusive else ("top5_accuracy",)


def read_app(given: str | Path) -> App:
    """The app in a file, or of a name (`apps/<name>.yaml`). Raises Fault that lists every fault in it."""
    path = app_path(given)
    try:
        content = parsed(path.read_bytes())
    except ValueError as error:
        raise Fault(f"{path}: not YAML ({error})") from None
    if not isinstance(content, dict):
        raise Fault(f"{path}: an app is a mapping (name, source, dataset, training, …), this is not one")
    try:
        app = App.model_validate(content)
    except ValidationError as error:
        raise Fault(f"{path}: {_count(error)}\n" + "\n".join(f"  {line}" for line in _faults(error))) from None
    if app.name != path.stem and path.resolve().parent == (root() / "apps").resolve():
        raise Fault(f"{path}: its name is {app.name!r}: write `name: {path.stem}`, or call the file {app.name}.yaml")
    return app


def apps() -> tuple[str, ...]:
    """The names of the apps there are, sorted."""
    return tuple(sorted(path.stem for path in (root() / "apps").glob("*.yaml")))


def create_app(name: str, source: str, template: str) -> Path:
    """Write `apps/<name>.yaml`, commented. Raises Fault for a bad name, and when there is one already."""
    path = root() / "apps" / f"{name}.yaml"
    if path.exists():
        raise Fault(f"{path}: there is an app of that name already")
    try:
        App(name=name, source=source, dataset=name, training={"template": template})
    except ValidationError as error:
        raise Fault(f"app {name!r}: " + "; ".join(_faults(error))) from None
    text = TEMPLATE.format(
        name=name,
        name_line=_line("name", name),
        source_line=_line("source", source),
        dataset_line=_line("dataset", name),
        template=template,
    )
    return write(path, text)


def app_path(given: str | Path) -> Path:
    """The file of an app: a path as it stands, a name under `apps/`. Raises Fault when there is none."""
    candidates = [Path(given), root() / given, root() / "apps" / f"{given}.yaml"]
    for path in candidates:
        if path.is_file():
            return path
    known = choices(Path(given).stem, apps())
    raise Fault(f"there is no app {str(given)!r}. {known} `sightline app create` makes one.")


def _line(key: str, value: str) -> str:
    """One line of YAML, its value in quotes where it needs them."""
    return yaml.safe_dump({key: value}, allow_unicode=True, width=float("inf")).rstrip("\n")


def _count(error: ValidationError) -> str:
    return f"{error.error_count()} fault{'s' if error.error_count() > 1 else ''}"


def _faults(error: ValidationError) -> list[str]:
    return [_sentence(entry) for entry in error.errors()]


def _sentence(entry: Any) -> str:
    where = ".".join(str(part) for part in entry["loc"])
    key = str(entry["loc"][-1])
    fields = Gate.model_fields if entry["loc"][0] == "gate" else App.model_fields
    if entry["type"] == "extra_forbidden":
        return f"{where}: no such key. {choices(key, fields)}"
    if entry["type"] == "value_error":
        return str(entry["ctx"]["error"])
    if entry["type"] == "missing":
        return f"{where}: missing. {fields[key].description}"
    if entry["type"] == "string_pattern_mismatch":
        return f"{where}: got {entry['input']!r}. {fields[key].description}"
    return f"{where}: {entry['msg'].lower()}, got {entry['input']!r}"


TEMPLATE = """\
# {name}: one product's work, from its pictures to a model that is promoted when it is better.
# Try it: sightline app check {name}    Run it: sightline pipeline {name}    Nightly: sightline up
{name_line}

# Where labelled pictures arrive: a folder per class, Pascal VOC, COCO, YOLO or a CSV.
{source_line}
# What they are called under data/.
{dataset_line}
# auto looks and says what it saw; or folder, voc, coco, yolo, csv.
format: auto
# Share of the images, and of the boxes, that may be left out before the ingest is refused.
tolerance: 0.05

# What to train: `sightline template list`, then `sightline template show {template}` for every parameter.
training:
  template: {template}
  # Other parameters than the template's own go here: epochs, image_size, …

# A new version takes the champion's place when it is better on images neither was trained on.
gate:
  # Empty: accuracy for a classifier (of several concepts an image: macro_average_precision), map_50 for a detector.
  metric: ""
  # Empty: when the whole 95 % interval of the difference, on the same images, lies above 0. A number, 0 to 1: when it
  # is better by that much, whatever the interval.
  min_improvement:

# Cron: minute, hour, day, month, weekday. This is every night at two, UTC unless prefect.yaml says otherwise.
schedule: "0 2 * * *"
"""
