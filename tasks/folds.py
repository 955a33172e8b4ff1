"""The verb cross-validate: train as often as there are folds, each measured on the pictures it did not see."""

from __future__ import annotations

import json
import math
import shutil
import statistics
from pathlib import Path
from typing import Any

import mlflow
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from models.runtime.faults import Fault
from tasks.attempts import attempt, network_parameters
from tasks.data.dataset import Dataset
from tasks.data.folds import views
from tasks.data.narrowing import only
from tasks.evaluate import measured
from tasks.files import alone_at, as_csv, write
from tasks.metrics.compare import COUNTS
from tasks.page import log, show, show_table
from tasks.plan import TrainingPlan
from tasks.register import predictor_of
from tasks.report import SAID
from tasks.tracking import study_run
from tasks.train import Checkpoint, check_trainable
from tasks.workspace import state

SHOWN = 6  # metrics in the table; the JSON holds all


class Fold(BaseModel):
    """One of the trainings.

    images: held out, which it was measured on.  metrics: by name, fractions in [0, 1] but for counts.
    run: in MLflow.
    """

    model_config = ConfigDict(frozen=True)

    fold: int
    images: int
    metrics: dict[str, float]
    headline: str
    epochs: int
    seconds: float
    run: str


class CrossValidation(BaseModel):
    """What the folds say together.

    mean, std: of each metric that all folds have, without counts. std is the sample's (n − 1): how far apart single
    trainings are, not how sure the mean is.  run: in MLflow, above those of the folds.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    dataset: str
    dataset_version: str
    headline: str
    folds: list[Fold]
    mean: dict[str, float]
    std: dict[str, float]
    run: str

    def rows(self) -> list[dict[str, Any]]:
        """A row a fold, then the mean and the spread; of the metrics the first few, the one that counts first."""
        names = list(self.mean)[:SHOWN]
        rows = [
            {"fold": str(one.fold), "images": one.images, **{name: one.metrics[name] for name in names}}
            for one in self.folds
        ]
        for word, values in (("mean", self.mean), ("± std", self.std)):
            rows.append({"fold": word, "images": None, **{name: values[name] for name in names}})
        return rows

    def sentence(self) -> str:
        """The number that counts, and how a model comes of it."""
        name = self.headline
        return (
            f"{SAID[name]} {self.mean[name]:.4f} ± {self.std[name]:.4f} over {len(self.folds)} folds of "
            f"{self.dataset} (train and val; its test split stays unseen). Nothing was registered: "
            "the same command without --folds trains on all of train and registers."
        )


@task(cache_policy=NO_CACHE, task_run_name="cross-validate {plan.name}")
def cross_validate(plan: TrainingPlan, folds: int) -> CrossValidation:
    """Train once for each fold and measure what it holds out; folds that are done are not trained again."""
    given = network_parameters(plan)
    folder = state() / "folds" / f"{plan.digest[:16]}-{folds}"
    waiting = "another process is at this very cross-validation: waiting until it is done"
    with alone_at(folder.parent / "locks" / folder.name, lambda: log(waiting)):
        cut = list(views(only(plan.dataset.open(), given.concepts), folds, given.seed))
        _check(cut, plan)
        run = study_run(plan, folder, "folds", folds=str(folds))
        with mlflow.start_run(run_id=run):
            done = [_fold(plan, view, number, folds, folder) for number, view in enumerate(cut, 1)]
            return _conclude(plan, done, folder, run)


def _check(cut: list[Dataset], plan: TrainingPlan) -> None:
    """Raises Fault for every fold that cannot be trained, before any is."""
    faults = []
    for number, view in enumerate(cut, 1):
        try:
            check_trainable(view, plan)
        except Fault as fault:
            faults.append(f"fold {number}: {fault}")
    if faults:
        raise Fault(f"{' '.join(faults)} Take fewer folds, or more pictures.")


def _fold(plan: TrainingPlan, view: Dataset, number: int, folds: int, folder: Path) -> Fold:
    kept = folder / f"{number}.json"
    if kept.exists():
        log(f"fold {number} of {folds} was done before")
        return Fold.model_validate_json(kept.read_text(encoding="utf-8"))
    held, place = view.split("test"), folder / str(number)
    counts = f"{len(view.split('train'))} to learn from, {len(view.split('val'))} to pick by, {len(held)} held out"
    log(f"fold {number} of {folds}: {counts}")
    done = attempt(plan, view, place, "fold", f"fold {number}")
    predictor = predictor_of(plan, Checkpoint(weights=str(place / "best.safetensors")), view)
    answers = list(predictor.predict([view.path(entry) for entry in held]))
    report = measured(predictor.card, held, answers, None)
    found = Fold(
        fold=number,
        images=len(held),
        metrics={name: value for name, value in report.summary.items() if name in SAID and math.isfinite(value)},
        headline=report.headline,
        epochs=len(done.history),
        seconds=done.history[-1].get("seconds", done.seconds),
        run=done.run,
    )
    with mlflow.start_run(run_id=done.run, nested=True):
        mlflow.log_metrics({f"held_out_{name}": value for name, value in found.metrics.items()})
    write(kept, found.model_dump_json())
    shutil.rmtree(place, ignore_errors=True)
    return found


def _conclude(plan: TrainingPlan, done: list[Fold], folder: Path, run: str) -> CrossValidation:
    """Mean and spread, on the page, in MLflow and as an answer."""
    headline = done[0].headline
    shared = [name for name in SAID if name not in COUNTS and all(name in one.metrics for one in done)]
    names = sorted(shared, key=lambda name: name != headline)
    found = CrossValidation(
        model=plan.name,
        dataset=plan.dataset.name,
        dataset_version=plan.dataset.version,
        headline=headline,
        folds=done,
        mean={name: statistics.fmean(one.metrics[name] for one in done) for name in names},
        std={name: statistics.stdev(one.metrics[name] for one in done) for name in names},
        run=run,
    )
    content = json.dumps(found.model_dump(mode="json"), indent=1)
    for file in (write(folder / "folds.json", content), write(folder / "folds.csv", as_csv(found.rows()))):
        mlflow.log_artifact(str(file), "folds")
    for word, values in (("mean", found.mean), ("std", found.std)):
        mlflow.log_metrics({f"{word}_{name}": value for name, value in values.items()})
    show(f"# {plan.name}, {len(done)} folds\n\n{found.sentence()}\n", f"folds-{plan.name}", "Cross-validation")
    show_table(found.rows(), f"folds-table-{plan.name}", "Folds")
    return found
