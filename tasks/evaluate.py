"""The verb evaluate: a version against one split of a dataset, measured once and kept."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from models.runtime.card import Card
from models.runtime.faults import Fault
from models.runtime.predictions import Answer
from tasks.artifacts import card, trained_on
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset
from tasks.data.loading import entries
from tasks.data.narrowing import as_learned
from tasks.files import alone_at, only, write
from tasks.html.facts import Facts
from tasks.kept import NAME, answered, report_folder
from tasks.kinds import KINDS
from tasks.metrics.compare import Report, beside
from tasks.metrics.curves import WANTED
from tasks.page import linked, log, show, show_table
from tasks.plan import PinnedDataset
from tasks.registry import Version, client, note
from tasks.tracking import active, experiment, git_revision, page_of

PAGES = ("report.html", "report.md")
SOURCES = (
    "data/narrowing.py",
    "metrics/*.py",
    "html/*",
    *(f"{name}.py" for name in ("evaluate", "kept", "answers", "kinds", "report", "tables", "files")),
    *(f"{name}.py" for name in ("style", "sheets", "worst", "neighbours", "groups", "data/loading")),
    "../models/runtime/operators/drawing.py",
)


class Evaluation(BaseModel):
    """What was measured, and where it is kept.

    metrics: by name, fractions in [0, 1] but for counts; a metric that the split cannot give is absent.
    headline: the metric by which models are told apart.
    threshold: from which score something counts; None where the highest score decides.
    milliseconds: from file to answer, each image, on the machine that measured.
    seen_in_training: so many of the images had the version learned from or been picked by.
    measured_before: nothing was measured for this answer: version, data, threshold and code are an earlier one's.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    dataset: str
    dataset_version: str
    split: str
    threshold: float | None
    metrics: dict[str, float]
    headline: str = ""
    per_concept: list[dict[str, Any]]
    milliseconds: float
    images: int
    seen_in_training: int
    run: str
    report: str
    measured_before: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is measured: a version on a split of a dataset; from which score on something counts (None: its own), from
    which overlap on a region hits a box, and for which precision each concept's threshold is looked up."""

    version: Version
    dataset: PinnedDataset
    split: str
    threshold: float | None
    precision: float
    iou: float

    @property
    def own(self) -> bool:
        """Whether the numbers are those the version is known by: at its own threshold, at an IoU of .5, and on what it
        was trained on or what is in `data/` now: not on some folder that goes by the same name."""
        known = self.dataset.version == self.version.dataset_version or self.dataset.here
        return known and self.threshold is None and self.iou == 0.5

    @property
    def title(self) -> str:
        """Of the report."""
        return f"{self.version} on {self.dataset.name} {self.split}"

    @property
    def digest(self) -> str:
        """Of everything that decides the numbers: version, images, threshold and the code that measures."""
        here, code = Path(__file__).parent, hashlib.sha256()
        for path in sorted(path for pattern in SOURCES for path in here.glob(pattern) if path.is_file()):
            code.update(path.read_bytes())
        meaning = [self.version.logged_model, str(self.version), self.dataset.version, self.dataset.labels, self.split]
        settings = [self.threshold, self.precision, self.iou]
        return hashlib.sha256(json.dumps([*meaning, *settings, code.hexdigest()]).encode()).hexdigest()


@task(cache_policy=NO_CACHE, task_run_name="evaluate {version} on {split}")
def evaluate(
    version: Version,
    dataset: PinnedDataset,
    split: str,
    threshold: float | None = None,
    precision: float = WANTED,
    iou: float = 0.5,
) -> Evaluation:
    """Measure a version on one split, with the predictor that everything else uses; known results are not redone.

    precision: for which each concept's threshold is looked up.  iou: from which overlap on a region hits a box.
    """
    for name, value in (("precision", precision), ("iou", iou)):  # before anything is predicted
        if not 0 < value <= 1:
            raise Fault(f"{name}: a number above 0 and at most 1 is wanted, got {value:g}")
    question = Question(version, dataset, split, threshold, precision, iou)
    folder = report_folder(version, dataset, split)
    with alone_at(folder / ".lock", lambda: log(f"waiting: {version} on {split} is being measured")):
        kept = _kept(folder, question.digest)
        if kept is None:
            kept = _measure(question, folder)
        else:
            log(f"measured before: {folder}")
        _show(kept)
    return kept


def _measure(question: Question, folder: Path) -> Evaluation:
    from tasks.report import plain

    version, dataset, split = question.version, question.dataset, question.split
    asked, described = answered(version, dataset, split), card(version)
    opened = as_learned(dataset.open(), described.parameters.get("concepts", ()))
    annotations = entries(opened, split)
    found = asked.on(annotations)
    report = measured(described, annotations, found, question.threshold, question.iou)
    learned = trained_on(version)
    seen = sum(entry.sha256 in learned for entry in annotations)
    facts = _facts(question, described, len(annotations), seen, asked.milliseconds)
    files = _files(question, facts, report, opened, annotations, found, folder)
    summary = {name: value for name, value in report.summary.items() if math.isfinite(value)}
    evaluation = Evaluation(
        model=str(version),
        dataset=dataset.name,
        dataset_version=dataset.version,
        split=split,
        threshold=report.counted_from,
        metrics=summary,
        headline=report.headline,
        per_concept=[plain(row) for row in report.per_concept],
        milliseconds=asked.milliseconds,
        images=len(annotations),
        seen_in_training=seen,
        run=_tracked(question, facts, summary, files, folder),
        report=str(folder),
    )
    _noted(question, evaluation)
    write(folder / "evaluation.json", json.dumps(evaluation.model_dump() | {"digest": question.digest}, indent=1))
    return evaluation


