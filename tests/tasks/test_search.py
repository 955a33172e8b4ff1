"""A sweep's file: every value is one that its parameter takes, and everything wrong is told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.runtime.faults import Fault
from tasks.search import Search, Span, read_search, told, values_of

GIVEN = {"template": "resnet18"}
SPACE = "{learning_rate: {low: 1e-4, high: 1e-2, log: true}, augmentation: [flip, strong]}"


@pytest.fixture
def read(tmp_path: Path):
    """The sweep that a file of this text is."""

    def call(text: str, **given: object) -> Search:
        path = tmp_path / "sweep.yaml"
        path.write_text(text)
        return read_search(path, GIVEN | given)

    return call


def test_ranges_and_lists_are_read_as_the_parameters_have_them(read):
    search = read(f"space: {SPACE}\ntrials: 7\npruning: none\nseconds: 60")
    assert search.space["learning_rate"] == Span(low=1e-4, high=1e-2, log=True)
    assert search.space["augmentation"] == ["flip", "strong"]
    assert (search.trials, search.seconds, search.pruning, search.metric, search.epochs) == (7, 60, "none", "", None)
    assert told(search) == "learning_rate 0.0001 to 0.01 (log); augmentation flip, strong"
    assert read("space: {batch_size: [auto, 8, 8]}").space["batch_size"] == [0, 8]  # as pydantic has read it; once


def test_every_value_at_fault_is_told_at_once_with_the_nearest_name(read):
    space = """
space:
  learning_rate: {low: 1e-4, high: 20, log: true}
  augmentaton: [flip]
  augmentation: [flip, storng]
  image_size: {low: 64, high: 256}
  optimizer: {low: 1, high: 2}
  mixup: []
  warmup_steps: {low: 8.5, high: 20}
  concepts: [[a], [b]]
  splits: [train]
metric: accuracy
"""
    with pytest.raises(Fault) as refused:
        read(space)
    text = str(refused.value)
    assert "sweep.yaml: 10 faults: " in text
    for reason in (
        "splits: cannot be tried: a trial learns from train and is measured on val",
        "metric: one of the validation's is wanted, val_loss or val_…, got 'accuracy'",
        "learning_rate: input should be less than or equal to 10, got 20.0",
        "augmentaton: no such parameter. Known: augmentation, ",
        "Did you mean 'augmentation'?",
        "augmentation: input should be 'none', 'light', 'flip' or 'strong', got 'storng'",
        "image_size: input should be a multiple of 32, got 65 (and ",
        "optimizer: is no number: give a list of its values",
        "mixup: an empty list of values",
        "warmup_steps: low, high and step must be whole numbers",
        "concepts: a value is a number, a word or true and false, got ['a'] (and 1 more of concepts)",
    ):
        assert reason in text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", r"a sweep is a mapping with a space, as in\nspace: "),
        ("{", r"not YAML"),
        ("trials: 3", r"a sweep is a mapping with a space"),
        (f"trials: 0\nspace: {SPACE}", r"trials: input should be greater than or equal to 1, got 0"),
        (f"trails: 3\nspace: {SPACE}", r"trails: no such key\. .* Did you mean 'trials'\?"),
        (f"pruning: medan\nspace: {SPACE}", r"pruning: input should be 'median' or 'none', got medan"),
        ("space: {mixup: 3}", r"space\.mixup: a list of values or a range \(low, high, step or log\) is wanted, got 3"),
        ("space: {mixup: {low: 1, hig: 2}}", r"space\.mixup\.hig: no such key\. .* Did you mean 'high'\?"),
        ("space: {mixup: {low: 2, high: 1}}", r"space\.mixup: low must be below high, got 2 and 1"),
        ("space: {mixup: {low: 0, high: 1, log: true}}", r"space\.mixup: on a log scale low must be above 0, got 0"),
        ("space: {mixup: {low: 1, high: 2, log: true, step: 1}}", r"space\.mixup: give log or step, not both"),
        ("space: {epochs: [2, 3]}\nepochs: 3", r"epochs: either every trial has as many \(epochs\) or they are tried"),
        ("space: {template: [resnet18, fcos_light]}", r"fcos_light is a visual-detector, and resnet18 is none"),
    ],
)
def test_a_file_at_fault_says_how(read, text, reason):
    with pytest.raises(Fault, match=rf"(?s)sweep\.yaml: .*{reason}"):
        read(text)


def test_a_value_must_fit_every_template_that_is_tried(read):
    with pytest.raises(Fault, match=r"image_size: resnet_light takes 32 to 640, got 1024"):
        read("space: {template: [resnet18, resnet_light], image_size: [64, 1024]}")


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(Fault, match=r"gone\.yaml: no such file or directory"):
        read_search(tmp_path / "gone.yaml", GIVEN)


def test_a_trial_is_the_training_with_its_values_and_learns_from_train_alone(read):
    search = read("space: {template: [resnet18, resnet50]}\nepochs: 3")
    trial = search.trial({"template": "resnet18", "splits": "train+val"}, {"template": "resnet50"})
    assert (trial.template, trial.epochs, trial.splits) == ("resnet50", 3, "train")
    assert trial.batch_size == 64  # resnet50's own: what is not given follows the template


def test_the_digest_is_of_what_the_trials_are_and_not_of_how_many(read):
    first = read(f"space: {SPACE}")
    assert read(f"space: {SPACE}\ntrials: 50\nseconds: 9").digest == first.digest
    assert read(f"space: {SPACE}\nseed: 1").digest != first.digest
    assert read(f"space: {SPACE}\nepochs: 2").digest != first.digest


def test_the_training_as_given_is_a_point_of_the_space_or_not(read):
    whole = read("space: {mixup: [0]}").trial(GIVEN, {})
    assert values_of(read("space: {learning_rate: {low: 1e-4, high: 1e-2}}").space, whole) == {"learning_rate": 1e-3}
    assert values_of(read("space: {learning_rate: {low: 1e-4, high: 5e-4}}").space, whole) is None
    assert values_of(read("space: {batch_size: {low: 10, high: 40, step: 3}}").space, whole) is None
    assert values_of(read("space: {augmentation: [flip], mixup: [1]}").space, whole) is None
