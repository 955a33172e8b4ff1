"""Comparisons, their words, the total table and the bootstrap."""

import math

import numpy as np
import pytest

from models.runtime.faults import Fault
from models.runtime.predictions import Regions
from tasks.data.annotations import Annotation
from tasks.metrics import classification as of_classifiers
from tasks.metrics import detection as of_detectors
from tasks.metrics.classification import classification
from tasks.metrics.compare import GATED, LOWER_IS_BETTER, OF_SCORES, compare, comparisons, total
from tasks.metrics.detection import detection
from tasks.metrics.interval import bootstrap, bounds, paired

TRUTH = ("a", "a", "b", "b")


def classifier(*said, truth=TRUTH, exclusive=True):
    """The report of a model that is sure of what it says."""
    entries = [Annotation(f"{i}.png", "", 8, 8, "test", (name,)) for i, name in enumerate(truth)]
    scores = np.array([[0.9 * (name == c) + 0.05 for c in "ab"] for name in said], np.float32)
    return classification(entries, scores, ("a", "b"), exclusive)


def detector(*boxes, labelled=1):
    truth = tuple((20.0 * i, 0.0, 20.0 * i + 10, 10.0) for i in range(labelled))
    no = (False,) * labelled
    entry = Annotation("a.png", "", 99, 99, "test", (), truth, (100.0,) * labelled, ("a",) * labelled, no, no)
    count = len(boxes)
    found = Regions(
        np.array(boxes, np.float64).reshape(-1, 4),
        np.linspace(0.9, 0.6, count, dtype=np.float32),
        np.zeros(count, np.int64),
        ("a", "b"),
    )
    return detection([entry], [found], ("a", "b"))


def test_the_better_candidate_wins_by_the_headline():
    truth = "ab" * 20
    won = compare(classifier(*"aa" * 20, truth=truth), classifier(*"aa" + "ab" * 19, truth=truth))
    assert (won.metric, won.champion, won.candidate, won.verdict) == ("accuracy", 0.5, 0.975, "better")
    assert won.difference == won.gain == pytest.approx(0.475)
    assert 0.3 < won.low < won.difference < won.high < 0.65
    assert won.sentence.startswith("the candidate is better: accuracy 0.975 against the champion's 0.5 (+0.475; 95 % i")
    assert won.sentence.endswith(f"{won.low:+.4g} to {won.high:+.4g}) on 40 images")
    lost = compare(classifier(*"ab" * 20, truth=truth), classifier(*"aa" * 20, truth=truth))
    assert (lost.verdict, lost.difference) == ("worse", -0.5)
    assert lost.high < 0


def test_a_small_difference_decides_nothing():
    truth = "ab" * 20
    told = compare(classifier(*"ab" * 19 + "aa", truth=truth), classifier(*truth, truth=truth))
    assert told.difference == pytest.approx(1 / 40)
    assert told.low == 0 < told.high
    assert told.verdict == "cannot tell"
    assert told.sentence.startswith("nobody can tell which is better: accuracy 1 against the champion's 0.975 (+0.025;")


def test_a_pair_is_told_apart_where_two_intervals_overlap():
    """What both find hard is no difference: of 200 images both miss the same 100, and one of them 12 more."""
    truth = "ab" * 100
    one = classifier(*"aa" * 100, truth=truth)
    other = classifier(*"aa" * 88 + "ab" * 12, truth=truth)
    assert one.summary["accuracy_high"] > other.summary["accuracy_low"]
    assert compare(one, other).verdict == "better"


def test_of_too_few_images_nobody_can_tell():
    five, six = (compare(classifier(*"b" * n, truth="a" * n), classifier(*"a" * n, truth="a" * n)) for n in (5, 6))
    assert (five.verdict, six.verdict) == ("cannot tell", "better")
    assert five.low == 1


