"""What is suspicious in a dataset's labels is listed in files and drawn; what a model cannot doubt is refused."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from models.runtime.faults import Fault
from models.runtime.predictions import Regions
from tasks import label_issues as verb
from tasks.data.store import heading
from tasks.kept import Answered
from tasks.label_issues import COLUMNS, find_label_issues, sentence
from tasks.plan import PinnedDataset
from tasks.workspace import state
from tests.registered import always, lively, pinned, planned, registered

ORANGE = (219, 92, 26)


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A classifier that says `tall` of everything and a detector, with the datasets they know."""
    folder = tmp_path_factory.mktemp("issues")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        shapes, scenes = pinned(folder / "shapes"), pinned(folder / "scenes", task="detection", size=320)
        classifier, detector = registered(planned(shapes), always(0)), registered(planned(scenes), lively)
    return SimpleNamespace(shapes=shapes, scenes=scenes, classifier=classifier, detector=detector)


def listed(folder: str) -> list[dict[str, str]]:
    with (Path(folder) / "label_issues.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def relabelled(dataset: PinnedDataset, entries) -> PinnedDataset:
    """The dataset with other annotations."""
    folder = Path(dataset.folder)
    (folder / "annotations.jsonl").write_text("".join(entry.line() + "\n" for entry in entries))
    return dataset


def right(entries, concepts) -> list[Regions]:
    """What is there, with scores of .9."""
    return [
        Regions(
            np.array(entry.boxes, np.float64).reshape(-1, 4),
            np.full(len(entry.boxes), 0.9, np.float32),
            np.array([concepts.index(name) for name in entry.box_concepts], np.int64),
            concepts,
        )
        for entry in entries
    ]


def test_a_classifiers_issues_are_listed_and_drawn(ready):
    done = find_label_issues.fn(ready.classifier, ready.shapes)
    assert (done.model, done.dataset, done.split) == (str(ready.classifier), "shapes", "train+val+test")
    assert (done.images, done.seen_in_training, done.unjudged) == (16, 12, 0)
    assert (done.found, len(done.rows)) == ({"wrong concept": 8}, 8)  # it takes every wide one for a tall one
    name = f"shapes-{ready.classifier.name}-1"
    assert done.folder == str(state() / "label-issues" / name)
    assert {(row["given"], row["suggested"], row["box"]) for row in done.rows} == {("wide", "tall", "")}
    assert [row["rank"] for row in done.rows] == list(range(1, 9))
    seen = {row["image"]: row["seen in training"] for row in done.rows}
    assert seen == {e.image: "no" if e.split == "test" else "yes" for e in ready.shapes.open().annotations[1::2]}
    rows = listed(done.folder)
    assert list(rows[0]) == list(COLUMNS)
    assert rows == [{key: str(value) for key, value in row.items()} for row in done.rows]
    assert done.sheets == ["label_issues.jpg"]
    with Image.open(Path(done.folder) / "label_issues.jpg") as sheet:
        assert sheet.size[0] == 3 * 316 + 10
        assert np.ptp(np.asarray(sheet)) > 200
    assert sentence(done).splitlines() == [
        "8 suspicious in the labels of 16 images: 8 wrong concept",
        "12 images were seen in training: of these fewer issues show",
    ]


def test_a_list_is_as_long_as_asked_of_the_splits_asked_and_takes_the_place_of_the_last(ready, tmp_path):
    folder = tmp_path / "new" / "list"
    dataset = pinned(tmp_path / "many", ("train",) * 30 + ("test",) * 2)
    done = find_label_issues.fn(ready.classifier, dataset, output=str(folder), limit=13)
    assert (sum(done.found.values()), len(done.rows), len(listed(str(folder)))) == (16, 13, 13)
    assert done.sheets == ["label_issues.jpg", "label_issues_2.jpg"] and done.split == "train+test"
    assert "listed: the 13 most suspicious" in sentence(done)
    (folder / "notes.txt").write_text("mine")
    (folder / "label_issues_mine.jpg").write_text("mine")
    done = find_label_issues.fn(ready.classifier, dataset, "test+test", 100, str(folder))
    assert (done.images, done.split, [row["split"] for row in done.rows]) == (2, "test", ["test"])
    assert sorted(path.name for path in folder.iterdir()) == [
        "label_issues.csv",
        "label_issues.jpg",
        "label_issues_mine.jpg",
        "notes.txt",
    ]


def test_a_detectors_issues_are_drawn_where_they_are(ready, tmp_path, monkeypatch):
    dataset = pinned(tmp_path / "scenes", task="detection", size=320)
    truth = dataset.open().annotations
    columns = ("boxes", "areas", "box_concepts", "crowd", "difficult")
    entries = [replace(truth[0], box_concepts=("wide",)), replace(truth[1], **dict.fromkeys(columns, ())), *truth[2:]]
    relabelled(dataset, entries)
    found = tuple(right(truth, ("tall", "wide")))
    monkeypatch.setattr(verb, "answered", lambda *_: Answered(tuple(entries), found, 1.0))
    done = find_label_issues.fn(ready.detector, dataset)
    second, first = done.rows  # of equally suspicious ones the labelled first
    assert (first["kind"], first["suggested"], first["image"]) == ("missed box", "wide", truth[1].image)
    assert (first["box"], first["suggested box"]) == ("", ",".join(f"{side:g}" for side in truth[1].boxes[0]))
    assert (second["kind"], second["given"], second["suggested"]) == ("wrong concept", "wide", "tall")
    assert second["box"] == second["suggested box"] == ",".join(f"{side:g}" for side in truth[0].boxes[0])
    assert [(row["suspicion"], row["score"], row["split"]) for row in done.rows] == [(0.875, 0.9, "train")] * 2
    assert listed(done.folder) == [{key: str(value) for key, value in row.items()} for row in done.rows]
    with Image.open(Path(done.folder) / done.sheets[0]) as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)[33 : 33 + 306, 326 : 326 + 306]  # the second
    lines = np.abs(pixels - ORANGE).max(axis=-1) < 60  # JPEG blurs a line
    x0, y0, x1, y1 = (side * 306 / 320 for side in truth[1].boxes[0])
    down = np.flatnonzero(lines[int(y0) + 3 : int(y1) - 3].mean(axis=0) > 0.9)  # whole pictures: the boxes are large
    assert abs(down.min() - x0) <= 3 and abs(down.max() - x1) <= 3


