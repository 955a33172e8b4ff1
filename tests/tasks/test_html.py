"""The page of an evaluation: its numbers are the report's at every threshold, and nothing in it loads or runs."""

from __future__ import annotations

import importlib
import json
import math
import re
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from models.runtime.predictions import Clusters, Concepts, Embeddings, Regions
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset
from tasks.html import pictures
from tasks.html.behind import EACH, Shown, in_turns, regions_behind
from tasks.html.columns import lowest, of_regions
from tasks.html.facts import Facts
from tasks.html.lines import POINTS, TOLD, precision_recall, thinned, together
from tasks.html.page import FIRST, bokeh_script, evaluation_page, safe_json
from tasks.metrics.classification import classification
from tasks.metrics.clustering import clustering
from tasks.metrics.detection import detection
from tasks.metrics.mistakes import mislocated
from tasks.metrics.retrieval import retrieval
from tasks.report import as_text
from tests import browser

EVIL = "</script><script>alert(1)</script>"
NAMES = (EVIL, "hail \"'& $x$", "鳥", "absent")
SLICES = [
    {"Slice": "aspect", "Value": EVIL, "Images": 12, "Metric": "accuracy", "Number": 0.5, "Low": 0.3, "High": 0.7},
    {"Slice": "size", "Value": "a", "Images": 3, "Metric": "recall", "Number": math.nan, "Low": math.nan, "High": 1.0},
]
MORE = {
    "slices": [row | {"Whole": 0.8} for row in SLICES],
    "thresholds": [{"Concept": EVIL, "Best F1: Threshold": 0.25, "Best F1: F1": math.nan}],
}
LIVE = ("Total Predicted", "True Positives", "False Positives", "False Negatives", "Recall", "Precision", "F1")

# Drives a page: its slider, its numbers, its tables.
DRIVEN = """
const number = (cell) => (cell.dataset.value === undefined ? null : Number(cell.dataset.value));
const named = (row) =>
  Object.fromEntries([...row.querySelectorAll("[data-live]")].map((cell) => [cell.dataset.live, number(cell)]));
const place = (name) => {
  const source = Bokeh.documents.map((shown) => shown.get_model_by_name(name)).find((found) => found);
  return source && { concept: [...(source.data.concept || [])], x: [...source.data.x], y: [...source.data.y] };
};
function seen() {
  const table = document.getElementById("per_concept");
  return {
    rows: [...table.tBodies[0].rows].sort((a, b) => a.dataset.row - b.dataset.row).map(named),
    all: named(table.tFoot.rows[0]),
    texts: [...table.querySelectorAll("tbody tr:first-child [data-live]")].map((cell) => cell.textContent),
    matrix: [...document.querySelectorAll("#matrix tbody tr")].map((row) =>
      [...row.querySelectorAll("td")].map((cell) => Number(cell.textContent || 0))),
    columns: [...document.querySelectorAll("#matrix thead th")].map((cell) => cell.title),
    at: document.getElementById("at").textContent,
    dots: place("precision_recall"), roc: place("roc"), upright: place("threshold"),
  };
}
function opened(button) {
  button.click();
  const dialog = document.getElementById("pictures");
  const shown = [...dialog.querySelectorAll("img")].map((image) => image.alt);
  const found = { open: dialog.open, alts: shown, boxes: dialog.querySelectorAll(".box.meant").length,
    names: [...dialog.querySelectorAll(".name")].map((name) => name.textContent), text: dialog.textContent };
  document.getElementById("close").click();
  return { ...found, closed: !dialog.open };
}
async function driven() {
  const slider = document.getElementById("threshold");
  const found = { wide: wide(), loaded: loaded(), frames: [], at: {} };
  found.images = [...document.images].filter((image) => !image.alt || !image.src.startsWith("data:image/jpeg")).length;
  found.canvases = document.querySelectorAll("[id^=chart_]").length;
  found.charts = [...document.querySelectorAll("[id^=chart_]")].filter((chart) => chart.childElementCount).length;
  if (slider) {
    found.start = seen();
    for (const threshold of THRESHOLDS) {
      slider.value = threshold;
      slider.dispatchEvent(new Event("input"));
      await pause(50);
      found.at[threshold] = seen();
    }
    document.getElementById("reset").click();
    await pause(50);
    found.reset = seen();
    found.cells = [...document.querySelectorAll("#matrix tbody button")].map(opened);
    found.counts = [...document.querySelectorAll("#per_concept tbody button:enabled")].map((button) =>
      ({ label: button.ariaLabel, count: Number(button.textContent), ...opened(button) }));
    found.gallery = [...document.querySelectorAll("#gallery figure")].map((figure) =>
      [figure.querySelector("figcaption span").title, figure.querySelector("figcaption b")?.textContent]);
    const mean = document.querySelector('#switch input[value="mean score"]');
    if (mean) {
      mean.click();
      found.means = seen().matrix;
    }
    const small = document.querySelector('#areas input[value="small"]');
    if (small) {
      small.click();
      found.small = [...document.querySelectorAll("#average_precision tbody td:nth-child(2)")].map(number);
    }
  }
  found.first = [...document.querySelectorAll(".headline strong, .tiles dd")].map((one) =>
    [one.firstChild.textContent.trim(), one.querySelector("small")?.textContent]);
  const headings = [...document.querySelectorAll("#per_concept thead button")];
  found.sorted = {};
  for (const heading of headings)
    for (const _ of ["once", "twice"]) {
      heading.click();
      const order = [...document.querySelectorAll("#per_concept tbody tr")].map((row) => Number(row.dataset.row));
      found.sorted[`${heading.textContent} ${heading.parentElement.getAttribute("aria-sort")}`] = order;
    }
  return found;
}
"""