def test_every_number_that_both_have_is_compared_the_headline_first():
    truth = "ab" * 20
    rows = comparisons(
        classifier(*"aa" * 20, truth=truth), classifier(*truth, truth=truth), names=("roofs/1", "roofs/2")
    )
    assert rows[0].metric == "accuracy"
    verdicts = {row.metric: row.verdict for row in rows}
    assert verdicts["log_loss"] == verdicts["macro_f1"] == "better"
    assert "images" not in verdicts
    assert not any(name.endswith(("_low", "_high", "_std")) for name in verdicts)
    assert rows[0].sentence.startswith("roofs/2 is better: accuracy 1 against roofs/1's 0.5 (")
    mixed = comparisons(classifier(*"aabb"), classifier(*"aabb", exclusive=False), ("a", "b"))
    assert {row.metric for row in mixed} == set(OF_SCORES)


def test_of_several_concepts_accuracy_is_no_headline():
    """Of ten concepts, of which an image has one, a model that says no to all is right nine times in ten."""
    letters = tuple("abcdefghij")
    entries = [Annotation(f"{name}.png", "", 8, 8, "test", (name,)) for name in letters]
    silent = classification(entries, np.full((10, 10), 0.1, np.float32), letters, False)
    ranking = classification(
        entries, np.full((10, 10), 0.5, np.float32) + np.eye(10, dtype=np.float32) / 4, letters, False
    )
    assert silent.summary["accuracy"] == 0.9 > ranking.summary["accuracy"]
    won = compare(silent, ranking)
    assert (won.metric, won.verdict, won.candidate) == ("macro_average_precision", "better", 1.0)


def test_equal_is_not_better():
    same = compare(classifier(*"aabb"), classifier(*"aabb"))
    assert (same.verdict, same.difference, same.low, same.high) == ("cannot tell", 0, 0, 0)


def test_less_loss_is_better():
    truth = "ab" * 20
    result = compare(classifier(*"bb" * 20, truth=truth), classifier(*truth, truth=truth), "log_loss")
    assert result.verdict == "better"
    assert result.high < 0 < result.gain == -result.difference


def test_detectors_are_told_apart():
    truth, off = (0, 0, 10, 10), (50, 50, 60, 60)
    told = compare(detector(off), detector(truth))
    assert (told.metric, round(told.difference, 9), told.low, told.high) == ("map_50", 1, 1, 1)
    assert told.verdict == "cannot tell"  # one image
    assert math.isnan(compare(detector(off), detector(truth), "mar_1").low)


def test_an_undefined_number_decides_nothing():
    result = compare(detector(labelled=0), detector((0, 0, 9, 9), labelled=0))
    assert result.verdict == "cannot tell"
    assert math.isnan(result.difference)
    assert "nobody can tell" in result.sentence
    assert "map_50 undefined" in result.sentence


def test_what_was_not_measured_alike_is_not_compared():
    with pytest.raises(Fault, match="a model for detection and one for classification"):
        compare(detector(), classifier(*"aabb"))
    with pytest.raises(Fault, match="the champion was measured on 2 images and the candidate on 4"):
        compare(classifier("a", "b", truth="ab"), classifier(*"aabb"))
    with pytest.raises(Fault, match=r"no metric 'map50' .* Did you mean 'map_50'\?"):
        compare(detector(), detector(), "map50")
    sigmoid = classifier(*"aabb", exclusive=False)
    with pytest.raises(Fault, match=r"accuracy means one thing .* compare them by macro_roc_auc"):
        compare(sigmoid, classifier(*"aabb"))
    assert compare(sigmoid, classifier(*"aabb"), "macro_roc_auc").verdict == "cannot tell"


def test_counts_and_bounds_are_no_metrics():
    for name in ("images", "accuracy_low"):
        with pytest.raises(Fault, match=f"no metric '{name}'"):
            compare(classifier(*"aabb"), classifier(*"aabb"), name)


def test_the_total_table_adds_up():
    reports = classifier("a", "b", "b", "a"), classifier(*"aabb")
    rows = [total(report.summary, report.per_concept) for report in reports]
    assert list(rows[0]) == [
        "Accuracy (ROC AUC)",
        "Average Precision",
        "Total Labeled",
        "Total Predicted",
        "True Positives",
        "False Negatives",
        "False Positives",
        "Recall",
        "Precision",
        "F1",
    ]
    assert (rows[0]["Total Labeled"], rows[0]["True Positives"], rows[0]["False Positives"]) == (4, 2, 2)
    assert rows[0]["Precision"] == 0.5
    report = detector((0, 0, 10, 10), (50, 50, 60, 60))
    row = total(report.summary, report.per_concept)
    assert row["Average Precision"] == pytest.approx(1)
    assert (row["Total Labeled"], row["Total Predicted"], row["Precision"]) == (1, 2, 0.5)


