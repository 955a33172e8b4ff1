"""A version is trained again from what it says of itself, and the bytes are held against it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from models.runtime.faults import Fault
from tasks import rebuild as verb
from tasks.artifacts import artifacts, card
from tasks.data.commit import commit
from tasks.plan import pin
from tasks.rebuild import Rebuilt, plan_of, rebuild
from tasks.register import register
from tasks.registry import client, note, resolve
from tasks.train import train
from tests.registered import learned, pinned, planned, planned_on, registered


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A version that was trained on `data/shapes` (one epoch), rebuilt; then with other weights in the registry."""
    folder = tmp_path_factory.mktemp("rebuilt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder))
        pinned(folder / "data/shapes")
        commit("shapes")
        plan = planned(pin("shapes"))
        version = register.fn(plan, train.fn(plan))
        found = rebuild.fn(version)
        yield SimpleNamespace(plan=plan, version=version, found=found, root=folder)


@pytest.fixture
def there(made, monkeypatch):
    monkeypatch.setenv("SIGHTLINE_ROOT", str(made.root))
    return made


def test_the_same_data_parameters_and_code_give_the_same_bytes(made):
    found: Rebuilt = made.found
    assert found.same and found.registered == found.rebuilt and found.largest == 0.0
    assert found.differences == []
    assert found.sentence().startswith(f"{made.version} rebuilt: the same bytes ({found.rebuilt[:12]})")


def test_nothing_registered_is_changed(there):
    assert resolve(there.version.name) == there.version
    assert plan_of(there.version, card(there.version)).digest == there.plan.digest


def test_the_version_says_how_it_came_about_also_without_its_run(there):
    tags = client().get_model_version(there.version.name, "1").tags
    for name in ("sources", "python", "processor", "threads", "torch", "torchvision", "pytorch-lightning", "precision"):
        assert tags[name]
    assert (tags["epochs"], tags["samples"], tags["image_size"]) == ("1", "8", "32")


def test_what_is_not_as_it_was_is_told(there, monkeypatch):
    monkeypatch.setattr(verb, "sources_digest", lambda: "f" * 32)
    monkeypatch.setattr(verb, "_trained", lambda plan, folder: artifacts(there.version) / verb.WEIGHTS)
    torch = client().get_model_version(there.version.name, "1").tags["torch"]
    note(there.version, torch="1.0.0")
    try:
        found = rebuild.fn(there.version)
    finally:
        note(there.version, torch=torch)
    assert found.differences == [
        f"the training code: {there.plan.sources[:12]} then, ffffffffffff now",
        f"torch: 1.0.0 then, {torch} now",
    ]


def test_a_head_on_another_versions_vectors_is_rebuilt_too(there):
    below = registered(planned(pin("shapes"), "finer", image_size=96))  # its vectors are of places
    head = learned(planned_on(pin("shapes"), below, "linear"))
    assert card(head).network["grid"] == 3
    found = rebuild.fn(head)
    assert found.model == str(head) and found.same and found.differences == []


def test_bytes_that_differ_are_told_with_how_far_and_why():
    other = Rebuilt(
        model="a/1",
        same=False,
        registered="1",
        rebuilt="2",
        largest=3e-7,
        differences=["torch: 1 then, 2 now"],
        seconds=1,
    )
    told = "a/1 rebuilt: not the same bytes (weights differ by 3e-07 at most). Why that may be: torch: 1 then, 2 now."
    assert other.sentence() == told
    unlike = other.model_copy(update={"largest": None, "differences": []})
    assert "(the networks are not alike). Why that may be: nothing known has changed" in unlike.sentence()


def test_a_version_of_a_template_that_is_gone_says_where_to_rebuild_it(there):
    described = card(there.version)
    gone = replace(described, parameters=described.parameters | {"template": "resnet17"})
    note(there.version, git_revision="0123456789abcdef+")
    with pytest.raises(Fault, match=r"another Sightline.*no template 'resnet17'.*Check out 0123456789ab, and rebuild"):
        plan_of(there.version, gone)


def test_data_that_is_gone_is_told(there):
    lost = there.version.model_copy(update={"dataset_version": "0" * 32 + ".dir"})
    with pytest.raises(Fault, match=r"was trained on shapes@000000000000, which cannot be had: "):
        plan_of(lost, card(there.version))


def test_an_older_version_of_the_data_is_brought_from_the_cache(there):
    head = there.root / "data/shapes/dataset.yaml"
    kept = head.read_text()
    try:
        head.write_text(kept.replace("exclusive: true", "exclusive: false"))
        commit("shapes")
        plan = plan_of(there.version, card(there.version))
        assert plan.dataset.version == there.version.dataset_version
        assert "checkouts" in plan.dataset.folder
        assert plan.digest == there.plan.digest
    finally:
        head.write_text(kept)
        commit("shapes")
