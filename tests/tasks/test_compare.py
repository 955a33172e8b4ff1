"""Models side by side: every row consistent, pairs told apart in words, what is not held out in bold."""

from __future__ import annotations

import csv
import shutil
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest

from models.runtime.faults import Fault
from tasks.artifacts import artifacts
from tasks.compare import apart, compare
from tasks.evaluate import evaluate
from tasks.leaderboard import leaderboard
from tasks.registry import client, resolve
from tests.registered import SPLITS, always, lively, numbers, pinned, planned, registered

TALL, WIDE = 0, 1
MANY = (*SPLITS[:12], *("test",) * 12)


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """Two classifiers that always say one thing and a detector, with the datasets they know."""
    folder = tmp_path_factory.mktemp("compare")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        shapes, scenes = pinned(folder / "shapes", MANY), pinned(folder / "scenes", MANY, task="detection")
        name = f"side-{next(numbers)}"
        tall, wide = (registered(planned(shapes, name, seed=i), always(i)) for i in (TALL, WIDE))
        finds = registered(planned(scenes), lively)
    return SimpleNamespace(shapes=shapes, scenes=scenes, tall=tall, wide=wide, finds=finds, folder=folder)


def compared(versions, datasets, splits=("test",)):
    measurements = list(product(versions, datasets, splits))
    return compare.fn(measurements, [evaluate.fn(*each) for each in measurements])


def test_two_models_are_told_apart(ready):
    done = compared([ready.tall, ready.wide], [ready.shapes])
    assert [row["Total Concept"] for row in done.totals] == [f"Model:{ready.tall}", f"Model:{ready.wide}"]
    assert [(row["Model"], row["Concept"], row["True Positives"]) for row in done.concepts] == [
        (str(ready.tall), "tall", 6),
        (str(ready.tall), "wide", 0),
        (str(ready.wide), "tall", 0),
        (str(ready.wide), "wide", 6),
    ]
    assert done.sentences[0].startswith(
        f"shapes test: nobody can tell which is better: accuracy 0.5 against {ready.tall}'s 0.5 (+0; 95 % interval "
    )
    assert len(done.sentences) == 1
    headline = done.differences[0]
    assert (headline["Metric"], headline["Difference"], headline["Second is"]) == ("accuracy", 0, "cannot tell")
    assert headline["Low"] < 0 < headline["High"]


def test_every_row_agrees_with_itself(ready):
    classified = compared([ready.tall], [ready.shapes], ("train", "test"))
    detected = compared([ready.finds], [ready.scenes])
    for row in (*classified.concepts, *classified.totals, *detected.concepts, *detected.totals):
        hits, wrong, missed = (row[name] for name in ("True Positives", "False Positives", "False Negatives"))
        assert hits + missed == row["Total Labeled"] and hits + wrong == row["Total Predicted"]
        if hits + wrong:
            assert row["Precision"] == hits / (hits + wrong)


def test_one_model_on_several_splits_and_what_it_was_trained_on(ready):
    done = compared([ready.tall], [ready.shapes], ("train", "test"))
    assert [row["Total Concept"] for row in done.totals] == ["Dataset:shapes:train", "Dataset:shapes:test"]
    assert [row["Seen in training"] for row in done.totals] == [8, 0]
    assert done.differences == []
    told = f"**{ready.tall} on shapes train: 8 of 8 images were seen in training: these are not held-out numbers.**"
    assert done.sentences == [told]


