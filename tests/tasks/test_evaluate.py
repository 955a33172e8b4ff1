"""A version is measured with the predictor that everything else uses, once, and what is not held out is said."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from models.runtime.faults import Fault
from tasks import evaluate as verb
from tasks.answers import predictor
from tasks.data.store import heading
from tasks.evaluate import evaluate
from tasks.kept import report_folder
from tasks.metrics.classification import classification
from tasks.metrics.detection import detection
from tasks.plan import PinnedDataset
from tasks.registry import client, resolve
from tests.registered import lively, pinned, planned, registered


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A classifier and a detector with the datasets they know."""
    folder = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        shapes, scenes = pinned(folder / "shapes"), pinned(folder / "scenes", task="detection")
        classifier, detector = registered(planned(shapes)), registered(planned(scenes), lively)
    return SimpleNamespace(shapes=shapes, scenes=scenes, classifier=classifier, detector=detector)


def measured(version, dataset: PinnedDataset, split: str = "test"):
    """The predictor's answers on a split, and what is true of it."""
    opened = dataset.open()
    entries = opened.split(split)
    one = predictor(version)
    return entries, one.predict([opened.path(entry) for entry in entries]), one.card


def test_a_classifiers_numbers_are_those_of_its_answers(ready):
    entries, found, card = measured(ready.classifier, ready.shapes)
    expected = classification(entries, np.stack([answer.scores for answer in found]), card.concepts, True).summary
    done = evaluate.fn(ready.classifier, ready.shapes, "test")
    assert done.metrics == {name: value for name, value in expected.items() if value == value}
    assert done.metrics["accuracy"] == np.mean([a.concepts == (f.best,) for a, f in zip(entries, found, strict=True)])
    assert (done.model, done.dataset, done.split) == (str(ready.classifier), "shapes", "test")
    assert (done.dataset_version, done.images, done.seen_in_training) == (ready.shapes.version, 4, 0)
    assert [row["Concept"] for row in done.per_concept] == ["tall", "wide"]
    assert (done.headline, done.threshold) == ("accuracy", None)
    assert done.milliseconds > 0


def test_a_detectors_numbers_are_those_of_its_answers_at_its_threshold(ready):
    entries, found, card = measured(ready.detector, ready.scenes)
    expected = detection(entries, found, card.concepts, card.threshold).summary
    done = evaluate.fn(ready.detector, ready.scenes, "test")
    assert done.metrics == {name: value for name, value in expected.items() if value == value}
    assert (done.headline, done.threshold) == ("map_50", card.threshold)
    assert done.metrics["true_positives"] + done.metrics["false_positives"] > 0


def test_a_classifier_of_several_concepts_is_told_by_its_average_precision(ready):
    several = registered(planned(ready.shapes, concepts_mutually_exclusive=False))
    done = evaluate.fn(several, ready.shapes, "test")
    assert (done.headline, done.threshold) == ("macro_average_precision", 0.5)
    assert done.metrics["macro_average_precision_low"] <= done.metrics["macro_average_precision"]


def test_another_threshold_counts_otherwise(ready):
    entries, found, card = measured(ready.detector, ready.scenes)
    done = evaluate.fn(ready.detector, ready.scenes, "test", 0.0)
    assert done.metrics["false_negatives"] == detection(entries, found, card.concepts, 0.0).summary["false_negatives"]
    assert done.metrics["true_positives"] + done.metrics["false_positives"] == sum(map(len, found))
    assert done.threshold == 0.0


def test_numbers_and_files_are_in_mlflow_and_the_registry(ready):
    done = evaluate.fn(ready.classifier, ready.shapes, "test")
    run = client().get_run(done.run)
    assert run.data.metrics["accuracy"] == done.metrics["accuracy"]
    tags = {name: run.data.tags[name] for name in ("stage", "model", "dataset", "split", "dataset_version")}
    assert tags == {
        "stage": "evaluate",
        "model": str(ready.classifier),
        "dataset": "shapes",
        "split": "test",
        "dataset_version": ready.shapes.version,
    }
    assert run.info.experiment_id == client().get_run(ready.classifier.run).info.experiment_id
    files = {file.path for file in client().list_artifacts(done.run, "report")}
    names = (
        "report.html",
        "report.json",
        "per_concept.csv",
        "report.md",
        "worst_errors.jpg",
        "slices.csv",
        "thresholds.csv",
    )
    assert files == {f"report/{name}" for name in names}
    assert resolve(str(ready.classifier)).metrics["test.accuracy"] == pytest.approx(done.metrics["accuracy"], abs=1e-6)


