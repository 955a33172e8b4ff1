"""A plan's digest changes with whatever decides the outcome of a training, and with nothing else."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from models.parameters import ClassifierParameters, DetectorParameters
from models.runtime.faults import Fault
from tasks import plan as plans
from tasks.data.commit import commit
from tasks.data.store import heading
from tasks.plan import TrainingPlan, default_name, pin, resolved, sources_digest
from tasks.registry import Version

VERSION = "0" * 32 + ".dir"


def plan(parameters=None, **changed) -> TrainingPlan:
    """A plan for a detector of roofs, with some of it changed."""
    dataset = {"name": "roofs", "version": VERSION, "folder": "/data/roofs"}
    dataset |= {key: changed.pop(key) for key in ("version", "folder") if key in changed}
    given = (parameters or DetectorParameters()).model_dump(mode="json")
    return TrainingPlan(**{"name": "roof-detector", "dataset": dataset, "given": given, "sources": "abc"} | changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "other"},
        {"version": "1" * 32 + ".dir"},
        {"sources": "abd"},
        {"parameters": DetectorParameters(seed=1)},
        {"parameters": DetectorParameters(epochs=61)},
        {"parameters": DetectorParameters(template="ssdlite320_mobilenet_v3_large")},
        {"parameters": ClassifierParameters()},
    ],
    ids=lambda changed: str(*changed),
)
def test_the_digest_changes_with_what_decides_the_outcome(changed):
    assert plan(**changed).digest != plan().digest


@pytest.mark.parametrize(
    "changed", [{"folder": "/elsewhere/roofs"}, {"app": "nightly"}], ids=lambda changed: str(*changed)
)
def test_the_digest_does_not_change_with_what_does_not(changed):
    assert plan(**changed).digest == plan().digest


def test_what_is_left_to_the_template_is_the_same_as_said():
    said = {"template": "fcos_light", "image_size": 320, "epochs": 45}
    assert plan(given={"template": "fcos_light"}).digest == plan(given=said).digest == plan().digest


def test_the_digest_changes_with_the_bytes_of_the_weights_it_starts_from(tmp_path):
    path = tmp_path / "start.safetensors"
    given = DetectorParameters(weights=str(path))
    path.write_bytes(b"one")
    first = plan(given).digest
    assert plan(given).digest == first
    path.write_bytes(b"two")
    assert plan(given).digest != first


def test_a_plan_survives_its_json():
    whole = plan(app="roofs")
    read = TrainingPlan.model_validate_json(whole.model_dump_json())
    assert (read, read.digest) == (whole, whole.digest)
    assert read.parameters == DetectorParameters()


def test_a_plan_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        plan().name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("template", "type", "name"),
    [("resnet18", "visual-classifier", "roofs-classifier"), ("fcos_light", "visual-detector", "roofs-detector")],
)
def test_type_and_default_name(template, type, name):
    assert plan(given={"template": template}).type == type
    assert default_name("roofs", type) == name


def test_sources_are_the_code_that_trains_and_nothing_else(tmp_path, monkeypatch):
    for file in (
        "tasks/plan.py",
        "tasks/data/loading.py",
        "models/training.py",
        "models/runtime/light.py",
        "README.md",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("one")
    monkeypatch.setattr(plans, "__file__", str(tmp_path / "tasks/plan.py"))
    first = sources_digest()
    for file in ("README.md", "tasks/plan.py"):
        (tmp_path / file).write_text("two")
        assert sources_digest() == first
    for file in ("tasks/data/loading.py", "models/training.py", "models/runtime/light.py"):
        before = sources_digest()
        (tmp_path / file).write_text("two")
        assert sources_digest() != before
    before = sources_digest()
    (tmp_path / "models/training.py").rename(tmp_path / "models/fitting.py")
    assert sources_digest() != before


def made(folder: Path) -> Path:
    """A dataset without pictures."""
    folder.mkdir(parents=True)
    (folder / "dataset.yaml").write_text(heading("roofs", "detection", False, ("hail",)))
    (folder / "annotations.jsonl").write_text("")
    return folder


def test_a_dataset_is_pinned_to_the_version_that_data_dvc_names(workspace):
    folder = made(workspace / "data/roofs")
    version = commit("roofs").dataset_version
    pinned = pin("roofs")
    assert (pinned.name, pinned.version, pinned.folder) == ("roofs", version, str(folder))
    opened = pinned.open()
    assert (opened.name, opened.version, opened.concepts) == ("roofs", version, ("hail",))


def test_a_dataset_ingested_anew_is_not_taken_for_the_version_that_was_pinned(workspace):
    folder = made(workspace / "data/roofs")
    version = commit("roofs").dataset_version
    pinned = pin("roofs")
    (folder / "dataset.yaml").write_text(heading("roofs", "detection", False, ("dent", "hail")))
    with pytest.raises(
        Fault, match=rf"(?s)ingested anew.*{version}.*`sightline dataset checkout roofs@{version} FOLDER`"
    ):
        pinned.open()


def test_a_dataset_changed_by_hand_is_not_pinned_to_a_version_it_no_longer_is(workspace):
    folder = made(workspace / "data/roofs")
    commit("roofs")
    (folder / "dataset.yaml").write_text(heading("roofs", "detection", False, ("hail", "wind")))
    with pytest.raises(Fault, match=r"data/roofs is not what data\.dvc names"):
        pin("roofs")


def test_a_dataset_checked_out_elsewhere_is_pinned_to_what_it_is(tmp_path, monkeypatch):
    folder = made(tmp_path / "old/roofs")
    monkeypatch.setattr(plans, "folder_version", lambda path: f"version of {path.name}")
    pinned = pin(str(folder))
    assert (pinned.name, pinned.version, pinned.folder) == ("roofs", "version of roofs", str(folder))
    monkeypatch.chdir(tmp_path)
    assert pin("old/roofs").folder == str(folder)


def test_no_such_dataset(workspace):
    with pytest.raises(Fault, match=r"there is no dataset 'rofs' on disk"):
        pin("rofs")
    with pytest.raises(Fault, match=r"'old/roofs' cannot name a dataset"):
        pin("old/roofs")


@pytest.fixture
def roofs(monkeypatch):
    """A registry with versions 1 and 2 of the model `roofs`, the second its champion."""

    def resolve(reference: str) -> Version:
        known = {"roofs/1": 1, "roofs/2": 2, "roofs": 2, "roofs@champion": 2}
        if reference not in known:
            raise Fault(f"there is no model {reference!r}. Registered: roofs.")
        return Version(name="roofs", number=known[reference], logged_model=f"m-{known[reference]}")

    monkeypatch.setattr(plans, "resolve", resolve)


@pytest.mark.parametrize("reference", ["roofs", "roofs@champion", "roofs/2"])
def test_a_version_that_a_parameter_names_is_its_number_for_good(roofs, reference):
    given, named = resolved(DetectorParameters(weights=reference))
    assert (given["weights"], named) == ("roofs/2", {"weights": "m-2"})


@pytest.mark.parametrize("weights", ["none", "pretrained", "nowhere.safetensors", "start"])
def test_what_names_no_version_stays(roofs, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "start").write_bytes(b"a file")
    given, named = resolved(DetectorParameters(weights=weights))
    assert (given, named) == (DetectorParameters(weights=weights).model_dump(mode="json"), {})


def test_a_version_that_is_not_there_is_told_with_the_parameter(roofs):
    with pytest.raises(Fault, match=r"^weights: there is no model 'rofs'\. Registered: roofs\.$"):
        resolved(DetectorParameters(weights="rofs"))


def test_the_digest_changes_with_the_files_of_a_version(roofs):
    given, named = resolved(DetectorParameters(weights="roofs/1"))
    first = plan(given=given, versions=named).digest
    assert plan(given=given, versions={"weights": "m-9"}).digest != first
    assert plan(given=given, versions=named).digest == first
