"""A version's answers on a split are asked for once, kept, and read back to the last bit."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from models.runtime.faults import Fault
from models.runtime.predictions import Clusters, Concepts, Embeddings, Regions
from tasks import kept
from tasks.kept import answered
from tests.registered import lively, pinned, planned, registered


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        shapes, scenes = pinned(folder / "shapes"), pinned(folder / "scenes", task="detection")
        classifier, detector = registered(planned(shapes)), registered(planned(scenes), lively)
        yield SimpleNamespace(shapes=shapes, scenes=scenes, classifier=classifier, detector=detector)


def same(one, other):
    assert type(one) is type(other)
    for column in dataclasses.fields(one):
        np.testing.assert_array_equal(getattr(one, column.name), getattr(other, column.name))


@pytest.mark.parametrize("which", ["classifier", "detector"])
def test_the_second_time_nobody_is_asked(ready, which, monkeypatch):
    version, dataset = getattr(ready, which), ready.shapes if which == "classifier" else ready.scenes
    first = answered(version, dataset, "test")
    assert first.milliseconds > 0 and len(first.found) == len(first.annotations) == 4
    monkeypatch.setattr(kept, "answers", lambda *_: pytest.fail("asked twice"))
    again = answered(version, dataset, "test")
    assert again.milliseconds == first.milliseconds
    for one, other in zip(first.found, again.found, strict=True):
        same(one, other)
    some = [first.annotations[2], first.annotations[0]]
    assert again.on(some) == [again.found[2], again.found[0]]


def test_an_images_time_begins_when_the_model_is_loaded(ready, monkeypatch):
    order = []
    loading, clock = kept.predictor, kept.time.monotonic
    monkeypatch.setattr(kept, "predictor", lambda version: order.append("loaded") or loading(version))
    monkeypatch.setattr(kept.time, "monotonic", lambda: order.append("clock") or clock())
    answered(ready.classifier, ready.shapes, "train")
    assert order[0] == "loaded"


def test_other_data_another_split_and_a_damaged_file_are_asked_anew(ready, monkeypatch):
    answered(ready.classifier, ready.shapes, "val")
    asked = []
    real = kept.answers
    monkeypatch.setattr(kept, "answers", lambda *given: asked.append(given[2]) or real(*given))
    newer = ready.shapes.model_copy(update={"version": "e" * 32 + ".dir"})
    assert len(answered(ready.classifier, newer, "val").found) == 4
    assert len(answered(ready.classifier, newer, "val+test").found) == 8
    path = kept.report_folder(ready.classifier, newer, "val") / kept.NAME
    path.write_bytes(path.read_bytes()[:100])
    assert len(answered(ready.classifier, newer, "val").found) == 4
    assert len(asked) == 3
    np.save(path.with_suffix(".npy"), np.zeros(3))
    path.with_suffix(".npy").replace(path)
    assert len(answered(ready.classifier, newer, "val").found) == 4
    assert len(asked) == 4


def test_every_kind_of_answer_survives(tmp_path):
    regions = Regions(np.array([[0.1, 0.2, 3, 4]]), np.array([0.7], np.float32), np.array([1]), ("a", "鳥"))
    kinds = [
        [regions, Regions.empty(("a", "鳥")), regions],
        [Regions.empty(("a",))],
        [Concepts(np.array([0.25, 0.75], np.float32), ("a", "b"))] * 2,
        [Embeddings(np.array([0.6, 0.8], np.float32))] * 3,
        [Clusters(np.array([0.6, 0.8, 1.1], np.float32))],
    ]
    for found in kinds:
        path = tmp_path / "answers.npz"
        np.savez(path, **kept._columns(found), digest="d", milliseconds=1.5)
        back, milliseconds = kept._kept(path, "d")
        assert milliseconds == 1.5
        for one, other in zip(found, back, strict=True):
            same(one, other)
        assert kept._kept(path, "other") is None


def test_what_cannot_be_measured_is_refused_before_anyone_is_asked(ready, tmp_path):
    with pytest.raises(Fault, match="labelled for detection, the model is a visual-classifier"):
        answered(ready.classifier, ready.scenes, "test")
    empty = pinned(tmp_path / "empty", ("train",) * 4)
    with pytest.raises(Fault, match="its test split is empty"):
        answered(ready.classifier, empty, "test")
    with pytest.raises(Fault, match=r"no split 'tset'"):
        answered(ready.classifier, ready.shapes, "test+tset")