def test_what_was_measured_is_kept(ready, monkeypatch):
    done = evaluate.fn(ready.classifier, ready.shapes, "test")
    folder = report_folder(ready.classifier, ready.shapes, "test")
    assert json.loads((folder / "report.json").read_text())["summary"]["accuracy"] == done.metrics["accuracy"]
    monkeypatch.setattr(verb, "measured", lambda *_: pytest.fail("measured twice"))
    again = evaluate.fn(ready.classifier, ready.shapes, "test")
    assert again == done.model_copy(update={"measured_before": True})


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"digest": "DIGEST"}', None])
def test_a_damaged_record_or_a_lost_page_is_measured_again(ready, content):
    done = evaluate.fn(ready.classifier, ready.shapes, "test")
    folder = report_folder(ready.classifier, ready.shapes, "test")
    record = folder / "evaluation.json"
    if content is None:
        (folder / "report.html").unlink()
    else:
        record.write_bytes(content.replace(b"DIGEST", json.loads(record.read_text())["digest"].encode()))
    (folder / "older.csv").write_text("of a report that had more tables\n")
    again = evaluate.fn(ready.classifier, ready.shapes, "test")
    assert not again.measured_before and again.metrics == done.metrics
    assert (folder / "report.html").is_file() and not (folder / "older.csv").exists()


def test_of_two_at_once_one_waits_and_finds_what_the_other_measured(ready):
    with ThreadPoolExecutor(2) as both:
        runs = [both.submit(evaluate.fn, ready.classifier, ready.shapes, "test", iou=0.77) for _ in range(2)]
        assert {run.result().measured_before for run in runs} == {False, True}


def test_it_is_measured_again_when_it_would_come_out_otherwise(ready):
    done = evaluate.fn(ready.detector, ready.scenes, "test", 0.1)
    again = evaluate.fn(ready.detector, ready.scenes, "test", 0.2)
    assert (again.threshold, again.run) != (done.threshold, done.run)
    newer = ready.scenes.model_copy(update={"version": "f" * 32 + ".dir"})
    assert evaluate.fn(ready.detector, newer, "test", 0.2).run != again.run


def test_a_number_at_another_threshold_is_not_the_versions(ready):
    evaluate.fn(ready.detector, ready.scenes, "test")
    own = resolve(str(ready.detector)).metrics
    evaluate.fn(ready.detector, ready.scenes, "test", 1.0)
    assert resolve(str(ready.detector)).metrics == own
    assert own["test.true_positives"] + own["test.false_positives"] > 0


def test_another_iou_counts_otherwise_and_is_not_the_versions(ready):
    entries, found, card = measured(ready.detector, ready.scenes)
    evaluate.fn(ready.detector, ready.scenes, "test")
    own = resolve(str(ready.detector)).metrics
    for iou in (0.1, 0.8, 0.9):
        done = evaluate.fn(ready.detector, ready.scenes, "test", iou=iou)
        expected = detection(entries, found, card.concepts, card.threshold, iou).summary
        assert done.metrics == {name: value for name, value in expected.items() if value == value}
    assert resolve(str(ready.detector)).metrics == own


@pytest.mark.parametrize("wrong", [{"iou": 0.0}, {"iou": 1.1}, {"precision": 0.0}, {"precision": 2.0}])
def test_what_is_out_of_range_is_refused_before_anything_is_predicted(ready, monkeypatch, wrong):
    monkeypatch.setattr(verb, "answered", lambda *_: pytest.fail("predicted"))
    (name,) = wrong
    with pytest.raises(Fault, match=rf"^{name}: a number above 0 and at most 1 is wanted, got "):
        evaluate.fn(ready.detector, ready.scenes, "test", **wrong)


def test_several_splits_are_measured_together(ready):
    done = evaluate.fn(ready.classifier, ready.shapes, "val+test")
    assert (done.images, done.seen_in_training) == (8, 4)
    twice = evaluate.fn(ready.classifier, ready.shapes, "test+test")
    assert (twice.images, twice.metrics) == (4, evaluate.fn(ready.classifier, ready.shapes, "test").metrics)


@pytest.mark.parametrize(("split", "seen"), [("train", 8), ("val", 4), ("test", 0)])
def test_images_that_it_learned_from_are_counted(ready, split, seen):
    assert evaluate.fn(ready.classifier, ready.shapes, split).seen_in_training == seen


