"""The demo's own verbs: pictures composed once a seed, and a summary that says what was measured."""

import json

import pytest

from tasks import demo
from tasks.data import digits
from tasks.evaluate import Evaluation
from tasks.promote import Promotion


@pytest.fixture
def composed(monkeypatch):
    """Seeds that were composed, in order."""
    seeds = []

    def compose(folder, seed):
        folder.mkdir(parents=True)
        seeds.append(seed)

    monkeypatch.setattr(digits, "compose", compose)
    return seeds


def test_pictures_of_the_same_seed_are_composed_once(composed):
    for seed in (0, 0, 3, 3, 0):
        demo.compose.fn(seed)
    assert composed == [0, 3, 0]


def test_an_interrupted_composition_is_begun_again(composed):
    demo.compose.fn(0)
    (demo.folder() / "composed.txt").unlink()
    demo.compose.fn(0)
    assert composed == [0, 0]


def evaluation(model, dataset, **metrics):
    return Evaluation(
        model=model,
        dataset=dataset,
        dataset_version=f"{dataset}.dir",
        split="test",
        threshold=0.4,
        metrics=metrics,
        per_concept=[],
        milliseconds=10,
        images=160,
        seen_in_training=0,
        run="",
        report=f"reports/{dataset}",
    )


def told(trained):
    tests = {
        "roofs": evaluation("scenes-detector/2", "scenes", map_50=0.91234, map=0.7),
        "listings": evaluation("digits-classifier/1", "digits", accuracy=0.98765),
    }
    decision = Promotion(
        candidate="scenes-detector/2",
        champion="scenes-detector/2",
        promoted=True,
        metric="map_50",
        candidate_score=0.9,
        images=160,
        why="it is better",
    )
    return demo.tell.fn(12.34, {"roofs": decision}, tests, tests, trained, {"output": "predictions/x"})


def test_the_summary_holds_the_numbers_versions_and_seconds():
    told(trained=True)
    assert json.loads((demo.folder() / "summary.json").read_text()) == {
        "detector": {"map_50": 0.9123, "map": 0.7},
        "classifier": {"accuracy": 0.9877},
        "dataset_versions": {"scenes": "scenes.dir", "digits": "digits.dir"},
        "models": {"detector": "scenes-detector/2", "classifier": "digits-classifier/1"},
        "trained": True,
        "seconds": 12.3,
    }


def test_the_story_says_where_things_are_and_what_comes_next():
    story = told(trained=True)["story"]
    for word in ("0.9123", "it is better", "predictions/x/drawn", "reports/scenes", "summary.json", "sightline ingest"):
        assert word in story
    assert "Nothing was trained" not in story


def test_a_second_run_says_that_nothing_was_trained():
    assert "Nothing was trained" in told(trained=False)["story"]
