"""The verb evaluate: a version against one split of a dataset, measured once and kept."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from models.runtime.card import Card
from models.runtime.predictions import Answer
from tasks.answers import predictor
from tasks.artifacts import trained_on
from tasks.data.annotations import Annotation
from tasks.data.loading import entries
from tasks.data.narrowing import as_learned
from tasks.files import write
from tasks.kept import answered, report_folder
from tasks.kinds import KINDS
from tasks.metrics.compare import Report, beside
from tasks.page import log, show, show_table
from tasks.plan import PinnedDataset
from tasks.registry import Version, client, note
from tasks.tracking import active, experiment

SOURCES = (
    "data/narrowing.py",
    "metrics/*.py",
    *(
        "report.py",
        "plots.py",
        "charts.py",
        "style.py",
        "drawing.py",
        "kinds.py",
        "answers.py",
        "kept.py",
        "evaluate.py",
    ),
    *("sheets.py", "worst.py", "neighbours.py", "groups.py"),
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


@task(cache_policy=NO_CACHE, task_run_name="evaluate {version} on {split}")
def evaluate(version: Version, dataset: PinnedDataset, split: str, threshold: float | None = None) -> Evaluation:
    """Measure a version on one split, with the predictor that everything else uses; known results are not redone."""
    folder = report_folder(version, dataset, split)
    digest = _digest(version, dataset, split, threshold)
    kept = _kept(folder, digest)
    if kept is None:
        kept = _measure(version, dataset, split, threshold, folder, digest)
    else:
        log(f"measured before: {folder}")
    _show(kept)
    return kept


def _measure(
    version: Version, dataset: PinnedDataset, split: str, threshold: float | None, folder: Path, digest: str
) -> Evaluation:
    from tasks.report import plain, save

    asked, card = answered(version, dataset, split), predictor(version).card
    opened = as_learned(dataset.open(), card.parameters.get("concepts", ()))
    annotations = entries(opened, split)
    found = asked.on(annotations)
    report = measured(card, annotations, found, threshold)
    files = save(report, folder, f"{version} on {dataset.name} {split}")
    files += KINDS[card.type].sheets(opened, annotations, found, report, folder)
    seen = trained_on(version)
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
        seen_in_training=sum(entry.sha256 in seen for entry in annotations),
        run=_tracked(version, dataset, split, summary, files, folder),
        report=str(folder),
    )
    if dataset.name == version.dataset and threshold is None:  # at another threshold they are not its own
        note(version, milliseconds=asked.milliseconds)
        own = {name: value for name, value in summary.items() if name.startswith(report.headline) or not beside(name)}
        note(version, **{f"{split}.{name}": round(value, 6) for name, value in own.items()})
    content = evaluation.model_dump() | {"digest": digest}
    write(folder / "evaluation.json", json.dumps(content, indent=1))
    return evaluation


def _tracked(
    version: Version, dataset: PinnedDataset, split: str, summary: dict[str, float], files: Sequence[Path], folder: Path
) -> str:
    """The MLflow run that holds the numbers and the files of an evaluation; beside the training's."""
    with mlflow.start_run(
        experiment_id=_experiment(version),
        run_name=f"evaluate {version} on {dataset.name} {split}",
    ) as run:
        mlflow.set_tags({"stage": "evaluate", "model": str(version), "dataset": dataset.name, "split": split})
        mlflow.set_tags({"dataset_version": dataset.version, "parent_run": version.run})
        mlflow.log_metrics(summary)
        for file in files:
            mlflow.log_artifact(str(file), (Path("report") / file.parent.relative_to(folder)).as_posix())
    return run.info.run_id


def _experiment(version: Version) -> str:
    """That of its training, where MLflow still has that; else one of the model's name."""
    if not version.run or not active(version.run):
        return experiment(version.name)
    return experiment(client().get_experiment(client().get_run(version.run).info.experiment_id).name)


def measured(card: Card, annotations: Sequence[Annotation], found: list[Answer], threshold: float | None) -> Report:
    """The report of a model's answers; threshold None is the model's own."""
    return KINDS[card.type].measure(card, annotations, found, card.threshold if threshold is None else threshold)


def _digest(version: Version, dataset: PinnedDataset, split: str, threshold: float | None) -> str:
    """Of everything that decides the numbers: version, images, threshold and the code that measures."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(path for pattern in SOURCES for path in here.glob(pattern)):
        digest.update(path.read_bytes())
    meaning = [version.logged_model, str(version), dataset.version, split, threshold, digest.hexdigest()]
    return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()


def _kept(folder: Path, digest: str) -> Evaluation | None:
    path = folder / "evaluation.json"
    if not path.exists():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.pop("digest") != digest:
        return None
    return Evaluation(**content | {"measured_before": True})


def _show(evaluation: Evaluation) -> None:
    """The numbers in the Prefect UI."""
    text = (Path(evaluation.report) / "report.md").read_text(encoding="utf-8")
    if evaluation.seen_in_training:
        text = (
            f"**{evaluation.seen_in_training} of {evaluation.images} images were seen in training: "
            f"these are not held-out numbers.**\n\n{text}"
        )
    name = f"{evaluation.model}-{evaluation.dataset}-{evaluation.split}"
    pictures = sorted(path for path in Path(evaluation.report).iterdir() if path.suffix in (".png", ".jpg"))
    show(text, f"evaluation-{name}", f"{evaluation.model} on {evaluation.dataset} {evaluation.split}", pictures)
    show_table(evaluation.per_concept, f"concepts-{name}", "Per concept")
