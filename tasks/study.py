"""A sweep's study: its trials in a file of Optuna's, which values come next, and what they turned out to be worth."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from models.parameters import Parameters
from tasks.search import Search, Span

WARM_UP = 0.2  # share of a trial's epochs in which it is not pruned: at first all of them are bad
STARTUP = 4  # trials that are finished before any is pruned
# Among the attributes: of a trial, why it failed and how long it took; of the study, what it is worth by.
REASON, SECONDS, METRIC = "reason", "seconds", "metric"
FAILED, PRUNED, DONE = "failed", "pruned", "done"


@contextmanager
def opened(folder: Path, search: Search, epochs: int) -> Iterator[optuna.Study]:
    """The study in a folder, made when there is none.

    Trials that a killed process left running are closed without a reason: they count as if they had never been.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'study.db'}")
    try:
        study = optuna.create_study(
            storage=storage,
            study_name="sweep",
            direction="minimize" if search.minimised else "maximize",
            pruner=_pruner(search, epochs),
            load_if_exists=True,
        )
        for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(left.number, state=TrialState.FAIL)
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that ended by themselves: done, pruned or failed."""
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    every = study.get_trials(deepcopy=False)
    return [trial for trial in every if trial.state in ended or REASON in trial.user_attrs]


def ask(study: optuna.Study, search: Search, kind: type[Parameters], first: Mapping[str, Any] | None) -> Trial:
    """The next trial. It depends on the sampler's seed and the finished trials alone: not on what was cut off.

    kind: whose parameters they are.  first: the first trial's values, None where the sampler chooses those too.
    """
    known = len(finished(study))
    seed = int(hashlib.sha256(f"{search.seed} {known}".encode()).hexdigest()[:8], 16)
    study.sampler = optuna.samplers.TPESampler(seed=seed)
    if known == 0 and first is not None and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.enqueue_trial(dict(first))
    whole = {name for name in search.space if kind.model_fields[name].annotation is int}
    return study.ask({name: _distribution(values, name in whole) for name, values in search.space.items()})


def row(study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
    """A trial for a table: its values, what became of it, its metric (of a pruned one the last), epochs, seconds."""
    told = trial.intermediate_values
    last = told[max(told)] if told else None
    metric = study.user_attrs.get(METRIC, "value")
    return {
        **trial.params,
        "state": {TrialState.COMPLETE: DONE, TrialState.PRUNED: PRUNED}.get(trial.state, FAILED),
        metric: trial.value if trial.state == TrialState.COMPLETE else last,
        "epochs": max(told) + 1 if told else 0,
        "seconds": trial.user_attrs.get(SECONDS, 0.0),
        **({"reason": trial.user_attrs[REASON]} if REASON in trial.user_attrs else {}),
    }


def best(study: optuna.Study) -> FrozenTrial | None:
    """The best of the trials that went to their end; of equals the first."""
    done = [trial for trial in finished(study) if trial.state == TrialState.COMPLETE]
    sign = -1 if study.direction == optuna.study.StudyDirection.MINIMIZE else 1
    return max(done, key=lambda trial: (sign * (trial.value or 0.0), -trial.number), default=None)


def importance(study: optuna.Study) -> dict[str, float]:
    """How much of the difference between trials each parameter explains, in [0, 1], summing to 1: the largest first.

    By fANOVA (Hutter et al., 2014) on the trials that went to their end; empty while they are fewer than four
    or all alike.
    """
    done = [trial for trial in finished(study) if trial.state == TrialState.COMPLETE]
    if len(done) < 4 or len({trial.value for trial in done}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    try:
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except RuntimeError:  # its trees found no split: no parameter explains anything
        return {}
    return {name: round(float(value), 4) for name, value in found.items()}


def _pruner(search: Search, epochs: int) -> optuna.pruners.BasePruner:
    if search.pruning == "none":
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=int(WARM_UP * epochs))


def _distribution(values: Span | list[Any], whole: bool) -> BaseDistribution:
    if isinstance(values, list):
        return CategoricalDistribution(values)
    if whole:
        return IntDistribution(int(values.low), int(values.high), log=values.log, step=int(values.step or 1))
    return FloatDistribution(values.low, values.high, log=values.log, step=values.step)