def test_images_that_it_learned_from_are_told_on_the_page(ready, monkeypatch):
    told = []
    monkeypatch.setattr(verb, "show", lambda text, name, *_: told.append((name, text)))
    for split in ("train", "test"):
        evaluate.fn(ready.classifier, ready.shapes, split)
    (train, leaked), (test, clean) = told
    assert leaked.startswith(f"# {ready.classifier} on shapes train\n")
    assert train == f"evaluation-{ready.classifier}-shapes-train" and test.endswith("-test")
    assert "\n\n**8 of 8 images were seen in training: these are not held-out numbers.**\n" in leaked
    assert clean.startswith("# ") and "seen in training" not in clean


def test_what_it_got_most_wrong_is_on_the_page(ready, monkeypatch):
    shown = []
    monkeypatch.setattr(verb, "show", lambda text, name, what, pictures: shown.extend(pictures))
    for version, dataset in ((ready.classifier, ready.shapes), (ready.detector, ready.scenes)):
        evaluate.fn(version, dataset, "test")
    assert [picture.name for picture in shown] == ["worst_errors.jpg"] * 2


def other_words(dataset: PinnedDataset, folder, **words: str) -> PinnedDataset:
    """The same dataset with some concepts called otherwise."""
    for file in ("images", "annotations.jsonl"):
        (folder / file).parent.mkdir(exist_ok=True)
    text = (dataset.open().folder / "annotations.jsonl").read_text()
    for old, new in words.items():
        text = text.replace(f'"{old}"', f'"{new}"')
    (folder / "annotations.jsonl").write_text(text)
    concepts = sorted({word for entry in dataset.open().annotations for word in entry.concepts} - words.keys())
    head = heading("others", "classification", True, tuple(sorted([*concepts, *words.values()])))
    (folder / "dataset.yaml").write_text(head)
    (folder / "images").symlink_to(dataset.open().folder / "images")
    return PinnedDataset(name="others", version="e" * 32 + ".dir", folder=str(folder))


def test_a_dataset_of_which_the_model_knows_nothing_is_refused(ready, tmp_path):
    strange = other_words(ready.shapes, tmp_path / "others", tall="high", wide="wider")
    shared = r"others and the model share no concept: the dataset has high, wider\. The model knows: tall, wide\."
    with pytest.raises(Fault, match=shared):
        evaluate.fn(ready.classifier, strange, "test")


def test_a_dataset_of_which_the_model_knows_some_is_measured_on_its_own_terms(ready, tmp_path):
    partly = other_words(ready.shapes, tmp_path / "others", tall="high")
    done = evaluate.fn(ready.classifier, partly, "test")
    rows = {row["Concept"]: row for row in done.per_concept}
    assert rows["high"]["True Positives"] == 0 and rows["high"]["Total Labeled"] == 2
    assert done.seen_in_training == 0
    assert "others" not in resolve(str(ready.classifier)).metrics


def test_a_model_of_some_concepts_is_measured_on_their_pictures_alone(tmp_path):
    scenes = pinned(tmp_path / "scenes", task="detection")
    version = registered(planned(scenes, concepts=["wide"]), lively)
    done = evaluate.fn(version, scenes, "test")
    assert [row["Concept"] for row in done.per_concept] == ["wide"]


def test_an_empty_split_is_refused(ready, tmp_path):
    dataset = pinned(tmp_path / "shapes", ("train",) * 4)
    with pytest.raises(Fault, match="dataset shapes: its test split is empty, there is nothing to measure on"):
        evaluate.fn(ready.classifier, dataset, "test")


def test_an_unknown_split_is_refused(ready):
    with pytest.raises(Fault, match=r"there is no split 'tset'\. Known: test, train, val\. Did you mean 'test'\?"):
        evaluate.fn(ready.classifier, ready.shapes, "tset")


def test_labels_of_another_kind_are_refused(ready):
    with pytest.raises(Fault, match="dataset shapes is labelled for detection, the model is a visual-classifier"):
        evaluate.fn(ready.classifier, ready.scenes, "test")
    with pytest.raises(Fault, match="dataset shapes is labelled for classification, the model is a visual-detector"):
        evaluate.fn(ready.detector, ready.shapes, "test")


def test_a_picture_that_is_gone_is_named(ready, tmp_path):
    dataset = pinned(tmp_path / "shapes")
    opened = dataset.open()
    path = opened.path(opened.split("test")[1])
    path.unlink()
    with pytest.raises(Fault, match=rf"{path.name}: there is no such file"):
        evaluate.fn(ready.classifier, dataset, "test")