def test_detectors_and_the_files(ready):
    again = registered(planned(ready.scenes, seed=3), lively)
    done = compared([ready.finds, again], [ready.scenes])
    files = {path.path for path in client().list_artifacts(done.run, "comparison")}
    tables = ("concepts_summary.csv", "total_summary.csv", "differences.csv")
    pictures = ("precision_recall.png", "differences.png")
    assert files == {f"comparison/{name}" for name in (*tables, *pictures, "comparison.md", "comparison.html")}
    rows = list(csv.DictReader((Path(done.folder) / "differences.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["Metric"] for row in rows][:1] == ["map_50"]
    assert float(rows[0]["Difference"]) == pytest.approx(done.differences[0]["Difference"])
    run = client().get_run(done.run)
    assert run.data.tags["stage"] == "compare"
    assert run.data.metrics["difference.map_50"] == pytest.approx(done.differences[0]["Difference"])


def test_of_three_models_each_two_are_told_apart(ready):
    third = registered(planned(ready.shapes, seed=7), always(TALL))
    done = compared([ready.tall, ready.wide, third], [ready.shapes])
    assert [(row["First"], row["Second"]) for row in done.differences if row["Metric"] == "accuracy"] == [
        (str(ready.tall), str(ready.wide)),
        (str(ready.tall), str(third)),
        (str(ready.wide), str(third)),
    ]
    assert len(done.sentences) == 3
    assert not {row["Metric"] for row in done.differences} & {"true_positives", "images"}


def test_models_that_learned_other_concepts_have_other_labels_so_nobody_is_better(ready):
    half = registered(planned(ready.scenes, concepts=["tall"]), lively)
    done = compared([ready.finds, half], [ready.scenes])
    assert done.differences == []
    assert done.sentences == [
        f"{half} and {ready.finds} on shapes test: they learned different concepts, so that each was measured by "
        "other labels"
    ]


def test_what_an_earlier_comparison_left_and_this_one_has_not_is_taken_away(ready):
    first = compared([ready.tall, ready.wide], [ready.shapes])
    left = Path(first.folder) / "roc.png"
    assert left.exists()
    left.with_name("older.csv").write_text("a\n")
    again = compared([ready.tall, ready.wide], [ready.shapes])
    assert again.folder == first.folder
    assert left.exists() and not left.with_name("older.csv").exists()


def test_a_model_that_is_named_twice_is_measured_once(ready):
    tall, wide = (ready.tall, ready.shapes, "test"), (ready.wide, ready.shapes, "test")
    assert apart([tall, wide, tall]) == [tall, wide]
    with pytest.raises(Fault, match=rf"there is one thing to measure, {ready.tall} on .* test: name another model"):
        apart([tall, tall])


def test_models_of_two_tasks_are_refused(ready):
    measurements = [(ready.tall, ready.shapes, "test"), (ready.finds, ready.scenes, "test")]
    with pytest.raises(Fault, match="models for classification and detection cannot be compared"):
        compare.fn(measurements, [evaluate.fn(*each) for each in measurements])


def test_a_folder_with_a_versions_files_is_compared_like_a_registered_one(ready, tmp_path):
    copy = tmp_path / "handed-over"
    shutil.copytree(artifacts(ready.wide), copy)
    version = resolve(str(copy))
    assert (str(version), version.type, version.dataset) == (str(copy), "visual-classifier", "shapes")
    done = compared([ready.wide, version], [ready.shapes])
    assert done.differences[0]["Low"] == done.differences[0]["High"] == 0
    assert {row["Model"] for row in done.concepts} == {str(ready.wide), str(copy)}
    (copy / "SHA256SUMS").unlink()
    with pytest.raises(Fault, match="there is no SHA256SUMS"):
        resolve(str(copy))


def test_a_folder_that_was_changed_is_refused(ready, tmp_path):
    copy = tmp_path / "changed"
    shutil.copytree(artifacts(ready.wide), copy)
    (copy / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(Fault, match=r"weights\.safetensors"):
        evaluate.fn(resolve(str(copy)), ready.shapes, "val")


def test_the_leaderboard_has_every_version_the_best_first(ready, workspace):
    for version in (ready.tall, ready.wide):
        evaluate.fn(version, ready.shapes, "test")
    three = pinned(workspace / "data" / "uneven", (*SPLITS[:12], "test", "train", "test", "test"))
    three = three.model_copy(update={"name": "uneven"})
    evaluate.fn(ready.tall, three, "test")
    evaluate.fn(ready.wide, three, "test")
    rows = leaderboard(ready.tall.name, "uneven", "accuracy")
    assert [row["model"] for row in rows] == [str(ready.tall), str(ready.wide)]
    assert rows[0]["accuracy"] == pytest.approx(2 / 3) and rows[1]["accuracy"] == pytest.approx(1 / 3)
    assert (rows[0]["measured version"], rows[0]["images"]) == (three.version[:8], 3)
    assert rows[0]["MB"] > 1 and rows[0]["ms an image"] > 0 and rows[0]["template"] == "resnet18"
    every = leaderboard(dataset="uneven", by="log_loss")
    assert {row["model"] for row in every[:2]} == {str(ready.wide), str(ready.tall)}
    assert every[0]["log_loss"] <= every[1]["log_loss"]
    assert str(ready.finds) in {row["model"] for row in every if row["log_loss"] is None}


def test_what_was_stopped_hides_no_earlier_number_and_what_is_elsewhere_is_another(ready, tmp_path, monkeypatch):
    evaluate.fn(ready.wide, ready.shapes, "val")
    before = leaderboard(ready.wide.name, "shapes", "accuracy", "val")
    (own,) = (row["accuracy"] for row in before if row["model"] == str(ready.wide))
    elsewhere = pinned(tmp_path / "elsewhere", ("val", "train") * 4)
    assert evaluate.fn(ready.wide, elsewhere, "val").metrics["accuracy"] == 0 != own
    assert leaderboard(ready.wide.name, "shapes", "accuracy", "val") == before
    assert resolve(str(ready.wide)).metrics["val.accuracy"] == own

    def stop(metrics):
        raise KeyboardInterrupt

    monkeypatch.setattr("mlflow.log_metrics", stop)
    with pytest.raises(KeyboardInterrupt):
        evaluate.fn(ready.wide, ready.shapes, "val", precision=0.5)
    assert leaderboard(ready.wide.name, "shapes", "accuracy", "val") == before


def test_the_leaderboard_is_filtered_and_says_what_there_is(ready):
    evaluate.fn(ready.tall, ready.shapes, "test")
    assert {row["type"] for row in leaderboard(type="visual-detector")} == {"visual-detector"}
    assert leaderboard(ready.tall.name, template="fcos_light") == []
    evaluate.fn(ready.tall, ready.shapes, "train")
    rows = {row["model"]: row for row in leaderboard(ready.tall.name, "shapes", "accuracy", "train")}
    seen = rows[str(ready.tall)]
    assert (seen["accuracy"], seen["images"], seen["seen in training"]) == (0.5, 8, 8)
    with pytest.raises(Fault, match=r"no version was measured by 'acuracy' on the test split of shapes. .*'accuracy'"):
        leaderboard(ready.tall.name, "shapes", "acuracy")
    with pytest.raises(Fault, match=r"there is no split 'tset'\. .*'test'"):
        leaderboard(split="test+tset")
    for given, told in (("type", "model type"), ("template", "template"), ("dataset", "dataset"), ("name", "model")):
        with pytest.raises(Fault, match=f"there is no {told} 'nosuch'. Known: "):
            leaderboard(**{given: "nosuch"})
    once = registered(planned(ready.scenes, seed=9), lively)
    evaluate.fn(once, ready.scenes, "test", 0.9)
    with pytest.raises(Fault, match="no version was measured by 'map_50'"):
        leaderboard(once.name, "shapes", "map_50")  # at another threshold it is not its own number