def facts(**given):
    known = {
        "model": "roofs/3",
        "type": "visual-detector",
        "template": "fcos_light",
        "dataset": "roofs",
        "split": "test",
    }
    known |= {"dataset_version": "a" * 32, "images": 12, "seen_in_training": 0, "parameters": {"note": EVIL}}
    return Facts(**(known | {"revision": "abc123", "created": "2026-11-28", "milliseconds": 12.3} | given))


def dataset_of(folder, entries, task):
    """Grey pictures for annotations, on disk."""
    (folder / "images").mkdir(parents=True)
    for i, entry in enumerate(entries):
        picture = Image.new("RGB", (entry.width, entry.height), (10 * i % 255, 128, 128))
        picture.save(folder / "images" / entry.image, "PNG")
    return Dataset("grey", folder, task, True, NAMES, tuple(entries))


def scene(i, draw):
    """An image with boxes, some crowd or difficult, and regions: near, beside, twice, under other names."""
    count = int(draw.integers(0, 6))
    corner, side = draw.uniform(0, 60, (count, 2)), draw.uniform(8, 35, (count, 2))
    boxes, labels = np.hstack([corner, corner + side]), draw.integers(0, 3, count)
    flags = draw.random((2, count)) < 0.12
    entry = Annotation(
        image=f'{i} <b>&".png',
        sha256=f"{i:064d}",
        width=100,
        height=100,
        split="test",
        boxes=tuple(map(tuple, boxes.tolist())),
        areas=tuple(np.prod(side, axis=1).tolist()),
        box_concepts=tuple(NAMES[k] for k in labels),
        crowd=tuple(flags[0].tolist()),
        difficult=tuple(flags[1].tolist()),
    )
    near = np.repeat(boxes, 3, axis=0) + draw.normal(0, 1.6, (3 * count, 4))
    names = np.where(draw.random(3 * count) < 0.7, np.repeat(labels, 3), draw.integers(0, 4, 3 * count))
    far = np.hstack([corner, corner + 10])
    placed = np.vstack([near, far]).clip(0, 100)
    scores = draw.choice(np.array([0.62, 0.3, 0.437, *draw.random(20)], np.float32), len(placed))
    order = draw.permutation(len(placed))
    labels = np.r_[names, draw.integers(0, 4, count)].astype(np.int64)
    return entry, Regions(placed[order], scores[order], labels[order], NAMES)


def detector(folder, images=30):
    draw = np.random.default_rng(3)
    entries, found = zip(*(scene(i, draw) for i in range(images)), strict=True)
    dataset = dataset_of(folder, entries, "detection")
    return SimpleNamespace(
        report=detection(entries, found, NAMES, 0.437), dataset=dataset, entries=entries, found=found, task="detection"
    )


