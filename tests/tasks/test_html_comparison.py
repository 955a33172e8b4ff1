"""The page of a comparison: what is better said first, every number in it, and nothing in it loads or runs."""

from __future__ import annotations

import html
import json
import re
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from tasks.html import comparison
from tasks.html.comparison import PAIRS, comparison_page
from tasks.html.lines import GREY, POINTS
from tasks.html.page import bokeh_script
from tasks.metrics.compare import TOGETHER, curves_of
from tasks.metrics.curves import curve
from tasks.report import as_text
from tasks.style import VERDICTS, colour
from tests import browser

EVIL = "</script><script>alert(1)</script>"
MODELS = (f"one {EVIL}", "two/1 <b>&\"'", "a-model-with-quite-a-long-name-as-they-come/12")
NAMES = (EVIL, "hail", *(f"concept {i}" for i in range(3)))
FEW = 3  # concepts that have curves of their own
METRICS = ("accuracy", "macro_average_precision", "log_loss")
SENTENCES = [
    f"roofs test: {MODELS[1]} is better: accuracy 0.7 against 0.5.",
    f"**{MODELS[0]} on roofs test: 8 of 8 images were seen in training: these are not held-out numbers.**",
]

# Drives the page: another concept, a line hidden, a table sorted.
DRIVEN = """
const visible = () => Bokeh.documents.map((shown) => shown.get_model_by_name("line1")).filter((line) => line)
  .map((line) => line.visible);
const charts = () => [...document.querySelectorAll("figure > div")].filter((place) => place.childElementCount).length;
async function driven() {
  const found = { wide: [wide()], loaded: loaded(), charts: [charts()], lines: [visible()] };
  const chosen = document.getElementById("concept");
  chosen.value = "2";
  chosen.dispatchEvent(new Event("change"));
  document.querySelectorAll("#curves input")[1].click();
  await pause(1000);
  found.charts.push(charts());
  found.lines.push(visible());
  found.wide.push(wide());
  found.shown = [...document.querySelectorAll(".of_concept:not([hidden]) h3")].map((title) => title.textContent);
  const headings = [...document.querySelectorAll("#total_summary thead button")];
  const heading = headings.find(({ textContent }) => textContent === "F1");
  const column = heading.parentElement.cellIndex;
  const rows = document.getElementById("total_summary").tBodies[0].rows;
  const values = () => [...rows].map((row) => row.cells[column].textContent);
  heading.click();
  found.falling = values();
  heading.click();
  found.rising = values();
  return found;
}
"""


def of_curves(seed, names=NAMES, negatives=True):
    """What the page takes of a report: the curves of its concepts, the first with most to find."""
    draw = np.random.default_rng(seed)
    curves = []
    for i, _ in enumerate(names):
        hits = draw.permutation(900 - 40 * i) % 2 == 0
        scores = (hits * 0.4 + draw.random(len(hits)) * 0.6).astype(np.float32)
        curves.append(curve(scores, hits, int(hits.sum()), int((~hits).sum()) if negatives else None))
    return SimpleNamespace(concepts=names, curves=curves)


def of_pair(first, second, low, high, metric, verdict):
    numbers = {"First number": 0.5, "Second number": 0.5 + (low + high) / 2, "Difference": (low + high) / 2}
    whole = {"Dataset": "roofs", "First": first, "Second": second, "Metric": metric} | numbers
    return whole | {"Low": low, "High": high, "Second is": verdict}


def of_counts(draw):
    return {"Total Labeled": int(draw.integers(9, 999)), "F1": float(draw.random()), "Recall": None}


