"""The verb sweep: try values of parameters, each in a training of its own, and answer the best."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import optuna
from optuna.trial import Trial, TrialState
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from models.runtime.faults import Fault, choices, short
from tasks import study as studies
from tasks.attempts import attempt
from tasks.files import alone_at, as_csv, write
from tasks.page import log, show, show_table
from tasks.plan import TrainingPlan, resolved
from tasks.registry import client
from tasks.search import Search, told, values_of
from tasks.study import METRIC, REASON, SECONDS
from tasks.sweep_plots import plot_sweep
from tasks.tracking import study_run
from tasks.workspace import state

HOPELESS = 3  # failed trials, none before them done: the reason is not in what is tried


class Swept(BaseModel):
    """What a sweep found.

    best: values of the parameters tried.  value: of `metric`, of the best trial.  trials: a row each.
    importance: of each parameter, in [0, 1], summing to 1; empty where too few trials tell.
    measured: trials that this very call ran.  run: the sweep's in MLflow.
    """

    model_config = ConfigDict(frozen=True)

    best: dict[str, Any]
    value: float
    metric: str
    trials: list[dict[str, Any]]
    importance: dict[str, float] = {}
    measured: int = 0
    run: str = ""


@task(cache_policy=NO_CACHE, task_run_name="sweep {plan.name}")
def sweep(plan: TrainingPlan, given: Mapping[str, Any], search: Search) -> Swept:
    """Train with value after value, stop early what is worse than the others, and answer the best values.

    plan: of the training as given.  given: its parameters as the user wrote them: what is not in it is the template's.
    A sweep that was killed goes on with what is missing; one that is finished does nothing.
    """
    folder = sweep_folder(plan, search)
    waiting = "another process is at this very sweep: waiting until it is done"
    with (
        alone_at(folder.parent / "locks" / folder.name, lambda: log(waiting)),
        studies.opened(folder, search, search.epochs or plan.given["epochs"]) as study,
    ):
        run = study_run(plan, folder, "sweep", space=told(search)[:5000])
        before = len(studies.finished(study))
        log(f"sweep of {plan.name}: {told(search)}; {before} of {search.trials} trials are done")
        with mlflow.start_run(run_id=run):
            while _more(study, search):
                _try(study, plan, given, search, folder)
            return _conclude(study, plan, search, folder, run, len(studies.finished(study)) - before)


def sweep_folder(plan: TrainingPlan, search: Search) -> Path:
    """Where a sweep keeps its study, for good, and its unfinished trial."""
    return state() / "sweeps" / f"{plan.digest[:16]}-{search.digest}"


def _more(study: optuna.Study, search: Search) -> bool:
    """Whether a further trial is to begin. Raises Fault when the first ones all failed."""
    known = studies.finished(study)
    if len(known) >= HOPELESS and all(REASON in trial.user_attrs for trial in known):
        raise Fault(f"the first {len(known)} trials all failed, the last one: {known[-1].user_attrs[REASON]}")
    spent = sum(trial.user_attrs.get(SECONDS, 0.0) for trial in known)
    return len(known) < search.trials and (search.seconds is None or spent < search.seconds)


def _try(study: optuna.Study, plan: TrainingPlan, given: Mapping[str, Any], search: Search, folder: Path) -> None:
    """One trial, from its values to its worth in the study."""
    number = len(studies.finished(study)) + 1
    trial = studies.ask(study, search, type(plan.parameters), values_of(search.space, plan.parameters))
    whole, named = resolved(search.trial(given, trial.params))
    tried = TrainingPlan(**plan.model_dump() | {"given": whole, "versions": named})
    log(f"trial {number} of {search.trials}: {', '.join(f'{name} {value}' for name, value in trial.params.items())}")
    place = folder / "trials" / tried.digest  # one that was cut off lies there: the sampler gives its values again
    watch = Watch(trial, search.metric or study.user_attrs.get(METRIC, ""), place)
    try:
        done = attempt(tried, plan.dataset.open(), place, "trial", f"trial {number}", watch)
        study.set_user_attr(METRIC, search.metric or done.monitored)
        watch.told(done.history, study.user_attrs[METRIC])
        trial.set_user_attr(SECONDS, done.history[-1].get("seconds", done.seconds))
        value = done.kept[study.user_attrs[METRIC]]
        if not math.isfinite(value):
            raise Fault(f"its {study.user_attrs[METRIC]} is {value}: the loss of this training diverged")
        study.tell(trial, value)
    except optuna.TrialPruned:
        _end_as_pruned(place)
        study.tell(trial, state=TrialState.PRUNED)
    except (Fault, MemoryError, RuntimeError) as error:
        if not _of_its_values(error):
            raise
        trial.set_user_attr(REASON, short((str(error) or type(error).__name__).splitlines()[0], 300))
        study.tell(trial, state=TrialState.FAIL)
    ended = studies.row(study, studies.finished(study)[-1])
    log(f"trial {number} is {ended['state']}: {ended.get('reason') or f'{ended[study.user_attrs[METRIC]]:.4f}'}")
    shutil.rmtree(place, ignore_errors=True)


def _end_as_pruned(place: Path) -> None:
    """Mark a trial's run in MLflow as ended on purpose: what raised for that left it as failed."""
    noted = place / "run.txt"
    if noted.exists():
        run = noted.read_text(encoding="utf-8")
        client().set_terminated(run, "KILLED")
        client().set_tag(run, "pruned", "true")