def _facts(question: Question, card: Card, images: int, seen: int, milliseconds: float) -> Facts:
    """What was measured, as the page says it."""
    return Facts(
        model=str(question.version),
        type=card.type,
        template=card.template,
        dataset=question.dataset.name,
        dataset_version=question.dataset.version,
        split=question.split,
        images=images,
        seen_in_training=seen,
        parameters=card.parameters,
        revision=git_revision(),
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        milliseconds=milliseconds,
    )


def _files(
    question: Question,
    facts: Facts,
    report: Report,
    opened: Dataset,
    annotations: Sequence[Annotation],
    found: Sequence[Any],
    folder: Path,
) -> list[Path]:
    """The report as files: text, tables, plots, sheets of pictures, and the page that holds all."""
    from tasks.html.page import evaluation_page
    from tasks.report import save
    from tasks.tables import tables

    made = tables(report, annotations, found, question.precision)
    page = evaluation_page(report, facts, opened, annotations, found, made)
    files = [
        write(folder / "report.html", page),
        *save(report, folder, question.title, made, facts.warning),
        *KINDS[facts.type].sheets(opened, annotations, found, report, folder),
    ]
    only(folder, [*files, folder / NAME])
    return files


def _noted(question: Question, evaluation: Evaluation) -> None:
    """The numbers on the version in the registry, where they are its own: of its data, counted as it is known by."""
    version = question.version
    if version.folder or question.dataset.name != version.dataset or not question.own or "+" in question.split:
        return
    note(version, milliseconds=evaluation.milliseconds)
    own = {name: value for name, value in evaluation.metrics.items() if not beside(name)}
    bounds = (f"{evaluation.headline}_{end}" for end in ("low", "high"))
    own |= {name: evaluation.metrics[name] for name in bounds if name in evaluation.metrics}
    note(version, **{f"{question.split}.{name}": round(value, 6) for name, value in own.items()})


def _tracked(question: Question, facts: Facts, summary: dict[str, float], files: Sequence[Path], folder: Path) -> str:
    """The MLflow run that holds the numbers and the files of an evaluation; beside the training's."""
    version = question.version
    tags = {"stage": "evaluate", "model": facts.model, "dataset": facts.dataset, "split": facts.split}
    tags |= {"logged_model": version.logged_model, "dataset_version": facts.dataset_version, "parent_run": version.run}
    tags |= {"counts": "own" if question.own else "other", "iou": str(question.iou)}
    tags |= {"seen_in_training": str(facts.seen_in_training), "milliseconds": str(facts.milliseconds)}
    name = f"evaluate {question.title}"
    with mlflow.start_run(experiment_id=experiment_of(version), run_name=name, tags=tags) as run:
        mlflow.log_metrics(summary)
        for file in files:
            mlflow.log_artifact(str(file), (Path("report") / file.parent.relative_to(folder)).as_posix())
    return run.info.run_id


def experiment_of(version: Version) -> str:
    """That of its training, where MLflow still has that; else one of the model's name."""
    if not version.run or not active(version.run):
        return experiment(version.name)
    return experiment(client().get_experiment(client().get_run(version.run).info.experiment_id).name)


def measured(
    card: Card, annotations: Sequence[Annotation], found: list[Answer], threshold: float | None, iou: float = 0.5
) -> Report:
    """The report of a model's answers; threshold None is the model's own.  iou: from which on a region hits a box."""
    least = card.threshold if threshold is None else threshold
    return KINDS[card.type].measure(card, annotations, found, least, iou)


def _kept(folder: Path, digest: str) -> Evaluation | None:
    """What was measured before, if it was this and its report is whole; a damaged record is none."""
    try:
        content = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
        known = content.pop("digest") == digest and all((folder / name).is_file() for name in PAGES)
        return Evaluation(**content | {"measured_before": True}) if known else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _show(evaluation: Evaluation) -> None:
    """The numbers in the Prefect UI."""
    folder = Path(evaluation.report)
    text = (folder / "report.md").read_text(encoding="utf-8")
    text = linked(text, page_of(evaluation.run, "report/report.html"), folder / "report.html")
    name = f"{evaluation.model}-{evaluation.dataset}-{evaluation.split}"
    pictures = sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg"))
    show(text, f"evaluation-{name}", f"{evaluation.model} on {evaluation.dataset} {evaluation.split}", pictures)
    show_table(evaluation.per_concept, f"concepts-{name}", "Per concept")
