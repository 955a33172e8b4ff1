"""A report's further tables: what is in them is what the report says, and they stand in every file."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from models.runtime.predictions import Regions
from tasks.data.annotations import Annotation
from tasks.metrics.classification import classification
from tasks.metrics.detection import detection
from tasks.report import markdown, save, worst_slice
from tasks.tables import TITLES, tables

NAMES = ("cat", "dog")


def detector(count=8):
    """Each image shows a cat and a small dog; the cat is found a little beside its place, the dog in half of them."""
    annotations, found = [], []
    for i in range(count):
        boxes, no = ((0.0, 0.0, 100.0, 100.0), (110.0, 0.0, 130.0, 20.0)), (False, False)
        annotations.append(
            Annotation(f"{i}.png", f"{i:064d}", 200, 120, "test", (), boxes, (1e4, 400.0), NAMES, no, no)
        )
        rows = [([0.0, 0, 100, 80], 0.9, 0), ([110.0, 0, 130, 20], 0.8, 1), ([0.0, 0, 100, 100], 0.7, 1)]
        rows = rows if i % 2 else rows[:1]
        boxes, scores, labels = (np.array(column) for column in zip(*rows, strict=True))
        found.append(Regions(boxes.astype(np.float64), scores.astype(np.float32), labels.astype(np.int64), NAMES))
    return annotations, found, detection(annotations, found, NAMES)


def test_a_detectors_tables():
    annotations, found, report = detector()
    made = tables(report, annotations, found, precision=0.9)
    assert list(made) == list(TITLES)
    errors = {row["Error"]: row["Count"] for row in made["errors"]}
    assert errors == {"classification": 4, "missed": 4, "localisation": 0, "both": 0, "duplicate": 0, "background": 0}
    assert [row["Cost in AP"] for row in made["errors"]] == sorted(report.errors.costs[n] for n in errors)[::-1]
    average = {(row["Concept"], row["Area"]): row for row in made["average_precision"]}
    assert set(average) == {("cat", "all"), ("cat", "large"), ("dog", "all"), ("dog", "small")}
    assert average["cat", "all"]["AP80"] == pytest.approx(1) and average["cat", "all"]["AP85"] == 0
    row = report.per_concept[1]
    values = [value for name, value in average["dog", "all"].items() if name.startswith("AP")]
    assert np.mean(values) == pytest.approx(row["Average Precision"])
    assert [row["Concept"] for row in made["voc"]] == ["cat", "dog", "mean"]
    assert made["voc"][0]["Every point, continuous"] == pytest.approx(1)
    dog = made["thresholds"][1]
    assert (dog["Precision 0.9: Threshold"], dog["Precision 0.9: Recall"]) == (pytest.approx(0.8), 0.5)


def test_every_table_is_a_file_and_a_part_of_the_others(tmp_path):
    annotations, found, report = detector()
    made = tables(report, annotations, found)
    paths = {path.name for path in save(report, tmp_path, "roofs/1 on roofs test", made, "3 of 8 were seen.")}
    assert paths == {"report.json", "report.md", "per_concept.csv", *(f"{name}.csv" for name in TITLES)}
    content = json.loads((tmp_path / "report.json").read_text())
    assert set(content["tables"]) == set(TITLES)
    text = (tmp_path / "report.md").read_text()
    assert text.startswith("# roofs/1 on roofs test\n\n**3 of 8 were seen.**\n")
    assert all(f"\n## {title}\n" in text for title in TITLES.values())
    with (tmp_path / "voc.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["11 points, inclusive"]) == pytest.approx(made["voc"][0]["11 points, inclusive"])


def test_a_long_table_is_cut_on_the_page_alone():
    *_, report = detector()
    rows = [{"Slice": "folder", "Value": str(i), "Images": 1, "Metric": "map_50", "Number": 1.0} for i in range(30)]
    rows = [row | {"Low": 1.0, "High": 1.0, "Whole": 0.5} for row in rows]
    text = markdown(report, "a", {"slices": rows})
    assert "The first 20 of 30; all are in slices.csv." in text and "| folder | 25 |" not in text
    assert "No slice is worse than the whole beyond doubt" in text


def test_the_worst_slice_is_a_sentence():
    row = {"Slice": "aspect", "Value": "portrait", "Images": 12, "Metric": "map_50", "Number": 0.25}
    told = worst_slice([row | {"Low": 0.1, "High": 0.4, "Whole": 0.7}])
    assert told == (
        "Worst slice: aspect portrait: mAP at IoU .50 0.250 (95 % interval 0.100 to 0.400) on 12 images, against 0.700 "
        "of all."
    )
    assert worst_slice([]) == ""


def test_a_classifiers_tables_have_no_boxes_in_them():
    entries = [Annotation(f"{i}.png", f"{i:064d}", 64, 48, "test", (NAMES[i % 2],)) for i in range(8)]
    scores = np.eye(2, dtype=np.float32)[[i % 2 for i in range(8)]]
    assert set(tables(classification(entries, scores, NAMES, True), entries, [])) == {"slices", "thresholds"}