def _of_its_values(error: BaseException) -> bool:
    """Whether the values that a trial tried may be to blame: other errors end the sweep."""
    if isinstance(error, UnknownMetric):
        return False
    return isinstance(error, Fault | MemoryError) or type(error).__name__ == "OutOfMemoryError"


class UnknownMetric(Fault):
    """No trial will ever have the metric that the sweep is about."""


class Watch:
    """Tells the study each epoch's metric, and stops the trial when it is worse than the others were."""

    def __init__(self, trial: Trial, metric: str, place: Path) -> None:
        self.trial, self.metric, self.steps = trial, metric, set[int]()
        before = place / "history.jsonl"
        if metric and before.exists():  # of a trial that was cut off: it is not told these epochs again
            self.told([json.loads(line) for line in before.read_text(encoding="utf-8").splitlines()], metric)

    def __call__(self, row: dict[str, Any]) -> None:
        measured = [name for name in row if name.startswith("val_")]
        if self.metric and measured and self.metric not in measured:
            raise UnknownMetric(f"metric: no {self.metric!r} is measured. {choices(self.metric, measured)}")
        self.trial.set_user_attr(SECONDS, row.get("seconds", 0.0))
        if self.metric:
            self.told([row], self.metric)
            if self.trial.should_prune():
                raise optuna.TrialPruned

    def told(self, rows: list[dict[str, Any]], metric: str) -> None:
        """Report what the study has not heard yet."""
        for row in rows:
            if metric in row and row["epoch"] not in self.steps:
                self.trial.report(row[metric], row["epoch"])
                self.steps.add(row["epoch"])


def _conclude(study: optuna.Study, plan: TrainingPlan, search: Search, folder: Path, run: str, measured: int) -> Swept:
    """What the trials say, on the page, in MLflow and as an answer; of a sweep that was finished, as it was."""
    kept = folder / "sweep.json"
    if not measured and kept.exists():
        log(f"nothing to try: {len(studies.finished(study))} trials are done")
        return Swept.model_validate_json(kept.read_text(encoding="utf-8"))
    best = studies.best(study)
    if best is None or best.value is None:
        raise Fault(f"none of {len(studies.finished(study))} trials went to its end: there is no best")
    metric = study.user_attrs[METRIC]
    rows = [{"trial": i, **studies.row(study, trial)} for i, trial in enumerate(studies.finished(study), 1)]
    found = Swept(
        best=best.params,
        value=best.value,
        metric=metric,
        trials=rows,
        importance=studies.importance(study),
        measured=measured,
        run=run,
    )
    pictures = plot_sweep(rows, metric, found.importance, search, folder)
    for file in [*pictures, write(folder / "trials.csv", as_csv(rows)), write(kept, found.model_dump_json())]:
        mlflow.log_artifact(str(file), "sweep")
    mlflow.log_metrics({f"best_{metric}": found.value, "trials": len(rows)})
    mlflow.set_tags({f"best_{name}": value for name, value in found.best.items()})  # parameters cannot be changed
    show(_story(plan, found), f"sweep-{plan.name}", "Sweep", pictures)
    show_table(rows, f"trials-{plan.name}", "Trials")
    return found


def _story(plan: TrainingPlan, found: Swept) -> str:
    values = "\n".join(f"| {name} | {value} | {found.importance.get(name, '')} |" for name, value in found.best.items())
    return (
        f"# Sweep of {plan.name}\n\n{len(found.trials)} trials on **{plan.dataset.name}** "
        f"(`{plan.dataset.version}`): best {found.metric} **{found.value:.4f}**.\n\n"
        f"| parameter | best | importance |\n|---|---|---|\n{values}\n"
    )