@pytest.fixture(scope="module")
def given():
    """What the verb has of three models on one dataset."""
    draw = np.random.default_rng(7)
    differences = []
    for first, second in ((0, 1), (0, 2), (1, 2)):
        ends = ((0.0123, 0.3, "better"), (-0.2345, 0.1, "cannot tell"), (0.2, 1.4567, "worse"))
        rows = zip(METRICS, ends, strict=True)
        differences += [of_pair(MODELS[first], MODELS[second], *end[:2], name, end[2]) for name, end in rows]
        unknown = dict.fromkeys(("Low", "High", "Second is"))
        differences.append(of_pair(MODELS[first], MODELS[second], 0.0, 0.125, "macro_f1", "") | unknown)
    return {
        "title": f"three models on roofs {EVIL}",
        "sentences": SENTENCES,
        "totals": [{"Total Concept": f"Model:{name}"} | of_counts(draw) | {"Seen in training": 8} for name in MODELS],
        "concepts": [
            {"Concept": name} | of_counts(draw) | {"Model": model, "Dataset": "roofs"}
            for model in MODELS
            for name in NAMES
        ],
        "differences": differences,
        "labels": MODELS,
        "reports": [of_curves(i) for i in range(3)],
        "revision": "abc123",
        "created": "2026-11-28",
    }


@pytest.fixture(scope="module", autouse=True)
def few():
    """Drawing those of eleven concepts takes longer than all the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "curves_of", partial(curves_of, most=FEW))
        yield


@pytest.fixture(scope="module")
def page(given):
    return comparison_page(**given)


@pytest.fixture(scope="module")
def driven(page, tmp_path_factory):
    """What the page shows and does, in a frame as narrow as a phone that may run scripts alone."""
    return browser.driven({"page": page}, DRIVEN, tmp_path_factory.mktemp("comparison"))["page"]


def table(page, name):
    """Its rows as texts."""
    body = re.search(rf'<table id="{name}".*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    rows = re.findall(r"<tr.*?</tr>", body[1], re.DOTALL)
    return [[html.unescape(text) for text in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)] for row in rows]


def items(page):
    return json.loads(re.search(r'<script type="application/json" id="items"[^>]*>(.*?)</script>', page, re.DOTALL)[1])


def models(item, kind):
    """All of Bokeh's models of a kind in a chart."""
    found = []

    def walk(value):
        if isinstance(value, dict):
            if value.get("name") == kind and value.get("type") == "object":
                found.append(value["attributes"])
            value = list(value.values())
        if isinstance(value, list):
            for each in value:
                walk(each)

    walk(item["doc"])
    return found


def test_which_is_better_comes_first_and_warnings_stand_out(page):
    head = page.partition("<main>")[0].partition("<h1>")[2]
    assert f"<li>{html.escape(SENTENCES[0], quote=False)}</li>".replace('"', "&#34;").replace("'", "&#39;") in head
    warned = re.findall(r'<p class="alarm" role="alert">(.*?)</p>', head)
    assert [html.unescape(text) for text in warned] == [SENTENCES[1][2:-2]]
    assert head.index("verdicts") < head.index("alarm")


def test_every_number_of_the_tables_is_there(page, given):
    def texts(rows, columns):
        values = [[row[column] for column in columns] for row in rows]
        return [[value if isinstance(value, str) else as_text(value) for value in row] for row in values]

    assert table(page, "total_summary") == texts(given["totals"], given["totals"][0])
    columns = ("Concept", "Model", "Dataset", "Total Labeled", "F1", "Recall")
    by_concept = sorted(given["concepts"], key=lambda row: NAMES.index(row["Concept"]))
    assert table(page, "concepts_summary") == texts(by_concept, columns)
    shown, rows = table(page, "differences"), texts(given["differences"], given["differences"][0])
    place = list(given["differences"][0]).index("Metric")
    assert [row[:place] + row[place + 1 :] for row in shown] == [row[:place] + row[place + 1 :] for row in rows]
    assert [row[place] for row in shown[:2]] == ["accuracy", "average precision, mean of concepts"]
    assert f'data-value="{given["totals"][0]["F1"]}"' in page


def test_the_differences_are_drawn_beside_0_in_the_colours_of_their_verdicts(page):
    drawn = [item for name, item in items(page).items() if name.startswith("difference_")]
    assert len(drawn) == 2 * 3  # log loss is no share, and has its own scale
    text = json.dumps(drawn[0])
    for tint in (VERDICTS["better"], GREY):
        assert tint in text
    assert VERDICTS["worse"] in json.dumps(drawn[1])
    (span, _) = models(drawn[0], "Range1d")
    assert span["start"] < -0.2345 and span["end"] > 0.3
    assert "accuracy +0.156, better" in text and "log loss (less is better) +0.828, worse" in json.dumps(drawn[1])