def test_a_small_box_is_shown_with_what_is_around_it_alone():
    small = verb.LabelIssue(0, "missed box", "", "cat", 0.9, 0.9, None, (990.0, 480.0, 1000.0, 500.0))
    assert verb._window(small, (1000, 500)) == (900, 400, 1000, 500)
    large = replace(small, suggested_box=(0.0, 0.0, 400.0, 300.0))
    assert verb._window(large, (1000, 500)) == (0, 0, 1000, 500)


def test_nothing_suspicious_is_said_in_words(ready, monkeypatch):
    truth = ready.scenes.open().annotations
    found = tuple(right(truth, ("tall", "wide")))
    monkeypatch.setattr(verb, "answered", lambda *_: Answered(truth, found, 1.0))
    done = find_label_issues.fn(ready.detector, ready.scenes)
    assert (done.found, done.rows, done.sheets, listed(done.folder)) == ({}, [], [], [])
    assert (Path(done.folder) / "label_issues.csv").read_text() == ",".join(COLUMNS) + "\n"
    assert sentence(done).startswith("nothing suspicious in the labels of 16 images\n")


def test_the_first_sheet_and_the_table_are_on_the_page(ready, monkeypatch):
    shown, tables = [], []
    monkeypatch.setattr(verb, "show", lambda text, name, what, pictures: shown.append((text, pictures)))
    monkeypatch.setattr(verb, "show_table", lambda rows, name, what: tables.append(rows))
    done = find_label_issues.fn(ready.classifier, ready.shapes)
    ((text, pictures),) = shown
    assert sentence(done) in text and [path.name for path in pictures] == ["label_issues.jpg"]
    assert tables == [done.rows]


def test_labels_of_concepts_that_the_model_does_not_know_are_counted(ready, tmp_path):
    dataset = pinned(tmp_path / "shapes")
    entries = dataset.open().annotations
    relabelled(dataset, [replace(entries[0], concepts=("round",)), *entries[1:]])
    (Path(dataset.folder) / "dataset.yaml").write_text(
        heading("shapes", "classification", True, ("round", "tall", "wide"))
    )
    done = find_label_issues.fn(ready.classifier, dataset)
    assert (done.unjudged, done.found) == (1, {"wrong concept": 8})
    assert sentence(done).endswith("1 labels are of concepts that the model does not know: not looked at")


@pytest.mark.parametrize("type", ["visual-embedder", "clusterer"])
def test_a_model_that_names_no_concept_is_refused(ready, monkeypatch, type):
    card = verb.card(ready.classifier).with_(type=type)
    monkeypatch.setattr(verb, "card", lambda version: card)
    types = "visual-classifier, visual-detector, embedding-classifier"
    with pytest.raises(Fault, match=rf"/1 is of the type {type}: it names no concept .* one of these types: {types}\."):
        find_label_issues.fn(ready.classifier, ready.shapes)


def test_labels_of_another_kind_an_empty_split_and_a_file_for_a_folder_are_refused(ready, tmp_path, workspace):
    with pytest.raises(Fault, match="dataset shapes is labelled for detection, the model is a visual-classifier"):
        find_label_issues.fn(ready.classifier, ready.scenes)
    with pytest.raises(Fault, match=r"there is no split 'tset'\. Known: test, train, val\."):
        find_label_issues.fn(ready.classifier, ready.shapes, "train+tset")
    some = pinned(tmp_path / "shapes", ("train",) * 4)
    with pytest.raises(Fault, match="dataset shapes: its test split is empty"):
        find_label_issues.fn(ready.classifier, some, "test")
    none = pinned(tmp_path / "none", ())
    with pytest.raises(Fault, match="dataset shapes: it has no image"):
        find_label_issues.fn(ready.classifier, none)
    (tmp_path / "file").write_text("")
    with pytest.raises(Fault, match=r"file: the list cannot be written there \(File exists\)\. Name another --output"):
        find_label_issues.fn(ready.classifier, ready.shapes, output=str(tmp_path / "file"))
    with pytest.raises(Fault, match=r"is a part of the datasets, whose files are versioned\. Name another --output"):
        find_label_issues.fn(ready.classifier, ready.shapes, output=str(workspace / "data" / "shapes"))
    with pytest.raises(Fault, match="limit: a number of issues to list is wanted, 1 or more, got 0"):
        find_label_issues.fn(ready.classifier, ready.shapes, limit=0)
