"""Tables, files and curves: that they hold what the report says, and survive odd reports."""

import csv
import json
import math

import numpy as np
import pytest
from PIL import Image

from models.runtime.predictions import Regions
from tasks.data.annotations import Annotation
from tasks.metrics.classification import classification
from tasks.metrics.detection import detection
from tasks.plots import plot_training
from tasks.report import as_table, markdown, save
from tasks.style import paint_to

ODD = ("hail | wind", "_hidden", "$x$ [b]", "鳥", "a-name-that-goes-on-and-on-for-ever-and-ever", "absent")


def boxed(*concepts):
    boxes = tuple((20.0 * i, 0.0, 20.0 * i + 10, 10.0) for i in range(len(concepts)))
    no = (False,) * len(concepts)
    return Annotation("a.png", "", 200, 100, "test", (), boxes, (100.0,) * len(boxes), concepts, no, no)


def detector(concepts=ODD, found=((0, 0.9), (1, 0.8), (0, 0.3))):
    """A report on one image with a box of each concept but the last, and regions (concept, score) on them."""
    regions = Regions(
        np.array([[20.0 * label, 0, 20.0 * label + 10, 10] for label, _ in found]).reshape(-1, 4),
        np.array([score for _, score in found], np.float32),
        np.array([label for label, _ in found], np.int64),
        concepts,
    )
    return detection([boxed(*concepts[:-1])], [regions], concepts)


def classifier(concepts=ODD, exclusive=True):
    entries = [Annotation(f"{i}.png", "", 8, 8, "test", (name,)) for i, name in enumerate(concepts[:-1])]
    scores = np.eye(len(concepts), dtype=np.float32)[: len(entries)] * np.float32(0.7) + np.float32(0.05)
    return classification(entries, scores, concepts, exclusive)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_markdown_has_the_headline_the_notes_and_a_row_a_concept():
    text = markdown(detector(), "roofs/3 on roofs test")
    lines = text.splitlines()
    assert lines[0] == "# roofs/3 on roofs test"
    assert lines[2].startswith("mAP at IoU .50 0.400 (95 % interval ")
    assert "on 1 images with 5 boxes; counts from a score of 0.5, at IoU 0.5." in lines[2]
    assert "- no box of 'absent': no average precision, left out of the means" in lines
    assert "| **all** | 0.400 | 0.400 | 5 | 2 | 2 | 0 | 3 | 0.400 | 1.000 | 0.571 |" in lines
    assert "| hail \\| wind | 1.000 | 1.000 | 1 | 1 | 1 | 0 | 0 | 1.000 | 1.000 | 1.000 |" in lines
    assert "| absent | – | – | 0 | 0 | 0 | 0 | 0 | – | – | – |" in lines
    assert "nan" not in text


def test_an_undefined_headline_says_so():
    report = detection([boxed()], [Regions.empty(("a",))], ("a",))
    assert "mAP at IoU .50 is undefined, on 1 images" in markdown(report, "roofs/3")


def test_a_classifiers_markdown_names_its_threshold_only_where_it_has_one():
    assert "counts from a score" not in markdown(classifier(), "a/1")
    assert "counts from a score of 0.5" in markdown(classifier(exclusive=False), "a/1")
    assert "| accuracy of the best five | 1.000 |" in markdown(classifier(), "a/1")


@pytest.mark.parametrize(
    ("report", "metric", "said"),
    [
        (detector(), "map_50", "mAP at IoU .50"),
        (classifier(), "accuracy", "accuracy"),
        (classifier(exclusive=False), "macro_average_precision", "average precision, mean of concepts"),
    ],
)
def test_the_number_that_counts_comes_first_with_its_interval(report, metric, said):
    lines = markdown(report, "a/1").splitlines()
    low, high = (report.summary[f"{metric}_{end}"] for end in ("low", "high"))
    assert lines[2].startswith(f"{said} {report.summary[metric]:.3f} (95 % interval {low:.3f} to {high:.3f})")
    first = lines[lines.index("| metric | value |") + 2]
    assert first == f"| {said} | {report.summary[metric]:.3f} |"


