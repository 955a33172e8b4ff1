"""A training is done once: told to MLflow in full, gone on with when interrupted, refused where it makes no sense."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from safetensors.torch import load_file

from models import checkpoints
from models.classifier import Classifier
from models.parameters import ClassifierParameters, DetectorParameters
from models.runtime.faults import Fault
from tasks import train as verb
from tasks.data.dataset import Dataset
from tasks.evaluate import evaluate
from tasks.output import output_folder
from tasks.plan import TrainingPlan, labels_digest
from tasks.registry import client
from tasks.tracking import start_run
from tasks.train import alone, check_trainable, plan_training, train, unseen, work_folder
from tests.registered import pinned, planned, registered


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished training of two epochs, of the app `nightly`."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        plan = planned(pinned(folder / "shapes"), app="nightly", epochs=2)
        checkpoint = train.fn(plan)
    run = client().get_run(checkpoint.run)
    return SimpleNamespace(plan=plan, checkpoint=checkpoint, run=run, folder=Path(checkpoint.weights).parent)


@pytest.fixture
def plan(tmp_path):
    return planned(pinned(tmp_path / "shapes"))


def test_a_checkpoint_says_how_it_went(done):
    history = [json.loads(line) for line in (done.folder / "history.jsonl").read_text().splitlines()]
    best = max(row["val_accuracy"] for row in history)
    found = done.checkpoint
    assert (found.monitored, found.best, found.epochs, found.version) == ("val_accuracy", best, 2, "")
    assert 0 < found.seconds < 600
    assert "head.weight" in load_file(found.weights)


def test_mlflow_knows_parameters_data_and_code(done):
    data, inputs = done.run.data, done.run.inputs.dataset_inputs
    assert data.params == {name: str(value) for name, value in done.plan.given.items()}
    assert data.params["image_size"] == "32"
    assert [(each.dataset.name, each.dataset.digest) for each in inputs] == [("shapes", done.plan.dataset.version)]
    known = {name: data.tags[name] for name in ("model", "dataset", "dataset_version", "plan", "sources")}
    assert known == {
        "model": done.plan.name,
        "dataset": "shapes",
        "dataset_version": done.plan.dataset.version,
        "plan": done.plan.digest,
        "sources": done.plan.sources,
    }
    assert data.tags["precision"] in ("bf16-mixed", "32-true")
    assert {"git_revision", "python", "processor", "torch", "torchvision", "pytorch-lightning"} <= data.tags.keys()
    assert client().get_experiment(done.run.info.experiment_id).name == "nightly"


def test_mlflow_has_each_epochs_numbers_and_the_curves(done):
    for name in ("train_loss", "val_loss", "val_accuracy"):
        assert len(client().get_metric_history(done.checkpoint.run, name)) == 2, name
    assert done.run.data.metrics["best_val_accuracy"] == done.checkpoint.best
    files = {file.path for file in client().list_artifacts(done.checkpoint.run, "training")}
    assert files == {"training/history.jsonl", "training/training.png"}


def test_the_run_is_closed(done):
    assert done.run.info.status == "FINISHED"


def test_what_is_registered_is_not_trained_again(plan, monkeypatch):
    version = registered(plan)
    monkeypatch.setitem(sys.modules, "pytorch_lightning", None)  # to import it is an error now
    found = train.fn(plan)
    assert (found.version, found.run, found.weights) == (str(version), version.run, "")


@pytest.mark.parametrize("changed", ["seed", "data", "code"])
def test_what_changed_is_trained(plan, monkeypatch, changed):
    registered(plan)
    fitted = verb.Checkpoint(run="new")
    monkeypatch.setattr(verb, "_fit", lambda plan, folder, machines: folder.mkdir(parents=True) or fitted)
    other = plan.dataset.model_dump() | {"version": "f" * 32 + ".dir"}
    changes = {
        "seed": {"given": plan.given | {"seed": 1}},
        "data": {"dataset": other},
        "code": {"sources": "other"},
    }
    assert train.fn(TrainingPlan(**plan.model_dump() | changes[changed])) == fitted


def test_what_is_trained_and_not_registered_is_not_trained_again(done, plan, monkeypatch):
    folder = work_folder(plan)
    folder.mkdir(parents=True)
    (folder / "checkpoint.json").write_text(done.checkpoint.model_dump_json())
    monkeypatch.setattr(verb, "_fit", None)
    assert train.fn(plan) == done.checkpoint


def test_an_interrupted_training_goes_on_in_its_run(plan, monkeypatch):
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0)
    plan = planned(plan.dataset, epochs=2)
    step = Classifier.training_step

    def interrupted(self, *given):
        if self.trainer.global_step == 2:  # of two steps an epoch
            raise KeyboardInterrupt
        return step(self, *given)

    with monkeypatch.context() as patch, pytest.raises(BaseException) as stopped:
        patch.setattr(Classifier, "training_step", interrupted)
        train.fn(plan)
    assert isinstance(stopped.value, KeyboardInterrupt | SystemExit)
    run = (work_folder(plan) / "run.txt").read_text()
    assert not (work_folder(plan) / "checkpoint.json").exists()
    found = train.fn(plan)
    assert (found.run, found.epochs) == (run, 2)
    assert len(client().get_metric_history(run, "val_accuracy")) == 2
    runs = client().search_runs([client().get_run(run).info.experiment_id])
    assert [each.info.run_id for each in runs] == [run]


def test_every_reason_why_it_cannot_train_is_named_at_once(plan):
    dataset = plan.dataset.open()
    shown = tuple(replace(entry, concepts=("tall", "wide")) for entry in dataset.split("train"))
    several = Dataset("signs", dataset.folder, "classification", False, ("tall", "wide", "zebra"), shown)
    with pytest.raises(Fault) as refused:
        check_trainable(several, plan)
    assert str(refused.value) == (
        f"dataset signs: cannot train {plan.name}: some images have several concepts or none; set "
        "concepts_mutually_exclusive: false; its val split is empty (ingest it under another name with "
        "--split 80/10/10)."
    )


def test_a_classifier_needs_labels_of_whole_images_and_two_concepts(tmp_path):
    plan = planned(pinned(tmp_path / "shapes"))
    boxes = pinned(tmp_path / "scenes", task="detection").open()
    alone = Dataset("bars", boxes.folder, "detection", True, ("tall",), boxes.annotations)
    reasons = r"labels are for detection, and resnet18 needs classification; a classifier needs two concepts or more"
    with pytest.raises(Fault, match=reasons):
        check_trainable(alone, plan)


def test_a_detector_needs_boxes_and_one_concept_will_do(tmp_path):
    plan = planned(pinned(tmp_path / "scenes", task="detection"))
    whole = pinned(tmp_path / "shapes").open()
    with pytest.raises(Fault, match=r"labels are for classification, and fcos_light needs detection\.$"):
        check_trainable(whole, plan)
    boxes = plan.dataset.open()
    tall = tuple(entry for entry in boxes.annotations if entry.box_concepts == ("tall",))
    check_trainable(Dataset("bars", boxes.folder, "detection", True, ("tall",), tall), plan)


def test_images_with_several_concepts_train_where_concepts_do_not_exclude_each_other(plan):
    dataset = plan.dataset.open()
    several = Dataset("signs", dataset.folder, "classification", False, dataset.concepts, dataset.annotations)
    with pytest.raises(Fault, match="set concepts_mutually_exclusive: false"):
        check_trainable(several, plan)
    check_trainable(several, planned(plan.dataset, concepts_mutually_exclusive=False))


def test_a_plan_is_checked_when_it_is_made(tmp_path):
    empty = pinned(tmp_path / "shapes", ("test",) * 4)
    with pytest.raises(Fault, match=r"cannot train shapes-classifier: its train split is empty .*; its val split"):
        plan_training(empty, ClassifierParameters())
    with pytest.raises(Fault, match="cannot train shapes-detector: its labels are for classification"):
        plan_training(empty, DetectorParameters())


@pytest.mark.parametrize("name", ["a/b", "roofs@new", "it's", "a:b", ".a", "-a", "a b", "a ", "a\n", "🏠"])
def test_a_name_that_no_model_can_have_is_refused_before_any_work(plan, name):
    with pytest.raises(Fault, match=r"cannot name a model: letters, digits, '-', '_' and '\.'"):
        planned(plan.dataset, name)


@pytest.mark.parametrize(("letter", "most"), [("a", 200), ("ü", 100)])
def test_a_name_that_no_file_can_be_called_after_is_refused_before_any_work(plan, letter, most):
    told = rf"{letter}{{59}}…{letter}{{20}}' cannot name a model: it takes \d+ bytes, and 200 are allowed"
    with pytest.raises(Fault, match=told):
        planned(plan.dataset, letter * (most + 1))
    version = registered(planned(plan.dataset, letter * most))
    with output_folder(version.slug, "a run", "") as folder:
        assert folder.is_dir()
    assert str(evaluate.fn(version, plan.dataset, "test").model) == f"{letter * most}/1"


def test_a_training_that_fails_is_marked_failed(plan):
    broken = planned(plan.dataset, weights="nowhere.safetensors")
    with pytest.raises(Fault, match=r"weights: nowhere\.safetensors cannot be read"):
        train.fn(broken)
    run = (work_folder(broken) / "run.txt").read_text()
    assert client().get_run(run).info.status == "FAILED"


def test_one_training_is_at_work_on_a_plan_at_a_time(plan):
    order = []

    def second():
        with alone(plan):
            order.append("second")

    with alone(plan):
        waiting = Thread(target=second)
        waiting.start()
        waiting.join(0.2)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


def test_a_concept_without_a_training_image_is_told_and_no_hindrance(tmp_path):
    dataset = pinned(tmp_path / "shapes").open()
    assert unseen(dataset, "train") == []
    more = replace(dataset, concepts=(*dataset.concepts, "zigzag"))
    assert unseen(more, "train+val") == ["zigzag"]
    check_trainable(more, planned(pinned(tmp_path / "again")))


def test_what_was_learned_from_two_versions_at_once_is_not_kept(plan, monkeypatch):
    pinned_there = plan.dataset.model_copy(update={"labels": labels_digest(Path(plan.dataset.folder))})
    torn = plan.model_copy(update={"dataset": pinned_there})

    def fitted(plan, folder, machines):
        folder.mkdir(parents=True)
        with (Path(plan.dataset.folder) / "annotations.jsonl").open("a") as file:
            file.write("\n")
        return verb.Checkpoint(run="new")

    monkeypatch.setattr(verb, "_fit", fitted)
    with pytest.raises(Fault, match=r"ingested anew while .* was trained on it.* not kept"):
        train.fn(torn)
    assert not work_folder(torn).exists()


def test_labels_that_cannot_be_read_for_a_moment_cost_no_training(plan, monkeypatch):
    pinned_there = plan.dataset.model_copy(update={"labels": labels_digest(Path(plan.dataset.folder))})
    read = plan.model_copy(update={"dataset": pinned_there})

    def fitted(plan, folder, machines):
        folder.mkdir(parents=True)
        (Path(plan.dataset.folder) / "annotations.jsonl").unlink()
        return verb.Checkpoint(run="new")

    monkeypatch.setattr(verb, "_fit", fitted)
    with pytest.raises(FileNotFoundError):
        train.fn(read)
    assert work_folder(read).exists()


def test_the_run_of_a_finished_training_deleted_in_mlflow_is_made_anew(done, plan):
    folder = work_folder(plan)
    run = start_run(plan, folder)
    (folder / "checkpoint.json").write_text(done.checkpoint.model_copy(update={"run": run}).model_dump_json())
    assert train.fn(plan).run == run
    client().delete_run(run)
    again = train.fn(plan).run
    assert again != run
    assert client().get_run(again).info.lifecycle_stage == "active"


def test_learning_from_train_and_val_keeps_the_last_weights(tmp_path):
    plan = planned(pinned(tmp_path / "shapes"), splits="train+val", min_samples_per_epoch=16)
    found = train.fn(plan)
    assert (found.monitored, found.best, found.epochs) == ("", 0.0, 1)
    history = [json.loads(line) for line in (work_folder(plan) / "history.jsonl").read_text().splitlines()]
    assert history[-1]["step"] == 4  # of twelve pictures, four of them val's, some came twice
    metrics = client().get_run(found.run).data.metrics
    assert {"train_loss", "data_wait", "seconds"} <= metrics.keys()
    assert not any(name.startswith(("val_", "best_")) for name in metrics)


def test_what_learns_from_all_cannot_stop_early(tmp_path):
    with pytest.raises(Fault, match=r"with splits train\+val nothing is measured to stop early by"):
        planned(pinned(tmp_path / "shapes"), splits="train+val", early_stopping_epochs=3)


def test_a_concept_to_learn_that_the_dataset_has_not(tmp_path):
    with pytest.raises(Fault, match=r"concepts: dataset shapes has no 'tal'\. Known: tall, wide\. Did you mean 'tall'"):
        planned(pinned(tmp_path / "shapes"), concepts=("tal", "wide"))
