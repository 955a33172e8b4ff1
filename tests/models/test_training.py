"""A training is the same every time, goes on where it was interrupted, and learns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torchmetrics.functional.classification import multiclass_accuracy

from models import averaging, checkpoints, training
from models.checkpoints import write_durably
from models.classifier import Classifier
from models.detector import Detector
from models.duration import duration
from models.history import TIMES
from models.learner import Learner
from models.optimization import schedule
from models.parameters import ClassifierParameters, DetectorParameters, NetworkParameters, Parameters, parameters
from models.runtime import networks
from models.runtime.faults import Fault
from models.training import fit
from tasks.data.dataset import Dataset
from tasks.data.loading import loader
from tests.drawn import SHAPES, shapes

TYPES = {Classifier: "visual-classifier", Detector: "visual-detector"}


class Interrupted(RuntimeError):
    """Stands for whatever ends a training early."""


@pytest.fixture(autouse=True)
def on_a_cpu(monkeypatch) -> None:
    """Only there are two trainings the same bit for bit."""
    trainer = training.pl.Trainer
    monkeypatch.setattr(training.pl, "Trainer", lambda **given: trainer(**given | {"accelerator": "cpu"}))


@pytest.fixture
def tiny(monkeypatch) -> None:
    """A network of a few hundred weights in the place of ResNet-18, with dropout, so that steps draw."""

    def build(concepts: int, image_size: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=2, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(32, concepts),
        )

    monkeypatch.setitem(networks.BUILDERS, "resnet18", build)


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    return shapes(tmp_path / "shapes")


def given(**more: Any) -> ClassifierParameters:
    plain = {"image_size": 32, "batch_size": 4, "epochs": 3, "learning_rate": 0.01, "precision": "float32"}
    return ClassifierParameters(**plain | more)


def train(dataset: Dataset, parameters: Parameters, folder: Path, module: Learner | None = None) -> list[dict]:
    kind = Detector if isinstance(parameters, DetectorParameters) else Classifier
    module = module or kind(parameters, dataset.concepts)  # type: ignore[arg-type]
    loaders = [loader(dataset, split, TYPES[kind], parameters, vary=split == "train") for split in ("train", "val")]
    return fit(module, *loaders, parameters, folder)


def best(folder: Path) -> bytes:
    return (folder / "best.safetensors").read_bytes()


def without_seconds(history: Sequence[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name not in TIMES} for row in history]


class Failing(Classifier):
    """Fails before step `at_step`."""

    at_step = -1

    def training_step(self, batch, at):
        if self.trainer.global_step == self.at_step:
            raise Interrupted
        return super().training_step(batch, at)


class Scored(Failing):
    """Its validation gives each epoch the score it is told."""

    score: Callable[[int], float]

    def validation_step(self, batch, at):
        self.log(self.monitored, self.score(self.current_epoch), batch_size=1)


def interrupt(parameters: ClassifierParameters, at_step: int) -> Classifier:
    """A module whose training fails before that step."""
    module = Failing(parameters, SHAPES)
    module.at_step = at_step
    return module


def scored(parameters: ClassifierParameters, score: Callable[[int], float], at_step: int = -1) -> Classifier:
    """A module whose validation gives each epoch that score; its training fails before that step."""
    module = Scored(parameters, SHAPES)
    module.score, module.at_step = score, at_step
    return module


@pytest.mark.parametrize(
    "parameters",
    [
        given(epochs=2),
        DetectorParameters(template="fcos_light", image_size=64, batch_size=4, epochs=2, augmentation="light"),
    ],
    ids=["resnet18", "fcos_light"],
)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path, parameters):
    task = "detection" if isinstance(parameters, DetectorParameters) else "classification"
    drawn = shapes(tmp_path / "shapes", task=task)
    torch.manual_seed(1)
    first = train(drawn, parameters, tmp_path / "first")
    torch.manual_seed(2)  # what was drawn before does not matter
    again = train(drawn, parameters, tmp_path / "again")
    train(drawn, parameters.model_copy(update={"seed": 1}), tmp_path / "other")
    assert best(tmp_path / "first") == best(tmp_path / "again") != best(tmp_path / "other")
    assert without_seconds(first) == without_seconds(again)


@pytest.mark.parametrize("at_step", [1, 2, 5, 6], ids=["in the first epoch", "after it", "in the third", "after that"])
def test_an_interrupted_training_ends_as_if_it_had_not_been(tmp_path, tiny, dataset, monkeypatch, at_step):
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0)
    parameters = given(epochs=5, warmup_steps=3, seed=5)
    whole = train(dataset, parameters, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(dataset, parameters, tmp_path / "parts", interrupt(parameters, at_step))
    assert (tmp_path / "parts/last.ckpt").exists()
    resumed = train(dataset, parameters, tmp_path / "parts")
    assert best(tmp_path / "parts") == best(tmp_path / "whole")
    assert without_seconds(resumed) == without_seconds(whole)
    assert [row["epoch"] for row in resumed] == [0, 1, 2, 3, 4]


def test_interrupted_twice_and_between_two_checkpoints(tmp_path, tiny, dataset, monkeypatch):
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0)
    parameters = given(epochs=5)
    train(dataset, parameters, tmp_path / "whole")
    for at_step in (3, 5):
        with pytest.raises(Interrupted):
            train(dataset, parameters, tmp_path / "parts", interrupt(parameters, at_step))
        monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 1000)  # the second part saves nothing
    history = train(dataset, parameters, tmp_path / "parts")
    assert best(tmp_path / "parts") == best(tmp_path / "whole")
    assert len(history) == 5


def test_a_finished_training_is_not_repeated(tmp_path, tiny, dataset, monkeypatch):
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0)
    parameters = given()
    history = train(dataset, parameters, tmp_path / "run")
    weights = best(tmp_path / "run")
    assert train(dataset, parameters, tmp_path / "run", interrupt(parameters, 0)) == history
    assert best(tmp_path / "run") == weights


def test_no_half_file_is_left_beside(tmp_path, tiny, dataset, monkeypatch):
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0)
    train(dataset, given(epochs=2), tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "best.safetensors",
        "history.jsonl",
        "last.ckpt",
        "progress.json",
    ]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(file) -> None:
        file.write(b"half")
        raise Interrupted

    with pytest.raises(Interrupted):
        write_durably(path, fail)
    assert path.read_bytes() == b"old"
    write_durably(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"


def test_history_has_a_row_an_epoch(tmp_path, tiny, dataset):
    history = train(dataset, given(epochs=3), tmp_path / "run")
    assert [(row["epoch"], row["step"]) for row in history] == [(0, 2), (1, 4), (2, 6)]
    for row in history:
        assert {"train_loss", "val_loss", "val_accuracy", "learning_rate", "seconds"} <= row.keys()
        assert 0 <= row["val_accuracy"] <= 1
    assert not (tmp_path / "run/last.ckpt").exists()  # nothing worth saving was at stake yet
    lines = (tmp_path / "run/history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == history


def test_the_schedule_counts_steps(tmp_path, tiny, dataset):
    parameters = given(epochs=4, warmup_steps=2)
    history = train(dataset, parameters, tmp_path / "run")
    factor = schedule(parameters, 8)  # two steps an epoch
    expected = [parameters.learning_rate * factor(step) for step in (2, 4, 6, 8)]
    assert [row["learning_rate"] for row in history] == pytest.approx(expected)


def test_a_long_training_is_validated_now_and_then_and_at_its_end(tmp_path, tiny, dataset, monkeypatch):
    monkeypatch.setattr(training, "VALIDATIONS", 2)
    history = train(dataset, given(epochs=9), tmp_path / "run")
    assert [row["epoch"] for row in history if "val_accuracy" in row] == [2, 5, 8]


@pytest.mark.parametrize("epochs", [1, 2, 19, 20, 39, 41, 60, 97, 100, 1000])
def test_about_twenty_validations_and_the_last_epoch_among_them(epochs):
    every = training._validate_every(epochs)
    assert epochs % every == 0
    assert epochs // every >= min(epochs, training.VALIDATIONS)


def test_it_learns_an_easy_set(tmp_path, tiny, dataset):
    parameters = given(epochs=15, augmentation="none", label_smoothing=0, learning_rate=0.03)
    history = train(dataset, parameters, tmp_path / "run")
    losses = [row["train_loss"] for row in history]
    assert losses[-1] < 0.5 * losses[0]
    assert max(row["val_accuracy"] for row in history) == 1.0


def test_the_best_weights_are_kept_and_are_those_that_were_measured(tmp_path, tiny, dataset):
    parameters = given(epochs=8, label_smoothing=0)
    module = Classifier(parameters, dataset.concepts)
    history = train(dataset, parameters, tmp_path / "run", module)
    module.network.load_state_dict(load_file(tmp_path / "run/best.safetensors"))
    module.eval()
    rows = list(loader(dataset, "val", "visual-classifier", parameters, vary=False))
    with torch.inference_mode():
        logits = torch.cat([module.network(module.seen(images)) for images, _ in rows])
    labels = torch.cat([targets for _, targets in rows]).argmax(1)
    measured = float(multiclass_accuracy(logits, labels, len(SHAPES), average="micro"))
    top = max(row["val_accuracy"] for row in history)
    latest = [row for row in history if row["val_accuracy"] == top][-1]  # of equals the later
    assert measured == top
    assert float(nn.functional.cross_entropy(logits, labels)) == pytest.approx(latest["val_loss"], rel=1e-4)


def test_of_equals_the_later_weights_are_kept(tmp_path, tiny, dataset):
    parameters = given()
    for name, score in (
        ("rising", lambda epoch: epoch / 10),
        ("equal", lambda epoch: 0.5),
        ("falling", lambda epoch: -epoch / 10),
    ):
        train(dataset, parameters, tmp_path / name, scored(parameters, score))
    assert best(tmp_path / "equal") == best(tmp_path / "rising") != best(tmp_path / "falling")


def test_a_resumed_training_does_not_write_over_better_weights(tmp_path, tiny, dataset, monkeypatch):
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0)
    parameters = given(epochs=4)
    train(dataset, parameters, tmp_path / "whole", scored(parameters, lambda epoch: 1 - epoch / 10))
    with pytest.raises(Interrupted):
        train(dataset, parameters, tmp_path / "parts", scored(parameters, lambda epoch: 1 - epoch / 10, at_step=5))
    train(dataset, parameters, tmp_path / "parts", scored(parameters, lambda epoch: 1 - epoch / 10))
    assert best(tmp_path / "parts") == best(tmp_path / "whole")


def test_early_stopping_stops(tmp_path, tiny, dataset):
    parameters = given(epochs=12, early_stopping_epochs=2)
    assert len(train(dataset, parameters, tmp_path / "run", scored(parameters, lambda epoch: 0.5))) == 3


def test_early_stopping_lets_go_on_what_improves(tmp_path, tiny, dataset):
    parameters = given(epochs=6, early_stopping_epochs=1)
    assert len(train(dataset, parameters, tmp_path / "run", scored(parameters, lambda epoch: epoch / 10))) == 6


def test_several_concepts_a_picture(tmp_path, tiny, dataset):
    parameters = given(epochs=15, augmentation="none", learning_rate=0.03, concepts_mutually_exclusive=False)
    history = train(dataset, parameters, tmp_path / "run")
    assert history[-1]["train_loss"] < 0.8 * history[0]["train_loss"]
    assert max(row["val_average_precision"] for row in history) == 1.0


def test_a_detector_learns_to_draw(tmp_path):
    drawn = shapes(tmp_path / "shapes", task="detection", size=64)
    parameters = DetectorParameters(
        template="fcos_light", image_size=64, batch_size=4, epochs=4, augmentation="none", learning_rate=0.003
    )
    history = train(drawn, parameters, tmp_path / "run")
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert 0 <= history[-1]["val_map_50"] <= 1


def test_a_validation_split_without_a_box_scores_zero(tmp_path):
    drawn = shapes(tmp_path / "shapes", train=4, val=0, task="detection", size=64)
    empty = shapes(tmp_path / "empty", train=0, val=2, task="classification", size=64)
    parameters = DetectorParameters(template="fcos_light", image_size=64, batch_size=4, epochs=1)
    loaders = [loader(drawn, "train", "visual-detector", parameters, vary=True)]
    loaders.append(loader(empty, "val", "visual-detector", parameters, vary=False))
    history = fit(Detector(parameters, SHAPES), *loaders, parameters, tmp_path / "run")
    assert history[0]["val_map_50"] == 0.0


def test_a_training_that_diverges_says_so(tmp_path, tiny, dataset, monkeypatch):
    module = Classifier(given(learning_rate=2.5), SHAPES)
    monkeypatch.setattr(Classifier, "loss", lambda self, logits, targets: logits.sum() * float("nan"))
    with pytest.raises(Fault, match=r"diverged: its loss is nan in epoch 0\. Set a learning_rate below 2\.5"):
        train(dataset, module.given, tmp_path / "run", module)


def test_a_picture_a_step_is_too_few_for_batch_norm_on_a_map_of_one_cell(tmp_path, dataset):
    parameters = given(template="mobilenet_v3_large", batch_size=1)
    told = r"the batch-norm of mobilenet_v3_large needs two pictures .* and got one\. Set batch_size: 2 or more\."
    with pytest.raises(Fault, match=told):
        train(dataset, parameters, tmp_path)


@pytest.mark.parametrize(("count", "left"), [(0, 0.1), (2, 0.25), (89, 90 / 99), (10**6, 0.998)])
def test_the_average_keeps_more_of_the_past_the_longer_it_is(count, left):
    averaged, current = [torch.ones(2), torch.ones(3)], [torch.zeros(2), torch.zeros(3)]
    averaging.average(0.998)(averaged, current, torch.tensor(count))
    assert [float(tensor[0]) for tensor in averaged] == pytest.approx([left, left])


def test_counters_are_copied_not_averaged():
    averaged = [torch.tensor(3)]
    averaging.average(0.998)(averaged, [torch.tensor(8)], torch.tensor(100))
    assert averaged == [8]


def test_half_precision_trains(tmp_path, tiny, dataset):
    history = train(dataset, given(epochs=2, precision="bfloat16"), tmp_path / "run")
    assert len(history) == 2
    assert {tensor.dtype for tensor in load_file(tmp_path / "run/best.safetensors").values()} <= {
        torch.float32,
        torch.int64,
    }


@pytest.mark.parametrize(
    ("precision", "supported", "half"),
    [("auto", True, True), ("auto", False, False), ("float32", True, False), ("bfloat16", False, True)],
)
def test_half_precision_is_chosen_where_the_processor_has_it(monkeypatch, precision, supported, half):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: supported)
    assert training.lightning_precision(given(precision=precision)) == ("bf16-mixed" if half else "32-true")


def test_a_mobilenet_is_not_slowed_by_half_precision(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    for told in ({"template": "mobilenet_v3_large"}, {"template": "angular_margin", "backbone": "mobilenet_v2"}):
        checked = parameters(told)
        assert isinstance(checked, NetworkParameters)
        assert training.lightning_precision(checked) == "32-true"


def test_sgd_trains(tmp_path, tiny, dataset):
    parameters = given(epochs=8, optimizer="sgd", learning_rate=0.05, augmentation="none")
    history = train(dataset, parameters, tmp_path / "run")
    assert history[-1]["train_loss"] < history[0]["train_loss"]


def test_early_stopping_needs_a_metric_that_there_is(tmp_path, tiny, dataset):
    parameters = given(early_stopping_epochs=2, early_stopping_metric="val_acuracy")
    told = r"early_stopping_metric: there is no 'val_acuracy'\. A classifier measures: val_accuracy, val_loss\."
    with pytest.raises(Fault, match=told):
        train(dataset, parameters, tmp_path / "run")
    with pytest.raises(Fault, match=r"early_stopping_epochs: with splits train\+val nothing is measured"):
        fit(Classifier(given(), SHAPES), [], None, given(early_stopping_epochs=2), tmp_path / "run")


def test_early_stopping_counts_a_loss_down(tmp_path, tiny, dataset, monkeypatch):
    monkeypatch.setattr(Classifier, "loss", lambda self, logits, targets: logits.sum() * 0 + 1)
    parameters = given(epochs=12, early_stopping_epochs=2, early_stopping_metric="val_loss")
    assert len(train(dataset, parameters, tmp_path / "run")) == 3
    stopping = training._stopping(Classifier(given(), SHAPES), parameters, True)[0]
    assert stopping.mode == "min"  # type: ignore[attr-defined]


def test_without_averaging_the_weights_themselves_are_kept(tmp_path, tiny, dataset):
    module = Classifier(given(epochs=1, ema_decay=0), SHAPES)
    train(dataset, module.given, tmp_path / "run", module)
    kept = load_file(tmp_path / "run/best.safetensors")
    assert all(torch.equal(tensor, kept[name]) for name, tensor in module.network.state_dict().items())
    train(dataset, given(epochs=1), tmp_path / "averaged")
    assert best(tmp_path / "averaged") != best(tmp_path / "run")


def test_it_says_how_long_it_will_take(tmp_path, tiny, dataset, monkeypatch):
    monkeypatch.setattr("models.progress.WRITE_SECONDS", 0)
    said: list[str] = []
    parameters = given(epochs=6)
    splits = ("train", "val")
    loaders = [loader(dataset, split, "visual-classifier", parameters, vary=split == "train") for split in splits]
    rows = fit(Classifier(parameters, SHAPES), *loaders, parameters, tmp_path / "run", say=said.append)
    estimate = next(line for line in said if "to go (" in line)
    assert re.fullmatch(
        r"about \d+ s to go \(6 epochs, 2 steps each, [\d.e-]+ s a step; validations not counted\)", estimate
    )
    epochs = [line for line in said if line.startswith("epoch")]
    assert re.fullmatch(r"epoch 3 of 6: val_accuracy \S+, loss \S+, \d+ s so far.*% of it waiting for data", epochs[2])
    assert all(0 < row["data_wait"] <= 1 for row in rows)
    assert rows[-1]["remaining"] == 0 and rows[2]["remaining"] > 0
    told = json.loads((tmp_path / "run/progress.json").read_text())
    assert told.keys() == {"epoch", "epochs", "step", "steps", "seconds", "remaining"}
    assert (told["epochs"], told["steps"], told["remaining"]) == (6, 2, 0)


def test_durations_are_for_people():
    assert [duration(seconds) for seconds in (4.4, 100, 5400, 11_100)] == ["4 s", "2 min", "1 h 30 min", "3 h 5 min"]