def mean_of(values):
    return lambda images: {"mean": float(values[images].mean())}


def test_the_bootstrap_of_a_mean_is_as_wide_as_theory_says():
    values = np.random.default_rng(1).normal(3, 2, 400)
    found = bounds(bootstrap(mean_of(values), 400))
    half = 1.96 * values.std() / 20
    assert found["mean_low"] == pytest.approx(values.mean() - half, abs=0.03)
    assert found["mean_high"] == pytest.approx(values.mean() + half, abs=0.03)
    assert found == bounds(bootstrap(mean_of(values), 400))


def test_the_interval_of_a_difference_is_of_pairs():
    draw = np.random.default_rng(1)
    hard = draw.normal(0, 5, 400)
    first, second = hard + draw.normal(0, 0.5, 400), hard + draw.normal(0.2, 0.5, 400)
    found = paired(bootstrap(mean_of(first), 400), bootstrap(mean_of(second), 400))["mean"]
    half = 1.96 * (second - first).std() / 20
    assert found.low == pytest.approx((second - first).mean() - half, abs=0.01)
    assert found.high == pytest.approx((second - first).mean() + half, abs=0.01)


def test_the_bootstrap_of_nothing_is_undefined():
    assert bootstrap(lambda images: {"mean": 1.0}, 0) == {}
    assert math.isnan(bounds(bootstrap(lambda images: {"mean": math.nan}, 3, rounds=5))["mean_high"])
    some = bootstrap(lambda images: {"mean": math.nan if 0 in images else 2.0}, 2, rounds=50)
    assert bounds(some)["mean_low"] == 2


@pytest.mark.parametrize(
    "measure",
    [
        lambda: classifier(*"aabbabab", truth="aaaaabbb"),
        lambda: classifier(*"aabbabab", truth="aaaaabbb", exclusive=False),
        lambda: detector((0, 0, 10, 8), (20, 0, 30, 6), (50, 50, 60, 60), labelled=3),
    ],
)
def test_what_is_redrawn_are_the_numbers_of_the_report(measure, monkeypatch):
    """Of the images as they are, each once, every number with an interval comes out as the summary has it."""

    def once(redrawn, images):
        return {name: np.array([value]) for name, value in redrawn(np.arange(images)).items()}

    for module in (of_classifiers, of_detectors):
        monkeypatch.setattr(module, "bootstrap", once)
    report = measure()
    assert len(report.draws) >= 6
    assert len({round(float(values[0]), 6) for values in report.draws.values()}) >= 4
    for name in report.draws:
        assert report.summary[f"{name}_low"] == report.summary[f"{name}_high"] == pytest.approx(report.summary[name])
    everything = np.arange(report.images)
    assert report.headline_on(everything)(everything) == pytest.approx(
        {report.headline: report.summary[report.headline]}
    )


def test_the_headline_of_some_images_is_that_of_a_report_on_them():
    truth, said = "ab" * 4, "abbaabab"
    some = np.array([1, 2, 5])
    part = classifier(*(said[i] for i in some), truth=[truth[i] for i in some])
    on = classifier(*said, truth=truth).headline_on(some)
    assert on(np.arange(3)) == {"accuracy": part.summary["accuracy"]}


def test_what_a_gate_may_ask_for_is_measured_and_better_when_higher():
    letters = tuple("abcdef")
    entries = [Annotation(f"{name}.png", "", 8, 8, "test", (name,)) for name in letters]
    exclusive = classification(entries, np.eye(6, dtype=np.float32), letters, True).summary
    several = classifier("a", "a", "b", "b", exclusive=False).summary
    assert set(GATED["classification"]) <= exclusive.keys() | several.keys()
    assert set(GATED["detection"]) <= detector((0.0, 0.0, 10.0, 10.0)).summary.keys()
    reports = classifier(*"aabb"), classifier(*"aabb", exclusive=False), detector()
    assert [report.headline in GATED[report.task] for report in reports] == [True] * 3
    assert not LOWER_IS_BETTER & {name for names in GATED.values() for name in names}
