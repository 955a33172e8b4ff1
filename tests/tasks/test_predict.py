"""Pictures in, JSON Lines and Parquet out; what cannot be read is listed and the rest goes on."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from models.runtime.card import Card
from models.runtime.predictions import Concepts
from tasks import inputs
from tasks.answers import predictor
from tasks.lines import sure_of
from tasks.output import PARTS
from tests.registered import lively, pinned, planned, predicted, registered


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A classifier, a detector, and a folder of pictures."""
    folder = tmp_path_factory.mktemp("predict")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        shapes, scenes = pinned(folder / "shapes"), pinned(folder / "scenes", task="detection")
        classifier, detector = registered(planned(shapes)), registered(planned(scenes), lively)
    return SimpleNamespace(classifier=classifier, detector=detector, pictures=Path(shapes.folder) / "images")


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 10), (shade, 0, 0)).save(path)
    return path


def test_a_classifiers_answers_are_the_predictors(ready, tmp_path):
    done = predicted(ready.classifier, [ready.pictures], tmp_path)
    paths = sorted(ready.pictures.iterdir())
    expected = [answer.rows() for answer in predictor(ready.classifier).predict(paths)]
    rows = lines(tmp_path)
    assert [(row["image"], row["concepts"]) for row in rows] == list(zip(map(str, paths), expected, strict=True))
    assert {(row["model"], row["dataset_version"]) for row in rows} == {
        (str(ready.classifier), ready.classifier.dataset_version)
    }
    assert {(row["width"], row["height"]) for row in rows} == {(32, 32)}
    assert done == {
        "model": str(ready.classifier),
        "dataset_version": ready.classifier.dataset_version,
        "images": 16,
        "found": {name: sum(rows[0]["concept"] == name for rows in expected) for name in ("tall", "wide")},
        "rejected": [],
        "output": str(tmp_path),
    }
    assert {path.name for path in tmp_path.glob("*.*")} == {"predictions.jsonl", "predictions.parquet"}


def test_a_detectors_answers_are_those_above_its_threshold(ready, tmp_path):
    predicted(ready.detector, [ready.pictures], tmp_path)
    one = predictor(ready.detector)
    answers = one.predict(sorted(ready.pictures.iterdir()))
    assert [row["regions"] for row in lines(tmp_path)] == [a[a.scores >= one.card.threshold].rows() for a in answers]


@pytest.mark.parametrize(("threshold", "kept"), [(0.0, 100), (1.0, 0)])
def test_another_threshold_keeps_more_or_fewer_regions(ready, tmp_path, threshold, kept):
    predicted(ready.detector, [ready.pictures], tmp_path, threshold)
    counts = {len(row["regions"]) for row in lines(tmp_path)}
    assert max(counts) == kept
    assert pq.read_table(tmp_path / "predictions.parquet").num_rows == sum(len(r["regions"]) for r in lines(tmp_path))


def test_a_threshold_leaves_out_unlikely_concepts(ready, tmp_path):
    predicted(ready.classifier, [ready.pictures], tmp_path, 0.5)
    assert [len(row["concepts"]) for row in lines(tmp_path)] == [1] * 16


@pytest.mark.parametrize("kind", ["classifier", "detector"])
def test_parquet_holds_the_same_flat(ready, tmp_path, kind):
    predicted(getattr(ready, kind), [ready.pictures], tmp_path)
    expected = []
    for line in lines(tmp_path):
        shared = {name: line[name] for name in ("image", "model", "dataset_version")}
        for row in line["regions" if kind == "detector" else "concepts"]:
            box = dict(zip(("x0", "y0", "x1", "y1"), row.get("box", ()), strict=False))
            expected.append(shared | {"concept": row["concept"], "score": row["score"]} | box)
    assert expected
    assert pq.read_table(tmp_path / "predictions.parquet").to_pylist() == expected


