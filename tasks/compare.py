"""The verb compare: models × datasets × splits side by side, and which of two is better, by how much, in words."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import mlflow
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from models.runtime.faults import Fault, listed
from tasks.artifacts import card
from tasks.compare_plots import plot_comparison
from tasks.data.annotations import Annotation
from tasks.data.loading import entries
from tasks.data.narrowing import as_learned
from tasks.evaluate import Evaluation, experiment_of, measured
from tasks.files import Rows, as_csv, only, write
from tasks.html.comparison import comparison_page
from tasks.html.facts import not_held_out
from tasks.kept import answered
from tasks.metrics.compare import Report, comparisons, total
from tasks.page import linked, log, show, show_table
from tasks.plan import PinnedDataset
from tasks.registry import Version
from tasks.report import as_table, plain
from tasks.tracking import git_revision, page_of
from tasks.workspace import state

PAGE = "comparison.html"
Measured = tuple[Version, PinnedDataset, str]


class Comparison(BaseModel):
    """What was compared, and what came of it.

    concepts: a row a concept of each model on each dataset and split.  totals: a row of each, all concepts together.
    differences: a row a pair of models and metric, on the same images: second − first with its 95 % interval.
    sentences: of each pair, by the number that counts, in words; then what is not held out.
    folder: where the files are.  run: in MLflow.
    """

    model_config = ConfigDict(frozen=True)

    concepts: Rows
    totals: Rows
    differences: Rows
    sentences: list[str]
    folder: str
    run: str


def apart(measurements: Iterable[Measured]) -> list[Measured]:
    """Each measurement once, however a model was named. Raises Fault where that leaves nothing to compare."""
    each = {(str(version), data.folder, split): (version, data, split) for version, data, split in measurements}
    if len(each) < 2:
        (model, folder, split), *_ = each
        raise Fault(f"there is one thing to measure, {model} on {folder} {split}: name another model, dataset or split")
    return list(each.values())


@task(cache_policy=NO_CACHE, task_run_name="compare")
def compare(
    measurements: Sequence[Measured],
    evaluations: Sequence[Evaluation],
    threshold: float | None = None,
    iou: float = 0.5,
) -> Comparison:
    """Set measurements side by side: the tables, curves over each other, and each pair's difference on the same images.

    evaluations: of the measurements, in their order, at that threshold and IoU.
    Raises Fault when they are not of one task.
    """
    images, reports = zip(*(_report(*each, threshold, iou) for each in measurements), strict=True)
    tasks = {report.task for report in reports}
    if len(tasks) > 1:
        raise Fault(f"models for {' and '.join(sorted(tasks))} cannot be compared; name models of the same type")
    labels = _labels(measurements)
    concepts = [row | _which(one, measurements) for one in evaluations for row in one.per_concept]
    differences, sentences = _pairs(measurements, images, reports)
    sentences += [said for one in evaluations if (said := _seen(one))]
    folder = _folder(measurements, threshold, iou)
    totals = _totals(evaluations, measurements)
    files = _saved(folder, concepts, totals, differences, sentences)
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    title, code = _title(measurements), git_revision()
    page = comparison_page(title, sentences, totals, concepts, differences, labels, reports, code, now)
    files += [write(folder / PAGE, page), *plot_comparison(labels, reports, differences, folder)]
    only(folder, files)
    done = Comparison(
        concepts=concepts,
        totals=totals,
        differences=differences,
        sentences=sentences,
        folder=str(folder),
        run=_tracked(measurements, differences, files),
    )
    _show(done, files)
    return done


def _report(
    version: Version, dataset: PinnedDataset, split: str, threshold: float | None, iou: float
) -> tuple[list[Annotation], Report]:
    """The images with the labels that the version learned, and what was measured on them."""
    described = card(version)
    images = entries(as_learned(dataset.open(), described.parameters.get("concepts", ())), split)
    return images, measured(described, images, answered(version, dataset, split).on(images), threshold, iou)


def _seen(one: Evaluation) -> str:
    """In bold, that an evaluation is not held out; empty of one that is."""
    said = not_held_out(one.seen_in_training, one.images)
    return said and f"**{one.model} on {one.dataset} {one.split}: {said}**"


def _where(dataset: str, split: str, measurements: Sequence[Measured]) -> str:
    """A dataset, with its split where there are several."""
    return f"{dataset}:{split}" if len({split for _, _, split in measurements}) > 1 else dataset


def _labels(measurements: Sequence[Measured]) -> list[str]:
    """What each is called on a picture: what sets it apart from the others."""
    places = {(dataset.name, split) for _, dataset, split in measurements}
    models = {str(version) for version, _, _ in measurements}
    said = []
    for version, dataset, split in measurements:
        where = _where(dataset.name, split, measurements)
        parts = [
            *([str(version)] if len(models) > 1 or len(places) == 1 else []),
            *([where] if len(places) > 1 else []),
        ]
        said.append(" on ".join(parts))
    return said


def _title(measurements: Sequence[Measured]) -> str:
    """What is compared, on what."""
    models = listed(dict.fromkeys(str(version) for version, _, _ in measurements))
    return f"{models} on {listed(dict.fromkeys(f'{dataset.name} {split}' for _, dataset, split in measurements))}"


def _which(one: Evaluation, measurements: Sequence[Measured]) -> dict[str, str]:
    return {"Model": one.model, "Dataset": _where(one.dataset, one.split, measurements)}


def _totals(evaluations: Sequence[Evaluation], measurements: Sequence[Measured]) -> Rows:
    """One row each, under the columns people know; Total Concept says which, as far as they differ."""
    one_place = len({(one.dataset, one.split) for one in evaluations}) == 1
    one_model = len({one.model for one in evaluations}) == 1 and not one_place
    rows = []
    for one in evaluations:
        model, dataset = f"Model:{one.model}", f"Dataset:{_where(one.dataset, one.split, measurements)}"
        name = dataset if one_model else model if one_place else f"{model} {dataset}"
        row = {"Total Concept": name} | plain(total(one.metrics, one.per_concept))
        rows.append(row | {"Seen in training": one.seen_in_training})
    return rows


def _pairs(
    measurements: Sequence[Measured], images: Sequence[list[Annotation]], reports: Sequence[Report]
) -> tuple[Rows, list[str]]:
    """The differences of each two models on the same dataset and split, and a sentence on each."""
    rows, sentences = [], []
    for first, second in combinations(range(len(reports)), 2):
        (before, dataset, split), (after, other, other_split) = measurements[first], measurements[second]
        if (dataset.name, dataset.version, split) != (other.name, other.version, other_split):
            continue
        names = (str(before), str(after))
        try:
            if images[first] != images[second]:
                raise Fault("they learned different concepts, so that each was measured by other labels")
            found = comparisons(reports[first], reports[second], names)
        except Fault as fault:
            sentences.append(f"{names[1]} and {names[0]} on {dataset.name} {split}: {fault}")
            continue
        sentences.append(f"{dataset.name} {split}: {found[0].sentence}.")
        rows += [
            plain(
                {
                    "Dataset": _where(dataset.name, split, measurements),
                    "First": names[0],
                    "Second": names[1],
                    "Metric": one.metric,
                    "First number": one.champion,
                    "Second number": one.candidate,
                    "Difference": one.difference,
                    "Low": one.low,
                    "High": one.high,
                    "Second is": one.verdict if not math.isnan(one.low) else None,
                }
            )
            for one in found
        ]
    return rows, sentences


def _folder(measurements: Sequence[Measured], threshold: float | None, iou: float) -> Path:
    """One for each choice of models, data, splits, threshold and IoU."""
    meaning: list[Any] = [[str(version), dataset.version, split] for version, dataset, split in measurements]
    meaning += [threshold, iou]
    digest = hashlib.sha256(json.dumps(meaning).encode()).hexdigest()[:8]
    names = "_".join(dict.fromkeys(version.name for version, _, _ in measurements))
    return state() / "comparisons" / f"{names[:80]}-{digest}"


def _saved(folder: Path, concepts: Rows, totals: Rows, differences: Rows, sentences: Sequence[str]) -> list[Path]:
    """The tables as CSV, and all as Markdown. Returns their paths."""
    tables = {"concepts_summary": concepts, "total_summary": totals, "differences": differences}
    tables = {name: rows for name, rows in tables.items() if rows}
    lines = ["# Comparison", "", *(f"- {text}" for text in sentences), ""]
    for name, rows in tables.items():
        lines += [f"## {name.replace('_', ' ').capitalize()}", "", *as_table(rows), ""]
    paths = [write(folder / f"{name}.csv", as_csv(rows)) for name, rows in tables.items()]
    return [*paths, write(folder / "comparison.md", "\n".join(lines))]


def _tracked(measurements: Sequence[Measured], differences: Rows, files: Sequence[Path]) -> str:
    """The MLflow run that holds the differences and the files, beside the first model's training."""
    models = ", ".join(dict.fromkeys(str(version) for version, _, _ in measurements))
    places = ", ".join(dict.fromkeys(f"{dataset.name} {split}" for _, dataset, split in measurements))
    with mlflow.start_run(experiment_id=experiment_of(measurements[0][0]), run_name=f"compare {models}") as run:
        mlflow.set_tags({"stage": "compare", "models": models, "datasets": places})
        if len({(row["Dataset"], row["First"], row["Second"]) for row in differences}) == 1:
            found = {f"difference.{row['Metric']}": row["Difference"] for row in differences}
            mlflow.log_metrics({name: value for name, value in found.items() if value is not None})
        for file in files:
            mlflow.log_artifact(str(file), "comparison")
    return run.info.run_id


def _show(done: Comparison, files: Sequence[Path]) -> None:
    """The two tables, the differences and the pictures on the run's page."""
    for sentence in done.sentences:
        log(sentence.replace("**", ""))
    name = Path(done.folder).name
    text = "\n".join(["# Comparison", "", *(f"- {text}" for text in done.sentences)])
    text = linked(text, page_of(done.run, f"comparison/{PAGE}"), Path(done.folder) / PAGE)
    show(text, f"comparison-{name}", "Which is better", [path for path in files if path.suffix == ".png"])
    show_table(done.totals, f"comparison-totals-{name}", "All concepts together")
    show_table(done.concepts, f"comparison-concepts-{name}", "Per concept")
    if done.differences:
        show_table(done.differences, f"comparison-differences-{name}", "Differences on the same images")
