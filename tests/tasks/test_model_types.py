"""Every model type goes the same way: trained, registered, measured, asked, compared, promoted, loaded by MLflow."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pyarrow.parquet as pq
import pytest

from models.parameters import parameters
from models.runtime.faults import Fault
from models.runtime.predictor import Predictor
from tasks.answers import predictor
from tasks.app import Gate
from tasks.artifacts import artifacts, card, trained_on
from tasks.compare import compare
from tasks.evaluate import evaluate
from tasks.promote import promote
from tasks.registry import resolve
from tasks.train import plan_training
from tests.registered import learned, pinned, planned, planned_on, predicted, registered

SPLITS = ("train",) * 12 + ("val",) * 6 + ("test",) * 6
TYPES = ("embedder", "linear", "knn", "kmeans")


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A classifier, and a version of every further type on it."""
    folder = tmp_path_factory.mktemp("types")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        shapes = pinned(folder / "shapes", SPLITS)
        classifier = registered(planned(shapes, template="resnet_light"))
        wanted = {"template": "angular_margin", "backbone": "resnet_light", "embedding_size": 8}
        made = SimpleNamespace(
            shapes=shapes,
            classifier=classifier,
            embedder=registered(planned(shapes, image_size=32, **wanted)),
            linear=learned(planned_on(shapes, classifier, "linear")),
            knn=learned(planned_on(shapes, classifier, "knn", neighbours=3)),
            kmeans=learned(planned_on(shapes, classifier, "kmeans", clusters=2)),
        )
        yield made


@pytest.fixture(autouse=True)
def same_root(ready, monkeypatch, tmp_path_factory):
    """The workspace that the versions are in."""
    monkeypatch.setenv("SIGHTLINE_ROOT", str(ready.shapes.folder).removesuffix("/shapes") + "/root")


def test_each_is_registered_as_what_it_is(ready):
    assert [getattr(ready, name).type for name in TYPES] == [
        "visual-embedder",
        "embedding-classifier",
        "embedding-classifier",
        "clusterer",
    ]
    described = card(ready.embedder)
    assert described.network == {"backbone": "resnet_light", "embedding_size": 8}
    assert described.concepts == ("tall", "wide")
    assert not any(name.startswith("margin") for name in Predictor.load(artifacts(ready.embedder)).network.state_dict())
    assert card(ready.kmeans).concepts == ("cluster 0", "cluster 1")
    assert card(ready.linear).image_size == card(ready.classifier).image_size


def test_an_alias_is_settled_when_the_training_is_planned(ready):
    plan = planned_on(ready.shapes, f"{ready.classifier.name}@challenger", "linear")
    assert plan.given["embedder"] == str(ready.classifier)


@pytest.mark.parametrize(
    ("name", "headline"),
    [("embedder", "recall_1"), ("linear", "accuracy"), ("knn", "accuracy"), ("kmeans", "silhouette")],
)
def test_each_is_measured_by_its_own_number(ready, name, headline):
    done = evaluate.fn(getattr(ready, name), ready.shapes, "test")
    assert done.headline == headline
    assert 0 <= done.metrics[f"{headline}_low"] <= done.metrics[headline] <= done.metrics[f"{headline}_high"] <= 1
    assert done.seen_in_training == 0
    assert resolve(str(getattr(ready, name))).metrics[f"test.{headline}"] == pytest.approx(
        done.metrics[headline], abs=1e-6
    )
    assert "| **all** |" in (Path(done.report) / "report.md").read_text()


def test_concepts_are_learned_from_the_vectors_of_a_network_that_never_trained(ready):
    for name in ("linear", "knn"):
        assert evaluate.fn(getattr(ready, name), ready.shapes, "test").metrics["accuracy"] >= 4 / 6


def test_a_head_has_seen_what_its_embedder_has_seen(ready, tmp_path):
    other = pinned(tmp_path / "other", ("train",) * 8 + ("test",) * 4)
    plan = planned_on(other, ready.classifier, "linear", splits="train")
    assert trained_on(learned(plan)) >= trained_on(ready.classifier)


def test_mlflow_answers_each_as_the_predictor_does(ready):
    opened = ready.shapes.open()
    pictures = [str(opened.path(entry)) for entry in opened.annotations[:3]]
    columns = {
        "embedder": ["image", "embedding"],
        "linear": ["image", "concept", "score"],
        "knn": ["image", "concept", "score"],
        "kmeans": ["image", "cluster", "score", "distance"],
    }
    for name in TYPES:
        version = getattr(ready, name)
        table = mlflow.pyfunc.load_model(f"models:/{version}").predict(pictures)
        assert list(table.columns) == columns[name]
        answers = predictor(version).predict(pictures)
        expected = [{"image": i} | row for i, answer in enumerate(answers) for row in answer.table()]
        assert table.to_dict(orient="records") == expected
    outputs = mlflow.models.get_model_info(f"models:/{ready.embedder}").signature.outputs
    assert [column.name for column in outputs] == ["image", "embedding"]
    assert len(mlflow.pyfunc.load_model(f"models:/{ready.embedder}").predict(pictures)["embedding"][0]) == 8


