"""A sweep tries value after value, goes on where it was killed, and is done once."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from models.runtime.faults import Fault
from tasks import sweep as verb
from tasks.attempts import Attempt
from tasks.registry import client
from tasks.search import Search
from tasks.sweep import sweep, sweep_folder
from tests.registered import pinned, planned

SMALL = {"template": "resnet18", "image_size": 32, "epochs": 4, "batch_size": 4}
SPACE = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "label_smoothing": [0.0, 0.1, 0.2]}


def search(**changed: Any) -> Search:
    return Search.model_validate({"space": SPACE, "trials": 8} | changed)


class Trainings:
    """Stands in for trainings: what each is worth is said by a function of its parameters; none takes time."""

    def __init__(self, worth) -> None:
        self.worth, self.begun, self.ends, self.killed_at = worth, [], [], 0

    def __call__(self, plan, dataset, folder, stage, title, watch) -> Attempt:
        self.begun.append(plan.given)
        folder.mkdir(parents=True, exist_ok=True)
        history = []
        for epoch in range(plan.given["epochs"]):
            if len(self.begun) == self.killed_at:
                raise KeyboardInterrupt
            value = self.worth(plan.given) * (epoch + 1) / plan.given["epochs"]
            row = {"epoch": epoch, "val_accuracy": value, "val_loss": 1 - value, "seconds": epoch + 1.0}
            history.append(row)
            (folder / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in history))
            watch(row)
        self.ends.append(plan.given)
        return Attempt(history, "val_accuracy", 1.0)


@pytest.fixture
def plan(tmp_path):
    return planned(pinned(tmp_path / "shapes"), **SMALL)


@pytest.fixture
def trainings(monkeypatch):
    def use(worth) -> Trainings:
        trainings = Trainings(worth)
        monkeypatch.setattr(verb, "attempt", trainings)
        monkeypatch.setattr(verb, "plot_sweep", lambda *_: [])
        return trainings

    return use


def rate(given: dict[str, Any]) -> float:
    """The higher the learning rate, the better."""
    return given["learning_rate"] / 0.011


def values(calls: list[dict[str, Any]]) -> list[tuple[float, float]]:
    return [(given["learning_rate"], given["label_smoothing"]) for given in calls]


def test_the_best_of_all_trials_is_found_and_the_first_is_the_training_as_given(plan, trainings):
    ran = trainings(rate)
    found = sweep.fn(plan, SMALL, search(pruning="none"))
    assert (len(found.trials), found.measured, found.metric) == (8, 8, "val_accuracy")
    assert found.best["learning_rate"] == max(given["learning_rate"] for given in ran.begun)
    assert found.value == pytest.approx(found.best["learning_rate"] / 0.011)
    assert values(ran.begun)[0] == (plan.given["learning_rate"], plan.given["label_smoothing"])
    assert {row["state"] for row in found.trials} == {"done"}
    assert max(found.importance, key=found.importance.get) == "learning_rate"
    assert sum(found.importance.values()) == pytest.approx(1, abs=1e-3)
    assert found.trials[0].keys() == {"trial", *SPACE, "state", "val_accuracy", "epochs", "seconds"}


def test_a_finished_sweep_does_nothing_and_more_trials_go_on_from_it(plan, trainings):
    trainings(rate)
    first = sweep.fn(plan, SMALL, search(trials=5))
    ran = trainings(rate)
    again = sweep.fn(plan, SMALL, search(trials=5))
    assert (ran.begun, again) == ([], first)
    more = sweep.fn(plan, SMALL, search(trials=7))
    assert (len(ran.begun), more.measured, more.run) == (2, 2, first.run)
    assert more.trials[:5] == first.trials


@pytest.mark.parametrize("killed_at", [1, 4])
def test_a_killed_sweep_goes_on_with_the_very_trial_and_ends_as_if_it_had_not_been(plan, trainings, killed_at):
    whole = trainings(rate)
    expected = sweep.fn(plan, SMALL, search(trials=6))
    other = planned(plan.dataset, **SMALL)  # the same under another name: a study of its own
    ran = trainings(rate)
    ran.killed_at = killed_at
    with pytest.raises(KeyboardInterrupt):
        sweep.fn(other, SMALL, search(trials=6))
    ran.killed_at = 0
    found = sweep.fn(other, SMALL, search(trials=6))
    assert values(ran.begun[:killed_at] + ran.begun[killed_at + 1 :]) == values(whole.begun)
    assert (found.best, found.value, found.trials) == (expected.best, expected.value, expected.trials)
    assert not list((sweep_folder(other, search(trials=6)) / "trials").iterdir())


def test_what_is_worse_than_the_others_were_is_pruned(plan, trainings):
    worths = (0.9, 0.8, 0.9, 0.8, 0.1, 0.95)
    ran = trainings(lambda given: worths[len(ran.begun) - 1])
    found = sweep.fn(plan, SMALL, search(trials=6))
    assert [row["state"] for row in found.trials] == ["done"] * 4 + ["pruned", "done"]
    assert found.trials[4]["epochs"] < 4 == found.trials[5]["epochs"]
    assert len(ran.begun) == 6 and len(ran.ends) == 5
    assert found.value == 0.95


def test_a_trial_that_fails_is_told_and_not_the_best(plan, trainings):
    def worth(given):
        if given["learning_rate"] > 2e-3:
            raise Fault("the training diverged: its loss is nan")
        return rate(given)

    trainings(worth)
    found = sweep.fn(plan, SMALL, search(trials=10, pruning="none"))
    failed = [row for row in found.trials if row["state"] == "failed"]
    assert failed and all(row["reason"].startswith("the training diverged") for row in failed)
    assert found.best["learning_rate"] <= 2e-3


def test_a_sweep_whose_first_trials_all_fail_ends(plan, trainings):
    def never(given):
        raise Fault("weights: cannot be read")

    ran = trainings(never)
    with pytest.raises(Fault, match=r"the first 3 trials all failed, the last one: weights: cannot be read"):
        sweep.fn(plan, SMALL, search())
    assert len(ran.begun) == 3


def test_an_error_of_ours_is_no_trials_fault(plan, trainings):
    def broken(given):
        raise RuntimeError("a bug")

    trainings(broken)
    with pytest.raises(RuntimeError, match="a bug"):
        sweep.fn(plan, SMALL, search())


def test_a_metric_that_is_not_measured_is_told_with_the_nearest(plan, trainings):
    ran = trainings(rate)
    with pytest.raises(Fault, match=r"no 'val_acuracy' is measured\. .* Did you mean 'val_accuracy'\?"):
        sweep.fn(plan, SMALL, search(metric="val_acuracy"))
    assert len(ran.begun) == 1


def test_a_loss_is_the_better_the_lower_it_is(plan, trainings):
    trainings(rate)
    found = sweep.fn(plan, SMALL, search(metric="val_loss", pruning="none"))
    assert found.value == min(row["val_loss"] for row in found.trials)


def test_no_trial_begins_when_the_time_is_up(plan, trainings):
    trainings(rate)
    found = sweep.fn(plan, SMALL, search(seconds=10))  # each says it took four
    assert len(found.trials) == 3


def test_a_real_training_is_stopped_when_it_is_pruned(plan, monkeypatch):
    monkeypatch.setattr("optuna.trial.Trial.should_prune", lambda trial: trial.number == 1)
    monkeypatch.setattr(verb, "plot_sweep", lambda *_: [])
    found = sweep.fn(plan, SMALL | {"epochs": 2}, search(trials=2))
    assert [(row["state"], row["epochs"]) for row in found.trials] == [("done", 2), ("pruned", 1)]
    experiment = client().get_run(found.run).info.experiment_id
    below = client().search_runs([experiment], f"tags.`mlflow.parentRunId` = '{found.run}'")
    ends = {run.data.tags["mlflow.runName"]: (run.info.status, run.data.tags.get("pruned")) for run in below}
    assert ends == {"trial 1": ("FINISHED", None), "trial 2": ("KILLED", "true")}


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A sweep of two real trainings of one epoch."""
    folder = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        small = SMALL | {"epochs": 1}
        plan = planned(pinned(folder / "shapes"), **small)
        found = sweep.fn(plan, small, search(trials=2))
    return SimpleNamespace(plan=plan, found=found)