def test_what_is_saved_can_be_read_back(tmp_path):
    report = detector()
    paths = save(report, tmp_path / "new" / "folder", "roofs/3")
    assert [path.name for path in paths[:3]] == ["report.json", "per_concept.csv", "report.md"]
    assert all(path.is_file() for path in paths)
    content = json.loads(paths[0].read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert content["title"] == "roofs/3"
    assert content["summary"]["map_50"] == report.summary["map_50"]
    assert content["summary"]["map_large"] is None
    assert content["per_concept"][-1]["Average Precision"] is None
    assert content["confusion"] == report.confusion.tolist()
    rows = list(csv.DictReader(paths[1].read_text(encoding="utf-8").splitlines()))
    assert [row["Concept"] for row in rows] == list(ODD)
    assert rows[-1]["AP50"] == ""
    assert float(rows[0]["Recall"]) == 1
    assert paths[2].read_text(encoding="utf-8") == markdown(report, "roofs/3")


def test_saving_again_replaces_and_leaves_no_rest(tmp_path):
    folder = tmp_path / "report"
    save(detector(), folder, "a/1")
    names = sorted(path.name for path in folder.iterdir())
    save(detector(found=()), folder, "a/1")
    assert sorted(path.name for path in folder.iterdir()) == names
    assert json.loads((folder / "report.json").read_text())["summary"]["map_50"] == 0


def test_a_trainings_curves(tmp_path):
    history = [
        {"epoch": 0, "step": 10, "train_loss": 2.0, "learning_rate": 0.1},
        {"epoch": 0, "step": 10, "val_loss": 2.5, "val_map_50": 0.2},
        {"epoch": 1, "step": 20, "train_loss": math.nan, "val_map_50": None},
    ]
    (path,) = plot_training(history, tmp_path)
    assert path == tmp_path / "training.png"
    three = pixels(path).shape[1]
    (path,) = plot_training([{"epoch": 0, "train_loss": 2.0}], tmp_path)
    assert pixels(path).shape[1] == pytest.approx(three / 3, abs=2)
    assert plot_training([], tmp_path) == []


def test_a_confusion_matrix_of_few_concepts_is_a_table():
    lines = markdown(detector(), "roofs/3").splitlines()
    start = lines.index("## Confusion matrix (rows are actual, columns predicted)") + 2
    assert lines[start].startswith("|  | hail \\| wind | _hidden |")
    assert lines[start].endswith("| absent | background |")
    assert lines[start + 2] == "| **hail \\| wind** | 1 | 0 | 0 | 0 | 0 | 0 | 0 |"
    assert lines[start + 4] == "| **$x$ [b]** | 0 | 0 | 0 | 0 | 0 | 0 | 1 |"
    many = markdown(classifier(tuple(f"concept {i}" for i in range(22))), "a/1")
    assert "Confusion matrix" not in many
    assert "Confusion matrix" not in markdown(classifier(exclusive=False), "a/1")


def test_a_table_has_the_columns_of_all_its_rows():
    assert as_table([{"a": 1}, {"a": 2, "b|": 0.5}])[0] == "| a | b\\| |"
    assert as_table([{"a": 1}, {"a": 2, "b|": 0.5}])[2:] == ["| 1 | – |", "| 2 | 0.500 |"]


def test_matplotlib_is_left_as_it_was(tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    plot_training([{"epoch": 0, "train_loss": 2.0}], tmp_path)
    assert dict(matplotlib.rcParams) == before


def test_a_failed_plot_leaves_the_old_file(tmp_path):
    path = tmp_path / "plots" / "plot.png"
    path.parent.mkdir()
    path.write_bytes(b"old")

    def fail(figure):
        raise RuntimeError("no ink")

    with pytest.raises(RuntimeError, match="no ink"):
        paint_to(path, (1, 1), fail)
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == ["plot.png"]