def classifier(folder, exclusive):
    draw = np.random.default_rng(4)
    its = draw.random((40, 3)) < 0.4
    if exclusive:
        its = np.arange(3) == draw.integers(0, 3, 40)[:, None]
    scores = (np.pad(its, ((0, 0), (0, 1))) * 0.4 + draw.random((40, 4)) * 0.6).astype(np.float32)
    scores[:6] = np.float32(0.62)  # equals of the best, and of the threshold
    entries = [
        Annotation(f"{i}.png", f"{i:064d}", 80, 60, "test", tuple(sorted(np.array(NAMES[:3])[row].tolist())))
        for i, row in enumerate(its)
    ]
    dataset = dataset_of(folder, entries, "classification")
    report = classification(entries, scores, NAMES, exclusive)
    found = [Concepts(row, NAMES) for row in scores]
    return SimpleNamespace(report=report, dataset=dataset, entries=entries, found=found, scores=scores, its=its)


def vectors(folder):
    draw = np.random.default_rng(5)
    entries = [Annotation(f"{i}.png", f"{i:064d}", 8, 8, "test", (NAMES[i % 3],)) for i in range(12)]
    rows = draw.normal(size=(12, 4)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    dataset = Dataset("none", folder, "classification", True, NAMES, tuple(entries))
    found = [Embeddings(row) for row in rows]
    return SimpleNamespace(report=retrieval(entries, rows), dataset=dataset, entries=entries, found=found)


def clusters(folder):
    few = vectors(folder)
    distances = np.random.default_rng(6).random((12, 3)).astype(np.float32)
    report = clustering(few.entries, distances, ("0", "1", "2"))
    found = [Clusters(row) for row in distances]
    return SimpleNamespace(report=report, dataset=few.dataset, entries=few.entries, found=found)


@pytest.fixture(scope="module", autouse=True)
def no_intervals():
    """They take longer than all the rest, and no number here depends on them."""
    with pytest.MonkeyPatch.context() as patch:
        for room in ("classification", "detection"):
            drawn = importlib.import_module(f"tasks.metrics.{room}")
            patch.setattr(drawn, "bootstrap", partial(drawn.bootstrap, rounds=20))
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A report and a page of each kind."""
    folder = tmp_path_factory.mktemp("html")
    every = {
        "detector": detector(folder / "detector"),
        "exclusive": classifier(folder / "exclusive", True),
        "several": classifier(folder / "several", False),
        "crowded": detector(folder / "crowded"),
        "retrieval": vectors(folder),
        "clustering": clusters(folder),
    }
    for kind, one in every.items():
        with pytest.MonkeyPatch.context() as patch:
            if kind == "crowded":
                patch.setattr("tasks.html.page.MOST_REGIONS", 60)
            told = facts(seen_in_training=3)
            one.page = evaluation_page(one.report, told, one.dataset, one.entries, one.found, MORE)
    return SimpleNamespace(folder=folder, **every)


KINDS = ("detector", "exclusive", "several", "crowded", "retrieval", "clustering")
THRESHOLDS = ("0", "0.3", "0.5", "0.62", "0.63", "0.9", "1")


@pytest.fixture(scope="module")
def driven(made):
    """What each page shows and does, by its kind: in frames as narrow as a phone that may run scripts alone."""
    pages = {kind: getattr(made, kind).page for kind in KINDS}
    return browser.driven(pages, DRIVEN.replace("THRESHOLDS", json.dumps(THRESHOLDS)), made.folder)


def shown(report):
    """The numbers of a report that move, as the page has them."""
    return [{name: None if row[name] != row[name] else row[name] for name in LIVE} for row in report.per_concept]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_goes_wrong_in_a_frame_as_narrow_as_a_phone(driven, kind):
    assert driven[kind]["told"] == []
    assert driven[kind]["loaded"] == []
    assert driven[kind]["wide"] <= 0
    assert driven[kind]["images"] == 0
    assert driven[kind]["charts"] == driven[kind]["canvases"]


def at(report):
    """Its confusion matrix as the page has it."""
    return report.confusion.tolist()


def test_a_detectors_numbers_are_the_reports_at_its_own_threshold(made, driven):
    report, start = made.detector.report, driven["detector"]["start"]
    assert start["rows"] == shown(report)
    assert start["matrix"] == at(report)
    assert start["columns"] == [*NAMES, "background"]
    assert start["at"] == "0.437"
    moving = [name for name in report.per_concept[0] if name in LIVE]
    assert start["texts"] == [as_text(report.per_concept[0][name]) for name in moving]
    whole = {"Precision": "precision", "Recall": "recall", "F1": "f1", "True Positives": "true_positives"}
    assert {name: start["all"][name] for name in whole} == {name: report.summary[key] for name, key in whole.items()}
    assert driven["detector"]["reset"] == start


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_detectors_numbers_are_those_of_a_report_at_any_threshold(made, driven, threshold):
    one, moved = made.detector, driven["detector"]["at"][threshold]
    report = detection(one.entries, one.found, NAMES, float(threshold))
    assert moved["rows"] == shown(report)
    assert moved["matrix"] == at(report)
    assert moved["upright"]["x"] == [float(threshold)] * 2
    for concept, x, y in zip(*(moved["dots"][name] for name in ("concept", "x", "y")), strict=True):
        row = report.summary if concept < 0 else report.per_concept[concept]
        recall, precision = (row["recall"], row["precision"]) if concept < 0 else (row["Recall"], row["Precision"])
        assert x == recall
        assert y == precision or (y is None and math.isnan(precision))


def test_below_what_a_page_holds_the_reports_own_numbers_stand(made, driven):
    one, seen = made.crowded, driven["crowded"]
    assert "The slider starts\nat 0." in one.page and "the numbers are those at 0.437" in one.page
    assert seen["start"]["rows"] == seen["reset"]["rows"] == shown(one.report)
    assert seen["start"]["matrix"] == at(one.report)
    report = detection(one.entries, one.found, NAMES, 0.9)
    assert seen["at"]["0.9"]["rows"] == shown(report)
    assert seen["at"]["0.9"]["matrix"] == at(report)


def test_a_classifier_of_several_concepts_counts_at_any_threshold(made, driven):
    one, seen = made.several, driven["several"]
    assert seen["start"]["rows"] == shown(one.report)
    assert seen["start"]["matrix"] == one.report.cooccurrence.tolist()
    for threshold in THRESHOLDS:
        report = classification(one.entries, one.scores, NAMES, False, float(threshold))
        assert seen["at"][threshold]["rows"] == shown(report)
    moved = dict(zip(seen["at"]["0.5"]["roc"]["concept"], seen["at"]["0.5"]["roc"]["x"], strict=True))
    wrong = (one.scores >= np.float32(0.5)) & ~np.pad(one.its, ((0, 0), (0, 1)))
    assert moved[0] == wrong[:, 0].sum() / (~one.its[:, 0]).sum()


def test_a_classifiers_answers_count_from_a_score_on(made, driven):
    one, seen = made.exclusive, driven["exclusive"]
    assert seen["start"]["rows"] == shown(one.report)
    assert seen["start"]["matrix"] == at(one.report)
    assert seen["start"]["columns"] == list(NAMES)
    truth, best, sure = one.its.argmax(axis=1), one.scores.argmax(axis=1), one.scores.max(axis=1)
    for threshold in THRESHOLDS[1:]:
        answered = sure >= np.float32(threshold)
        counts = np.zeros((4, 5), int)
        np.add.at(counts, (truth, np.where(answered, best, 4)), 1)
        assert seen["at"][threshold]["matrix"] == counts.tolist()
        assert seen["at"][threshold]["columns"] == [*NAMES, "no answer"]
        rows = seen["at"][threshold]["rows"]
        assert [row["True Positives"] for row in rows] == counts.diagonal().tolist()
        assert [row["Total Predicted"] for row in rows] == counts.sum(axis=0)[:4].tolist()
        assert [row["False Negatives"] for row in rows] == (counts.sum(axis=1) - counts.diagonal()).tolist()


def test_a_number_opens_its_pictures(made, driven):
    counts = [count for row in at(made.detector.report) for count in row if count]
    assert len(driven["detector"]["cells"]) == len(counts)
    for kind in ("detector", "exclusive", "several"):
        assert driven[kind]["counts"]
    for kind in ("detector", "exclusive", "several", "crowded"):
        for cell in [*driven[kind]["cells"], *driven[kind]["counts"]]:
            assert cell["open"] and cell["closed"]
            assert cell["alts"] and all(cell["alts"])
    for each in driven["detector"]["counts"]:
        if each["label"].startswith("False Negatives"):
            assert each["boxes"] == each["count"]
        elif each["label"].startswith("True Positives"):
            assert each["boxes"] == 2 * each["count"]  # with the boxes they hit
        else:
            assert each["boxes"] >= each["count"] == sum("." in name for name in each["names"])
    for each in driven["exclusive"]["counts"]:
        assert len(each["alts"]) == each["count"]


def test_a_number_that_the_page_holds_no_pictures_of_opens_none(made, driven):
    """A page holds the surest regions; the report's own threshold lies below them."""
    assert driven["crowded"]["start"]["rows"] == shown(made.crowded.report)
    assert driven["crowded"]["cells"] == driven["crowded"]["counts"] == []
    assert {told for _, told in driven["crowded"]["gallery"] if told and "missed" in told} == set()


@pytest.mark.parametrize("kind", ["detector", "several"])
def test_tables_sort_by_a_heading(made, driven, kind):
    """Numbers down first, names up; what is undefined comes last either way, equals as they stood."""
    rows, order = getattr(made, kind).report.per_concept, list(range(len(NAMES)))
    for heading, column in (("AP50", "AP50"), ("Recall", "Recall"), ("TP", "True Positives")):
        if column not in rows[0]:
            continue
        value = [math.nan if row[column] is None else row[column] for row in rows]
        for direction in ("descending", "ascending"):
            seen = driven[kind]["sorted"][f"{heading} {direction}"]
            told = [value[i] for i in seen if value[i] == value[i]]
            assert told == sorted(told, reverse=direction == "descending") and len(set(told)) > 1
            assert all(value[i] != value[i] for i in seen[len(told) :]) and sorted(seen) == order
    assert driven[kind]["sorted"]["Concept ascending"] == driven[kind]["sorted"]["Concept descending"][::-1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_screen_has_the_headline_and_its_interval(made, driven, kind):
    report, first = getattr(made, kind).report, driven[kind]["first"]
    assert first[0][0] == as_text(report.summary[report.headline])
    names = [name for name in FIRST[report.task] if name in report.summary and name != report.headline]
    for (number, ends), name in zip(first[1:], names, strict=True):
        assert number == as_text(report.summary[name])
        low, high = (report.summary.get(f"{name}_{end}", math.nan) for end in ("low", "high"))
        assert ends == (None if math.isnan(low) else f"{as_text(low)} to {as_text(high)}")
    low, high = (as_text(report.summary[f"{report.headline}_{end}"]) for end in ("low", "high"))
    assert f"95 % interval {low} to {high}" in getattr(made, kind).page


def test_the_gallery_has_the_worst_pictures_first(made, driven):
    report = made.detector.report
    first = mislocated(report)[0]
    told = f"{len(first.wrong)} wrong, {len(first.missed)} missed, {len(first.right)} right"
    assert driven["detector"]["gallery"][0] == [made.detector.entries[first.index].image, told]
    matches = report.matches
    wrong = np.flatnonzero((matches.score >= np.float32(report.threshold)) & ~matches.hit & ~matches.ignored)
    surest = wrong[matches.score[wrong].argmax()]
    told = [told for _, told in driven["detector"]["gallery"] if "wrong" not in told]
    assert told[0].endswith(f" {report.matches.score[surest]:.2f}".replace(" 0.", " ."))
    one = made.exclusive
    right = one.its[np.arange(40), one.scores.argmax(axis=1).clip(max=2)] & (one.scores.argmax(axis=1) < 3)
    worst = np.where(right, -1, one.scores.max(axis=1)).argmax()
    assert driven["exclusive"]["gallery"][0][0] == one.entries[worst].image


def test_mean_scores_and_small_boxes_take_the_places_of_the_others(made, driven):
    means = [[0 if value != value else round(value, 2) for value in row] for row in made.exclusive.report.mean_scores]
    assert np.allclose(driven["exclusive"]["means"], means, atol=0.006)
    small = made.detector.report.average_precision[0, :, 1]
    assert driven["detector"]["small"] == pytest.approx([None if v != v else v for v in small], abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_loads_nothing_and_runs_nothing_of_the_data(made, kind):
    page = getattr(made, kind).page.replace(bokeh_script(), "")
    assert "<script>alert" not in page
    assert not re.search(r"""(src|href|action|data)\s*=\s*["']?(https?:)?//""", page)
    assert "@import" not in page and "sourceMappingURL" not in page
    scripts = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert [json.loads(text) for text in scripts]
    assert "3 of 12 images were seen in training: these are not held-out numbers." in " ".join(page.split())
    assert "accuracy 0.500 (95 % interval 0.300 to 0.700) on 12 images, against 0.800 of all." in page
    assert "Best F1: Threshold" in page


def test_a_page_of_held_out_numbers_and_no_slices_says_neither(made):
    one = made.retrieval
    page = evaluation_page(one.report, facts(), one.dataset, one.entries, one.found, {})
    assert "not held-out" not in page and "slice" not in page.partition("<main")[0]


def test_bokehs_script_knows_no_address_to_fetch_from():
    found = set(re.findall(r"""["'`](https?://[^"'`$/]+)""", bokeh_script()))
    assert found <= {"http://www.w3.org"}


def test_json_cannot_end_its_script():
    text = safe_json({EVIL: "\u2028"})
    assert "<" not in text and json.loads(text) == {EVIL: "\u2028"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        safe_json(math.nan)


def test_the_surest_are_kept_where_there_are_too_many(made):
    scores = np.array([0.111, 0.2, 0.305, 0.305, 0.9], np.float32)
    assert lowest(scores, 5) == 0
    assert lowest(scores, 4) == 0.12
    assert lowest(scores, 3) == 0.21
    assert lowest(scores, 2) == 0.31
    assert lowest(np.ones(3, np.float32), 2) == 1.01
    one = made.detector
    columns = of_regions(one.entries, one.found, one.report, most=20)
    all_of = np.concatenate([found.scores for found in one.found])
    assert 0 < (columns.place >= 0).sum() == (all_of >= np.float32(columns.lowest)).sum() <= 20


def test_every_number_of_the_matrix_has_its_pictures_first(made):
    report = made.detector.report
    cells = regions_behind(report)
    assert sorted(map(len, cells))[0] > 0 and len(cells) == (report.confusion > 0).sum()
    assert max(map(len, cells)) == EACH
    shown = [Shown("", "", ({"image": 9}, {"image": 2}))]
    assert in_turns(shown, [[4, 5], [9, 6], [1]], 11) == [9, 2, 4, 1, 5, 6, 0, 3, 7, 8, 10]


def test_a_picture_that_is_gone_is_left_out(made):
    one = made.detector
    entries = [replace(one.entries[0], image="gone.png"), *one.entries[1:3]]
    assert list(pictures.embedded(one.dataset, entries, range(3), 50)) == [1, 2]


def test_pictures_stop_where_the_room_ends(made, monkeypatch):
    one = made.detector
    every = pictures.embedded(one.dataset, one.entries, range(30), 50)
    assert list(every) == list(range(30))
    few = pictures.embedded(one.dataset, one.entries, range(30), 50, room=5 * max(map(len, every.values())))
    assert 5 <= len(few) < 30
    monkeypatch.setattr(pictures, "MOST", 4)
    assert list(pictures.embedded(one.dataset, one.entries, (7, 3, 5, 1, 2), 50)) == [7, 3, 5, 1]


def test_of_many_concepts_the_lowest_have_a_line():
    names = tuple(f"c{i:02d}" for i in range(12))
    scores = np.eye(12, dtype=np.float32)[np.arange(24) % 12] * np.float32(0.5)
    scores[3] = np.roll(scores[3], 1)
    entries = [Annotation(f"{i}.png", f"{i:064d}", 8, 8, "test", (names[i % 12],)) for i in range(24)]
    report = classification(entries, scores, names, True)
    drawn = precision_recall(report, together(report, entries, scores))
    assert len(drawn) == TOLD + 1
    assert [line.concept for line in drawn[:2]] == [3, 4]
    assert drawn[-1].name == "all together"


def test_a_line_is_thinned_to_its_ends_and_extremes():
    x = np.arange(10_000.0)
    y = np.sin(x / 300)
    y[1234], y[7777] = 9, -9
    thin_x, thin_y = thinned(x, y)
    assert len(thin_x) <= POINTS
    assert (thin_x[0], thin_x[-1]) == (0, 9999)
    assert {9, -9} <= set(thin_y) and (np.diff(thin_x) > 0).all()