def test_each_trial_is_a_run_below_the_sweeps(real):
    parent = client().get_run(real.found.run)
    assert (parent.data.tags["stage"], parent.info.status) == ("sweep", "FINISHED")
    assert parent.data.metrics["best_val_accuracy"] == real.found.value
    below = client().search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{real.found.run}'")
    assert sorted(run.data.tags["mlflow.runName"] for run in below) == ["trial 1", "trial 2"]
    assert {(run.data.tags["stage"], run.info.status) for run in below} == {("trial", "FINISHED")}
    assert {float(run.data.params["learning_rate"]) for run in below} == {
        row["learning_rate"] for row in real.found.trials
    }


def test_the_table_and_the_pictures_are_in_mlflow(real):
    files = {file.path for file in client().list_artifacts(real.found.run, "sweep")}
    assert files == {"sweep/trials.png", "sweep/trials.csv", "sweep/sweep.json"}


def test_the_importance_is_drawn_where_it_is_known(tmp_path):
    from tasks.sweep_plots import plot_sweep

    rows = [{"learning_rate": 10**-i, "label_smoothing": 0.1, "state": "done", "val_accuracy": i / 5} for i in (2, 3)]
    rows.append(rows[0] | {"state": "pruned"})
    drawn = plot_sweep(rows, "val_accuracy", {"learning_rate": 0.8, "label_smoothing": 0.2}, search(), tmp_path)
    assert [path.name for path in drawn] == ["trials.png", "importance.png"]