def test_of_many_pairs_the_number_that_counts_is_drawn_alone(given):
    names = [f"model-{i}" for i in range(PAIRS + 2)]
    rows = [of_pair("one", name, -0.1, 0.2, metric, "cannot tell") for name in names for metric in METRICS]
    drawn = items(comparison_page(**(given | {"differences": rows, "reports": []})))
    assert list(drawn) == ["difference_0"]
    assert f'"{names[-1]} − one"' in json.dumps(drawn, ensure_ascii=False)


def test_a_line_has_the_colour_of_its_label_in_every_chart(page):
    curves = {name: item for name, item in items(page).items() if not name.startswith("difference_")}
    assert len(curves) == 2 * (FEW + 1)
    for name, item in curves.items():
        kind = "Step" if name.startswith("precision") else "Line"
        tints = [line["line_color"] for line in models(item, kind) if "line_dash" not in line]
        assert {tint if isinstance(tint, str) else tint["value"] for tint in tints} == {colour(i) for i in range(3)}
        for source in models(item, "ColumnDataSource"):
            shapes = [each["shape"][0] for each in json_arrays(source)]
            assert all(length <= POINTS for length in shapes)
    for i in range(3):
        assert re.search(rf'value="{i}" checked><i style="background: {colour(i)}"></i>', page)
    assert re.findall(r"<option[^>]*>([^<]*)</option>", page)[:3:2] == [TOGETHER, "hail"]


def json_arrays(value):
    """The arrays in a source's columns."""
    if isinstance(value, dict):
        if value.get("type") == "ndarray":
            return [value]
        value = list(value.values())
    return [found for each in value for found in json_arrays(each)] if isinstance(value, list) else []


def test_a_detector_has_no_roc_and_a_concept_of_one_has_one_line(given):
    reports = [of_curves(1, negatives=False), of_curves(2, ("alone", NAMES[0]), negatives=False)]
    drawn = items(comparison_page(**(given | {"reports": reports, "labels": MODELS[:2]})))
    assert not any(name.startswith("roc") for name in drawn)
    tints = [json.dumps(drawn[f"precision_recall_{i}"]) for i in range(3)]
    assert [[colour(i) in text for i in range(2)] for text in tints] == [[True, True], [True, True], [False, True]]


def test_nothing_to_draw_draws_nothing(given):
    nothing = {"differences": [], "reports": [SimpleNamespace(task="retrieval")], "labels": ["one"], "sentences": []}
    page = comparison_page(**(given | nothing))
    assert items(page) == {}
    assert "<figure>" not in page and "Bokeh.js" not in page and 'id="differences"' not in page
    assert len(page) < 100_000


def test_it_loads_nothing_and_runs_nothing_of_the_data(page):
    own = page.replace(bokeh_script(), "")
    assert page.count(bokeh_script()) == 1
    assert "<script>alert" not in own and "<b>&" not in own
    assert not re.search(r"""(src|href|action|data)\s*=\s*["']?(https?:)?//""", own)
    assert "@import" not in own and "url(" not in own
    assert "abc123" in own and "2026-11-28" in own


def test_nothing_goes_wrong_in_a_frame_as_narrow_as_a_phone(driven):
    assert driven["told"] == []
    assert driven["loaded"] == []
    assert max(driven["wide"]) <= 0


def test_a_concept_is_chosen_and_a_line_is_hidden(driven):
    assert driven["charts"] == [8, 10]
    assert driven["shown"] == ["hail"]
    assert driven["lines"] == [[True] * 2, [False] * 4]


def test_its_tables_sort(driven, given):
    values = sorted((row["F1"] for row in given["totals"]), reverse=True)
    assert driven["falling"] == [as_text(value) for value in values]
    assert driven["rising"] == driven["falling"][::-1]
