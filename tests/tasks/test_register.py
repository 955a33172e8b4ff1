"""A checkpoint becomes a version: its own code beside its weights, read back, and entered in the registry last."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from pathlib import Path
from urllib.parse import urlparse

import mlflow
import pytest

from models.parameters import ClassifierParameters
from models.runtime.faults import Fault
from tasks import register as verb
from tasks.artifacts import artifacts, card, trained_on
from tasks.registry import client, resolve, set_alias, trained, versions
from tasks.tracking import start_run
from tasks.train import train, work_folder
from tests.registered import SPLITS, checkpoint, lively, pinned, planned, registered


@pytest.fixture
def plan(tmp_path):
    return planned(pinned(tmp_path / "shapes"))


def test_a_version_holds_all_it_needs_to_answer(plan):
    version = registered(plan)
    folder = artifacts(version)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    code = {f"runtime/{path.relative_to(verb.RUNTIME).as_posix()}" for path in verb.RUNTIME.rglob("*.py")}
    assert names == {"card.json", "weights.safetensors", "trained_on.txt", "SHA256SUMS"} | code
    seen = (folder / "trained_on.txt").read_text().split()
    dataset = plan.dataset.open()
    assert seen == sorted(entry.sha256 for entry in dataset.annotations if entry.split != "test")
    assert len(seen) == 12


def test_its_card_says_what_it_is(plan):
    described = card(registered(plan))
    assert (described.type, described.template) == ("visual-classifier", "resnet18")
    assert (described.concepts, described.image_size, described.exclusive) == (("tall", "wide"), 32, True)
    assert (described.dataset, described.dataset_version) == ("shapes", plan.dataset.version)
    assert ClassifierParameters(**described.parameters) == plan.parameters


def test_a_detectors_card_has_its_postprocessing_and_a_threshold_picked_on_val(tmp_path):
    plan = planned(pinned(tmp_path / "scenes", task="detection"), nms_iou=0.5, max_detections=7)
    found = []

    def picked(annotations, regions, concepts):
        found.extend((annotations, regions, concepts))
        return 0.25

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verb, "best_threshold", picked)
        described = card(registered(plan, lively))
    assert (described.nms_iou, described.max_detections, described.threshold) == (0.5, 7, 0.25)
    annotations, regions, concepts = found
    assert (annotations, concepts) == (plan.dataset.open().split("val"), ("tall", "wide"))
    assert [len(each) for each in regions] == [7] * 4


def test_the_registry_says_what_it_is_without_its_weights(plan):
    version = registered(plan)
    (artifacts(version) / "weights.safetensors").unlink()
    info = mlflow.models.get_model_info(f"models:/{version}")
    assert info.metadata["sightline"] == {
        "type": "visual-classifier",
        "inputs": {"image": "image"},
        "outputs": {"concepts": "concepts"},
        "concepts": ["tall", "wide"],
        "image_size": 32,
    }
    assert info.signature.outputs.input_names() == ["image", "concept", "score"]
    assert [param.name for param in info.signature.params] == ["threshold"]


def test_a_detector_answers_regions(tmp_path):
    plan = planned(pinned(tmp_path / "scenes", task="detection"))
    info = mlflow.models.get_model_info(f"models:/{registered(plan)}")
    assert info.metadata["sightline"]["outputs"] == {"regions": "regions"}
    assert info.signature.outputs.input_names() == ["image", "concept", "score", "x0", "y0", "x1", "y1"]


def test_its_requirements_are_pinned(plan):
    version = registered(plan)
    wanted = (artifacts(version).parents[1] / "requirements.txt").read_text().split()
    assert wanted == [f"{name}=={importlib.metadata.version(name)}" for name in verb.REQUIREMENTS]


def test_the_registry_knows_where_it_came_from(plan):
    version = registered(plan)
    assert trained(plan.name, plan.digest) == version == resolve(f"{plan.name}/1")
    assert (version.type, version.template) == ("visual-classifier", "resnet18")
    assert (version.dataset, version.dataset_version) == ("shapes", plan.dataset.version)
    tags = client().get_model_version(plan.name, "1").tags
    assert (json.loads(tags["concepts"]), float(tags["threshold"])) == (["tall", "wide"], 0.5)
    assert client().get_run(version.run).data.tags["model"] == plan.name


def test_the_alias_challenger_is_the_newest(plan):
    first = registered(plan)
    second = registered(planned(plan.dataset, plan.name, seed=1))
    assert (first.aliases, second.number) == (("challenger",), 2)
    assert [version.aliases for version in versions(plan.name)] == [(), ("challenger",)]


def test_the_working_state_is_gone_afterwards(plan):
    registered(plan)
    assert not work_folder(plan).exists()


def test_the_same_training_is_registered_once(plan):
    version = registered(plan)
    assert verb.register.fn(plan, checkpoint(plan)) == version
    assert len(versions(plan.name)) == 1


def test_what_does_not_answer_as_trained_is_not_registered_and_not_lost(plan, tmp_path, monkeypatch):
    done = checkpoint(plan)
    (work_folder(plan) / "checkpoint.json").write_text(done.model_dump_json())
    with monkeypatch.context() as patch:
        other = shutil.copytree(verb.RUNTIME, tmp_path / "runtime")
        source = (other / "transform.py").read_text()
        (other / "transform.py").write_text(source.replace("/ 255", "/ 250"))
        assert (other / "transform.py").read_text() != source
        patch.setattr(verb, "RUNTIME", other)
        with pytest.raises(Fault, match=r"the stored version answers otherwise.*Nothing was registered"):
            verb.register.fn(plan, done)
    assert versions(plan.name) == ()
    assert trained(plan.name, plan.digest) is None
    again = train.fn(plan)  # nothing is trained a second time
    assert again == done
    assert str(verb.register.fn(plan, again)) == f"{plan.name}/1"


@pytest.mark.parametrize("step", ["write_version", "_log", "_enter"])
def test_a_failure_at_any_step_registers_nothing_and_loses_nothing(plan, monkeypatch, step):
    def fail(*_):
        raise OSError("disk full")

    done = checkpoint(plan)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="disk full"):
        patch.setattr(verb, step, fail)
        verb.register.fn(plan, done)
    assert versions(plan.name) == ()
    assert str(verb.register.fn(plan, done)) == f"{plan.name}/1"


def test_what_a_registration_that_was_cut_off_had_logged_is_removed(plan, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    other = planned(plan.dataset, plan.name, seed=1)
    dones = [(each, checkpoint(each)) for each in (plan, other)]
    for each, done in dones:
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(verb, "_enter", kill)
            verb.register.fn(each, done)
    experiment = client().get_run(dones[0][1].run).info.experiment_id

    def logged() -> dict[str, Path]:
        found = client().search_logged_models([experiment])
        return {entry.tags["plan"]: Path(urlparse(entry.artifact_location).path) for entry in found}

    before = logged()
    version = verb.register.fn(*dones[0])
    assert logged() == {plan.digest: artifacts(version).parents[1], other.digest: before[other.digest]}
    assert (before[plan.digest].exists(), before[other.digest].exists()) == (False, True)


def test_what_another_machine_has_just_logged_is_left_alone(plan, tmp_path, monkeypatch):
    def kill(*_):
        raise KeyboardInterrupt

    here = checkpoint(plan)
    there = here.model_copy(update={"run": start_run(plan, tmp_path / "there")})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(verb, "_enter", kill)
        verb.register.fn(plan, there)
    verb.register.fn(plan, here)
    experiment = client().get_run(there.run).info.experiment_id
    logged = [entry for entry in client().search_logged_models([experiment]) if entry.source_run_id == there.run]
    assert [Path(urlparse(entry.artifact_location).path).exists() for entry in logged] == [True]


def test_a_dataset_without_test_images_is_enough(tmp_path):
    plan = planned(pinned(tmp_path / "shapes", SPLITS[:12]))
    assert registered(plan).number == 1


@pytest.mark.parametrize("name", ["v1.2-shapes", "Ünïcode_1"])
def test_a_name_may_be_any_that_a_dataset_may_have(plan, name):
    assert str(registered(planned(plan.dataset, name))) == f"{name}/1"
    assert resolve(f"{name}@challenger").name == name


def test_killed_before_it_was_challenger_it_becomes_so(plan):
    first = registered(plan)
    later = planned(plan.dataset, plan.name, seed=1)
    registered(later)
    set_alias(first, "challenger")  # as it was before the last step
    done = checkpoint(later)
    assert verb.register.fn(later, done).aliases == ("challenger",)
    assert not work_folder(later).exists()
    assert verb.register.fn(plan, done).aliases == ()


def test_what_its_first_weights_had_seen_counts_as_seen(plan, tmp_path):
    first = registered(plan)
    start = artifacts(first) / "weights.safetensors"
    only_two = pinned(tmp_path / "other", ("train", "train", "val") + ("test",) * 13)
    later = registered(planned(only_two, weights=str(start)))
    assert trained_on(later) == trained_on(first)