@pytest.mark.parametrize(("name", "key"), [("embedder", "embedding"), ("linear", "concepts"), ("kmeans", "cluster")])
def test_each_answers_for_new_pictures_in_lines_and_in_a_table(ready, name, key, tmp_path):
    version, opened = getattr(ready, name), ready.shapes.open()
    pictures = [opened.path(entry) for entry in opened.annotations[:4]]
    told = predicted(version, pictures, tmp_path / "out", draw=name == "kmeans")
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert [line["image"] for line in lines] == list(map(str, pictures))
    assert all(key in line for line in lines)
    table = pq.read_table(tmp_path / "out" / "predictions.parquet")
    assert table.num_rows == (8 if name == "linear" else 4)
    if name == "embedder":
        assert told["found"] == {}
        assert np.allclose(table["embedding"].to_pylist(), [line["embedding"] for line in lines], atol=1e-6)
    if name == "kmeans":
        assert sum(told["found"].values()) == 4
        assert len(list((tmp_path / "out" / "drawn").rglob("*.jpg"))) == 4


def test_vectors_are_not_drawn(ready, tmp_path):
    opened = ready.shapes.open()
    with pytest.raises(Fault, match="Leave out --draw"):
        predicted(ready.embedder, [opened.path(opened.annotations[0])], tmp_path / "out", draw=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", TYPES)
def test_each_can_be_the_champion_and_only_a_better_one_takes_its_place(ready, name):
    version = getattr(ready, name)
    done = evaluate.fn(version, ready.shapes, "test")
    first = promote.fn(version, done, ready.shapes, Gate())
    assert first.promoted and first.metric == done.headline
    again = promote.fn(resolve(str(version)), done, ready.shapes, Gate())
    assert "is the champion already" in again.why


def test_each_has_a_row_beside_its_like(ready):
    for name, column in (("embedder", "Recall@1"), ("linear", "Accuracy (ROC AUC)"), ("kmeans", "Silhouette")):
        version = getattr(ready, name)
        done = evaluate.fn(version, ready.shapes, "test")
        told = compare.fn([(version, ready.shapes, "test")] * 2, [done] * 2)
        assert column in told.totals[0] and told.totals[0]["Seen in training"] == 0
        assert told.differences[0]["Metric"] == done.headline and told.differences[0]["Difference"] == 0


def test_as_is_keeps_the_weights_it_is_given_and_has_seen_what_they_have(ready):
    wanted = {"template": "as_is", "backbone": "resnet_light", "image_size": 32, "weights": str(ready.classifier)}
    version = learned(plan_training(ready.shapes, parameters(wanted), "shapes-as-is"))
    network, start = (Predictor.load(artifacts(one)).network for one in (version, ready.classifier))
    assert all(
        (network.state_dict()[name] == tensor).all()
        for name, tensor in start.backbone.state_dict(prefix="backbone.").items()
    )
    assert card(version).concepts == ()
    assert trained_on(version) == trained_on(ready.classifier)
    assert evaluate.fn(version, ready.shapes, "test").headline == "recall_1"


def test_a_clusterer_groups_pictures_with_boxes_too(ready, tmp_path):
    scenes = pinned(tmp_path / "scenes", SPLITS, task="detection")
    version = learned(planned_on(scenes, ready.classifier, "kmeans", most_clusters=3))
    done = evaluate.fn(version, scenes, "test")
    assert {"silhouette", "purity", "nmi"} <= done.metrics.keys()
    assert {path.name for path in Path(done.report).rglob("*.jpg")} >= {"clusters.jpg", "00.jpg"}


@pytest.mark.parametrize(
    ("splits", "template", "said"),
    [
        (("train",) * 3 + ("val",), "linear", "too few images in train\\+val: .*3 of each are needed, about ten"),
        (("train", "test") * 5, "linear", "no positive example for wide in train\\+val"),
        (("train",) * 6 + ("val", "test") * 3, "angular_margin", "its val images show 'tall' alone"),
        (("train",) * 6 + ("val", "val"), "angular_margin", "no two of its val images share a concept"),
    ],
)
def test_what_cannot_teach_is_told_before_anything_is_done(ready, tmp_path, splits, template, said):
    small = pinned(tmp_path / "small", splits)
    with pytest.raises(Fault, match=said):
        if template == "linear":
            planned_on(small, ready.classifier, template)
        else:
            planned(small, template=template, backbone="resnet_light")


def test_only_what_makes_vectors_is_learned_from(ready):
    with pytest.raises(Fault, match="embedder: name the registered model whose vectors"):
        planned_on(ready.shapes, "", "linear")
    with pytest.raises(Fault, match=r"is a clusterer\. Vectors are made by a visual-embedder or a visual-classifier"):
        planned_on(ready.shapes, ready.kmeans, "linear")
    with pytest.raises(Fault, match=rf"grid: {ready.classifier} tells 1 × 1 places .*, got 3\. Set grid: 1, or 0"):
        planned_on(ready.shapes, ready.classifier, "linear", grid=3)


def test_a_split_that_an_embedder_cannot_be_measured_on_is_told(ready, tmp_path):
    lonely = pinned(tmp_path / "lonely", ("train",) * 4 + ("val",) * 4 + ("test",) * 2)
    with pytest.raises(Fault, match="nothing to recall: no two of the 2 images share a concept"):
        evaluate.fn(ready.embedder, lonely, "test")
