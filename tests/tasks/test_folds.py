"""Cross-validation holds each picture out once, copies with it, and says mean and spread."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from models.runtime.faults import Fault
from tasks import folds as verb
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset
from tasks.data.folds import views
from tasks.folds import cross_validate
from tasks.registry import client, versions
from tests.registered import pinned, planned

SPLITS = ("train", "train", "train", "val", "test")


def entry(number: int, concept: str, content: int | None = None, split: str = "train") -> Annotation:
    sha = f"{number if content is None else content:064d}"
    return Annotation(f"{number:03d}.png", sha, 10, 10, split, (concept,))


def dataset(*entries: Annotation) -> Dataset:
    return Dataset("roofs", None, "classification", True, ("a", "b", "c"), entries)  # type: ignore[arg-type]


@pytest.fixture
def many() -> Dataset:
    """100 pictures, of which each second of the first 40 is a copy of the one before; three concepts, one rare."""
    concept = ("a", "a", "b", "a", "b", "a", "c", "b", "a", "a")
    entries = [entry(i, concept[i // 2 % 10], i // 2 if i < 40 else None, SPLITS[i // 2 % 5]) for i in range(100)]
    return dataset(*entries)


@pytest.mark.parametrize("folds", [2, 4])
def test_each_picture_of_train_and_val_is_held_out_once_and_none_of_test_is_seen(many, folds):
    cut = list(views(many, folds, seed=0))
    pool = sorted(one.image for one in many.annotations if one.split != "test")
    assert len(cut) == folds
    assert sorted(one.image for view in cut for one in view.split("test")) == pool
    assert all(sorted(one.image for one in view.annotations) == pool for view in cut)


def test_copies_are_never_on_both_sides(many):
    for view in views(many, 4, seed=0):
        sides: dict[str, set[str]] = {}
        for one in view.annotations:
            sides.setdefault(one.sha256, set()).add(one.split)
        assert all(len(splits) == 1 for splits in sides.values())


def test_concepts_are_spread_evenly_and_val_has_its_share(many):
    for view in views(many, 4, seed=0):
        held = Counter(one.concepts[0] for one in view.split("test"))
        assert 8 <= held["a"] <= 16 and 4 <= held["b"] <= 9 and held["c"]
        assert 0.15 <= len(view.split("val")) / (len(view.split("val")) + len(view.split("train"))) <= 0.35


def test_the_cut_depends_on_the_seed_alone(many):
    held = lambda seed: [[one.image for one in view.split("test")] for view in views(many, 4, seed)]  # noqa: E731
    assert held(0) == held(0) != held(1)


def test_a_picture_with_many_concepts_counts_for_its_rarest():
    common = ["a"] * 16
    entries = [entry(i, name) for i, name in enumerate(common)]
    entries = [replace(one, concepts=("a", "b")) if i < 4 else one for i, one in enumerate(entries)]
    for view in views(dataset(*entries), 4, seed=0):
        assert sum("b" in one.concepts for one in view.split("test")) == 1


def test_more_folds_than_pictures_are_refused():
    entries = [entry(i, "a", i // 2) for i in range(18)]
    with pytest.raises(Fault, match=r"5 folds need 10 different pictures in train and val, there are 9\. Take fewer"):
        list(views(dataset(*entries), 5, seed=0))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Two folds of one epoch each, really trained."""
    folder = tmp_path_factory.mktemp("folded")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        plan = planned(pinned(folder / "shapes"))
        found = cross_validate.fn(plan, 2)
        patch.setattr(verb, "attempt", None)  # to train would be an error now
        again = cross_validate.fn(plan, 2)
    return SimpleNamespace(plan=plan, found=found, again=again)


def test_mean_and_spread_are_those_of_the_folds(done):
    found = done.found
    values = [fold.metrics["accuracy"] for fold in found.folds]
    assert [fold.images for fold in found.folds] == [6, 6]  # 8 of train and 4 of val
    assert found.mean["accuracy"] == pytest.approx(sum(values) / 2)
    assert found.std["accuracy"] == pytest.approx(statistics.stdev(values))
    assert next(iter(found.mean)) == found.headline == "accuracy"
    assert "images" not in found.mean
    assert [row["fold"] for row in found.rows()] == ["1", "2", "mean", "± std"]
    assert found.sentence().startswith(
        f"accuracy {found.mean['accuracy']:.4f} ± {found.std['accuracy']:.4f} over 2 folds"
    )
    assert "Nothing was registered: the same command without --folds" in found.sentence()


def test_folds_that_are_done_are_not_trained_again(done):
    assert done.again == done.found


def test_nothing_is_registered_and_each_fold_is_a_run_below(done):
    assert done.plan.name not in {version.name for version in versions()}
    parent = client().get_run(done.found.run)
    assert (parent.data.tags["stage"], parent.info.status) == ("folds", "FINISHED")
    assert parent.data.metrics["mean_accuracy"] == done.found.mean["accuracy"]
    below = client().search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{done.found.run}'")
    assert sorted(run.data.tags["mlflow.runName"] for run in below) == ["fold 1", "fold 2"]
    assert all("held_out_accuracy" in run.data.metrics for run in below)
    files = {file.path for file in client().list_artifacts(done.found.run, "folds")}
    assert files == {"folds/folds.json", "folds/folds.csv"}


def test_every_fold_that_cannot_train_is_told_before_any_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(verb, "attempt", None)
    plan = planned(pinned(tmp_path / "shapes"))
    opened = plan.dataset.open()
    only = tuple(replace(one, concepts=("tall",)) for one in opened.annotations)
    monkeypatch.setattr(type(plan.dataset), "open", lambda _: replace(opened, annotations=only))
    with pytest.raises(Fault, match=r"fold 1: .*two concepts or more.* fold 2: .*Take fewer folds"):
        cross_validate.fn(plan, 2)