def test_shards_are_joined_in_order(ready, tmp_path, monkeypatch):
    predicted(ready.classifier, [ready.pictures], tmp_path / "whole")
    monkeypatch.setattr(inputs, "SHARD", 5)
    found, _ = inputs.parts(inputs.Inputs(paths=(str(ready.pictures),)))
    assert [(part.at, len(part.paths)) for part in found] == [(0, 5), (5, 5), (10, 5), (15, 1)]
    done = predicted(ready.classifier, [ready.pictures], tmp_path / "parts")
    assert done["images"] == 16
    for one, other in zip(lines(tmp_path / "whole"), lines(tmp_path / "parts"), strict=True):
        assert one["image"] == other["image"]
        scores = [{row["concept"]: row["score"] for row in line["concepts"]} for line in (one, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-6)  # of another batch: not bit by bit
    assert not (tmp_path / "parts" / PARTS).exists()


def test_a_broken_picture_is_reported_and_the_rest_goes_on(ready, tmp_path):
    first = picture(tmp_path / "in/1.png")
    broken = tmp_path / "in/2.png"
    broken.write_bytes((ready.pictures / "000.png").read_bytes()[:500])
    third = picture(tmp_path / "in/3.png")
    done = predicted(ready.classifier, [tmp_path / "in", tmp_path / "gone.png"], tmp_path / "out")
    assert [row["image"] for row in lines(tmp_path / "out")] == [str(first), str(third)]
    assert done["images"] == 2
    assert [row["path"] for row in done["rejected"]] == [str(tmp_path / "gone.png"), str(broken)]
    assert done["rejected"][1]["reason"].startswith("cannot be decoded (")
    with (tmp_path / "out/rejected.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == done["rejected"]


def test_nothing_but_broken_pictures_is_still_an_answer(ready, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    done = predicted(ready.detector, [broken], tmp_path / "out")
    assert (done["images"], len(done["rejected"])) == (0, 1)
    assert lines(tmp_path / "out") == []
    assert pq.read_table(tmp_path / "out/predictions.parquet").num_rows == 0


def test_a_picture_is_read_as_it_is_seen(ready, tmp_path):
    tag = Image.Exif()
    tag[0x0112] = 6  # turned by 90°
    Image.new("RGB", (20, 10)).save(tmp_path / "turned.jpg", exif=tag)
    predicted(ready.classifier, [tmp_path / "turned.jpg"], tmp_path / "out")
    (row,) = lines(tmp_path / "out")
    assert (row["width"], row["height"]) == (10, 20)


def test_drawn_pictures_of_one_name_do_not_replace_each_other(ready, tmp_path):
    names = ("a/x/1.png", "b/x/1.png", "b/x/1.bmp", "c/y/b/x/1.png")
    for shade, name in enumerate(names):
        picture(tmp_path / "in" / name, shade)
    predicted(ready.classifier, [tmp_path / "in"], tmp_path / "out", draw=True)
    drawn = sorted((tmp_path / "out/drawn").rglob("*.jpg"))
    assert len(drawn) == 4
    with Image.open(drawn[0]) as image:
        assert image.size[0] >= 640


def test_a_score_just_at_the_threshold_is_listed_and_drawn(ready, tmp_path):
    one = predictor(ready.detector)
    score = max(score for answer in one.predict(sorted(ready.pictures.iterdir())) for score in answer.scores)
    predicted(ready.detector, [ready.pictures], tmp_path, threshold=float(score))
    assert [row["score"] for line in lines(tmp_path) for row in line["regions"]] == [float(score)]


def test_boxes_are_counted_by_concept(ready, tmp_path):
    done = predicted(ready.detector, [ready.pictures], tmp_path, 0.0)
    concepts = [row["concept"] for line in lines(tmp_path) for row in line["regions"]]
    assert done["found"] == {name: concepts.count(name) for name in ("tall", "wide")}
    assert sum(done["found"].values()) > 100


@pytest.mark.parametrize(
    ("scores", "exclusive", "threshold", "counted"),
    [
        ((0.6, 0.4), True, None, ["a"]),
        ((0.6, 0.4), True, 0.3, ["a"]),
        ((0.6, 0.4), True, 0.7, []),
        ((0.6, 0.7), False, None, ["b", "a"]),
        ((0.6, 0.4), False, None, ["a"]),
        ((0.6, 0.4), False, 0.65, []),
    ],
)
def test_pictures_are_counted_for_what_they_show(scores, exclusive, threshold, counted):
    card = Card("visual-classifier", "resnet18", ("a", "b"), 32, (), (), exclusive, threshold=0.5)
    answer = Concepts(np.array(scores, np.float32), card.concepts)
    assert sure_of(answer, card, threshold) == counted
